package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const (
	// clockLimit bounds one request for the simulated time, which stays on this machine.
	clockLimit = 2 * time.Second
	// clockAgain is how old an answer may be, because a person moves the time while a service runs.
	clockAgain = 500 * time.Millisecond
	// clockSlack is how far two answers may differ although no one has moved the time.
	clockSlack = time.Second
)

// simulatedClock is this machine's clock, moved on like that of the simulators. It is used
// only after both sides have proved that they belong to one simulated world: a tunnel or a
// proxy on this machine that leads to a real account cannot answer that request.
type simulatedClock struct {
	source clockSource
	http   *http.Client

	mu    sync.Mutex // guards the fields below
	ahead time.Duration
	read  time.Time // when, by this machine's clock
}

// clockSource is one of the two simulators, with its credential.
type clockSource struct {
	name string
	url  *url.URL
	key  secret.Text
}

// SimulatedClock returns the clock of the simulators where SIMULATED_CLOCK is set, and nil
// where it is not. It returns nil also if one of the settings is wrong, because the command
// reports that itself.
func SimulatedClock(ctx context.Context, from config.Sources) (func() time.Time, error) {
	from.Receiver, from.Mail = nil, nil
	c, _, problems := config.Inspect(from, 0)
	if !c.SimulatedClock || problems.Names("SIMULATED_CLOCK", "STRIPE_API_URL", "ENHANCE_API_URL", "STRIPE_SECRET_KEY", "ENHANCE_API_TOKEN") {
		return nil, nil
	}
	clock := &simulatedClock{
		source: clockSource{"STRIPE_API_URL", c.StripeURL, c.StripeKey},
		http: &http.Client{
			Timeout:       clockLimit,
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	billing, err := clock.ask(ctx, clock.source)
	if err != nil {
		return nil, err
	}
	panel, err := clock.ask(ctx, clockSource{"ENHANCE_API_URL", c.EnhanceURL, c.EnhanceToken})
	if err != nil {
		return nil, err
	}
	if billing.World != panel.World {
		return nil, notSimulated("STRIPE_API_URL and ENHANCE_API_URL belong to two different simulators")
	}
	clock.ahead, clock.read = time.Until(billing.Now), time.Now()
	return clock.Now, nil
}

func notSimulated(wrong string) error {
	return config.Problems{{Name: "SIMULATED_CLOCK", Wrong: wrong + ": is stripe-enhance simulate running, and are its settings these? Against anything else take SIMULATED_CLOCK out"}}
}

// reading is the answer of a simulator about its clock.
type reading struct {
	World string    `json:"world"`
	Now   time.Time `json:"now"`
}

func (c *simulatedClock) ask(ctx context.Context, s clockSource) (t reading, err error) {
	ctx, cancel := context.WithTimeout(ctx, clockLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.Scheme+"://"+s.url.Host+"/_sim/clock", nil)
	if err != nil {
		return t, notSimulated(s.name + " is not the address of a simulator")
	}
	r.Header.Set("Authorization", "Bearer "+s.key.Reveal())
	answer, err := c.http.Do(r)
	if err != nil {
		return t, notSimulated("nothing answers at " + s.name)
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	if answer.StatusCode != http.StatusOK {
		return t, notSimulated(fmt.Sprintf("what answers at %s is not the simulator whose key this is (%d)", s.name, answer.StatusCode))
	}
	err = json.NewDecoder(http.MaxBytesReader(nil, answer.Body, 1<<10)).Decode(&t)
	if err != nil || t.World == "" || t.Now.IsZero() {
		return t, notSimulated("what answers at " + s.name + " is not a simulator")
	}
	return t, nil
}

// Now is the simulated time. If the simulator is gone, time goes on from where it was.
func (c *simulatedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) > clockAgain {
		t, err := c.ask(context.Background(), c.source)
		c.read = time.Now()
		if ahead := t.Now.Sub(c.read); err == nil && (ahead-c.ahead).Abs() > clockSlack {
			c.ahead = ahead
		}
	}
	return time.Now().Add(c.ahead)
}

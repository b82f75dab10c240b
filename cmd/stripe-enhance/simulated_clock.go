package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const (
	// clockLimit bounds a question about the simulated time: it is asked on this machine.
	clockLimit = 2 * time.Second
	// clockAgain is how old the answer may be: time is moved by hand while a service runs.
	clockAgain = 500 * time.Millisecond
	// clockSlack is by how much the answers may differ without time having been moved.
	clockSlack = time.Second
)

// simulatedClock is this machine's clock, moved on like that of the simulators. It is
// taken only after both sides have proved that they are one simulated world: a tunnel or
// a proxy on this machine to a real account answers no such question.
type simulatedClock struct {
	side side
	http *http.Client

	mu    sync.Mutex // guards what follows
	ahead time.Duration
	read  time.Time // when, by this machine's clock
}

// side is one of the two, with its credential.
type side struct {
	name string
	url  *url.URL
	key  secret.Text
}

// takeClock replaces the program's clock where SIMULATED_CLOCK is set. Whether it may be
// is the configuration's to say, and what is wrong there the command tells.
func (p *program) takeClock(ctx context.Context) error {
	switch strings.TrimPrefix(p.command, "stripe-enhance ") {
	case "demo", "simulate", "version", "stripe-enhance": // which have no settings, or their own
		return nil
	}
	from := p.sources()
	from.Receiver = nil
	c, _, problems := config.Inspect(from, 0)
	if !c.SimulatedClock || problems.Names("SIMULATED_CLOCK", "STRIPE_API_URL", "ENHANCE_API_URL", "STRIPE_SECRET_KEY", "ENHANCE_API_TOKEN") {
		return nil
	}
	clock := &simulatedClock{
		side: side{"STRIPE_API_URL", c.StripeURL, c.StripeKey},
		http: &http.Client{
			Timeout:       clockLimit,
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	billing, err := clock.ask(ctx, clock.side)
	if err != nil {
		return err
	}
	panel, err := clock.ask(ctx, side{"ENHANCE_API_URL", c.EnhanceURL, c.EnhanceToken})
	if err != nil {
		return err
	}
	if billing.World != panel.World {
		return notSimulated("STRIPE_API_URL and ENHANCE_API_URL belong to two different simulators")
	}
	clock.ahead, clock.read = time.Until(billing.Now), time.Now()
	p.now = clock.Now
	return nil
}

func notSimulated(wrong string) error {
	return config.Problems{{Name: "SIMULATED_CLOCK", Wrong: wrong + ": is stripe-enhance simulate running, and are its settings these? Against anything else take SIMULATED_CLOCK out"}}
}

// told is what a simulator says of its clock.
type told struct {
	World string    `json:"world"`
	Now   time.Time `json:"now"`
}

func (c *simulatedClock) ask(ctx context.Context, s side) (t told, err error) {
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

// Now is the simulated time. When the simulator is gone, time goes on from where it was.
func (c *simulatedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) > clockAgain {
		t, err := c.ask(context.Background(), c.side)
		c.read = time.Now()
		if ahead := t.Now.Sub(c.read); err == nil && (ahead-c.ahead).Abs() > clockSlack {
			c.ahead = ahead
		}
	}
	return time.Now().Add(c.ahead)
}

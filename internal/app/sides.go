package app

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
)

// side is Stripe or Enhance as its client meets it: how fast the client may ask, whether
// it asks at all, and how the last answer was.
type side struct {
	limiter *ratelimit.Limiter
	breaker *breaker.Breaker

	good     atomic.Bool  // the last answer was one that a healthy side gives
	at       atomic.Int64 // when that was, in unix nanoseconds by the process clock
	answered atomic.Int64 // the last answer of any kind, by the program's clock; 0: none
}

func (a *App) newSide(name string, rps float64) *side {
	limit := ratelimit.Options{RPS: rps, Concurrency: a.Config.Concurrency}
	if a.Simulated != nil {
		limit = ratelimit.Options{RPS: math.Inf(1)}
	}
	return &side{limiter: ratelimit.New(limit), breaker: breaker.New(name, a.Now)}
}

// granted counts the requests that were let through, by class.
func (s *side) granted() map[string]func() float64 {
	counts := map[string]func() float64{}
	for _, c := range priority.Classes {
		counts[c.String()] = func() float64 { return float64(s.limiter.Granted(c)) }
	}
	return counts
}

// note follows every request to the side; code is 0 if no answer came.
func (s *side) note(code int, now time.Time) {
	if code > 0 {
		s.answered.Store(now.UnixNano())
	}
	s.good.Store(code >= 200 && code < 300 || code == 404)
	s.at.Store(time.Now().UnixNano())
}

// goodFor is how long a good answer to the reconciler counts as health of a side. An idle
// service polls once a minute.
const goodFor = 75 * time.Second

// healthy reports that the side gave a good answer within goodFor, so that health need not
// ask it.
func (s *side) healthy() bool {
	return s.good.Load() && time.Since(time.Unix(0, s.at.Load())) < goodFor
}

// lastAnswer is zero if the side has not answered yet.
func (s *side) lastAnswer() time.Time {
	if at := s.answered.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// observe is what a client calls after each request. It returns nil, which observes
// nothing, outside of the service.
func (a *App) observe(name string, s *side) func(string, int) {
	if a.metrics == nil {
		return nil
	}
	count := a.metrics.Request(name, a.Now)
	return func(route string, code int) {
		count(route, code)
		s.note(code, a.Now())
	}
}

// askStripe and askEnhance are for health. Each is one small read that needs the
// credential, and is left out while the reconciler got a good answer recently.
func (a *App) askStripe(ctx context.Context) error {
	if a.stripeSide.healthy() {
		return nil
	}
	_, err := a.Stripe.Events(ctx, a.Now())
	return err
}

func (a *App) askEnhance(ctx context.Context) error {
	if err := a.enhanceSide.breaker.Open(); errors.Is(err, fault.Denied) {
		return err // the token may read but not write, which is not healthy
	}
	if a.enhanceSide.healthy() {
		return nil
	}
	_, err := a.Enhance.Self(ctx)
	return err
}

// answered is when a side gave its last answer of any kind.
func (a *App) answered(name string) time.Time {
	if name == "enhance" {
		return a.enhanceSide.lastAnswer()
	}
	return a.stripeSide.lastAnswer()
}

package enhance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
)

const (
	// firstPatience is how long a read about one org may take, if the panel is not slow
	// as a whole. After each read that took longer, the next one about this org may take
	// twice as long, up to the limit for all reads.
	firstPatience = 3 * time.Second
	// slowFor is how long an org counts as slow after a read that took too long.
	slowFor = 10 * time.Minute
	// slower is how many times as long as the panel's usual answer a read may take
	// before its org counts as slow.
	slower = 4
	// slowTogether is how many orgs that were slow of late are asked at a time.
	slowTogether = 2
)

// patience keeps orgs that give no answer from holding what other customers need: the
// places at the limiter, and the workers that wait for an answer. A panel has several
// servers, and if one of them hangs, so does every call about the orgs on it.
//
// The rules:
//
//  1. Of the requests about one org, one is under way at a time.
//  2. A read about an org has a short time, which grows with each one that was too short,
//     so that an org that is merely slow is read in the end. It is not tried again in the
//     same call: its customer is looked at again in a later run.
//  3. Of the orgs that were too slow in the last minutes, two are asked at a time. A call
//     about another one fails soon, and an urgent one at once, because the worker behind it
//     is needed by customers whose orgs do answer.
//  4. While the panel answers other calls, an org about which it gives no answer, or a bad
//     one, is no sign that the panel is in trouble, so the breaker does not count it. If
//     there was no other call, the panel is asked for one customer of the list.
//
// Writes have their usual time, because one that is given up may have been done.
type patience struct {
	slow  chan struct{} // a token for each slow org that is asked at the moment
	waits func()        // called before a request waits for another one about its org

	mu       sync.Mutex           // guards all below
	orgs     map[string]*slowness // of those that are asked or were slow
	usual    time.Duration        // how long an answer takes, the slower ones of late
	answered time.Time            // when the panel last answered anything well
}

// slowness is how one org has answered of late.
type slowness struct {
	turn   chan struct{} // capacity one: full while a request is under way
	users  int           // who have or wait for the turn
	missed int           // reads in a row that took too long
	until  time.Time     // when that is forgotten
}

func newPatience(waits func()) *patience {
	if waits == nil {
		waits = func() {}
	}
	return &patience{slow: make(chan struct{}, slowTogether), waits: waits, orgs: map[string]*slowness{}}
}

// turn waits until no other request about an org is under way; "" is an org of no customer,
// for which nothing waits. limit is how long a read may take, leave ends the turn.
func (p *patience) turn(ctx context.Context, org string, read time.Duration) (limit time.Duration, leave func(), err error) {
	if org == "" {
		return read, func() {}, nil
	}
	s := p.enter(org)
	if err := p.orgTurn(ctx, s); err != nil {
		p.exit(org, s)
		return 0, nil, err
	}
	limit, isSlow := p.limit(s, read)
	if !isSlow {
		return limit, func() { <-s.turn; p.exit(org, s) }, nil
	}
	if err := p.slowTurn(ctx); err != nil {
		<-s.turn
		p.exit(org, s)
		return 0, nil, err
	}
	return limit, func() { <-p.slow; <-s.turn; p.exit(org, s) }, nil
}

// orgTurn waits until no other request about an org is under way. For an org that was slow
// of late, an urgent request does not wait.
func (p *patience) orgTurn(ctx context.Context, s *slowness) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	default:
	}
	if _, isSlow := p.limit(s, 0); isSlow && priority.Of(ctx) == priority.Urgent {
		return errAskedAlready
	}
	p.waits()
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slowTurn waits until fewer slow orgs are asked.
func (p *patience) slowTurn(ctx context.Context) error {
	select {
	case p.slow <- struct{}{}:
		return nil
	default:
	}
	if priority.Of(ctx) == priority.Urgent {
		return errManySlow
	}
	wait := time.NewTimer(firstPatience)
	defer wait.Stop()
	select {
	case p.slow <- struct{}{}:
		return nil
	case <-wait.C:
		return errManySlow
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Why an org that gave no answer lately is not asked now.
var (
	errAskedAlready = errors.New("this org gave no answer lately, and another request about it is under way: it is asked again in a later run")
	errManySlow     = fmt.Errorf("this org gave no answer lately, and %d others like it are asked at the moment: it is asked again in a later run", slowTogether)
)

func (p *patience) enter(org string) *slowness {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.orgs[org]
	if s == nil {
		s = &slowness{turn: make(chan struct{}, 1)}
		p.orgs[org] = s
	}
	s.users++
	return s
}

// exit forgets an org that nothing asks for any more and that was not slow of late.
func (p *patience) exit(org string, s *slowness) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.users--
	if s.users == 0 && (s.missed == 0 || time.Now().After(s.until)) {
		delete(p.orgs, org)
	}
}

// limit is how long a read may take, and whether its org is a slow one.
func (p *patience) limit(s *slowness, read time.Duration) (limit time.Duration, isSlow bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().After(s.until) {
		s.missed = 0
	}
	limit = max(firstPatience, slower*p.usual)
	for range s.missed {
		limit = min(2*limit, read)
	}
	return min(limit, read), s.missed > 0
}

// heard notes that a request was answered well that began at an instant.
func (p *patience) heard(org string, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = time.Now()
	took := p.answered.Sub(began)
	s := p.orgs[org]
	if org == "" || s == nil || s.missed == 0 {
		p.usual = max(took, p.usual-p.usual/8)
	}
	if s != nil && took <= firstPatience {
		s.missed = 0
	}
}

// missed notes a read that took too long.
func (p *patience) missed(org string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.orgs[org]; s != nil {
		s.missed++
		s.until = time.Now().Add(slowFor)
	}
}

// answeredSince reports whether the panel has answered any call well since an instant.
func (p *patience) answeredSince(t time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered.After(t)
}

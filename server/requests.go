package server

import (
	"errors"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Why this process did not do a run that was asked for.
var (
	errFollower = errors.New("another process is the writer")
	errStopping = errors.New("the service is stopping")
)

// outcome is how a run ended.
type outcome struct {
	report reconcile.Report
	err    error
}

// Asked is a run that a request waits for.
type Asked struct {
	Request
	began chan string  // capacity one: the id of the run, when it begins
	done  chan outcome // capacity one
}

// Ask queues a run. If equal ones wait, one run serves them all.
func (l *Loop) Ask(r Request) *Asked {
	a := &Asked{Request: r, began: make(chan string, 1), done: make(chan outcome, 1)}
	l.mu.Lock()
	ended := l.ended
	if !ended {
		l.asks = append(l.asks, a)
	}
	l.mu.Unlock()
	if ended {
		answerAll([]*Asked{a}, outcome{err: errStopping})
		return a
	}
	select { // the token has no trigger: it only ends the wait of the loop
	case l.wake <- struct{}{}:
	default:
	}
	return a
}

// takeRequests takes the request that has waited longest, with all equal ones.
func (l *Loop) takeRequests() (taken []*Asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asks) == 0 {
		return nil
	}
	first := l.asks[0]
	rest := make([]*Asked, 0, len(l.asks))
	for _, a := range l.asks {
		if a.Full == first.Full && slices.Equal(a.Subscriptions, first.Subscriptions) {
			taken = append(taken, a)
		} else {
			rest = append(rest, a)
		}
	}
	l.asks = rest
	return taken
}

func (l *Loop) returnRequests(asks []*Asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks = append(asks, l.asks...)
}

// announce records the id of the run at work, and passes it to those that wait for it.
func (l *Loop) announce(run string, asks []*Asked) {
	l.mu.Lock()
	l.atWork = run
	l.mu.Unlock()
	for _, a := range asks {
		select {
		case a.began <- run:
		default:
		}
	}
}

// AtWork returns the id of the run at work; "" between runs.
func (l *Loop) AtWork() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.atWork
}

// Leading reports whether this process is the writer.
func (l *Loop) Leading() bool { return l.runner.Leading() }

func answerAll(asks []*Asked, o outcome) {
	for _, a := range asks {
		a.done <- o
	}
}

// failRequests answers every request that waits with an error.
func (l *Loop) failRequests(why error) {
	l.mu.Lock()
	asks := l.asks
	l.asks = nil
	l.mu.Unlock()
	answerAll(asks, outcome{err: why})
}

// close refuses requests from now on.
func (l *Loop) close() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.failRequests(errStopping)
}

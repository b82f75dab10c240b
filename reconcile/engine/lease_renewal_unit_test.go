package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// leasing is a database with a lease that this process gets whenever it answers.
type leasing struct {
	Leases

	mu       sync.Mutex // guards all below
	out      error      // the error of every call
	released []reconcile.Token
}

// fail makes every call fail from now on; nil: none.
func (l *leasing) fail(out error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out, l.released = out, nil
}

func (l *leasing) given() []reconcile.Token {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.released
}

func (l *leasing) Acquire(context.Context, string, time.Time, time.Duration) (reconcile.Token, string, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out != nil {
		return 0, "", time.Time{}, l.out
	}
	return 7, "", time.Time{}, nil
}

func (l *leasing) Release(_ context.Context, tok reconcile.Token) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = append(l.released, tok)
	return l.out
}

var errNoDatabase = errors.New("the database is out")

func newLeasing() (*lease, *leasing, *logtest.Buffer) {
	port, said := &leasing{}, &logtest.Buffer{}
	log := logrus.New()
	log.SetOutput(said)
	return &lease{port: port, owner: "this process", ttl: 30 * time.Second, now: time.Now, log: log}, port, said
}

func succeed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// While the database is out, the lease is not renewed, and another process may have it
// after its time: the run at work is ended before that, and not at the first failure.
func TestALeaseThatCannotBeRenewedEndsTheRunInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, port, said := newLeasing()
		succeed(t, l.acquire(t.Context()))
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		_, free, err := l.use(cancel)
		succeed(t, err)
		defer free()
		renewing, stop := context.WithCancel(t.Context())
		defer stop()
		go l.renew(renewing)
		port.fail(errNoDatabase)
		time.Sleep(21 * time.Second)
		if ctx.Err() != nil {
			t.Errorf("the run ended too early: %v", context.Cause(ctx))
		}
		if !strings.Contains(said.String(), "lease not renewed") || !strings.Contains(said.String(), errNoDatabase.Error()) {
			t.Errorf("logged: %s", said)
		}
		time.Sleep(10 * time.Second)
		if !errors.Is(context.Cause(ctx), fault.Fenced) || !strings.Contains(context.Cause(ctx).Error(), "could not be renewed in time") {
			t.Errorf("the run goes on when the lease is over: %v", context.Cause(ctx))
		}
		port.fail(nil)
		time.Sleep(10 * time.Second)
		if !l.held() {
			t.Error("not held when the database answers again")
		}
	})
}

func TestOnlyALeaseOfThisProcessIsReleased(t *testing.T) {
	l, port, _ := newLeasing()
	succeed(t, l.release(t.Context()))
	if len(port.given()) != 0 {
		t.Errorf("released without having it: %v", port.given())
	}
	for _, c := range []struct{ answer, want error }{
		{nil, nil},
		{fault.Errorf(fault.Fenced, "another process has it"), nil}, // no harm: it is not ours any more
		{errNoDatabase, errNoDatabase},
	} {
		port.fail(nil)
		succeed(t, l.acquire(t.Context()))
		port.fail(c.answer)
		if err := l.release(t.Context()); !errors.Is(err, c.want) || len(port.given()) != 1 || port.given()[0] != 7 {
			t.Errorf("answered with %v, released %v: %v", c.answer, port.given(), err)
		}
	}
}

// A service that begins while the database is out leads as soon as it can.
func TestAServiceLeadsWhenTheDatabaseAnswersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, port, said := newLeasing()
		port.fail(errNoDatabase)
		e := &Engine{Options: Options{Log: l.log}, lease: l}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Lead(ctx) }()
		synctest.Wait()
		if e.Leading() || !strings.Contains(said.String(), "lease not taken") {
			t.Errorf("leading: %v, logged: %s", e.Leading(), said)
		}
		port.fail(nil)
		time.Sleep(11 * time.Second)
		if !e.Leading() {
			t.Error("not leading though the database answers")
		}
		stop()
		if err := <-ended; err != nil || len(port.given()) != 1 {
			t.Errorf("ended with %v, released %v", err, port.given())
		}
	})
}

package engine

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// newLease is a lease of this process in an empty database, and its clock.
func newLease(t *testing.T) (*lease, *store.Store, *time.Time) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: secret.New("sqlite:" + filepath.Join(t.TempDir(), "test.db"))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &lease{port: s, owner: "this process", ttl: 30 * time.Second, now: func() time.Time { return now }, log: logrus.New()}, s, &now
}

func TestALeaseIsCheckedByItsTokenAndItsTime(t *testing.T) {
	l, _, now := newLease(t)
	if l.held() || !errors.Is(l.check(1), fault.Fenced) {
		t.Error("held before it was acquired")
	}
	if err := l.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	tok := l.tok
	if err := l.check(tok); err != nil || !l.held() {
		t.Errorf("not held after it was acquired: %v", err)
	}
	if !errors.Is(l.check(tok-1), fault.Fenced) {
		t.Error("an older token may still write")
	}
	*now = now.Add(26 * time.Second) // 25 s of 30 are trusted
	if l.held() || !errors.Is(l.check(tok), fault.Fenced) {
		t.Error("still relied on in the last sixth of its life")
	}
	if err := l.acquire(t.Context()); err != nil || l.check(tok) != nil {
		t.Errorf("not held after it was renewed: %v", err)
	}
}

func TestALeaseThatGoesToAnotherEndsTheRun(t *testing.T) {
	l, db, now := newLease(t)
	if err := l.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	tok, free, err := l.use(cancel)
	if err != nil || l.check(tok) != nil {
		t.Fatalf("token %d: %v", tok, err)
	}
	l.revokeExpired()
	if ctx.Err() != nil {
		t.Fatal("a valid lease was revoked")
	}
	*now = now.Add(time.Minute)
	if _, _, _, err := db.Acquire(t.Context(), "another process", *now, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := l.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(context.Cause(ctx), fault.Fenced) {
		t.Errorf("the run goes on: %v", context.Cause(ctx))
	}
	free()
	var held *reconcile.LeaseTaken
	if _, _, err := l.use(cancel); !errors.As(err, &held) || held.Owner != "another process" {
		t.Errorf("used while another process has it: %v", err)
	}
}

func TestAReleasedLeaseIsFree(t *testing.T) {
	l, db, now := newLease(t)
	if err := l.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second has nothing to release
		if err := l.release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tok, _, _, err := db.Acquire(t.Context(), "another process", *now, time.Hour)
	if err != nil || tok == 0 || l.held() {
		t.Errorf("another process gets token %d: %v; held %v", tok, err, l.held())
	}
}

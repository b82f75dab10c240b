package enhance_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const (
	oneHosting  = "GET /orgs/{org}/subscriptions/{subscription}"
	changesIt   = "PATCH /orgs/{org}/subscriptions/{subscription}"
	asksIfReady = "GET /status"
	ourList     = "GET /orgs/{org}/customers"
)

// guarded is a town behind a breaker whose clock the test moves.
func guarded(t *testing.T) (n *town, forward func(time.Duration)) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	n = newTown(t, func(o *enhance.Options) {
		o.Breaker = breaker.New("Enhance", func() time.Time { return now })
	})
	return n, func(d time.Duration) { now = now.Add(d) }
}

func TestAPanelInTroubleIsLeftAloneAndThenAskedOnce(t *testing.T) {
	n, forward := guarded(t)
	read := func() error { _, err := n.client.CustomerCount(t.Context()); return err }
	write := func() error { return n.client.RenameOrg(t.Context(), n.org, "Ada Ltd") }

	n.breaks(ourList, simulator.Fault{Apply: simulator.Skip, Status: http.StatusBadGateway})
	for range 5 {
		if fault.Of(read()) != fault.Transient {
			t.Fatal("an outage is not an outage")
		}
	}
	if got := n.calls(ourList); got != 5*attempts {
		t.Fatalf("%d requests, want %d", got, 5*attempts)
	}
	before := n.client.Requests()
	if err := read(); fault.Of(err) != fault.Transient {
		t.Errorf("a read while it is left alone: %v", err)
	}
	if err := write(); fault.Of(err) != fault.Transient {
		t.Errorf("a write while it is left alone: %v, want a kind that says it was never sent", err)
	}
	if got := n.client.Requests(); got != before {
		t.Errorf("%d requests were sent while it is left alone", got-before)
	}

	there := len(n.world.Effects()) // by staff
	// Half a minute later the client has only a write, so it reads first whether the
	// panel is ready.
	forward(30 * time.Second)
	n.breaks(asksIfReady, simulator.Fault{Apply: simulator.Skip, Status: http.StatusServiceUnavailable})
	if err := write(); fault.Of(err) != fault.Transient {
		t.Errorf("a write to a panel that is not ready: %v", err)
	}
	if len(n.world.Effects()) != there || n.calls(asksIfReady) != attempts {
		t.Errorf("effects %v, asked %d times", n.world.Effects(), n.calls(asksIfReady))
	}
	forward(time.Minute)
	n.breaks("", simulator.Fault{})
	if err := write(); err != nil {
		t.Errorf("a write to a panel that is back: %v", err)
	}
	if n.calls(asksIfReady) != 1 || len(n.world.Effects()) != there+1 {
		t.Errorf("asked %d times, effects %v", n.calls(asksIfReady), n.world.Effects())
	}
}

// TestARateThatLeavesNoRoomIsNoTroubleOfThePanel: the panel has asked for a pause, and
// calls that cannot wait for its end give up. If they opened the breaker, nothing would be
// sent for minutes after the pause.
func TestARateThatLeavesNoRoomIsNoTroubleOfThePanel(t *testing.T) {
	limiter := ratelimit.New(ratelimit.Options{})
	var guard *breaker.Breaker
	n := newTown(t, func(o *enhance.Options) {
		guard = breaker.New("Enhance", time.Now)
		o.Limiter, o.Breaker = limiter, guard
	})
	limiter.Throttled(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, o := range ops {
		if err := o.do(ctx, n); fault.Of(err) != fault.Transient || errors.Is(err, fault.LeftAlone) {
			t.Errorf("%s: %v", o.name, err)
		}
	}
	if err := guard.Open(); err != nil || n.client.Requests() != 0 {
		t.Errorf("after %d calls that were not sent: %v, %d requests", len(ops), err, n.client.Requests())
	}
}

// TestATokenThatIsRefusedOnTheWayBackIsNotWrittenWith: the read that asks whether a panel
// is back shows that the token is no longer good.
func TestATokenThatIsRefusedOnTheWayBackIsNotWrittenWith(t *testing.T) {
	n, forward := guarded(t)
	n.breaks(ourList, simulator.Fault{Apply: simulator.Skip, Status: http.StatusBadGateway})
	for range 5 {
		_, _ = n.client.CustomerCount(t.Context())
	}
	forward(30 * time.Second)
	n.breaks(asksIfReady, simulator.NotDone(http.StatusUnauthorized))
	there := len(n.world.Effects())
	err := n.client.RenameOrg(t.Context(), n.org, "Ada Ltd")
	if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "not sent: ") || len(n.world.Effects()) != there {
		t.Errorf("got %v and %d effects, want denied and none", err, len(n.world.Effects())-there)
	}
}

// TestARefusedCreateIsAboutTheCustomerItIsFor, although its path begins with the selling
// organisation. If that one may not make customers, the token is the wrong one.
func TestARefusedCreateIsAboutTheCustomerItIsFor(t *testing.T) {
	for route, c := range map[string]struct {
		create func(*town) error
		pauses bool
	}{
		"POST /orgs/{org}/customers/{customer}/subscriptions": {func(n *town) error {
			_, err := n.client.CreateHosting(t.Context(), n.org, 1, "Basic [sub_2/1]")
			return err
		}, false},
		"POST /orgs/{org}/customers": {func(n *town) error {
			_, err := n.client.CreateOrg(t.Context(), "Grace [cus_2]")
			return err
		}, true},
	} {
		n, _ := guarded(t)
		n.breaks(route, simulator.Fault{Apply: simulator.Skip, Status: http.StatusForbidden})
		for range 5 {
			if err := c.create(n); fault.Of(err) != fault.Denied {
				t.Fatalf("%s: %v", route, err)
			}
		}
		if err := n.client.RenameOrg(t.Context(), n.org, "Ada Ltd"); errors.Is(err, fault.LeftAlone) != c.pauses || (err == nil) == c.pauses {
			t.Errorf("%s: the next write: %v, want it left alone: %t", route, err, c.pauses)
		}
	}
}

func TestAfterARefusedTokenNothingIsWrittenForAWhile(t *testing.T) {
	n, forward := guarded(t)
	suspend := true
	change := func() error {
		return n.client.Change(t.Context(), n.org, n.hosting, reconcile.HostingChange{Suspended: &suspend})
	}
	refused := func(status int) {
		n.breaks(changesIt, simulator.Fault{Apply: simulator.Skip, Status: status})
		for range 3 {
			_ = change()
		}
		n.breaks("", simulator.Fault{})
	}
	refused(http.StatusForbidden) // this is about one org only
	if err := change(); err != nil {
		t.Errorf("after one org that was refused: %v", err)
	}
	refused(http.StatusUnauthorized)
	if err := change(); fault.Of(err) != fault.Denied || n.calls(changesIt) != 0 {
		t.Errorf("the next write: %v after %d requests, want denied after none", err, n.calls(changesIt))
	}
	if _, err := n.client.Hosting(t.Context(), n.org, n.hosting); err != nil {
		t.Errorf("a read: %v", err)
	}
	forward(5 * time.Minute)
	if err := change(); err != nil {
		t.Errorf("five minutes later: %v", err)
	}
}

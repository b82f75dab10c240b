package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// Each removal is in the journal with what it rests on: the subscription as it was read by
// id right before, with Stripe's id of that request, and the hosting as it was then.
//
// With these mistakes put in once, it went red: no evidence is recorded; the request is that
// of a listing; the hosting is the one after the change.
func TestARemovalIsRecordedWithItsEvidence(t *testing.T) {
	r, sub := customer(t, withRetention)
	must(t, r.World.Cancel(sub))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	r.World.Advance(31 * aDay)
	r.Run(engine.Request{})
	records, err := r.Store.Actions(t.Context(), reconcile.ActionFilter{Subscription: sub, State: reconcile.ActionApplied})
	must(t, err)
	before := map[reconcile.ActionKind]string{reconcile.Suspend: "active", reconcile.Terminate: "suspended"}
	found := 0
	for _, a := range records {
		want, takes := before[a.Kind]
		if !takes {
			if a.Evidence != nil {
				t.Errorf("%s takes nothing, and has the evidence %s", a.ID, a.Evidence.Describe())
			}
			continue
		}
		found++
		if a.Evidence == nil || len(a.Evidence.Subscriptions) != 1 {
			t.Fatalf("%s has the evidence %+v", a.ID, a.Evidence)
		}
		s, h := a.Evidence.Subscriptions[0], a.Evidence.Hosting
		diff(t, a.ID+": subscription", []string{sub, "canceled"}, []string{s.ID, s.Status})
		diff(t, a.ID+": hosting", want, h.State)
		if !strings.HasPrefix(s.Request, "req_") || s.EndedAt == nil || a.SentAt.Sub(s.ReadAt) > time.Minute || a.SentAt.Sub(h.ReadAt) > time.Minute {
			t.Errorf("%s: %s", a.ID, a.Evidence.Describe())
		}
		if text := a.Evidence.Describe(); !strings.Contains(text, sub+" is canceled since ") || !strings.Contains(text, s.Request) {
			t.Errorf("for people: %s", text)
		}
	}
	diff(t, "removals", 2, found)
}

// Who is suspended for an unpaid invoice is so with its id and amount in the journal.
//
// With this mistake put in once, it went red: the invoice is left out.
func TestTheUnpaidInvoiceIsEvidence(t *testing.T) {
	r, sub := customer(t, func(o *engine.Options) { o.Policy.Grace = 0 })
	must(t, r.World.FailPayment(sub))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	records, err := r.Store.Actions(t.Context(), reconcile.ActionFilter{Subscription: sub, State: reconcile.ActionApplied})
	must(t, err)
	for _, a := range records {
		if a.Kind != reconcile.Suspend {
			continue
		}
		s := a.Evidence.Subscriptions[0]
		if !strings.HasPrefix(s.Invoice, "in_") || !strings.HasSuffix(s.Amount, " EUR") || s.UnpaidSince == nil {
			t.Errorf("%+v", s)
		}
		if text := a.Evidence.Describe(); !strings.Contains(text, "with invoice "+s.Invoice+" of "+s.Amount+" due ") {
			t.Error(text)
		}
		return
	}
	t.Error("it was not suspended")
}

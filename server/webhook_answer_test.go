package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// heard notes how webhooks were answered.
type heard struct {
	noObserver
	results []string
}

func (h *heard) WebhookAnswered(result string) { h.results = append(h.results, result) }

// TestAWebhookIsStoredAsWhatItCanChange: an event that can change nothing is stored without
// a subscription, and wakes nothing.
func TestAWebhookIsStoredAsWhatItCanChange(t *testing.T) {
	for name, c := range map[string]struct {
		event, stored, woken string
	}{
		"a subscription":           {`{"ID":"evt_1","Type":"customer.subscription.updated","Subscription":"sub_1"}`, "LogWebhook evt_1 customer.subscription.updated sub_1 true", "webhook"},
		"an invoice":               {`{"ID":"evt_1","Type":"invoice.paid","Subscription":"sub_1"}`, "LogWebhook evt_1 invoice.paid sub_1 true", "webhook"},
		"a customer":               {`{"ID":"evt_1","Type":"customer.deleted","StripeCustomer":"cus_1"}`, "LogWebhook evt_1 customer.deleted  true", "webhook"},
		"a vague one":              {`{"ID":"evt_1","Type":"v2.core.event","Vague":true}`, "LogWebhook evt_1 v2.core.event  true", "webhook"},
		"an invoice of no order":   {`{"ID":"evt_1","Type":"invoice.paid"}`, "LogWebhook evt_1 invoice.paid  false", ""},
		"a charge":                 {`{"ID":"evt_1","Type":"charge.failed","Subscription":"sub_1"}`, "LogWebhook evt_1 charge.failed  false", ""},
		"a dispute":                {`{"ID":"evt_1","Type":"charge.dispute.created"}`, "LogWebhook evt_1 charge.dispute.created  true", "webhook"},
		"a refund":                 {`{"ID":"evt_1","Type":"charge.refunded"}`, "LogWebhook evt_1 charge.refunded  true", "webhook"},
		"a type that begins alike": {`{"ID":"evt_1","Type":"customer.source.updated","StripeCustomer":"cus_1"}`, "LogWebhook evt_1 customer.source.updated  false", ""},
		"a type that ends alike":   {`{"ID":"evt_1","Type":"test.invoice.paid","Subscription":"sub_1"}`, "LogWebhook evt_1 test.invoice.paid  false", ""},
	} {
		observer := &heard{}
		h := newHouse(t, func(o *Options) { o.Observer = observer })
		hook := func() *httptest.ResponseRecorder {
			return h.send("POST", webhookPath, c.event, "Stripe-Signature", "t=1")
		}
		answers(t, name, hook(), 200, `{"received":true}`)
		if diff := cmp.Diff([]string{c.stored}, h.called(changes...)); diff != "" {
			t.Errorf("%s: stored (-want +got):\n%s", name, diff)
		}
		if why := h.woken(); why != c.woken {
			t.Errorf("%s: woke the loop with %q, want %q", name, why, c.woken)
		}
		answers(t, name+" again", hook(), 200, "Event already processed")
		if why := h.woken(); why != "" {
			t.Errorf("%s again: woke the loop with %q", name, why)
		}
		h.fail["LogWebhook"] = errors.New("CANARY")
		lost := hook()
		answers(t, name+" not stored", lost, 500, `"retryable":true`)
		if why := h.woken(); why != "" || strings.Contains(lost.Body.String(), "CANARY") {
			t.Errorf("%s not stored: woke the loop with %q, answered %s", name, why, lost.Body)
		}
		if diff := cmp.Diff([]string{webhookAccepted, webhookDuplicate, webhookFailed}, observer.results); diff != "" {
			t.Errorf("%s: observed (-want +got):\n%s", name, diff)
		}
	}
}

// TestAWebhookThatNamesASubscriptionIsServedByItself, and any other one by a run.
func TestAWebhookThatNamesASubscriptionIsServedByItself(t *testing.T) {
	for event, alone := range map[string]bool{
		`{"ID":"evt_1","Type":"invoice.paid","Subscription":"sub_1"}`:       true,
		`{"ID":"evt_1","Type":"customer.updated","StripeCustomer":"cus_1"}`: false,
		`{"ID":"evt_1","Type":"v2.core.event","Vague":true}`:                false,
	} {
		h := newHouse(t, func(o *Options) { o.Loop.o.Flows = 1 })
		answers(t, event, h.send("POST", webhookPath, event, "Stripe-Signature", "t=1"), 200, `"received":true`)
		if served, woken := len(h.server.o.Loop.served), h.woken(); (served == 1) != alone || (woken == "webhook") == alone {
			t.Errorf("%s: %d for a worker, and woke the loop with %q", event, served, woken)
		}
		if entry := h.log.LastEntry(); entry == nil || entry.Message != "webhook stored" || entry.Data["event"] != "evt_1" {
			t.Errorf("%s: logged %v", event, entry)
		}
	}
}

// TestAWebhookIsRefusedUnlessItHasOneSignatureThatIsRight: a proxy may have checked the
// other of two.
func TestAWebhookIsRefusedUnlessItHasOneSignatureThatIsRight(t *testing.T) {
	observer := &heard{}
	h := newHouse(t, func(o *Options) {
		o.Observer = observer
		verify := o.Verify
		o.Verify = func(body []byte, signature string, now time.Time) (reconcile.Event, error) {
			if signature != "right" || !now.Equal(t0) {
				return reconcile.Event{}, errors.New("stripe webhook: the signature matches none of the secrets")
			}
			return verify(body, signature, now)
		}
	})
	const event = `{"ID":"evt_1","Type":"invoice.paid","Subscription":"sub_1"}`
	for name, headers := range map[string][]string{
		"no signature": {}, "a wrong one": {"Stripe-Signature", "wrong"}, "the right one twice": {"Stripe-Signature", "right", "Stripe-Signature", "right"},
		"a right one and a wrong one": {"Stripe-Signature", "right", "Stripe-Signature", "wrong"}, "an empty one": {"Stripe-Signature", ""},
	} {
		answers(t, name, h.send("POST", webhookPath, event, headers...), 400, "stripe webhook: ")
	}
	r := httptest.NewRequest("POST", webhookPath, io.MultiReader(strings.NewReader(event), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Stripe-Signature", "right")
	w := httptest.NewRecorder()
	h.server.ServeHTTP(w, r)
	answers(t, "a body that broke off", w, 400, "the body ended early")
	if did, why := h.called(changes...), h.woken(); did != nil || why != "" {
		t.Errorf("did %q, woke the loop with %q", did, why)
	}
	if got := strings.Join(observer.results, " "); got != strings.TrimSpace(strings.Repeat(webhookRefused+" ", 6)) {
		t.Errorf("observed %s", got)
	}
	answers(t, "one right signature", h.send("POST", webhookPath, event, "Stripe-Signature", "right"), 200, `"received":true`)
}

// TestABodyThatComesInSmallPiecesTakesNoMoreMemory: strangers hold all of the memory for
// large bodies, and a small one that comes byte by byte needs none of it.
func TestABodyThatComesInSmallPiecesTakesNoMoreMemory(t *testing.T) {
	in := newIntake()
	if !in.large.TryAcquire(intakeBytes) {
		t.Fatal("not empty to begin with")
	}
	want := bytes.Repeat([]byte("x"), 2000)
	got, done, err := in.read(iotest.OneByteReader(bytes.NewReader(want)), webhookLimit)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	done()
}

// TestResultsOfWebhooksThatAreNotRecordedAreLogged: the next run records them.
func TestResultsOfWebhooksThatAreNotRecordedAreLogged(t *testing.T) {
	for _, subscriptions := range [][]string{nil, {"sub_1"}} {
		h := newHouse(t)
		h.fail["WebhookResult"] = errors.New("no")
		h.server.o.Loop.recordWebhookResults(context.Background(), Request{Subscriptions: subscriptions}, reconcile.Report{}, nil, t0)
		if entries := h.log.AllEntries(); len(entries) != 1 || entries[0].Message != "results of webhooks not recorded" {
			t.Errorf("of %q: logged %v", subscriptions, entries)
		}
		h.log.Reset()
		h.server.o.Loop.recordWebhookResults(context.Background(), Request{Subscriptions: subscriptions}, reconcile.Report{}, errors.New("502"), t0)
		if calls := h.called("WebhookResult"); len(calls) != 1 || len(h.log.AllEntries()) != 0 {
			t.Errorf("of %q: recorded %q, the second after a failed run", subscriptions, calls)
		}
	}
}

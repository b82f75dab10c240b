package stripe

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func disputeOf(id, status, charge string) string {
	return `{"id":"` + id + `","object":"dispute","livemode":false,"status":"` + status + `","amount":900,"currency":"eur","created":1000,"charge":` + charge + `}`
}

func refundOf(id, status, charge string) string {
	return strings.Replace(strings.Replace(disputeOf(id, status, charge), `"object":"dispute"`, `"object":"refund"`, 1), `"livemode":false,`, "", 1)
}

const (
	chargeOfSub  = `{"id":"ch_1","customer":"cus_1","refunded":true,"invoice":{"id":"in_1","subscription":"sub_1"}}`
	chargeLater  = `{"id":"ch_1","customer":"cus_1","refunded":true,"invoice":{"id":"in_1","parent":{"subscription_details":{"subscription":"sub_1"}}}}`
	chargeAlone  = `{"id":"ch_1","customer":"cus_1","refunded":false,"invoice":null}`
	chargeNobody = `{"id":"ch_1","customer":null,"invoice":null}`
)

func TestADisputeIsReducedToWhoseItIs(t *testing.T) {
	d := func(id string, s reconcile.DisputeStatus, sub, invoice string) reconcile.Dispute {
		return reconcile.Dispute{ID: id, StripeCustomer: "cus_1", Subscription: sub, Invoice: invoice, Status: s, Amount: 900, Currency: "eur", Opened: time.Unix(1000, 0).UTC()}
	}
	s := byPath(map[string]reply{
		"/v1/disputes": {body: page(false,
			disputeOf("dp_1", "needs_response", chargeOfSub), disputeOf("dp_2", "under_review", chargeLater), disputeOf("dp_3", "needs_response", chargeAlone),
			disputeOf("dp_4", "needs_response", chargeNobody), disputeOf("dp_5", "needs_response", `"ch_1"`), disputeOf("dp_6", "needs_response", "null"),
			disputeOf("dp_7", "won", chargeOfSub), disputeOf("dp_8", "warning_needs_response", chargeOfSub), disputeOf("dp_9", "charmed", chargeOfSub), disputeOf("dp_10", "", chargeOfSub))},
		"/v1/refunds": {body: page(false, refundOf("re_1", "succeeded", chargeOfSub), refundOf("re_2", "succeeded", chargeAlone), refundOf("re_3", "failed", chargeOfSub))},
	})
	got, err := s.client(t).Disputes(t.Context(), time.Unix(500, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := []reconcile.Dispute{d("dp_1", reconcile.DisputeNeedsResponse, "sub_1", "in_1"), d("dp_2", reconcile.DisputeUnderReview, "sub_1", "in_1"),
		d("dp_3", reconcile.DisputeNeedsResponse, "", ""), d("re_1", reconcile.DisputeRefunded, "sub_1", "in_1")}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(reconcile.Dispute{}, "ReadAt")); diff != "" {
		t.Errorf("disputes (-want +got):\n%s", diff)
	}
}

// TestALostDisputeIsAskedForALaterPayment, and a key that may not read invoices leaves open
// whether there was one.
func TestALostDisputeIsAskedForALaterPayment(t *testing.T) {
	paid := `{"id":"in_2","object":"invoice","livemode":false,"status":"paid","subscription":"sub_1","created":2000,"amount_paid":900,"status_transitions":{"paid_at":2001}}`
	for name, tt := range map[string]struct {
		invoices reply
		paid     int64
		unread   bool
	}{
		"paid":   {reply{body: page(false, paid)}, 2001, false},
		"none":   {reply{body: page(false)}, 0, false},
		"denied": {reply{status: 403}, 0, true},
	} {
		s := byPath(map[string]reply{"/v1/disputes/dp_1": {body: disputeOf("dp_1", "lost", chargeOfSub)}, "/v1/invoices": tt.invoices})
		d, counts, err := s.client(t).Dispute(t.Context(), "dp_1")
		if err != nil || !counts || d.PaymentUnread != tt.unread || !d.PaidAt.Equal(instant(tt.paid)) {
			t.Errorf("%s: %+v, %v, %v", name, d, counts, err)
		}
	}
}

func TestADisputeThatCannotBeReadIsAnError(t *testing.T) {
	for name, tt := range map[string]struct {
		answer reply
		kind   fault.Kind
	}{
		"denied":                   {reply{status: 403}, fault.Denied},
		"down":                     {reply{status: 503}, fault.Transient},
		"{}":                       {reply{body: "{}"}, fault.Malformed},
		"another":                  {reply{body: disputeOf("dp_2", "lost", chargeOfSub)}, fault.Malformed},
		"of the other mode":        {reply{body: strings.Replace(disputeOf("dp_1", "lost", chargeOfSub), `"livemode":false`, `"livemode":true`, 1)}, fault.Malformed},
		"a charge that is neither": {reply{body: disputeOf("dp_1", "lost", "7")}, fault.Malformed},
	} {
		if _, counts, err := always(tt.answer).client(t).Dispute(t.Context(), "dp_1"); counts || fault.Of(err) != tt.kind {
			t.Errorf("%s: %v, %v", name, counts, err)
		}
	}
	s := &stub{answer: func(_ int, r *http.Request) reply {
		if r.URL.Path == "/v1/refunds" {
			return reply{status: 503}
		}
		return reply{body: page(false, disputeOf("dp_1", "needs_response", chargeOfSub))}
	}}
	if all, err := s.client(t).Disputes(t.Context(), time.Unix(500, 0)); err == nil {
		t.Errorf("a list without the refunds: %v", all)
	}
	for _, id := range []string{"", "..", "dp_1/close"} {
		if _, _, err := s.client(t).Dispute(t.Context(), id); fault.Of(err) != fault.Permanent {
			t.Errorf("%q: %v", id, err)
		}
	}
}

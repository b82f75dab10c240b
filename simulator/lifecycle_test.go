package simulator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// story is the events of a subscription, as "day kind status".
func (c *caller) story(sub string) []string {
	c.t.Helper()
	out := []string{}
	c.w.enter()
	defer c.w.mu.Unlock()
	for _, e := range slices.SortedFunc(slices.Values(c.w.account.events.sorted()), func(a, b *event) int { return int(a.birth) - int(b.birth) }) {
		if e.object != sub {
			continue
		}
		_, status, _ := strings.Cut(e.data, `"status":"`)
		status, _, _ = strings.Cut(status, `"`)
		at := time.Unix(e.created, 0).Sub(fixedStart)
		out = append(out, fmt.Sprintf("%v %s %s", at, strings.TrimPrefix(e.kind, "customer.subscription."), status))
	}
	return out
}

func (c *caller) told(sub string, want ...string) {
	c.t.Helper()
	if diff := cmp.Diff(want, c.story(sub)); diff != "" {
		c.t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestATrialEndsInAChargeOrInAPause(t *testing.T) {
	c := calm(t)
	pays := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly", Trial: 7 * day}).Subscription
	lacks := c.signUp(SignUp{Email: "b@example.com", Price: "pro_monthly", Trial: 7 * day, TrialNoCard: true}).Subscription
	c.w.Advance(7*day - time.Second)
	if got := []string{c.status(pays), c.status(lacks)}; !slices.Equal(got, []string{"trialing", "trialing"}) {
		t.Errorf("a second before the end: %v", got)
	}
	c.w.Advance(time.Second)
	c.told(pays, "0s created trialing", "168h0m0s updated active")
	c.told(lacks, "0s created trialing", "168h0m0s updated paused", "168h0m0s paused paused")
}

func TestAnIncompleteOrderExpiresAfter23HoursUnlessPaid(t *testing.T) {
	c := calm(t)
	expires := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly", Declined: true}).Subscription
	paid := c.signUp(SignUp{Email: "b@example.com", Price: "pro_monthly", Declined: true}).Subscription
	c.w.Advance(22 * time.Hour)
	c.must(c.w.Pay(paid))
	c.w.Advance(time.Hour)
	c.told(expires, "0s created incomplete", "23h0m0s updated incomplete_expired")
	c.told(paid, "0s created incomplete", "22h0m0s updated active")
	if err := c.w.Pay(expires); err == nil {
		t.Error("an expired order could be paid")
	}
	if got := c.w.Invoices(expires)[0].Status; got != "void" {
		t.Errorf("its invoice is %s, want void", got)
	}
}

func TestAFailedPaymentIsRetriedAndThenTheAccountDecides(t *testing.T) {
	for setting, want := range map[string][]string{
		"cancel":   {"0s created active", "48h0m0s updated past_due", "552h0m0s deleted canceled"},
		"unpaid":   {"0s created active", "48h0m0s updated past_due", "552h0m0s updated unpaid"},
		"past_due": {"0s created active", "48h0m0s updated past_due"},
	} {
		t.Run(setting, func(t *testing.T) {
			c := newCaller(t, Options{Calm: true, AfterRetries: setting})
			c.w.Offer()
			sub := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"}).Subscription
			c.w.Advance(2 * day)
			c.must(c.w.FailPayment(sub))
			c.w.Advance(25 * day)
			c.told(sub, want...)
			open := c.object(c.stripe("GET", "/v1/invoices?status=open&subscription="+sub, ""), 200)
			if len(open.ids()) != 1 {
				t.Fatalf("%d open invoices, want 1", len(open.ids()))
			}
			inv := object(open["data"].([]any)[0].(map[string]any))
			if at := float64(fixedStart.Add(2 * day).Unix()); inv["due_date"] != at || inv["attempt_count"] != 5.0 {
				t.Errorf("due %v after %v attempts, want %v and 5", inv["due_date"], inv["attempt_count"], at)
			}
		})
	}
}

func TestAPaymentInTimeEndsTheRetries(t *testing.T) {
	c := calm(t)
	sub := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"})
	c.must(c.w.FailPayment(sub.Subscription))
	c.w.Advance(4 * day)
	c.must(c.w.SetCard(sub.Customer, true)) // a new card, which the next retry finds
	c.w.Advance(20 * day)
	c.told(sub.Subscription, "0s created active", "0s updated past_due", "216h0m0s updated active")
}

func TestRenewalsFollowTheCalendarAndTheCard(t *testing.T) {
	c := newCaller(t, Options{Calm: true, Start: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)})
	c.w.Offer()
	s := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"})
	ends := []string{}
	for range 3 {
		sub, _ := c.w.Subscription(s.Subscription)
		ends = append(ends, time.Unix(sub.PeriodEnd, 0).UTC().Format(time.DateOnly))
		c.w.Advance(time.Unix(sub.PeriodEnd, 0).Sub(c.w.Now()))
	}
	if diff := cmp.Diff([]string{"2026-02-28", "2026-03-31", "2026-04-30"}, ends); diff != "" {
		t.Errorf("period ends (-want +got):\n%s", diff)
	}
	c.must(c.w.SetCard(s.Customer, false))
	c.w.Advance(31 * day)
	if got := c.status(s.Subscription); got != "past_due" {
		t.Errorf("after a renewal with a bad card: %s, want past_due", got)
	}
}

func TestCancelingAtPeriodEndIsActiveUntilThen(t *testing.T) {
	c := calm(t)
	leaves := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"}).Subscription
	stays := c.signUp(SignUp{Email: "b@example.com", Price: "pro_monthly"}).Subscription
	c.must(c.w.CancelAtPeriodEnd(leaves))
	c.must(c.w.CancelAtPeriodEnd(stays))
	c.must(c.w.UndoCancelAtPeriodEnd(stays))
	c.w.Advance(31*day - time.Second) // March has 31 days
	if got := c.status(leaves); got != "active" {
		t.Errorf("a second before the end: %s", got)
	}
	c.w.Advance(time.Second)
	if got := []string{c.status(leaves), c.status(stays)}; !slices.Equal(got, []string{"canceled", "active"}) {
		t.Errorf("at the end: %v, want one canceled and one active", got)
	}
}

func TestPausedCollectionLeavesTheStatusAlone(t *testing.T) {
	c := calm(t)
	s := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"})
	c.must(c.w.PauseCollection(s.Subscription, ""))
	c.must(c.w.SetCard(s.Customer, false))
	c.w.Advance(40 * day)
	sub := c.object(c.stripe("GET", "/v1/subscriptions/"+s.Subscription, ""), 200)
	if sub["status"] != "active" || sub.at("pause_collection.behavior") != "void" {
		t.Errorf("status %v with pause %v", sub["status"], sub["pause_collection"])
	}
	c.must(c.w.ResumeCollection(s.Subscription))
	c.w.Advance(30 * day)
	if got := c.status(s.Subscription); got != "past_due" {
		t.Errorf("after collection resumed with a bad card: %s", got)
	}
}

func TestThingsDueInOneAdvanceHappenInTheirOrder(t *testing.T) {
	c := calm(t)
	order := []string{}
	note := func(what string) func() {
		return func() { order = append(order, what+" "+c.w.now.Sub(fixedStart).String()) }
	}
	c.w.after(3*time.Hour, note("third"))
	c.w.after(time.Hour, func() { note("first")(); c.w.after(time.Hour, note("second, arranged by the first")) })
	c.w.after(3*time.Hour, note("fourth, at the same instant"))
	c.w.Advance(5 * time.Hour)
	want := []string{"first 1h0m0s", "second, arranged by the first 2h0m0s", "third 3h0m0s", "fourth, at the same instant 3h0m0s"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestAWorldThatFollowsAClockCatchesUp(t *testing.T) {
	wall := fixedStart
	c := newCaller(t, Options{Calm: true, Follow: func() time.Time { return wall }})
	c.w.Offer()
	sub := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly", Trial: day, TrialNoCard: true}).Subscription
	wall = wall.Add(23 * time.Hour)
	c.w.Advance(time.Hour)
	if got := c.status(sub); got != "paused" {
		t.Errorf("after 23 h on the wall and one more by hand: %s, want paused", got)
	}
	wall = wall.Add(time.Minute)
	want := fixedStart.Add(24*time.Hour + time.Minute).Format("Mon, 02 Jan 2006 15:04:05 GMT")
	if got := c.stripe("GET", "/v1/account", "").header.Get("Date"); got != want {
		t.Errorf("Date is %q, want %q", got, want)
	}
}

func TestPlanChangesComeInPlaceOrAsAnotherItem(t *testing.T) {
	c := calm(t)
	s := c.signUp(SignUp{Email: "a@example.com", Price: "basic_monthly"})
	c.must(c.w.ChangePrice(s.Subscription, s.Items[0], "pro_monthly"))
	inPlace, _ := c.w.Subscription(s.Subscription)
	fresh, err := c.w.ReplaceItem(s.Subscription, "", "business_monthly")
	c.must(err)
	replaced, _ := c.w.Subscription(s.Subscription)
	c.must(c.w.SetQuantity(s.Subscription, fresh, 3))
	extra, err := c.w.AddItem(s.Subscription, "basic_monthly", 0)
	c.must(err)
	c.must(c.w.RemoveItem(s.Subscription, fresh))
	left, _ := c.w.Subscription(s.Subscription)
	got := [][]string{}
	for _, sub := range []Subscription{inPlace, replaced, left} {
		for _, it := range sub.Items {
			got = append(got, []string{it.ID, it.Price, fmt.Sprint(it.Quantity)})
		}
	}
	want := [][]string{
		{s.Items[0], "price_pro_monthly", "1"}, {fresh, "price_business_monthly", "1"}, {extra, "price_basic_monthly", "1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items after each change (-want +got):\n%s", diff)
	}
	if fresh == s.Items[0] {
		t.Error("the replaced item kept its id")
	}
	if err := c.w.RemoveItem(s.Subscription, extra); err == nil {
		t.Error("the last item could be removed")
	}
}

func TestVerbsSayWhyTheyCannot(t *testing.T) {
	c := calm(t)
	sub := c.signUp(SignUp{Email: "a@example.com", Price: "basic_monthly"}).Subscription
	c.must(c.w.Cancel(sub))
	_, noPrice := c.w.SignUp(SignUp{Email: "a@example.com", Price: "nothing"})
	_, noLines := c.w.SignUp(SignUp{Email: "a@example.com"})
	got := []string{}
	for _, err := range []error{
		c.w.Pay("sub_none"), c.w.Pay(sub), c.w.Cancel(sub), c.w.MarkUnpaid(sub), c.w.FailPayment(sub), c.w.ChangePrice(sub, "", "pro_monthly"),
		noPrice, noLines, c.w.StaffSuspend(7), c.w.AcceptInvite("nobody"),
	} {
		got = append(got, strings.ReplaceAll(fmt.Sprint(err), sub, "SUB"))
	}
	want := []string{
		`no such subscription: "sub_none"`, "SUB: a subscription cannot be revived once it is canceled", "SUB: already canceled", "SUB: already canceled",
		"SUB: no charge is due in status canceled", "SUB: the items of a subscription that is canceled cannot change",
		`no such price: "nothing"`, "sign-up: an order needs a price", `no such hosting: "7"`, `no such org: "nobody"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestGuestsAreNewCustomersAndOthersAreNot(t *testing.T) {
	c := calm(t)
	first := c.signUp(SignUp{Email: "a@example.com", Price: "basic_monthly"})
	again := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"})
	guest := c.signUp(SignUp{Email: "A@example.com", Price: "pro_monthly", Guest: true})
	same := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly", Guest: true})
	if same.Customer == first.Customer || same.Customer == guest.Customer {
		t.Errorf("a guest with the same spelling got the customer %s", same.Customer)
	}
	if again.Customer != first.Customer || guest.Customer == first.Customer {
		t.Errorf("customers %s, %s and as a guest %s", first.Customer, again.Customer, guest.Customer)
	}
	of := c.object(c.stripe("GET", "/v1/subscriptions?customer="+first.Customer, ""), 200).ids()
	if diff := cmp.Diff([]string{again.Subscription, first.Subscription}, of); diff != "" {
		t.Errorf("subscriptions of the customer (-want +got):\n%s", diff)
	}
}

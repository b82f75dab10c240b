package reconcile_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestALapseIsMeasuredFromItsOwnSpell(t *testing.T) {
	const day = 24 * time.Hour
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	active := func(read time.Duration) *reconcile.SubscriptionFacts {
		return &reconcile.SubscriptionFacts{Subscription: reconcile.Subscription{Status: reconcile.StatusActive, ReadAt: at(read), ByID: true}}
	}
	late := func(due time.Duration, change ...func(f *reconcile.SubscriptionFacts)) *reconcile.SubscriptionFacts {
		f := &reconcile.SubscriptionFacts{Subscription: reconcile.Subscription{Status: reconcile.StatusPastDue, ByID: true}, LatestDue: at(due)}
		for _, c := range change {
			c(f)
		}
		return f
	}
	paid := func(d time.Duration) func(f *reconcile.SubscriptionFacts) {
		return func(f *reconcile.SubscriptionFacts) { f.PaidAt = at(d) }
	}
	status := func(s reconcile.Status) func(f *reconcile.SubscriptionFacts) {
		return func(f *reconcile.SubscriptionFacts) { f.Status = s }
	}
	listed := func(f *reconcile.SubscriptionFacts) { f.ByID, f.LatestDue = false, time.Time{} }
	unread := func(f *reconcile.SubscriptionFacts) { f.InvoicesUnread, f.LatestDue = true, time.Time{} }
	nothing := func(f *reconcile.SubscriptionFacts) { f.LatestDue = time.Time{} }
	type step struct {
		now   time.Duration
		facts *reconcile.SubscriptionFacts
	}
	for name, tt := range map[string]struct {
		steps []step
		since time.Duration // 0: not known
		seen  time.Duration
	}{
		"active, then past_due: the invoice that failed in between": {[]step{{-10 * day, active(-10 * day)}, {-day, late(-2 * day)}}, -2 * day, -day},
		"first seen past_due: the latest invoice":                   {[]step{{-day, late(-5 * day)}}, -5 * day, -day},
		"an invoice that was due while it was active":               {[]step{{-10 * day, active(-10 * day)}, {-day, late(-90 * day)}}, -day, -day},
		"due in the second in which it was active":                  {[]step{{-10 * day, active(-10*day + 900*time.Millisecond)}, {-day, late(-10 * day)}}, -10 * day, -day},
		"due in the minute by which clocks may differ":              {[]step{{-10 * day, active(-10 * day)}, {-day, late(-10*day - time.Minute)}}, -10*day - time.Minute, -day},
		"due before that minute":                                    {[]step{{-10 * day, active(-10 * day)}, {-day, late(-10*day - 62*time.Second)}}, -day, -day},
		"no invoice is open":                                        {[]step{{-10 * day, active(-10 * day)}, {-day, late(0, nothing)}}, -day, -day},
		"the latest is not due yet":                                 {[]step{{-day, late(5 * day)}}, 5 * day, -day},
		"a newer one was due since it was seen":                     {[]step{{-5 * day, late(0, listed)}, {-day, late(-2 * day)}}, -5 * day, -5 * day},
		"a newer invoice opens":                                     {[]step{{-9 * day, late(-10 * day)}, {-day, late(-2 * day)}}, -10 * day, -9 * day},
		"the older one is written off":                              {[]step{{-35 * day, late(-36 * day)}, {-day, late(-2 * day)}, {-time.Hour, late(-2 * day)}}, -36 * day, -35 * day},
		"listed, and not read yet":                                  {[]step{{-10 * day, active(-10 * day)}, {-2 * day, late(0, listed)}}, 0, -2 * day},
		"listed, and read later":                                    {[]step{{-10 * day, active(-10 * day)}, {-2 * day, late(0, listed)}, {-day, late(-3 * day)}}, -3 * day, -2 * day},
		"listed after it was read":                                  {[]step{{-2 * day, late(-3 * day)}, {-day, late(0, listed)}}, -3 * day, -2 * day},
		"the key may not read invoices":                             {[]step{{-2 * day, late(0, unread)}, {-day, late(0, unread)}}, 0, -2 * day},
		"the key may read them now":                                 {[]step{{-2 * day, late(0, unread)}, {-day, late(-5 * day)}}, -5 * day, -2 * day},
		"the key may not read them any more":                        {[]step{{-2 * day, late(-3 * day)}, {-day, late(0, unread)}}, -3 * day, -2 * day},
		"paid and late again, unseen in between":                    {[]step{{-9 * day, late(-10 * day)}, {-day, late(-2*day, paid(-5*day))}}, -2 * day, -day},
		"paid before this spell":                                    {[]step{{-9 * day, late(-10*day, paid(-20*day))}, {-day, late(-2*day, paid(-20*day))}}, -10 * day, -9 * day},
		"late with nothing but an invoice from before the payment":  {[]step{{-day, late(-10*day, paid(-5*day))}}, -day, -day},
		"due in the second of the payment":                          {[]step{{-day, late(-5*day, paid(-5*day))}}, -5 * day, -day},
		"active in between":                                         {[]step{{-9 * day, late(-10 * day)}, {-5 * day, active(-5 * day)}, {-day, late(-2 * day)}}, -2 * day, -day},
		"an unknown status in between":                              {[]step{{-9 * day, late(-10 * day)}, {-5 * day, late(0, status(reconcile.StatusUnknown))}, {-day, late(-2 * day)}}, -10 * day, -9 * day},
		"unpaid in between":                                         {[]step{{-9 * day, late(-10 * day)}, {-5 * day, late(-2*day, status(reconcile.StatusUnpaid))}, {-day, late(-2 * day)}}, -10 * day, -9 * day},
		"unpaid before":                                             {[]step{{-9 * day, active(-9 * day)}, {-5 * day, late(-6*day, status(reconcile.StatusUnpaid))}, {-day, late(-2 * day)}}, -6 * day, -5 * day},
	} {
		t.Run(name, func(t *testing.T) {
			var l reconcile.Lapse
			for _, s := range tt.steps {
				l = l.Seeing(s.facts, at(s.now))
			}
			want := []time.Time{at(tt.seen), at(tt.since)}
			if tt.since == 0 {
				want[1] = time.Time{}
			}
			if got := []time.Time{l.Seen, l.Since}; !got[0].Equal(want[0]) || !got[1].Equal(want[1]) {
				t.Errorf("seen and since %v, want %v", got, want)
			}
		})
	}
}

// account is one subscription at Stripe and its invoices, over time.
type account struct {
	now      time.Time
	status   reconcile.Status
	open     []time.Time // due dates, in order
	latest   bool        // the latest invoice is among the open ones
	paidAt   time.Time   // the latest was paid
	entitled time.Time   // the last instant of being active
}

// live advances the clock and changes one thing.
func (a *account) live(t *rapid.T, more ...string) {
	a.now = a.now.Add(time.Duration(rapid.IntRange(120, 20*24*3600).Draw(t, "seconds")) * time.Second)
	if a.status == reconcile.StatusActive {
		a.entitled = a.now
	}
	happens := []string{"a charge fails", "a charge fails", "the latest is paid", "a charge succeeds", "the oldest is paid", "the oldest is written off", "nothing"}
	switch pick(t, "happens", append(happens, more...)...) {
	case "a charge fails":
		a.open, a.latest, a.status = append(a.open, a.now), true, reconcile.StatusPastDue
	case "a bill is sent": // or collected by a debit that takes its time
		a.open, a.latest = append(a.open, a.now), true
	case "the bill that was sent fails":
		if a.latest {
			a.status = reconcile.StatusPastDue
		}
	case "the latest is paid":
		if a.latest {
			a.open, a.latest, a.status, a.paidAt = a.open[:len(a.open)-1], false, reconcile.StatusActive, a.now
		}
	case "a charge succeeds":
		a.latest, a.status, a.paidAt = false, reconcile.StatusActive, a.now
	case "the oldest is paid", "the oldest is written off":
		if len(a.open) > 1 || len(a.open) == 1 && !a.latest {
			a.open = a.open[1:]
		}
	case "the latest is written off":
		if a.latest {
			a.open, a.latest, a.status = a.open[:len(a.open)-1], false, reconcile.StatusActive
		}
	}
	if a.status == reconcile.StatusActive {
		a.entitled = a.now
	}
}

func (a *account) read(t *rapid.T) *reconcile.SubscriptionFacts {
	f := &reconcile.SubscriptionFacts{Subscription: reconcile.Subscription{Status: a.status, ReadAt: a.now}}
	f.ByID = rapid.Bool().Draw(t, "by id")
	if f.InvoicesUnread = f.ByID && rarely(t, "invoices unread", 5); f.ByID && !f.InvoicesUnread {
		f.PaidAt = a.paidAt
		if len(a.open) > 0 {
			f.LatestDue = a.open[len(a.open)-1]
		}
	}
	return f
}

// The start of a grace period moves only when the customer has paid the latest invoice
// or the subscription was seen active. Invoices that open, are paid in part or are
// written off do not move it. It is never before the payment, nor before the time when
// the subscription was last seen active.
func TestOnlyAPaymentOrAnEntitledStatusMovesALapse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := account{now: noon, status: reconcile.StatusActive, entitled: noon}
		var l reconcile.Lapse
		var good time.Time // when it was last known to be paid or active
		for range rapid.IntRange(1, 30).Draw(t, "length") {
			a.live(t, "a bill is sent", "the bill that was sent fails", "the latest is written off")
			if rapid.Bool().Draw(t, "unseen") {
				continue
			}
			f, before := a.read(t), l
			l = l.Seeing(f, a.now)
			if f.PaidAt.After(good) {
				good = f.PaidAt
			}
			if a.status == reconcile.StatusActive {
				good = a.now
				if !l.Seen.IsZero() || !l.Since.IsZero() {
					t.Fatalf("active, and %+v", l)
				}
				continue
			}
			begun, old := l.Since, before.Since
			if begun.IsZero() {
				begun = l.Seen
			}
			switch {
			case begun.Before(good.Add(-time.Minute-time.Second)) || begun.After(a.now):
				t.Fatalf("past_due from %s, though it was paid or active at %s (now %s)", begun, good, a.now)
			case !old.IsZero() && !f.PaidAt.After(old) && !l.Since.Equal(old):
				t.Fatalf("moved from %s to %s without a payment", old, l.Since)
			case old.IsZero() && !before.Seen.IsZero() && !f.PaidAt.After(before.Seen) && begun.After(before.Seen):
				t.Fatalf("was seen at %s and counts from %s", before.Seen, begun)
			}
		}
	})
}

// The invoice with which the spell began is written off while another one is open: grace goes
// on counting from the first, so that a suspension that came of it stays.
func TestALapseDoesNotFollowTheInvoices(t *testing.T) {
	seeing := func(l reconcile.Lapse, due, now time.Time) reconcile.Lapse {
		f := &reconcile.SubscriptionFacts{Subscription: reconcile.Subscription{Status: reconcile.StatusPastDue, ReadAt: now}}
		f.ByID, f.LatestDue = true, due
		return l.Seeing(f, now)
	}
	began := seeing(reconcile.Lapse{Entitled: noon.Add(-time.Hour)}, noon, noon.Add(time.Minute))
	if !began.Since.Equal(noon) {
		t.Fatalf("the spell began at %s, want %s", began.Since, noon)
	}
	for _, due := range []time.Time{{}, noon.Add(-time.Hour), noon.Add(30 * time.Second), noon.AddDate(0, 0, 30), noon.AddDate(0, 0, 60)} {
		if l := seeing(began, due, noon.AddDate(0, 0, 31)); !l.Since.Equal(noon) {
			t.Errorf("with an invoice due at %s it counts from %s", due, l.Since)
		}
	}
}

// A sent invoice is not due yet when the subscription is first seen unpaid. It is paid, in that
// second or later, and the next one fails: grace counts from the next one, and not from the day
// on which the first one would have been due.
func TestAPaymentEndsALapseThatWaitsForAnInvoiceToBeDue(t *testing.T) {
	facts := func(due, paid, now time.Time) *reconcile.SubscriptionFacts {
		f := &reconcile.SubscriptionFacts{Subscription: reconcile.Subscription{Status: reconcile.StatusPastDue, ReadAt: now}}
		f.ByID, f.LatestDue, f.PaidAt = true, due, paid
		return f
	}
	seen, due := noon.Add(369*time.Millisecond), noon.AddDate(0, 0, 14)
	waits := reconcile.Lapse{}.Seeing(facts(due, time.Time{}, seen), seen)
	if !waits.Since.Equal(due) {
		t.Fatalf("it counts from %s, want %s", waits.Since, due)
	}
	now := noon.Add(time.Hour)
	for paid, want := range map[time.Time]time.Time{
		noon:                       noon.Add(30 * time.Minute), // in the second in which it was seen
		noon.Add(10 * time.Minute): noon.Add(30 * time.Minute),
		noon.Add(-time.Second):     due, // before it
		{}:                         due,
	} {
		if l := waits.Seeing(facts(noon.Add(30*time.Minute), paid, now), now); !l.Since.Equal(want) {
			t.Errorf("paid at %s, it counts from %s, want %s", paid, l.Since, want)
		}
	}
	if again := waits.Seeing(facts(due, noon, now), now); !again.Seen.Equal(now) || !again.Seeing(facts(due, noon, now.Add(time.Hour)), now.Add(time.Hour)).Seen.Equal(now) {
		t.Errorf("one payment ends two spells: %+v", again)
	}
}

// An observer who misses some changes counts from the same invoice as one who sees all
// of them, or from a later one, if invoices are always read and only payments make the
// subscription active again.
func TestLookingSeldomIsNeverHarsher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := account{now: noon, status: reconcile.StatusActive, entitled: noon}
		var always, seldom reconcile.Lapse
		for range rapid.IntRange(1, 30).Draw(t, "length") {
			a.live(t)
			f := a.read(t)
			f.ByID, f.InvoicesUnread, f.PaidAt = true, false, a.paidAt
			if f.LatestDue = (time.Time{}); len(a.open) > 0 {
				f.LatestDue = a.open[len(a.open)-1]
			}
			always = always.Seeing(f, a.now)
			if rapid.Bool().Draw(t, "unseen") {
				continue
			}
			if seldom = seldom.Seeing(f, a.now); seldom.Since.Before(always.Since) {
				t.Fatalf("an observer who missed changes counts from %s, one who saw all from %s", seldom.Since, always.Since)
			}
		}
	})
}

func pick[T any](t *rapid.T, label string, from ...T) T {
	return rapid.SampledFrom(from).Draw(t, label)
}

// rarely is true once in n. It is false when rapid has shrunk the example.
func rarely(t *rapid.T, label string, n int) bool {
	return rapid.IntRange(0, n-1).Draw(t, label) == n-1
}

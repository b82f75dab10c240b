package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

var errMalformed = fault.Errorf(fault.Malformed, "half an answer")

// scriptedStripe answers with these events, and gives each subscription the answer of read.
type scriptedStripe struct {
	Billing
	events reconcile.Events
	read   func(id string) error // nil: there are no such questions
	asked  []string
}

func (s *scriptedStripe) Events(context.Context, time.Time) (reconcile.Events, error) {
	return s.events, nil
}

func (s *scriptedStripe) Subscription(_ context.Context, id string) (f reconcile.SubscriptionFacts, err error) {
	s.asked = append(s.asked, id)
	f.ID = id
	return f, s.read(id)
}

// clocked is an account whose clock is so far behind ours.
type clocked struct {
	Account
	ahead time.Duration
}

func (clocked) Fingerprint() string                     { return "test key" }
func (c clocked) ServerTime() (stripe, local time.Time) { return noon, noon.Add(c.ahead) }

var errSwept = errors.New("a sweep begins")

// mirrored is a mirror in which a sweep cannot begin.
type mirrored struct {
	Mirror
	err   error // of each write
	saved []string
}

func (m *mirrored) BeginSweep(context.Context, reconcile.Token) error { return errSwept }

func (m *mirrored) SaveFacts(_ context.Context, _ reconcile.Token, facts []reconcile.SubscriptionFacts, _ bool, _ time.Time) error {
	m.saved = append(m.saved, facts[0].ID)
	return m.err
}

// book is the cursors, and the events that were followed.
type book struct {
	Cursors
	values map[string]string
	unseen error // of the events
	of     error // of the subscriptions of Stripe customers
	writes int
	saw    []string // cursors with which events were recorded as seen
}

func (b *book) Cursor(_ context.Context, name string) (string, error) { return b.values[name], nil }

func (b *book) SetCursor(_ context.Context, _ reconcile.Token, name, value string) error {
	b.values[name] = value
	b.writes++
	return nil
}

func (b *book) UnseenEvents(_ context.Context, ids []string) ([]string, error) { return ids, b.unseen }

func (b *book) SubscriptionsOf(context.Context, []string) ([]string, error) { return nil, b.of }

func (b *book) SawEvents(_ context.Context, _ reconcile.Token, _ []reconcile.Event, cursor string, _ time.Time) error {
	b.saw = append(b.saw, cursor)
	return nil
}

// timetable counts the calls that make customers due.
type timetable struct {
	Timetable
	due, looks int
}

func (d *timetable) MakeDue(context.Context, reconcile.Token, []string, time.Time) error {
	d.due++
	return nil
}
func (d *timetable) LookAgain(context.Context, reconcile.Token, []string) error {
	d.looks++
	return nil
}

// fleet is how many subscriptions there are.
type fleet struct {
	History
	n   int
	err error
}

func (f fleet) Counts(context.Context) (reconcile.Counts, error) {
	return reconcile.Counts{Subscriptions: f.n}, f.err
}

// nobodys is a queue without these subscriptions.
type nobodys struct {
	Queue
	asked int
}

func (q *nobodys) CustomersOf(context.Context, []string) ([]string, error) {
	q.asked++
	return nil, nil
}

// A cursor that is older than the events that Stripe still has would lose those that it has
// no more, so everything is listed then.
func TestACursorOfTheEventsIsGoodForAsLongAsStripeHasThem(t *testing.T) {
	day := 24 * time.Hour
	for text, want := range map[string]time.Time{
		"":                                       {},
		"yesterday":                              {},
		noon.Add(-24 * day).Format(time.RFC3339): noon.Add(-24 * day),
		noon.Add(-26 * day).Format(time.RFC3339): {},
	} {
		at, err := runOver(Ports{Cursors: &book{values: map[string]string{cursorEvents: text}}}).eventCursor(t.Context())
		if err != nil || !at.Equal(want) {
			t.Errorf("%q: follows from %s, want %s: %v", text, at, want, err)
		}
	}
}

// Events whose subscriptions could not be read are followed again: a payment or an end would
// be noticed a day later otherwise.
func TestEventsAreSeenOnlyWhenTheyWereFollowed(t *testing.T) {
	since := noon.Add(-time.Hour)
	fine := func(string) error { return nil }
	for name, c := range map[string]struct {
		read   func(string) error
		asOf   time.Time
		ahead  time.Duration
		unseen error
		of     error
		fails  error    // of the run
		saw    []string // cursors, from noon on or before
	}{
		"all was read":                       {read: fine, asOf: noon, saw: []string{noon.Add(-eventLag).Format(time.RFC3339)}},
		"all was read, right after the last": {read: fine, asOf: since.Add(time.Second), saw: []string{since.Format(time.RFC3339)}},
		"a clock that is wildly wrong":       {read: fine, asOf: noon, ahead: 2 * wildSkew, fails: fault.Permanent},
		"events that cannot be looked up":    {read: fine, asOf: noon, unseen: errOut, fails: errOut},
		"customers that cannot be looked up": {read: fine, asOf: noon, of: errOut, fails: errOut},
		"a key that is refused":              {read: func(string) error { return errDenied }, asOf: noon, fails: errDenied},
	} {
		t.Run(name, func(t *testing.T) {
			cursors, due := &book{values: map[string]string{}, unseen: c.unseen, of: c.of}, &timetable{}
			stripe := &scriptedStripe{events: reconcile.Events{Touched: []reconcile.Event{{ID: "evt_1", Subscription: "sub_1"}, {ID: "evt_2", StripeCustomer: "cus_2"}}, AsOf: c.asOf}, read: c.read}
			r := runOver(Ports{Billing: stripe, Account: clocked{ahead: c.ahead}, Mirror: &mirrored{}, Cursors: cursors, Timetable: due})
			r.evidence.accountKnown = true
			if err := r.follow(t.Context(), since, nil); !errors.Is(err, c.fails) {
				t.Errorf("the run ends with %v, want %v", err, c.fails)
			}
			if !slices.Equal(cursors.saw, c.saw) || due.looks != len(c.saw) {
				t.Errorf("seen with cursors %q, want %q; %d looks", cursors.saw, c.saw, due.looks)
			}
		})
	}
}

// A clock that is wildly wrong ends the run, also if only the last answer of Stripe shows it.
func TestAClockThatIsWildlyWrongEndsTheRun(t *testing.T) {
	stripe := &scriptedStripe{events: reconcile.Events{AsOf: noon}}
	cursors := &book{}
	r := runOver(Ports{Billing: stripe, Account: clocked{ahead: 2 * wildSkew}, Cursors: cursors})
	if err := r.follow(t.Context(), noon, nil); !errors.Is(err, fault.Permanent) || len(cursors.saw) > 0 {
		t.Errorf("without events: %v, seen %q", err, cursors.saw)
	}
	people := &nobodys{}
	stripe = &scriptedStripe{}
	r = runOver(Ports{Billing: stripe, Account: clocked{}, Mirror: &mirrored{}, Queue: people})
	stripe.read = func(string) error { r.Account = clocked{ahead: 2 * wildSkew}; return nil } // the first answer of Stripe
	r.evidence.accountKnown = true
	r.req.Subscriptions = []string{"sub_1"}
	if err := r.observeThese(t.Context()); !errors.Is(err, fault.Permanent) || people.asked > 0 {
		t.Errorf("about some: %v", err)
	}
}

// Many that were touched are read by a sweep, if that takes fewer requests, and else one by
// one.
func TestManyTouchedSubscriptionsAreReadInTheShorterWay(t *testing.T) {
	for name, c := range map[string]struct {
		touched int
		history History // nil: it is not asked
		swept   error
		read    int
	}{
		"as many as are read in any case": {manyTouched, nil, nil, manyTouched},
		"many of a small fleet":           {manyTouched + 1, fleet{n: 10_000}, errSwept, 0},
		"many of a large fleet":           {manyTouched + 1, fleet{n: 20_000}, nil, manyTouched + 1},
		"it is not known of how many":     {manyTouched + 1, fleet{err: errOut}, errOut, 0},
	} {
		ids := make([]string, c.touched)
		for i := range ids {
			ids[i] = fmt.Sprintf("sub_%d", i)
		}
		stripe := &scriptedStripe{read: func(string) error { return nil }}
		r := runOver(Ports{Billing: stripe, Account: clocked{}, Mirror: &mirrored{}, History: c.history})
		if again, err := r.readMany(t.Context(), ids); !errors.Is(err, c.swept) || len(again) > 0 || len(stripe.asked) != c.read {
			t.Errorf("%s: %v, %d to read again, %d read", name, err, len(again), len(stripe.asked))
		}
	}
}

// One subscription that can never be read must not keep the cursor from moving, and one that
// may be read later must.
func TestWhatBecomesOfASubscriptionThatIsNotRead(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx   context.Context
		read  func(string) error
		saves error
		fails error
		again []string
		note  string
	}{
		"a key that is refused": {read: func(string) error { return errDenied }, fails: errDenied},
		"a run that is stopped": {ctx: ended, fails: context.Canceled},
		"an outage":             {read: func(string) error { return errOut }, again: []string{"sub_1"}, note: "are read again in the next run"},
		"a refusal of Stripe":   {read: func(string) error { return errOwn }, note: "are passed over"},
		"a panic":               {read: func(string) error { panic("CANARY") }, note: "are passed over"},
		"a refusal of the database": {read: func(string) error { return nil }, saves: errOwn, again: []string{"sub_1"},
			note: "are read again in the next run"},
	} {
		stripe := &scriptedStripe{read: c.read}
		r := runOver(Ports{Billing: stripe, Account: clocked{}, Mirror: &mirrored{err: c.saves}})
		if c.ctx == nil {
			c.ctx = t.Context()
		}
		again, err := r.readTouched(c.ctx, []string{"sub_1"})
		if !errors.Is(err, c.fails) || !slices.Equal(again, c.again) {
			t.Errorf("%s: %v, again %q", name, err, again)
		}
		if notes := strings.Join(r.findings.notes, "\n"); (notes == "") != (c.note == "") || !strings.Contains(notes, c.note) || (len(r.findings.partial) > 0) != (c.note != "") {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
}

// A run that is stopped sends no more requests: to get the turn is no matter of luck.
func TestARunThatIsStoppedReadsNoSubscription(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	stripe := &scriptedStripe{read: func(string) error { return nil }}
	r := runOver(Ports{Billing: stripe, Account: clocked{}, Mirror: &mirrored{}})
	for range 64 {
		if err := r.readOne(ended, "sub_1", false); !errors.Is(err, context.Canceled) {
			t.Fatalf("read: %v", err)
		}
	}
	if len(stripe.asked) > 0 {
		t.Errorf("%d requests", len(stripe.asked))
	}
}

// A person who asks for some gets their error, and not the old state of all others.
func TestARunAboutSomeThatAreNotReadFails(t *testing.T) {
	for name, c := range map[string]struct {
		read  error
		fails error
		asked int
	}{
		"they cannot be read":    {errOut, errOut, 0},
		"they are no customer's": {nil, fault.NotFound, 1},
	} {
		people := &nobodys{}
		r := runOver(Ports{Billing: &scriptedStripe{read: func(string) error { return c.read }}, Account: clocked{}, Mirror: &mirrored{}, Queue: people})
		r.evidence.accountKnown = true
		r.req.Subscriptions = []string{"sub_1"}
		if err := r.observeThese(t.Context()); !errors.Is(err, c.fails) || people.asked != c.asked || r.only != nil {
			t.Errorf("%s: %v after %d questions; only %v", name, err, people.asked, r.only)
		}
	}
}

func TestSubscriptionsThatAreSkippedAreNamedAsFarAsThereIsRoom(t *testing.T) {
	for n, want := range map[int]int{0: 0, 5: 5, 7: 6} {
		r := runOver(Ports{})
		var why []string
		for i := range n {
			why = append(why, fmt.Sprintf("sub_%d is without a customer", i))
		}
		r.passedOver(why)
		notes := r.findings.notes
		if len(notes) != want || (len(r.findings.partial) > 0) != (n > 0) || n > 5 && notes[5] != "2 more subscriptions at Stripe are skipped like these" {
			t.Errorf("%d: partial %v, notes %q", n, r.findings.partial, notes)
		}
	}
}

// Most runs have no event and no nudge: there is no database to ask.
func TestWhereNothingHasHappenedTheDatabaseIsNotAsked(t *testing.T) {
	r := runOver(Ports{})
	if events, err := r.unseen(t.Context(), nil); err != nil || len(events) > 0 {
		t.Errorf("events %v, %v", events, err)
	}
	if err := r.nudgeAgain(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

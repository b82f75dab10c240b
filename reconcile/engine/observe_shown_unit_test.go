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
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// shownFeatures is how Stripe answers about the features of a product.
type shownFeatures struct {
	keys  []string
	err   error
	asked int
}

func (f *shownFeatures) ProductFeatures(context.Context, string) ([]string, error) {
	f.asked++
	return f.keys, f.err
}

// keptFeatures is those of the database.
type keptFeatures struct {
	all   []reconcile.ProductFeatures
	err   error
	saved []reconcile.ProductFeatures
}

func (k *keptFeatures) Features(context.Context) ([]reconcile.ProductFeatures, error) {
	return slices.Clone(k.all), k.err
}

func (k *keptFeatures) SaveFeatures(_ context.Context, _ reconcile.Token, f reconcile.ProductFeatures) error {
	k.saved = append(k.saved, f)
	return k.err
}

// A person who runs one customer has often just changed the features of the product; no
// other run asks before their time.
func TestOnlyARunThatAPersonAsksForReadsFeaturesAgain(t *testing.T) {
	asked := noon.Add(-time.Hour)
	kept := &keptFeatures{all: []reconcile.ProductFeatures{{Product: "prod_1", Keys: []string{"hosting"}, AskedAt: asked}}}
	for name, c := range map[string]struct {
		mode  reconcile.RunMode
		flows bool
		want  time.Time
	}{
		"a run about some": {reconcile.RunTargeted, false, time.Time{}},
		"a flow run":       {reconcile.RunTargeted, true, asked},
		"any other run":    {reconcile.RunIncremental, false, asked},
	} {
		r := runOver(Ports{FeatureStore: kept})
		r.catalog = planner.NewCatalog([]reconcile.Mapping{{BillingID: "hosting", Plan: "1"}}, nil)
		r.mode, r.flows = c.mode, c.flows
		err := r.loadFeatures(t.Context())
		if f, _ := r.features.get("prod_1"); err != nil || !f.AskedAt.Equal(c.want) || len(f.Keys) != 1 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	r := runOver(Ports{FeatureStore: &keptFeatures{err: errOut}})
	r.catalog = planner.NewCatalog([]reconcile.Mapping{{BillingID: "hosting", Plan: "1"}}, nil)
	if err := r.loadFeatures(t.Context()); !errors.Is(err, errOut) {
		t.Errorf("features that cannot be loaded: %v, and who is mapped by one seems unmapped", err)
	}
}

func TestWhatBecomesOfFeaturesAfterAnAnswer(t *testing.T) {
	before := noon.Add(-25 * time.Hour)
	known := reconcile.ProductFeatures{Product: "prod_1", Keys: []string{"hosting"}, ReadAt: before, AskedAt: before}
	emptied := reconcile.ProductFeatures{Product: "prod_1", Keys: []string{"hosting"}, ReadAt: noon, AskedAt: noon, Emptied: true}
	unread := func(err error) reconcile.ProductFeatures {
		f := known
		f.AskedAt, f.Unread = noon, err.Error()
		return f
	}
	for name, c := range map[string]struct {
		before reconcile.ProductFeatures
		keys   []string
		err    error
		saves  error
		want   reconcile.ProductFeatures // known after the answer
		fails  error
		due    int // how often all customers are made due
		note   string
	}{
		"the first answer":             {keys: []string{"hosting"}, want: reconcile.ProductFeatures{Product: "prod_1", Keys: []string{"hosting"}, ReadAt: noon, AskedAt: noon}},
		"the same again":               {before: known, keys: []string{"hosting"}, want: reconcile.ProductFeatures{Product: "prod_1", Keys: []string{"hosting"}, ReadAt: noon, AskedAt: noon}},
		"others":                       {before: known, keys: []string{"large"}, want: reconcile.ProductFeatures{Product: "prod_1", Keys: []string{"large"}, ReadAt: noon, AskedAt: noon}, due: 1},
		"none any more":                {before: known, want: emptied, due: 1},
		"none, as before":              {before: emptied, want: emptied},
		"an outage":                    {before: known, err: errOut, want: unread(errOut), note: "no answer"},
		"an outage, and none is known": {err: errOut, fails: errOut},
		"a run that is stopped":        {before: known, err: fault.Wrap(fault.Canceled, context.Canceled), want: known, fails: fault.Canceled},
		"a refusal":                    {before: known, err: errDenied, want: unread(errDenied), note: "may not read the features"},
		"an answer that is not stored": {before: known, keys: []string{"large"}, saves: errOut, want: known, fails: errOut},
	} {
		t.Run(name, func(t *testing.T) {
			stripe, kept, due := &shownFeatures{keys: c.keys, err: c.err}, &keptFeatures{err: c.saves}, &timetable{}
			r := runOver(Ports{Features: stripe, FeatureStore: kept, Timetable: due})
			if c.before.Product != "" {
				r.features.load([]reconcile.ProductFeatures{c.before})
			}
			err := r.readFeatures(t.Context(), "prod_1")
			got, asked := r.features.get("prod_1")
			if !errors.Is(err, c.fails) || fmt.Sprint(got) != fmt.Sprint(c.want) || asked != (c.fails == nil) {
				t.Errorf("%+v, want %+v: %v", got, c.want, err)
			}
			if due.due != c.due {
				t.Errorf("all customers are made due %d times, want %d", due.due, c.due)
			}
			if stored := c.saves == nil && c.fails == nil; stored && (len(kept.saved) != 1 || fmt.Sprint(kept.saved[0]) != fmt.Sprint(c.want)) || c.fails != nil && c.saves == nil && len(kept.saved) > 0 {
				t.Errorf("stored: %+v", kept.saved)
			}
			if notes := strings.Join(r.findings.notes, "\n"); (notes == "") != (c.note == "") || !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			if err == nil {
				if err := r.readFeatures(t.Context(), "prod_1"); err != nil || stripe.asked != 1 {
					t.Errorf("asked %d times in a run: %v", stripe.asked, err)
				}
			}
		})
	}
}

// shownDisputes is how Stripe answers about disputes.
type shownDisputes struct {
	all   []reconcile.Dispute
	err   error
	asked []string
}

func (d *shownDisputes) Disputes(context.Context, time.Time) ([]reconcile.Dispute, error) {
	return d.all, d.err
}

func (d *shownDisputes) Dispute(_ context.Context, id string) (reconcile.Dispute, bool, error) {
	d.asked = append(d.asked, id)
	return reconcile.Dispute{Status: reconcile.DisputeLost}, true, d.err
}

// keptDisputes is those of the database.
type keptDisputes struct {
	all   []reconcile.Dispute
	saves int
}

func (k *keptDisputes) Disputes(context.Context) ([]reconcile.Dispute, error) { return k.all, nil }

func (k *keptDisputes) SaveDisputes(_ context.Context, _ reconcile.Token, all []reconcile.Dispute, _ time.Time) error {
	k.all, k.saves = all, k.saves+1
	return nil
}

func (k *keptDisputes) SaveDispute(_ context.Context, _ reconcile.Token, d reconcile.Dispute, _ bool, _ time.Time) error {
	k.all, k.saves = []reconcile.Dispute{d}, k.saves+1
	return nil
}

// A list that was not read is not an empty one, which would lift each suspension that rests
// on a dispute.
func TestDisputesThatAreNotListedStayAsTheyWere(t *testing.T) {
	before, now := noon.Add(-time.Hour).Format(time.RFC3339), noon.Format(time.RFC3339)
	for name, c := range map[string]struct {
		last   string
		err    error
		fails  error
		kept   int
		cursor string
		writes int // of the cursor
		note   string
	}{
		"an outage":                {last: before, err: errOut, kept: 1, cursor: before, note: "could not be read, and nothing is suspended because of one: no answer"},
		"half an answer":           {last: before, err: errMalformed, kept: 1, cursor: before, note: "could not be read"},
		"a run that is stopped":    {last: before, err: fault.Wrap(fault.Canceled, context.Canceled), fails: fault.Canceled, kept: 1, cursor: before},
		"a lease that is lost":     {last: before, err: fault.Errorf(fault.Fenced, "lost"), fails: fault.Fenced, kept: 1, cursor: before},
		"a refusal":                {last: before, err: errDenied, cursor: disputesDenied, writes: 1, note: "may not read disputes and refunds"},
		"a refusal as before":      {last: disputesDenied, err: errDenied, cursor: disputesDenied},
		"none":                     {last: before, cursor: now, writes: 1},
		"none, in the same second": {last: now, cursor: now},
	} {
		kept := &keptDisputes{all: []reconcile.Dispute{{ID: "dp_1", StripeCustomer: "cus_1"}}}
		cursors := &book{values: map[string]string{cursorDisputes: c.last}}
		r := runOver(Ports{Disputes: &shownDisputes{err: c.err}, DisputeStore: kept, Cursors: cursors})
		r.mode = reconcile.RunFull
		if err := r.readDisputes(t.Context()); !errors.Is(err, c.fails) {
			t.Errorf("%s: %v", name, err)
		}
		if len(kept.all) != c.kept || cursors.values[cursorDisputes] != c.cursor || cursors.writes != c.writes {
			t.Errorf("%s: %d disputes, cursor %q after %d writes", name, len(kept.all), cursors.values[cursorDisputes], cursors.writes)
		}
		if notes := strings.Join(r.findings.notes, "\n"); (notes == "") != (c.note == "") || !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
}

func TestNewDisputesAreNamedAsFarAsThereIsRoom(t *testing.T) {
	var all []reconcile.Dispute
	for i := range 22 {
		all = append(all, reconcile.Dispute{ID: fmt.Sprintf("dp_%d", i), StripeCustomer: "cus_1", Status: reconcile.DisputeRefunded})
	}
	for n, want := range map[int]int{20: 20, 22: 21} {
		r := runOver(Ports{})
		r.noteDisputes(nil, all[:n])
		if notes := r.findings.notes; len(notes) != want || n > 20 && notes[20] != "2 more charges are disputed or were refunded in full" {
			t.Errorf("%d: %d notes, the last is %q", n, len(notes), notes[len(notes)-1])
		}
	}
}

// A dispute that is not read by its id stays as it is stored, and the operator sees why it
// suspends nothing.
func TestADisputeThatIsNotReadByItsIDStaysAsItWas(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		fails error
		saves int
		notes int
	}{
		"it is read":            {saves: 1},
		"an outage":             {err: errOut, notes: 1},
		"a refusal":             {err: errDenied, notes: 1},
		"a run that is stopped": {err: fault.Wrap(fault.Canceled, context.Canceled), fails: fault.Canceled},
		"a lease that is lost":  {err: fault.Errorf(fault.Fenced, "lost"), fails: fault.Fenced},
	} {
		kept := &keptDisputes{}
		r := runOver(Ports{Disputes: &shownDisputes{err: c.err}, DisputeStore: kept})
		if err := r.answerDispute(t.Context(), "dp_1"); !errors.Is(err, c.fails) {
			t.Errorf("%s: %v", name, err)
		}
		if kept.saves != c.saves || len(r.findings.notes) != c.notes || c.saves > 0 && kept.all[0].ID != "dp_1" {
			t.Errorf("%s: stored %+v, notes %q", name, kept.all, r.findings.notes)
		}
	}
}

// Before a suspension, the disputes that it may rest on are read again, and no others.
func TestOnlyDisputesThatMaySuspendAreReadAgain(t *testing.T) {
	c := &reconcile.Customer{Disputes: []reconcile.Dispute{{ID: "dp_1", Subscription: "sub_1"}, {ID: "dp_2", Subscription: "sub_2"}, {ID: "re_1", Subscription: "sub_1", Status: reconcile.DisputeRefunded}}}
	for policy, want := range map[reconcile.DisputePolicy][]string{reconcile.SuspendDisputes: {"dp_1"}, reconcile.TellDisputes: nil} {
		stripe := &shownDisputes{}
		r := runOver(Ports{Disputes: stripe, DisputeStore: &keptDisputes{}})
		r.Policy.Dispute = policy
		if err := r.readDisputesOf(t.Context(), c, []string{"sub_1"}); err != nil || !slices.Equal(stripe.asked, want) {
			t.Errorf("policy %v: read %q, want %q: %v", policy, stripe.asked, want, err)
		}
	}
}

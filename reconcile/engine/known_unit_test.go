package engine

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestAKnownCustomerCountsOnlyWhileNothingElseChanges(t *testing.T) {
	nothing := func() error { return nil }
	k := newKnown(&changes{})
	ada := &reconcile.Customer{ID: "cus_1"}
	if k.get("cus_1") != nil {
		t.Fatal("known before it was loaded")
	}
	k.put(ada, k.changes.now())
	if k.get("cus_1") != ada {
		t.Fatal("not known after it was loaded")
	}
	_ = k.changes.during(func() error {
		if k.get("cus_1") != nil {
			t.Error("known while something is being written")
		}
		k.put(ada, k.changes.now()) // loaded during the write, so perhaps before it
		return nil
	})
	if k.get("cus_1") != nil {
		t.Error("known although it was loaded during a write")
	}
	k.put(ada, k.changes.now())
	_ = k.changes.during(nothing)
	if k.get("cus_1") != nil {
		t.Error("known after something else was written")
	}
	k.put(ada, k.changes.now())
	k.forget("cus_1")
	if k.get("cus_1") != nil {
		t.Error("known after it was forgotten")
	}
}

func TestACustomerIsKnownWithTheOutcomeOfItsOwnAction(t *testing.T) {
	nothing := func() error { return nil }
	at := time.Date(2026, 1, 1, 0, 0, 0, 1500, time.UTC)
	invited := reconcile.Outcome{Action: reconcile.Action{Kind: reconcile.InviteOwner, Customer: "cus_1"}, State: reconcile.ActionApplied,
		Invited: at, InvitedEmail: "ada@example.com"}
	ambiguous, linked := invited, invited
	ambiguous.State, linked.Action.Kind = reconcile.ActionAmbiguous, reconcile.Link
	for _, test := range []struct {
		name    string
		outcome reconcile.Outcome
		writes  int
		known   bool
	}{
		{"its intent and its outcome are recorded", invited, 2, true},
		{"something else is written meanwhile", invited, 3, false},
		{"its outcome is not known", ambiguous, 2, false},
		{"its outcome has to be loaded", linked, 2, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKnown(&changes{})
			k.put(&reconcile.Customer{ID: "cus_1"}, k.changes.now())
			learn := k.learner(k.get("cus_1"), "a")
			for i := range test.writes {
				_ = k.changes.duringAbout([]string{customerSubject("cus_1")}, [][]string{2: {"a", "a"}, 3: {"a", "b", "a"}}[test.writes][i], nothing)
			}
			learn(test.outcome)
			c := k.get("cus_1")
			if (c != nil) != test.known {
				t.Fatalf("known: %+v", c)
			}
			if c != nil && (c.InvitedEmail != "ada@example.com" || !c.Invited.Equal(at.Truncate(time.Microsecond))) {
				t.Errorf("known as %+v", c)
			}
		})
	}
}

// Who is served beside a customer changes it only through what both have in common.
//
// With each of these mistakes put in once, it went red: a write about an e-mail does not
// count, one about an org does not, one about another customer does, and a customer who does
// not stand alone counts only its own.
func TestACustomerChangesByItsOwnSubjects(t *testing.T) {
	nothing := func() error { return nil }
	ada := reconcile.Customer{ID: "cus_ada", Email: "ada@example.com", Buyers: []reconcile.Buyer{{StripeCustomer: reconcile.StripeCustomer{ID: "cus_buyer", Email: "office@example.com"}}},
		Subscriptions: []reconcile.Subscription{{ID: "sub_ada"}}, Org: &reconcile.Org{ID: "org-ada"}}
	for name, c := range map[string]struct {
		subjects []string // nil: every customer
		changes  bool
	}{
		"every customer":         {nil, true},
		"no customer":            {[]string{}, false},
		"the customer":           {[]string{customerSubject("cus_ada")}, true},
		"its buyer":              {[]string{customerSubject("cus_buyer")}, true},
		"another customer":       {[]string{customerSubject("cus_bea"), emailSubject("bea@example.com"), orgKey("org-bea")}, false},
		"its e-mail, in capital": {[]string{emailSubject("ADA@example.com")}, true},
		"its buyer's e-mail":     {[]string{emailSubject("office@example.com")}, true},
		"its subscription":       {[]string{subscriptionSubject("sub_ada")}, true},
		"its org":                {[]string{orgKey("org-ada")}, true},
	} {
		for kind, change := range map[string]func(*reconcile.Customer){
			"alone":        func(*reconcile.Customer) {},
			"kin":          func(c *reconcile.Customer) { c.Kin = []reconcile.Kin{{}} },
			"a shared org": func(c *reconcile.Customer) { c.Sharers = []reconcile.Sharer{{}} },
			"a guest":      func(c *reconcile.Customer) { c.OrgGuest = true },
			"a marked org": func(c *reconcile.Customer) { c.MarkedOrgs = []reconcile.Org{{}} },
			"an owned org": func(c *reconcile.Customer) { c.OwnedOrgs = []reconcile.Org{{}} },
			"a named org":  func(c *reconcile.Customer) { c.NamedOrgs = []reconcile.NamedOrg{{}} },
			"apart":        func(c *reconcile.Customer) { c.Apart = []reconcile.ApartOrg{{}} },
			"unbound":      func(c *reconcile.Customer) { c.Unbound = true },
			"undecided":    func(c *reconcile.Customer) { c.Undecided = true },
			"a lookalike":  func(c *reconcile.Customer) { c.Lookalikes = []reconcile.Lookalike{{}} },
			"metadata": func(c *reconcile.Customer) {
				c.Subscriptions = []reconcile.Subscription{{ID: "sub_ada", MetadataHosting: 7}}
			},
			"an org in the metadata": func(c *reconcile.Customer) {
				c.Subscriptions = []reconcile.Subscription{{ID: "sub_ada", MetadataOrg: "org-other"}}
			},
		} {
			k, who := newKnown(&changes{}), ada
			change(&who)
			k.put(&who, k.changes.now())
			_ = k.changes.duringAbout(c.subjects, "", nothing)
			if known := k.get("cus_ada") != nil; known == (c.changes || kind != "alone") {
				t.Errorf("a write about %s, and a customer with %s: still known %v", name, kind, known)
			}
		}
	}
}

// The outcome of an action is about all that its customer ever had in common with another.
func TestAnOutcomeIsAboutAllThatItsCustomerHad(t *testing.T) {
	c := &changes{}
	a := reconcile.Action{Kind: reconcile.CreateOrg, Customer: "cus_ada", Email: "New@example.com", Org: "org-1"}
	if got := c.of(a); got != nil {
		t.Errorf("of a customer who was never loaded: %v", got)
	}
	c.note(&reconcile.Customer{ID: "cus_ada", Email: "before@example.com"})
	c.note(&reconcile.Customer{ID: "cus_ada", Email: "now@example.com"})
	for _, want := range []string{customerSubject("cus_ada"), emailSubject("before@example.com"), emailSubject("now@example.com"), emailSubject("new@example.com"), orgKey("org-1")} {
		if !slices.Contains(c.of(a), want) {
			t.Errorf("not about %q: %v", want, c.of(a))
		}
	}
}

// The memory of subjects is bounded, and once it is dropped all customers count as
// changed.
func TestDroppedSubjectsChangeEveryCustomer(t *testing.T) {
	k := newKnown(&changes{})
	ada := &reconcile.Customer{ID: "cus_ada"}
	k.put(ada, k.changes.now())
	for i := range maxSubjects + 2 {
		k.changes.mark([]string{customerSubject(strconv.Itoa(i))}, "")
	}
	if len(k.changes.last) > maxSubjects+1 || k.get("cus_ada") != nil {
		t.Errorf("%d subjects are remembered, known %v", len(k.changes.last), k.get("cus_ada") != nil)
	}
	for i := range maxSubjects + 2 {
		k.changes.note(&reconcile.Customer{ID: strconv.Itoa(i)})
	}
	if len(k.changes.about) > maxSubjects+1 {
		t.Errorf("the subjects of %d customers are remembered", len(k.changes.about))
	}
	many := make([]reconcile.SubscriptionFacts, fewFacts+1)
	if subjectsOfFacts(many) != nil || subjectsOfFacts(many[1:]) == nil || subjectsOfFacts(nil) == nil {
		t.Error("many facts are about every customer, few are about theirs, and none about no customer")
	}
}

// One who shares something is known with its own outcome only if nothing at all was written
// beside it.
func TestWhoSharesSomethingLearnsOnlyWhenNothingIsWrittenBeside(t *testing.T) {
	invited := reconcile.Outcome{Action: reconcile.Action{Kind: reconcile.InviteOwner, Customer: "cus_1"}, State: reconcile.ActionApplied, InvitedEmail: "ada@example.com"}
	for _, beside := range []bool{false, true} {
		k := newKnown(&changes{})
		c := &reconcile.Customer{ID: "cus_1", Kin: []reconcile.Kin{{ID: "cus_2"}}}
		k.put(c, k.changes.now())
		learn := k.learner(c, "a")
		for range 2 {
			_ = k.changes.duringAbout([]string{customerSubject("cus_1")}, "a", func() error { return nil })
		}
		if beside {
			k.changes.mark([]string{customerSubject("cus_3")}, "b")
		}
		learn(invited)
		if known := k.get("cus_1") != nil; known == beside {
			t.Errorf("something else is written: %v, known: %v", beside, known)
		}
	}
}

// takesAll is a journal that takes everything.
type takesAll struct{ Journal }

func (takesAll) RecordIntent(context.Context, reconcile.Token, string, reconcile.Action, string, time.Time) error {
	return nil
}

func (takesAll) RecordOutcome(context.Context, reconcile.Token, reconcile.Outcome) error { return nil }

// An outcome with unknown effects is about every customer, and so is one
// of a customer who was never loaded. An intent is about its customer.
func TestOutcomesThatChangeMoreAreAboutEveryCustomer(t *testing.T) {
	for name, test := range map[string]struct {
		kind   reconcile.ActionKind
		of     string
		intent bool
		every  bool
	}{
		"a new org":                 {reconcile.CreateOrg, "cus_ada", false, false},
		"a link":                    {reconcile.Link, "cus_ada", false, true},
		"the intent of a link":      {reconcile.Link, "cus_ada", true, false},
		"of who was never loaded":   {reconcile.CreateOrg, "cus_bea", false, true},
		"an intent of such as that": {reconcile.CreateOrg, "cus_bea", true, true},
	} {
		c := &changes{}
		c.note(&reconcile.Customer{ID: "cus_ada"})
		j := countedJournal{takesAll{}, c}
		a := reconcile.Action{ID: "a", Kind: test.kind, Customer: test.of}
		if test.intent {
			_ = j.RecordIntent(t.Context(), 1, "run-1", a, "", time.Time{})
		} else {
			_ = j.RecordOutcome(t.Context(), 1, reconcile.Outcome{Action: a, Org: &reconcile.Org{ID: "org-new"}})
		}
		if every := c.all != 0; every != test.every {
			t.Errorf("%s: about every customer %v", name, every)
		}
		if !test.every && !test.intent && c.last[orgKey("org-new")].n == 0 {
			t.Errorf("%s: not about the org: %v", name, c.last)
		}
	}
}

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

// unheard is a kind of action that this program does not know: an older or newer one wrote it.
const unheard reconcile.ActionKind = 200

func TestAKindThatIsNotKnownIsNeitherPreparedNorConcluded(t *testing.T) {
	s := newSides()
	r := s.run()
	if _, err := r.newPreparation().prepare(t.Context(), &reconcile.Customer{}, reconcile.Action{Kind: unheard}, nil); !errors.Is(err, fault.Permanent) {
		t.Errorf("prepared: %v", err)
	}
	if err := r.findLostWrite(t.Context(), &reconcile.Customer{}, reconcile.Pending{Kind: unheard}); !errors.Is(err, fault.Permanent) || len(s.outcomes) > 0 {
		t.Errorf("concluded: %v, %+v", err, s.outcomes)
	}
}

// A dry run takes no time, and a hosting that it makes in thought (its id is negative) cannot
// be read.
func TestWhenAPremiseIsReadAgain(t *testing.T) {
	for name, test := range map[string]struct {
		dry     bool
		hosting int64
		age     time.Duration // since it was read; negative: never
		old     bool
	}{
		"never read":                                 {false, 7, -1, true},
		"just read":                                  {false, 7, premiseAge, false},
		"read too long ago":                          {false, 7, premiseAge + 1, true},
		"never read, in a dry run":                   {true, 7, -1, true},
		"read long ago, in a dry run":                {true, 7, time.Hour, false},
		"of a hosting that is there only in thought": {true, -1, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			r := s.run()
			r.req.Dry = test.dry
			p, a := r.newPreparation(), reconcile.Action{ID: "suspend:7", Hosting: test.hosting}
			if test.age >= 0 {
				p.readAt[a.ID] = s.now.Add(-test.age)
			}
			if p.isOld(a) != test.old {
				t.Errorf("old: %v, want %v", !test.old, test.old)
			}
		})
	}
}

// The buyer is read once before an invitation. An invitation in the place of another is for
// an address that a person chose.
func TestWhenABuyerIsReadBeforeAnInvitation(t *testing.T) {
	for name, test := range map[string]struct {
		first   bool
		instead string
		age     time.Duration
		reads   int
	}{
		"the first look":                  {true, "", time.Hour, 1},
		"read lately":                     {true, "", premiseAge, 0},
		"the second look":                 {false, "", time.Hour, 0},
		"in the place of another address": {true, "old@example.com", time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			s.subs["sub_1"] = reconcile.SubscriptionFacts{}
			c := &reconcile.Customer{ID: "cus_1", Buyers: []reconcile.Buyer{{StripeCustomer: reconcile.StripeCustomer{ID: "cus_1", Email: "ada@example.com"}}},
				Subscriptions: []reconcile.Subscription{{ID: "sub_1", StripeCustomer: "cus_1", ReadAt: s.now.Add(-test.age)}}}
			read, err := s.run().lookAtBuyer(t.Context(), c, reconcile.Action{Kind: reconcile.InviteOwner, Email: "ada@example.com", Instead: test.instead}, test.first)
			if err != nil || read != (test.reads > 0) || s.times("read sub_1") != test.reads {
				t.Errorf("read %v, %v, calls %q", read, err, s.calls)
			}
		})
	}
}

// Whatever of a premise cannot be read keeps the action from being done: the hosting itself is
// read last, so it is not read then.
func TestAPremiseThatCannotBeReadStopsTheAction(t *testing.T) {
	for call, what := range map[string]string{
		"read sub_2":     "another subscription of the customer",
		"look at org-2":  "another hosting of the customer",
		"websites org-1": "the websites",
		"read sub_1":     "the subscription of the hosting",
		"look at org-1":  "the hosting",
	} {
		t.Run(what, func(t *testing.T) {
			s := newSides()
			c := &reconcile.Customer{ID: "cus_1", Subscriptions: []reconcile.Subscription{{ID: "sub_1"}, {ID: "sub_2"}},
				Bindings: []reconcile.Binding{{Subscription: "sub_1", Org: "org-1", Hosting: 1}, {Subscription: "sub_2", Org: "org-2", Hosting: 2}}}
			a := reconcile.Action{Kind: reconcile.Suspend, Org: "org-1", Hosting: 1}
			passes(t, s.run().readPremise(t.Context(), c, a, []string{"org-1"}))
			s.calls, s.fails[call] = nil, errOut
			if err := s.run().readPremise(t.Context(), c, a, []string{"org-1"}); !errors.Is(err, errOut) {
				t.Errorf("the action goes on: %v", err)
			}
			if n := s.times("look at org-1"); n != 0 && call != "look at org-1" {
				t.Errorf("the hosting was read all the same: %q", s.calls)
			}
		})
	}
}

// What the panel refuses is a fact to store; what may pass by itself is not.
func TestWebsitesAreStoredAsUnreadOnlyIfThePanelRefuses(t *testing.T) {
	for _, test := range []struct {
		err   error
		saved string
	}{{nil, "save content "}, {errDenied, "save content forbidden"}, {errOut, ""}} {
		s := newSides()
		s.fails["websites org-1"] = test.err
		err := s.run().readContent(t.Context(), "org-1")
		if saved := s.starting("save content"); (saved == 1) != (test.saved != "") || (err != nil) != (test.saved == "") || test.saved != "" && s.times(test.saved) != 1 {
			t.Errorf("%v: %v, calls %q", test.err, err, s.calls)
		}
	}
}

func TestWhenALostWriteIsLookedForAgain(t *testing.T) {
	s := newSides()
	r := s.run()
	sent := s.now.Add(-time.Second)
	at, gap := sent.Add(r.Settle), r.lookGap()
	for name, test := range map[string]struct {
		pending []reconcile.Pending
		next    time.Time
	}{
		"nothing is lost":                       {nil, time.Time{}},
		"its process died":                      {[]reconcile.Pending{{SentAt: sent, SettleUntil: sent}}, at},
		"its answer settles later":              {[]reconcile.Pending{{SentAt: sent, SettleUntil: at.Add(time.Minute)}}, at.Add(time.Minute)},
		"of two, the one that is due first":     {[]reconcile.Pending{{SentAt: sent, SettleUntil: at.Add(time.Minute)}, {SentAt: sent}}, at},
		"one look was made":                     {[]reconcile.Pending{{SentAt: sent, Looks: 1, LookedAt: at}}, at.Add(gap)},
		"one look was made before the settling": {[]reconcile.Pending{{SentAt: sent, Looks: 1, LookedAt: sent}}, at},
		"no look counts yet":                    {[]reconcile.Pending{{SentAt: sent, LookedAt: at}}, at},
		"due already, so in the next run":       {[]reconcile.Pending{{SentAt: s.now.Add(-time.Hour)}}, r.nextRun()},
		"due this instant, so in the next run":  {[]reconcile.Pending{{SentAt: s.now.Add(-r.Settle)}}, r.nextRun()},
	} {
		t.Run(name, func(t *testing.T) {
			if next := r.lookAgain(&reconcile.Customer{Pending: test.pending}); !next.Equal(test.next) {
				t.Errorf("looked for at %s, want %s", next, test.next)
			}
		})
	}
}

// A write that nothing shows is concluded only after the settling time: until then it may
// still take effect, and a repetition would be done twice.
func TestALostWriteIsConcludedOnlyAfterTheSettlingTime(t *testing.T) {
	for name, test := range map[string]struct {
		age    time.Duration // of the call
		died   bool          // its process died: it never had an outcome
		state  reconcile.ActionState
		record bool
	}{
		"it may still be answered":     {time.Minute, false, 0, false},
		"its process died just now":    {time.Minute, true, reconcile.ActionAmbiguous, true},
		"it has settled":               {90 * time.Second, false, reconcile.ActionFailed, true},
		"its process died, it settled": {90 * time.Second, true, reconcile.ActionFailed, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			r := s.run()
			sent := s.now.Add(-test.age)
			p := reconcile.Pending{ActionID: "create_website:1", Kind: reconcile.CreateWebsite, SentAt: sent, SettleUntil: sent.Add(r.Settle)}
			if test.died {
				p.SettleUntil = sent
			}
			passes(t, r.findLostWrite(t.Context(), &reconcile.Customer{ID: "cus_1"}, p))
			if len(s.outcomes) > 0 != test.record {
				t.Fatalf("recorded: %+v", s.outcomes)
			}
			if !test.record {
				return
			}
			out := s.outcomes[0]
			if out.State != test.state || test.state == reconcile.ActionAmbiguous && (!out.SettleUntil.Equal(sent.Add(r.Settle)) || out.Looks != 0) {
				t.Errorf("recorded as %+v", out)
			}
		})
	}
}

// Finding nothing proves something only among all orgs.
func TestALostOrgIsLookedForAmongAllOnceItHasSettled(t *testing.T) {
	for call, age := range map[string]time.Duration{"newest orgs": time.Minute, "every org": 90 * time.Second} {
		s := newSides()
		s.customers = []reconcile.Customer{{ID: "cus_1"}}
		found, err := s.run().findOrg(t.Context(), &reconcile.Customer{ID: "cus_1"}, reconcile.Pending{Kind: reconcile.CreateOrg, SentAt: s.now.Add(-age)}, nil)
		if found || err != nil || s.times(call) != 1 || s.times("newest orgs")+s.times("every org") != 1 {
			t.Errorf("sent %s ago: found %v, %v, calls %q", age, found, err, s.calls)
		}
	}
}

// A hosting whose creation was not answered is bound as the journal has it, but not if the
// panel shows two, or something is bound to it already.
func TestAHostingWhoseCreationWasLostIsBoundAsItWasMeant(t *testing.T) {
	hosting := func(id int64, state reconcile.HostingState) reconcile.Hosting {
		return reconcile.Hosting{ID: id, Org: "org-1", State: state, FriendlyName: "Basic [sub_1/1]"}
	}
	for name, test := range map[string]struct {
		there    []reconcile.Hosting
		bindings []reconcile.Binding
		found    bool
		binds    int64
	}{
		"it is not there":          {[]reconcile.Hosting{{ID: 9, FriendlyName: "Basic [sub_2/1]"}}, nil, false, 0},
		"it is there":              {[]reconcile.Hosting{hosting(7, reconcile.HostingActive)}, nil, true, 7},
		"it is suspended":          {[]reconcile.Hosting{hosting(7, reconcile.HostingSuspended)}, nil, true, 7},
		"it was deleted":           {[]reconcile.Hosting{hosting(7, reconcile.HostingDeleted)}, nil, true, 0},
		"it is there twice":        {[]reconcile.Hosting{hosting(7, reconcile.HostingActive), hosting(8, reconcile.HostingActive)}, nil, true, 0},
		"another has it":           {[]reconcile.Hosting{hosting(7, reconcile.HostingActive)}, []reconcile.Binding{{Subscription: "sub_2", Slot: 1, Hosting: 7}}, true, 0},
		"the slot has another":     {[]reconcile.Hosting{hosting(7, reconcile.HostingActive)}, []reconcile.Binding{{Subscription: "sub_1", Slot: 1, Hosting: 6}}, true, 0},
		"another slot has another": {[]reconcile.Hosting{hosting(7, reconcile.HostingActive)}, []reconcile.Binding{{Subscription: "sub_1", Slot: 2, Hosting: 6}}, true, 7},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			s.there["org-1"] = test.there
			p := reconcile.Pending{Kind: reconcile.CreateSubscription, Subscription: "sub_1", Item: "si_1", Slot: 1, SentAt: s.now.Add(-time.Hour)}
			var out reconcile.Outcome
			found, err := s.run().findHosting(t.Context(), &reconcile.Customer{ID: "cus_1", Org: &reconcile.Org{ID: "org-1"}, Bindings: test.bindings}, p, &out)
			if found != test.found || err != nil || (out.Binding != nil) != (test.binds > 0) || s.times("save hostings of org-1") != 1 {
				t.Fatalf("found %v, %v, %+v", found, err, out.Binding)
			}
			want := reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 1, Org: "org-1", Hosting: test.binds, How: reconcile.BoundByCreate, At: p.SentAt}
			if test.binds > 0 && *out.Binding != want {
				t.Errorf("bound as %+v, want %+v", *out.Binding, want)
			}
		})
	}
}

// A hosting is looked for where it was to be made, and not where the customer is by now: else
// nothing is found there, and it is made a second time.
func TestALostHostingIsLookedForInTheOrgOfTheJournal(t *testing.T) {
	for name, org := range map[string]*reconcile.Org{"the customer has another org by now": {ID: "org-2"}, "or none": nil} {
		s := newSides()
		s.there["org-1"] = []reconcile.Hosting{{ID: 7, Org: "org-1", State: reconcile.HostingActive, FriendlyName: "Basic [sub_1/1]"}}
		p := reconcile.Pending{Kind: reconcile.CreateSubscription, Subscription: "sub_1", Item: "si_1", Slot: 1, Org: "org-1", SentAt: s.now.Add(-time.Hour)}
		var out reconcile.Outcome
		found, err := s.run().findHosting(t.Context(), &reconcile.Customer{ID: "cus_1", Org: org}, p, &out)
		if !found || err != nil || out.Binding == nil || out.Binding.Org != "org-1" || out.Binding.Hosting != 7 {
			t.Errorf("%s: found %v, %v, %+v", name, found, err, out.Binding)
		}
	}
	if found, err := newSides().run().findHosting(t.Context(), &reconcile.Customer{ID: "cus_1"}, reconcile.Pending{Subscription: "sub_1"}, &reconcile.Outcome{}); found || err == nil {
		t.Errorf("in an org that is not known: found %v, %v", found, err)
	}
}

// A look that cannot be made is an error, which proves nothing: without it the write would
// pass for one that was not done.
func TestALookForALostWriteThatFailsProvesNothing(t *testing.T) {
	ada := reconcile.Customer{ID: "cus_1", Org: &reconcile.Org{ID: "org-1"}}
	for name, test := range map[string]struct {
		kind  reconcile.ActionKind
		call  string // that fails; "": none
		noOrg bool
		fails bool
	}{
		"a hosting, in an org that is not bound":      {reconcile.CreateSubscription, "", true, false},
		"a hosting, and its org cannot be listed":     {reconcile.CreateSubscription, "list org-1", false, true},
		"a hosting, and the list cannot be stored":    {reconcile.CreateSubscription, "save hostings of org-1", false, true},
		"an invitation, in an org that is not bound":  {reconcile.InviteOwner, "", true, false},
		"an invitation, and the owners are not there": {reconcile.InviteOwner, "owners", false, true},
		"a name, in an org that is not bound":         {reconcile.RenameOrg, "", true, false},
		"a name, and the org cannot be read":          {reconcile.RenameOrg, "org", false, true},
		"a suspension, and the hosting is not read":   {reconcile.Suspend, "look at org-1", false, true},
		"a suspension, and nothing can be loaded":     {reconcile.Suspend, "customers", false, true},
		"a suspension of a hosting not known here":    {reconcile.Suspend, "", false, false},
		"a resumption of a hosting not known here":    {reconcile.Resume, "", false, false},
		"a resumption, and the hosting is not read":   {reconcile.Resume, "look at org-1", false, true},
		"a plan of a hosting not known here":          {reconcile.ChangePlan, "", false, false},
		"a plan, and the hosting is not read":         {reconcile.ChangePlan, "look at org-1", false, true},
		"a marker of a hosting not known here":        {reconcile.MarkHosting, "", false, false},
		"a marker, and the hosting is not read":       {reconcile.MarkHosting, "look at org-1", false, true},
		"a deletion of a hosting not known here":      {reconcile.Terminate, "", false, false},
		"a deletion, and the hosting is not read":     {reconcile.Terminate, "look at org-1", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := newSides(), ada
			s.customers = []reconcile.Customer{ada}
			// Everything would show it as done, if it could be seen.
			s.owners, s.org = []string{"ada@example.com"}, reconcile.Org{ID: "org-1", Name: "Ada"}
			if s.fails[test.call] = errOut; test.noOrg {
				c.Org = nil
			}
			var out reconcile.Outcome
			p := reconcile.Pending{Kind: test.kind, Subscription: "sub_1", Email: "ada@example.com", Org: "org-1", Hosting: 7, SentAt: s.now.Add(-time.Hour)}
			found, err := effects[test.kind].find(s.run(), t.Context(), &c, p, &out)
			if found || (err != nil) != test.fails || out.Org != nil || out.Binding != nil || !out.Invited.IsZero() || out.Unsuspend {
				t.Errorf("found %v, %v, %+v", found, err, out)
			}
			if test.call == "list org-1" && s.times("save hostings of org-1") > 0 {
				t.Error("an empty list was stored as if the org had no hostings")
			}
		})
	}
}

// errUnanswered is one org that gives no answer.
var errUnanswered = fault.Errorf(fault.Transient, "this org gives no answer")

// A search that was cut short is gone on with in the next: behind the org where it ended, and
// then from the first. No org is asked for twice.
func TestASearchGoesOnWhereTheLastEnded(t *testing.T) {
	s := newSides()
	s.values[cursorUnread] = "org-2"
	s.orgs(map[string]error{"org-1": errUnanswered, "org-3": errUnanswered}, "org-1", "org-2", "org-3", "org-4")
	r := s.run()
	_, err := r.searchUnlisted(t.Context(), 0, false)
	passes(t, err)
	for _, id := range s.unread {
		if n := s.times("list " + id); n != 1 {
			t.Errorf("%s was listed %d times", id, n)
		}
	}
	if len(r.index.unlisted) != 2 || s.values[cursorUnread] != "" {
		t.Errorf("not listed: %+v, the next search begins after %q", r.index.unlisted, s.values[cursorUnread])
	}
	for _, call := range []string{"cursor " + cursorUnread, "unread orgs", "set " + cursorUnread} {
		s := newSides()
		s.values[cursorUnread], s.fails[call] = "org-2", errOut
		r := s.run()
		if _, err := r.searchUnlisted(t.Context(), 0, false); !errors.Is(err, errOut) || r.index.allListed() {
			t.Errorf("%s: the search passes for complete: %v", call, err)
		}
	}
}

// After an org that fails they are asked one by one, and after three in a row that fail one is
// asked that could be listed: is it the panel that fails? Otherwise a panel that is out would
// get the calls for every org.
func TestOrgsAreAskedOneByOneOnceOneHasFailed(t *testing.T) {
	for name, test := range map[string]struct {
		fails []int  // of twelve orgs
		asked string // what the calls end with, after the first four, which are made together
	}{
		"none fails":                {nil, ""},
		"three in a row":            {[]int{1, 5, 6}, "list org-05 list org-06 ASK"},
		"two, and one that answers": {[]int{1, 5, 7, 8}, "list org-05 list org-06"},
	} {
		t.Run(name, func(t *testing.T) {
			s, fails := newSides(), map[string]error{}
			for i := 1; i <= 12; i++ {
				s.unread = append(s.unread, fmt.Sprintf("org-%02d", i))
			}
			for _, i := range test.fails {
				fails[fmt.Sprintf("org-%02d", i)] = errUnanswered
			}
			s.orgs(fails, s.unread...)
			r := s.run()
			_, err := r.searchUnlisted(t.Context(), 0, false)
			passes(t, err)
			lists, seen := []string{}, map[string]bool{}
			for _, c := range s.calls {
				if !strings.HasPrefix(c, "list ") {
					continue
				}
				if seen[c] {
					c = "ASK"
				}
				seen[c] = true
				lists = append(lists, c)
			}
			order := strings.Join(lists[4:], " ")
			if !strings.HasPrefix(order, test.asked) || strings.Contains(test.asked, "ASK") != slices.Contains(lists, "ASK") {
				t.Errorf("asked: %q", lists)
			}
		})
	}
}

// If the orgs that we know give no answer either, it is the panel, and the search ends there.
func TestASearchEndsIfNothingAtThePanelAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		call string
		err  error
	}{
		"the known org gives no answer":      {"list known", errUnanswered},
		"the known orgs cannot be looked up": {"seen last", errOut},
	} {
		t.Run(name, func(t *testing.T) {
			s, fails := newSides(), map[string]error{}
			for i := 1; i <= 9; i++ {
				s.unread = append(s.unread, fmt.Sprintf("org-%d", i))
				fails[s.unread[i-1]] = errUnanswered
			}
			s.orgs(fails, s.unread...)
			s.bound = []reconcile.Hosting{{ID: 1, Org: "known"}, {ID: 2, Org: "known"}}
			s.fails[test.call] = test.err
			r := s.run()
			if _, err := r.searchUnlisted(t.Context(), 0, false); !errors.Is(err, test.err) || !strings.Contains(err.Error(), "looking for hostings of ours") {
				t.Errorf("the search goes on: %v", err)
			}
			if n := s.starting("list org-"); n != unlistedParallel {
				t.Errorf("%d orgs were asked after that: %q", n-unlistedParallel, s.calls)
			}
		})
	}
}

// A run that lost its lease, or is stopped, ends a search at once, and no org is blamed for it.
func TestARunThatEndsBlamesNoOrg(t *testing.T) {
	fenced := fault.Errorf(fault.Fenced, "another process has the lease")
	for name, test := range map[string]struct {
		err  error
		stop bool
	}{"its lease is lost": {fenced, false}, "it is stopped": {errUnanswered, true}} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			s := newSides()
			s.orgs(map[string]error{"org-1": test.err}, "org-1")
			r := s.run()
			if test.stop {
				stop()
			}
			if _, err := r.searchUnlisted(ctx, 0, false); !errors.Is(err, test.err) || len(r.index.unlisted) > 0 || r.index.allListed() {
				t.Errorf("%v, blamed %+v", err, r.index.unlisted)
			}
		})
	}
}

// Most orgs have no hosting of ours: the mirror is not asked about none.
func TestTheMirrorIsAskedOnlyAboutMarkersOfOurs(t *testing.T) {
	for name, asked := range map[string]int{"Basic": 0, "Basic [sub_1/1]": 1, "Basic [sub_1/1 elsewhere]": 0, "Ada [cus_1]": 0} {
		s := newSides()
		passes(t, s.run().knowMarked(t.Context(), []reconcile.Hosting{{ID: 1, FriendlyName: name}}))
		if s.times("unknown") != asked || s.times("read sub_1") != asked {
			t.Errorf("%s: calls %q", name, s.calls)
		}
	}
	s := newSides()
	s.fails["unknown"] = errOut
	if err := s.run().knowMarked(t.Context(), []reconcile.Hosting{{ID: 1, FriendlyName: "Basic [sub_1/1]"}}); !errors.Is(err, errOut) {
		t.Errorf("known all the same: %v", err)
	}
}

// An org that was deleted since it was listed is one without hostings. Any other error must
// not store an empty list.
func TestTheHostingsOfAnOrgAreStoredOnlyAsThePanelHasThem(t *testing.T) {
	for _, test := range []struct {
		err   error
		saved int
	}{{nil, 1}, {fault.Errorf(fault.NotFound, "no such org"), 1}, {errOut, 0}} {
		s := newSides()
		s.fails["list org-1"] = test.err
		if err := s.run().readOrg(t.Context(), "org-1"); s.times("save hostings of org-1") != test.saved || (err == nil) != (test.saved == 1) {
			t.Errorf("%v: %v, calls %q", test.err, err, s.calls)
		}
	}
	s := newSides()
	r := s.run()
	done, err := r.together.turns.take(t.Context(), orgKey("org-1"), true)
	passes(t, err)
	defer done()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.readOrg(ctx, "org-1"); !errors.Is(err, context.Canceled) || s.starting("list") > 0 {
		t.Errorf("read while another call writes it: %v, calls %q", err, s.calls)
	}
}

// The notes of a run name eight orgs, count the others, and repeat nothing.
func TestOrgsThatCannotBeListedAreNotedOnce(t *testing.T) {
	s := newSides()
	r := s.run()
	var orgs []unlistedOrg
	for i := range maxUnlistedNotes + 2 {
		orgs = append(orgs, unlistedOrg{reconcile.Org{ID: fmt.Sprintf("org-%d", i)}, errOut})
	}
	for _, test := range []struct{ orgs, notes int }{{2, 2}, {2, 2}, {maxUnlistedNotes, maxUnlistedNotes}, {maxUnlistedNotes + 2, maxUnlistedNotes + 1}, {maxUnlistedNotes + 2, maxUnlistedNotes + 1}} {
		passes(t, r.noteUnlisted(t.Context(), orgs[:test.orgs]))
		if n := len(r.findings.notes); n != test.notes {
			t.Errorf("%d orgs, %d notes: %q", test.orgs, n, r.findings.notes)
		}
	}
	if last := r.findings.notes[len(r.findings.notes)-1]; !strings.Contains(last, "of 2 more orgs") {
		t.Errorf("the last note is %q", last)
	}
	s.fails["cursor "+cursorRecovery] = errOut
	if err := s.run().noteUnlisted(t.Context(), orgs); !errors.Is(err, errOut) {
		t.Errorf("noted without the date up to which orgs may be ours: %v", err)
	}
}

package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// verdict is the stored verdict; an empty one if nothing is stored.
func (s *bothSides) verdict(t *testing.T) (v listingVerdict) {
	t.Helper()
	if s.values[cursorVerdict] != "" {
		passes(t, json.Unmarshal([]byte(s.values[cursorVerdict]), &v))
	}
	return v
}

// keep stores a verdict.
func (s *bothSides) keep(t *testing.T, v listingVerdict) {
	t.Helper()
	packed, err := json.Marshal(v)
	passes(t, err)
	s.values[cursorVerdict] = string(packed)
}

// If a listing was rejected, that counts in the runs after it as well, because they read only
// events.
func TestTheVerdictOfAnEarlierRunCounts(t *testing.T) {
	for name, test := range map[string]struct {
		stored   string
		mode     reconcile.RunMode
		removals bool // they are blocked
		approval string
	}{
		"the numbers look wrong":              {`{"suspect":"few are left"}`, reconcile.RunIncremental, false, "few are left"},
		"a full run judges its own":           {`{"suspect":"few are left"}`, reconcile.RunFull, false, ""},
		"it is not complete":                  {`{"refused":"it lacks some"}`, reconcile.RunIncremental, true, ""},
		"a verdict that cannot be read":       {`{`, reconcile.RunIncremental, true, ""},
		"nothing was wrong, so there is none": {"", reconcile.RunIncremental, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			s.values[cursorVerdict] = test.stored
			r := s.run()
			r.mode = test.mode
			passes(t, r.loadVerdict(t.Context()))
			if r.evidence.removalsAreBlocked() != test.removals || r.evidence.needsApproval != test.approval {
				t.Errorf("removals blocked: %v, approval needed because %q", r.evidence.removalsAreBlocked(), r.evidence.needsApproval)
			}
		})
	}
}

// Only an approval of what the numbers made the program hold confirms the numbers. One of
// another plan, or none at all, must not.
func TestOnlyTheApprovalOfWhatTheNumbersHeldConfirmsThem(t *testing.T) {
	listed := reconcile.ListedState{Count: 40, Entitled: 10, At: time.Date(2026, 1, 9, 0, 0, 0, 0, time.UTC)}
	for name, test := range map[string]struct {
		approved []string
		dry      bool
		confirms bool
	}{
		"nothing is approved":              {nil, false, false},
		"another plan is approved":         {[]string{"plan-7"}, false, false},
		"one of the two plans is":          {[]string{"plan-7", "plan-2"}, false, true},
		"it is, and the run sends nothing": {[]string{"plan-2"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			s.keep(t, listingVerdict{Suspect: "few are left", Plans: []string{"plan-1", "plan-2"}, Listed: listed})
			for _, id := range test.approved {
				s.approved = append(s.approved, reconcile.HeldPlan{ID: id})
			}
			r := s.run()
			r.req.Dry = test.dry
			passes(t, r.loadVerdict(t.Context()))
			confirmed := r.evidence.measure != nil && *r.evidence.measure == listed
			if confirmed != test.confirms || s.verdict(t).good() != test.confirms || (r.evidence.needsApproval == "") != test.confirms {
				t.Errorf("measure %v, stored %+v, approval needed because %q", r.evidence.measure, s.verdict(t), r.evidence.needsApproval)
			}
		})
	}
}

func TestAVerdictThatCannotBeLoadedOrStoredEndsTheRun(t *testing.T) {
	for _, call := range []string{"cursor " + cursorSuspender, "cursor " + cursorVerdict, "approved", "set " + cursorVerdict} {
		t.Run(call, func(t *testing.T) {
			s := newSides()
			s.keep(t, listingVerdict{Suspect: "few are left", Plans: []string{"plan-1"}})
			s.approved = []reconcile.HeldPlan{{ID: "plan-1"}}
			s.fails[call] = errOut
			r := s.run()
			if err := r.loadVerdict(t.Context()); !errors.Is(err, errOut) {
				t.Errorf("the run goes on: %v", err)
			}
			if s.verdict(t).good() {
				t.Error("the verdict was forgotten")
			}
		})
	}
	for name, change := range map[string]func(*bothSides, *run){
		"the stored one cannot be read": func(s *bothSides, _ *run) { s.fails["cursor "+cursorVerdict] = errOut },
		"it cannot be written as JSON": func(_ *bothSides, r *run) {
			r.evidence.verdict.Since = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			s.keep(t, listingVerdict{Refused: "it lacks some"})
			r := s.run()
			r.evidence.verdict.Refused = "it lacks more"
			change(s, r)
			if err := r.saveVerdict(t.Context()); err == nil || s.times("set "+cursorVerdict) != 0 {
				t.Errorf("stored all the same: %v", err)
			}
		})
	}
}

// There is a run every minute, so a verdict that is stored already is not written again.
func TestAVerdictIsWrittenOnlyIfItChanges(t *testing.T) {
	s := newSides()
	r := s.run()
	for _, test := range []struct {
		refused string
		writes  int
	}{{"", 0}, {"it lacks some", 1}, {"it lacks some", 1}, {"", 2}, {"", 2}} {
		r.evidence.verdict.Refused = test.refused
		passes(t, r.saveVerdict(t.Context()))
		if n := s.times("set " + cursorVerdict); n != test.writes || s.verdict(t).Refused != test.refused {
			t.Errorf("after %q: %d writes, want %d, stored %+v", test.refused, n, test.writes, s.verdict(t))
		}
	}
}

// The report has since when listings are refused: from the first of them in a row.
func TestAVerdictStandsSinceTheFirstRefusal(t *testing.T) {
	s := newSides()
	s.unlisted, s.subs["sub_1"] = []string{"sub_1"}, reconcile.SubscriptionFacts{}
	first := s.now
	for range 3 {
		r := s.run()
		r.mode = reconcile.RunFull
		passes(t, r.loadVerdict(t.Context()))
		passes(t, r.judgeListing(t.Context(), reconcile.Listing{Count: 5}, 5))
		if v := s.verdict(t); v.Refused == "" || !v.Since.Equal(first) || r.evidence.measure != nil {
			t.Fatalf("stored %+v, want it to stand since %s", v, first)
		}
		s.now = s.now.Add(time.Hour)
	}
	s.unlisted = nil
	r := s.run()
	passes(t, r.judgeListing(t.Context(), reconcile.Listing{Count: 6}, 5))
	if !s.verdict(t).good() || r.evidence.measure == nil {
		t.Error("it outlives a complete listing")
	}
}

// Numbers that a person has just confirmed are the measure, and not those before them.
func TestAListingIsMeasuredByWhatWasJustApproved(t *testing.T) {
	for _, approved := range []bool{false, true} {
		s := newSides()
		s.last = reconcile.ListedState{Count: 40, Entitled: 40, At: s.now.Add(-48 * time.Hour)}
		r := s.run()
		if approved {
			r.evidence.measure = &reconcile.ListedState{Count: 40, Entitled: 12, At: s.now.Add(-24 * time.Hour)}
		}
		passes(t, r.judgeListing(t.Context(), reconcile.Listing{Count: 40}, 12))
		if (r.evidence.needsApproval == "") != approved {
			t.Errorf("approved %v, and approval is needed because %q", approved, r.evidence.needsApproval)
		}
	}
}

// Fifty are read at most, unless a person accepts the listing: then each that is gone has to be
// marked as gone, or the next listing is refused again.
func TestWhoAcceptsAListingHasEveryMissingSubscriptionRead(t *testing.T) {
	for _, accept := range []bool{false, true} {
		s := newSides()
		for i := range unlistedReads + 10 {
			s.unlisted = append(s.unlisted, fmt.Sprintf("sub_%02d", i))
		}
		r := s.run()
		r.req.Accept = accept
		reasons, err := r.unlisted(t.Context(), reconcile.Listing{Count: 100}, time.Time{})
		passes(t, err)
		want := unlistedReads
		if accept {
			want = len(s.unlisted)
		}
		if n := s.starting("gone sub_"); n != want || len(reasons) != 1 {
			t.Errorf("accept %v: %d marked as gone, want %d; reasons %q", accept, n, want, reasons)
		}
	}
}

// One subscription that cannot be read is no proof of anything, and the others are read.
func TestAMissingSubscriptionThatCannotBeReadProvesNothing(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Malformed, fault.Permanent} {
		s := newSides()
		s.unlisted, s.fails["read sub_1"] = []string{"sub_1", "sub_2"}, fault.Errorf(kind, "odd")
		s.subs["sub_2"] = reconcile.SubscriptionFacts{OnTestClock: true}
		r := s.run()
		reasons, err := r.unlisted(t.Context(), reconcile.Listing{Count: 100}, time.Time{})
		if err != nil || len(reasons) > 0 || s.times("read sub_2") != 1 {
			t.Errorf("%s: %v, %q, calls %q", kind, err, reasons, s.calls)
		}
		if len(r.findings.notes) != 1 || !strings.Contains(r.findings.notes[0], "sub_1 was not listed") || len(r.findings.partial) == 0 {
			t.Errorf("%s: notes %q", kind, r.findings.notes)
		}
	}
}

func TestAFailureWhileAListingIsJudgedEndsTheRun(t *testing.T) {
	for _, call := range []string{"last listed", "unlisted", "read sub_1", "save sub_1", "count gone", "set " + cursorVerdict} {
		s := newSides()
		s.unlisted, s.subs["sub_1"] = []string{"sub_1"}, reconcile.SubscriptionFacts{}
		s.fails[call] = errOut
		r := s.run()
		if err := r.judgeListing(t.Context(), reconcile.Listing{Count: 5}, 5); !errors.Is(err, errOut) || r.evidence.measure != nil {
			t.Errorf("%s: the run goes on: %v", call, err)
		}
	}
}

func TestAPartIsNotNamedWhereItIsAll(t *testing.T) {
	if all, some := of(20, 20), of(3, 20); all != "all 20" || some != "3 of 20" {
		t.Errorf("%q and %q", all, some)
	}
}

// An approval of these plans confirms the numbers, so only plans that wait because of them
// are kept: not if no numbers look wrong, and not in a run that stores no plan.
func TestPlansAreKeptWithAVerdictOnlyIfTheyWaitForIt(t *testing.T) {
	for name, test := range map[string]struct {
		verdict listingVerdict
		dry     bool
		kept    []string
	}{
		"the numbers look wrong":              {listingVerdict{Suspect: "few are left", Plans: []string{"plan-0"}}, false, []string{"plan-0", "plan-1"}},
		"the same, and the run sends nothing": {listingVerdict{Suspect: "few are left", Plans: []string{"plan-0"}}, true, []string{"plan-0"}},
		"the listing is not complete":         {listingVerdict{Refused: "it lacks some"}, false, nil},
		"the plan is kept already":            {listingVerdict{Suspect: "few are left", Plans: []string{"plan-1"}}, false, []string{"plan-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			s.keep(t, test.verdict)
			r := s.run()
			r.req.Dry, r.evidence.verdict = test.dry, test.verdict
			r.brake.plans = []reconcile.HeldPlan{{ID: "plan-1", Kind: reconcile.Suspend}, {ID: "plan-2", Kind: reconcile.CreateSubscription}}
			passes(t, r.saveVerdictPlans(t.Context()))
			if v := s.verdict(t); !slices.Equal(v.Plans, test.kept) {
				t.Errorf("kept %v, want %v", v.Plans, test.kept)
			}
		})
	}
}

// It is no error if another installation, or Stripe's other mode, has the subscription that
// a hosting is marked with.
func TestAMarkerOfASubscriptionThatStripeDoesNotHaveIsNoError(t *testing.T) {
	for name, test := range map[string]struct {
		err   error
		there bool
		fails bool
	}{
		"it is there":               {nil, true, false},
		"Stripe does not know it":   {fault.Errorf(fault.NotFound, "no such subscription"), false, false},
		"it is of the other mode":   {fault.Errorf(fault.Permanent, "exists in live mode"), false, false},
		"there is no answer":        {errOut, false, true},
		"the answer cannot be read": {fault.Errorf(fault.Malformed, "no items"), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			s.subs["sub_1"] = reconcile.SubscriptionFacts{}
			if test.err != nil {
				s.fails["read sub_1"] = test.err
			}
			there, err := s.run().readByMarker(t.Context(), "sub_1")
			if there != test.there || (err != nil) != test.fails {
				t.Errorf("there: %v, %v", there, err)
			}
		})
	}
}

// A first listing that lacks subscriptions is no measure for later ones, and blocks removals,
// unless a person accepts it.
func TestAFirstListingThatLacksSubscriptionsIsNoMeasure(t *testing.T) {
	listed := reconcile.ListedState{Count: 3, Entitled: 3}
	for name, test := range map[string]struct {
		found   int
		accept  bool
		refused bool
	}{
		"it lacks none":                      {0, false, false},
		"it lacks two":                       {2, false, true},
		"it lacks two and a person takes it": {2, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			r := s.run()
			r.req.Accept, r.evidence.measure = test.accept, &listed
			passes(t, r.doubtListing(t.Context(), test.found, false))
			if r.evidence.removalsAreBlocked() != test.refused || (r.evidence.measure == nil) != test.refused || (s.verdict(t).Refused != "") != test.refused {
				t.Errorf("removals blocked: %v, measure %v, stored %+v", r.evidence.removalsAreBlocked(), r.evidence.measure, s.verdict(t))
			}
			if v := s.verdict(t); test.refused && (v.Listed != listed || !v.Since.Equal(s.now)) {
				t.Errorf("stored %+v", v)
			}
		})
	}
	r := newSides().run() // the listing of another run is the measure: none to take back
	passes(t, r.doubtListing(t.Context(), 1, false))
	if r.evidence.measure != nil || !r.evidence.removalsAreBlocked() {
		t.Error("not refused")
	}
}

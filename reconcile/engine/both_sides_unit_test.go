package engine

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// bothSides is Stripe, the panel and the database in memory, for tests of single functions
// of a run. It notes each call, and a call whose note is in fails has that error.
type bothSides struct {
	Billing
	Panel
	OrgLister
	Owners
	Mirror
	Cursors
	Queue
	Journal
	HeldPlans
	Inventory
	Contents
	ContentStore
	Evidence

	orgPage, orgPageUsed string // as the panel shows it, and as it was kept

	now    time.Time
	fails  map[string]error
	subs   map[string]reconcile.SubscriptionFacts
	owners []string
	org    reconcile.Org
	there  map[string][]reconcile.Hosting // by org

	values    map[string]string // cursors
	customers []reconcile.Customer
	approved  []reconcile.HeldPlan
	unlisted  []string // known subscriptions that the listing lacks
	gone      int      // subscriptions that Stripe denies
	last      reconcile.ListedState
	unread    []string // orgs that were never listed, by id
	bound     []reconcile.Hosting
	outcomes  []reconcile.Outcome

	mu    sync.Mutex // guards calls and read
	calls []string
	read  map[string]bool // orgs that were listed
}

// newSides is a world in which nothing exists.
func newSides() *bothSides {
	return &bothSides{now: time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC), fails: map[string]error{}, subs: map[string]reconcile.SubscriptionFacts{},
		there: map[string][]reconcile.Hosting{}, values: map[string]string{}, read: map[string]bool{}}
}

// calmAccount is a Stripe account whose clock is ours.
type calmAccount struct{ Account }

func (calmAccount) ServerTime() (stripe, local time.Time) { return time.Time{}, time.Time{} }

// run is a run over both sides that has made sure of the panel.
func (s *bothSides) run() *run {
	log := logrus.New()
	log.SetOutput(io.Discard)
	e := &Engine{Options: Options{Trace: noTrace{}, Now: func() time.Time { return s.now }, Settle: 90 * time.Second, Concurrency: 4, DriftInterval: time.Hour},
		Ports: Ports{Billing: s, Account: calmAccount{}, Panel: s, OrgLister: s, Owners: s, Mirror: s, Queue: s, Journal: s, Plans: s, Inventory: s,
			Contents: s, ContentStore: s, Evidence: s},
		changes: &changes{}, together: newTogether()}
	e.Policy.Onboarding = reconcile.Invite
	r := &run{Engine: e, Cursors: s, now: s.now, evidence: newEvidence(), index: newOrgIndex(), known: newKnown(e.changes), work: newWork(),
		catalog: planner.NewCatalog(nil, nil), findings: &findings{log: logrus.NewEntry(log)}, log: logrus.NewEntry(log),
		brake: newBrake(planner.Brakes{}, func(reconcile.Action) bool { return false }), progress: &progress{call: func(reconcile.Progress) {}}}
	r.evidence.panelKnown = true
	return r
}

func (s *bothSides) call(words ...string) error {
	name := strings.Join(words, " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	return s.fails[name]
}

// times is how often a call was made.
func (s *bothSides) times(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if c == name {
			n++
		}
	}
	return n
}

// starting is how many calls were made whose notes begin so.
func (s *bothSides) starting(with string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if strings.HasPrefix(c, with) {
			n++
		}
	}
	return n
}

// orgs are orgs that were never listed, of which those fail that have an error.
func (s *bothSides) orgs(fails map[string]error, ids ...string) {
	s.unread = ids
	for id, err := range fails {
		s.fails["list "+id] = err
	}
}

func (s *bothSides) Subscription(_ context.Context, id string) (reconcile.SubscriptionFacts, error) {
	if err := s.call("read", id); err != nil {
		return reconcile.SubscriptionFacts{}, err
	}
	facts, known := s.subs[id]
	if !known {
		return facts, fault.Errorf(fault.NotFound, "no such subscription")
	}
	facts.ID = id
	return facts, nil
}

func (s *bothSides) Org(context.Context, string) (reconcile.Org, error) {
	return s.org, s.call("org")
}

func (s *bothSides) Orgs(context.Context, time.Time) ([]reconcile.Org, error) {
	return nil, s.call("newest orgs")
}

func (s *bothSides) EveryOrg(context.Context, func([]reconcile.Org) error) error {
	return s.call("every org")
}

func (s *bothSides) OrgPage() string        { return s.orgPage }
func (s *bothSides) UseOrgPage(kept string) { s.orgPageUsed = kept }

func (s *bothSides) Hostings(_ context.Context, org string) ([]reconcile.Hosting, error) {
	if err := s.call("list", org); err != nil {
		return nil, err
	}
	return slices.Clone(s.there[org]), nil
}

func (s *bothSides) Hosting(_ context.Context, org string, id int64) (reconcile.Hosting, error) {
	if err := s.call("look at", org); err != nil {
		return reconcile.Hosting{}, err
	}
	if i := slices.IndexFunc(s.there[org], func(h reconcile.Hosting) bool { return h.ID == id }); i >= 0 {
		return s.there[org][i], nil
	}
	return reconcile.Hosting{}, fault.Errorf(fault.NotFound, "no such hosting")
}

func (s *bothSides) OwnerEmails(context.Context, string) ([]string, error) {
	return s.owners, s.call("owners")
}

func (s *bothSides) Fingerprint() string { return "https://panel our-org" }

func (s *bothSides) Websites(_ context.Context, org string) ([]reconcile.Website, error) {
	return nil, s.call("websites", org)
}

func (s *bothSides) SaveContent(_ context.Context, _ reconcile.Token, _ string, _ []reconcile.Website, unread string, _ time.Time) error {
	return s.call("save content", unread)
}

func (s *bothSides) SaveFacts(_ context.Context, _ reconcile.Token, facts []reconcile.SubscriptionFacts, _ bool, _ time.Time) error {
	return s.call("save", facts[0].ID)
}

func (s *bothSides) MarkGone(_ context.Context, _ reconcile.Token, id string, _ time.Time) error {
	s.gone++
	return s.call("gone", id)
}

func (s *bothSides) Unknown(_ context.Context, ids []string) ([]string, error) {
	return ids, s.call("unknown")
}

func (s *bothSides) Cursor(_ context.Context, name string) (string, error) {
	return s.values[name], s.call("cursor", name)
}

func (s *bothSides) SetCursor(_ context.Context, _ reconcile.Token, name, value string) error {
	if err := s.call("set", name); err != nil {
		return err
	}
	s.values[name] = value
	return nil
}

func (s *bothSides) Customers(context.Context, []string) ([]reconcile.Customer, error) {
	return slices.Clone(s.customers), s.call("customers")
}

func (s *bothSides) RecordOutcome(_ context.Context, _ reconcile.Token, o reconcile.Outcome) error {
	s.outcomes = append(s.outcomes, o)
	return s.call("outcome")
}

func (s *bothSides) Approved(context.Context, time.Time) ([]reconcile.HeldPlan, error) {
	return s.approved, s.call("approved")
}

func (s *bothSides) SaveOrgs(context.Context, reconcile.Token, []reconcile.Org, bool, time.Time) error {
	return s.call("save orgs")
}

func (s *bothSides) SaveHostings(_ context.Context, _ reconcile.Token, org string, _ []reconcile.Hosting, _ time.Time) error {
	s.mu.Lock()
	s.read[org] = true
	s.mu.Unlock()
	return s.call("save hostings of", org)
}

func (s *bothSides) SaveHosting(context.Context, reconcile.Token, reconcile.Hosting, time.Time) error {
	return s.call("save hosting")
}

func (s *bothSides) NewestOrg(context.Context) (time.Time, error) { return time.Time{}, nil }

func (s *bothSides) UnreadOrgs(_ context.Context, after string, limit int) (orgs []reconcile.Org, err error) {
	s.mu.Lock()
	read := maps.Clone(s.read)
	s.mu.Unlock()
	for _, id := range s.unread {
		if cmp.Compare(id, after) > 0 && !read[id] && len(orgs) < limit {
			orgs = append(orgs, reconcile.Org{ID: id, Name: "by hand"})
		}
	}
	return orgs, s.call("unread orgs")
}

func (s *bothSides) SeenLast(context.Context, int) ([]reconcile.Hosting, error) {
	return s.bound, s.call("seen last")
}

func (s *bothSides) DriftDue(context.Context, time.Time, time.Time, int) ([]reconcile.Hosting, error) {
	return nil, nil
}

func (s *bothSides) Unlisted(_ context.Context, _ time.Time, limit int) ([]string, int, error) {
	return s.unlisted[:min(limit, len(s.unlisted))], len(s.unlisted), s.call("unlisted")
}

func (s *bothSides) Gone(context.Context, time.Time) (int, error) {
	return s.gone, s.call("count gone")
}

func (s *bothSides) LastListed(context.Context) (reconcile.ListedState, error) {
	return s.last, s.call("last listed")
}

// passes fails a test if there is an error.
func passes(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

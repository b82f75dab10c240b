package drills

import (
	"fmt"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// wrongBinding: a person binds a subscription to the hosting of a friend, which staff made
// in the same org. Then no payment stands behind the customer's own hosting, and the
// friend's would go with the next cancellation.
func wrongBinding(t *testing.T) {
	s := open(t, false)
	sub := s.subs[5]
	own := s.hosting(sub)
	friends, err := s.World.StaffCreateHosting(own.Org, own.Plan, "a friend's")
	s.must(err)
	for _, id := range []int{own.ID, friends} {
		_, err := s.World.AddWebsite(id, fmt.Sprintf("site%d.example.com", id))
		s.must(err)
	}
	s.full()
	s.instruct(reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: sub, Hosting: s.read(friends)})
	s.curtain()
	s.run(engine.Request{Subscriptions: []string{sub}})
	s.nobodyLost()
	s.nothingMade()

	// A person sees it, and writes the right hosting into the metadata.
	s.must(s.World.SetMetadata(sub, map[string]string{"enhance_org_id": own.Org, "enhance_subscription_id": fmt.Sprint(own.ID)}))
	s.run(engine.Request{Subscriptions: []string{sub}})
	s.shows(fmt.Sprintf("the metadata of %s names hosting %d", sub, own.ID), fmt.Sprintf("hosting %d is bound, which goes on serving it", friends),
		"`"+planner.BindCommand(sub, int64(own.ID))+"`")
	s.nobodyLost()
	s.instruct(reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: sub, Hosting: s.read(own.ID)})
	if rep := s.run(engine.Request{Subscriptions: []string{sub}}); len(rep.Holds) != 0 {
		t.Errorf("still held: %v", rep.Holds)
	}

	// The friend's hosting stays after every cancellation; the customer's own goes with
	// his.
	s.must(s.World.Cancel(sub))
	s.World.Advance(2 * time.Minute)
	s.full()
	s.next()
	if h, f := s.byID(own.ID), s.byID(friends); h != "suspended" || f != "active" {
		t.Errorf("the customer's own is %s, the friend's %s\n%s", h, f, s.screen.String())
	}
	s.nothingMade()
	if up := s.up(); up != people-2 { // two and this one have cancelled, and the friend's is up
		t.Errorf("%d hostings are up, want %d", up, people-2)
	}
}

// instruct gives an instruction about what serves a subscription.
func (s *stage) instruct(w reconcile.Instruction) {
	s.t.Helper()
	w.Author, w.Reason, w.At = "ada@desk", "a drill", s.World.Now()
	mappings, err := s.Store.Mappings(s.t.Context())
	s.must(err)
	plans, _, err := s.Store.Plans(s.t.Context())
	s.must(err)
	_, err = s.Store.RecordInstruction(s.t.Context(), w, planner.Instruct(w, planner.NewCatalog(mappings, plans), ""))
	s.must(err)
}

// read reads a hosting at the panel, as the command does.
func (s *stage) read(id int) reconcile.Hosting {
	s.t.Helper()
	for _, h := range s.World.Hostings() {
		if h.ID == id {
			read, err := s.Ports().Panel.Hosting(s.t.Context(), h.Org, int64(id))
			s.must(err)
			read.ObservedAt = s.World.Now()
			return read
		}
	}
	s.t.Fatalf("there is no hosting %d", id)
	return reconcile.Hosting{}
}

// byID is how a hosting stands at the panel.
func (s *stage) byID(id int) string {
	for _, h := range s.World.Hostings() {
		switch {
		case h.ID != id:
		case h.SuspendedBy != "":
			return "suspended"
		default:
			return h.Status
		}
	}
	return "gone"
}

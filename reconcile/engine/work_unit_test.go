package engine

import (
	"slices"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func TestCustomersAreQueuedWithWhatTheyLose(t *testing.T) {
	w := newWork()
	w.add(reconcile.Planned{Customer: "cus_0"}, false, takesAway)
	w.add(reconcile.Planned{Customer: "cus_1", Actions: []reconcile.Action{{Kind: reconcile.CreateOrg, Email: "Ada@example.com"}}}, false, takesAway)
	w.add(reconcile.Planned{Customer: "cus_2", Actions: suspensions(2)}, true, takesAway)
	if len(w.list) != 2 || w.list[0].founds == 0 || w.list[0].takes != 0 || w.list[1].takes != 2 || !w.list[1].failing || !w.hasTakers() {
		t.Fatalf("queued: %+v", w.list)
	}
	if ids := w.dropTakers(); !slices.Equal(ids, []string{"cus_2"}) || len(w.list) != 1 || w.hasTakers() {
		t.Errorf("dropped %v of %+v", ids, w.list)
	}
}

func TestASubscriptionIsReadOnceForThePlanner(t *testing.T) {
	w := newWork()
	w.addRead("sub_1")
	needs := func() []planner.Need {
		return []planner.Need{{Kind: planner.NeedSubscription, Subscription: "sub_1"}, {Kind: planner.NeedSubscription, Subscription: "sub_2"},
			{Kind: planner.NeedDomain, Subscription: "sub_1"}}
	}
	for _, x := range []*work{w, w.again()} {
		if left := x.unanswered(needs()); len(left) != 2 || left[0].Subscription != "sub_2" || left[1].Kind != planner.NeedDomain {
			t.Errorf("left: %+v", left)
		}
	}
	w.addFailed("suspend:1")
	if !w.hasFailed("suspend:1") || w.again().hasFailed("suspend:1") {
		t.Error("what failed is tried once in a plan")
	}
}

func TestFindingsAreReportedWithinLimits(t *testing.T) {
	f := &findings{log: logrus.NewEntry(logrus.New())}
	f.log.Logger.SetLevel(logrus.PanicLevel)
	f.note("read %d", 1)
	f.notePartial("not read: %d", 2)
	f.notePartial("not read: %d", 2)
	for range reconcile.MostReported + 1 {
		f.addDrift(reconcile.Drift{Hosting: 1})
	}
	var rep reconcile.Report
	f.fill(&rep)
	if !slices.Equal(rep.Notes, []string{"read 1", "not read: 2"}) || !rep.Partial {
		t.Errorf("notes %q, partial %v", rep.Notes, rep.Partial)
	}
	if len(rep.Drifts) != reconcile.MostReported || rep.Drifted != reconcile.MostReported+1 {
		t.Errorf("lists %d of %d", len(rep.Drifts), rep.Drifted)
	}
	if f.addRead(3)+f.addRead(2) != 8 {
		t.Error("subscriptions are not added up")
	}
}

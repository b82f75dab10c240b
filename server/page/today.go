package page

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

const (
	// aDay is how far back the first page looks.
	aDay = 24 * time.Hour
	// recentRead is how many rows of the journal are read for the recentShown that people
	// need to see.
	recentRead, recentShown = 60, 8
	// stuckShown is how many customers with a failure the first page names.
	stuckShown = 4
	// mostOrders is how many orders the chart shows.
	mostOrders = 500
	// runOverdue is how late a scheduled run may be before that is a problem.
	runOverdue = 5 * time.Minute
)

// The states of the whole, as the classes of marks.
const (
	stateGood = "good"
	stateWait = "wait"
	stateBad  = "bad"
)

// todayBody is the body of the first page.
type todayBody struct {
	State    string
	Sentence string
	Waiting  []waiting
	Stuck    []stuck  // the first of them
	Done     []string // of the last day, in the words of each kind
	Recent   []recent
	Risk     server.Risk
	HasRisk  bool
	Grace    int // hostings that are up although they are not paid
	Sides    []server.Side
	Orders   *orders // nil: none in the last day
	Last     *reconcile.RunRecord
	Next     time.Time
	AtWork   string
	Leading  bool
	Totals   reconcile.Totals
	Now      time.Time
}

// waiting is something that waits for a person.
type waiting struct {
	Text, Href, Label string
}

// recent is a change of the last day.
type recent struct {
	At              time.Time
	Who, Href, What string
	Bad             bool
	Retry           string // the customer to try again; "": none
}

// stuck is a customer that is parked, or waits after a failure.
type stuck struct {
	ID, Who, Href, Error string
	Parked               bool
}

func (v *visit) today() (any, error) {
	ctx, now := v.r.Context(), v.server.Now()
	b := todayBody{Now: now, Next: v.server.NextRun(), AtWork: v.server.AtWork(), Leading: v.ports.Loop.Leading(), Sides: v.server.Sides(ctx)}
	b.Risk, b.HasRisk = v.server.Risk(ctx)
	var err error
	if b.Totals, err = v.ports.Overview.Totals(ctx, now); err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context, *todayBody) error{v.lastRun, v.waitingToday, v.stuckToday, v.changesToday, v.ordersToday} {
		if err := part(ctx, &b); err != nil {
			return nil, err
		}
	}
	v.conclude(&b)
	return b, nil
}

// lastRun finds the last run that has ended.
func (v *visit) lastRun(ctx context.Context, b *todayBody) error {
	const enough = 20 // runs that are under way are few
	runs, err := v.ports.History.Runs(ctx, enough)
	for i := range runs {
		if !runs[i].Finished.IsZero() {
			b.Last = &runs[i]
			break
		}
	}
	return err
}

// waitingToday lists all that waits for a person.
func (v *visit) waitingToday(ctx context.Context, b *todayBody) error {
	plans, err := v.ports.Plans.HeldPlans(ctx, b.Now, false)
	if err != nil {
		return err
	}
	counts, err := v.ports.Days.HoldCounts(ctx)
	if err != nil {
		return err
	}
	_, failed, err := v.ports.Overview.FailedWebhooks(ctx, 1)
	if err != nil {
		return err
	}
	b.Grace = counts.Kinds[reconcile.HoldGrace].All
	if b.Last != nil {
		for _, gate := range b.Last.Gates {
			b.Waiting = append(b.Waiting, waiting{v.T("today.gate", gate), v.pathTo("run", b.Last.ID), "today.look"})
		}
	}
	for i := range plans {
		if plans[i].Waits() {
			b.Waiting = append(b.Waiting, waiting{plans[i].Reason, v.pathTo("plan", plans[i].ID), "today.decide"})
		}
	}
	for _, one := range []struct {
		key, page string
		n         int
	}{{"today.orders_wait", "withheld", counts.Orders}, {"today.parked_wait", "failing", b.Totals.Parked}, {"today.webhooks_failed", "webhooks", failed}} {
		if one.n > 0 {
			b.Waiting = append(b.Waiting, waiting{v.N(one.key, one.n), v.pathTo(one.page), "today.look"})
		}
	}
	return nil
}

// stuckToday finds the first customers that are parked, or wait after a failure.
func (v *visit) stuckToday(ctx context.Context, b *todayBody) error {
	rows, _, err := v.ports.Directory.CustomerRows(ctx, reconcile.CustomerSearch{Failing: true, Limit: stuckShown})
	for i := range rows {
		r := &rows[i]
		b.Stuck = append(b.Stuck, stuck{ID: r.ID, Who: report.Who(r.Email, r.ID), Href: v.pathTo("customer", r.ID), Error: r.LastError, Parked: !r.Parked.IsZero()})
	}
	return err
}

// shownKinds are the kinds of actions that the first page counts, each with its text.
var shownKinds = []struct {
	kind reconcile.ActionKind
	key  string
}{
	{reconcile.CreateSubscription, "today.created"},
	{reconcile.Resume, "today.resumed"},
	{reconcile.ChangePlan, "today.changed"},
	{reconcile.Suspend, "today.suspended"},
	{reconcile.Terminate, "today.terminated"},
	{reconcile.SendMail, "today.mailed"},
}

// changesToday counts the changes of the last day, and lists the last ones.
func (v *visit) changesToday(ctx context.Context, b *todayBody) error {
	since := b.Now.Add(-aDay)
	counts, err := v.ports.Days.DoneSince(ctx, since)
	if err != nil {
		return err
	}
	for _, k := range shownKinds {
		if n := counts[reconcile.ActionClass{Kind: k.kind, State: reconcile.ActionApplied}] + counts[reconcile.ActionClass{Kind: k.kind, State: reconcile.ActionAdopted}]; n > 0 {
			b.Done = append(b.Done, v.N(k.key, n))
		}
	}
	failed := 0
	for class, n := range counts {
		if class.State == reconcile.ActionFailed {
			failed += n
		}
	}
	if failed > 0 {
		b.Done = append(b.Done, v.N("today.failed", failed))
	}
	actions, err := v.ports.Journal.Actions(ctx, reconcile.ActionFilter{Since: since, Limit: recentRead})
	for _, a := range actions {
		what := report.Phrase(a.Action)
		if what == "" || len(b.Recent) == recentShown || a.State != reconcile.ActionApplied && a.State != reconcile.ActionAdopted && a.State != reconcile.ActionFailed {
			continue
		}
		b.Recent = append(b.Recent, recent{At: a.At(), Who: report.Who(a.Email, a.Customer), Href: v.pathTo("customer", a.Customer), What: what, Bad: a.State == reconcile.ActionFailed})
		if last := &b.Recent[len(b.Recent)-1]; last.Bad {
			last.What, last.Retry = v.T("today.failed_one", what), a.Customer
		}
	}
	return err
}

// conclude finds the one sentence for all: the worst that there is.
func (v *visit) conclude(b *todayBody) {
	b.State, b.Sentence = stateGood, v.N("today.good", b.Totals.Active)
	if b.Last == nil {
		b.State, b.Sentence = stateWait, v.T("today.no_run")
	}
	if n := len(b.Waiting); n > 0 {
		b.State, b.Sentence = stateWait, v.N("today.waits", n)
	}
	switch late := b.Now.Sub(b.Next); {
	case b.Last != nil && b.Last.Error != "":
		b.State, b.Sentence = stateBad, v.T("today.run_failed", b.Last.Error)
	case b.Leading && !b.Next.IsZero() && b.AtWork == "" && late > runOverdue:
		b.State, b.Sentence = stateBad, v.T("today.run_late", v.span(late))
	}
	for _, s := range b.Sides {
		if s.Known && !s.Healthy {
			b.State, b.Sentence = stateBad, v.T("today.side_down", v.T("today.side_"+s.Name), s.Problem)
		}
	}
}

// orders is how long the orders of the last day took from the order to the hosting.
type orders struct {
	Count        int
	Half, Most   string  // within this time the half, and 95 of 100, were live
	Good, Wait   string  // paths of the orders that took up to a minute, and longer
	Slow         []point // that took more than an hour
	Lines, Hours []gridLine
}

// ordersToday makes the chart of the orders of the last day.
func (v *visit) ordersToday(ctx context.Context, b *todayBody) error {
	all, err := v.ports.Days.WentLive(ctx, b.Now.Add(-aDay), mostOrders)
	if err != nil {
		return err
	}
	// Of an order of several hostings the first one counts; all is the newest first.
	seen := map[string]bool{}
	slices.Reverse(all)
	all = slices.DeleteFunc(all, func(w reconcile.WentLive) bool {
		again := seen[w.Subscription]
		seen[w.Subscription] = true
		return again
	})
	if len(all) == 0 {
		return nil
	}
	took := make([]time.Duration, 0, len(all))
	for _, w := range all {
		took = append(took, max(w.Live.Sub(w.Ordered), 0))
	}
	o := &orders{Count: len(all)}
	o.draw(v, all, took, b.Now)
	slices.SortFunc(took, cmp.Compare[time.Duration])
	o.Half, o.Most = v.span(took[(len(took)-1)/2]), v.span(took[(len(took)-1)*95/100])
	b.Orders = o
	return nil
}

// lookNow has a run begin at once.
func (v *visit) lookNow() (done, error) {
	err := v.server.LookNow(v.r.Context())
	return done{to: "/", text: "today.run_begins"}, err
}

package simtest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// fleet is a company of many customers over a year, with the real engine on SQLite: a run
// every eight hours, one of them over everything, and a webhook for each event.
type fleet struct {
	*testenv.Env
	tb     testing.TB
	dice   *rand.Rand
	events map[string]bool // known by a webhook
	ever   int             // customers
	debts  map[string]int  // subscription → the day on which it is paid
}

// Each day, of 1000 subscriptions that are paid for: that many are cancelled, as many are new;
// that many do not pay for five days, which is longer than the grace period; and that many
// take the other plan. That is more than a company ever sees.
const (
	leaving  = 3
	owing    = 7
	changing = 5
)

func newFleet(tb testing.TB, size int, keep time.Duration) *fleet {
	tb.Helper()
	f := &fleet{tb: tb, dice: rand.New(rand.NewPCG(1, 2)), events: map[string]bool{}, debts: map[string]int{}}
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	f.Env = testenv.New(tb, testenv.Options{Log: silent, World: simulator.Options{RequestLog: 1}, Engine: func(o *engine.Options) {
		o.Keep = keep
		o.Policy.Retention = 30 * 24 * time.Hour
	}})
	for range size {
		f.order()
		if f.ever%20 == 0 { // fewer than the brake holds
			f.World.Advance(25 * time.Hour)
			f.run(true)
		}
	}
	return f
}

func (f *fleet) must(err error) {
	f.tb.Helper()
	if err != nil {
		f.tb.Fatal(err)
	}
}

func (f *fleet) order() {
	f.tb.Helper()
	f.ever++
	_, err := f.World.SignUp(simulator.SignUp{Email: fmt.Sprintf("customer%d@example.com", f.ever), Price: "price_basic_monthly",
		Domain: fmt.Sprintf("customer%d.example", f.ever)})
	f.must(err)
}

func (f *fleet) run(full bool) {
	f.tb.Helper()
	for _, e := range f.World.Events() {
		if strings.HasPrefix(e.Object, "sub_") && !f.events[e.ID] {
			f.events[e.ID] = true
			_, err := f.Store.LogWebhook(f.tb.Context(), e.ID, e.Type, e.Object, true, f.World.Now())
			f.must(err)
		}
	}
	rep := f.Run(engine.Request{Trigger: "cron", Full: full})
	f.Approve(rep) // a day may have more of one kind than the brake lets through
	f.must(f.Store.WebhookResult(f.tb.Context(), "", f.World.Now(), "", f.World.Now()))
}

func (f *fleet) day(day int) {
	f.tb.Helper()
	for _, s := range f.World.Subscriptions() {
		if f.debts[s.ID] == day && s.Status == "past_due" {
			f.must(f.World.Pay(s.ID))
		}
		if s.Status != "active" {
			continue
		}
		switch n := f.dice.IntN(1000); {
		case n < leaving:
			f.must(f.World.Cancel(s.ID))
			f.order()
		case n < leaving+owing:
			f.must(f.World.FailPayment(s.ID))
			f.debts[s.ID] = day + 5
		case n < leaving+owing+changing:
			other := "price_pro_monthly"
			if s.Items[0].Price == other {
				other = "price_basic_monthly"
			}
			f.must(f.World.ChangePrice(s.ID, "", other))
		}
	}
	for n := range 3 {
		f.World.Advance(8 * time.Hour)
		f.run(n == 0)
	}
}

// figures are the size of the database at a moment.
type figures struct {
	bytes, packed        int64 // as the file is, and as a backup is
	rows                 int64 // of all tables
	actions, runs, hooks int
	ever, alive          int
}

func (f *fleet) figures(day int) figures {
	f.tb.Helper()
	ctx := f.tb.Context()
	const all = 10_000_000
	size, err := f.Store.Size(ctx)
	f.must(err)
	b, err := f.Store.Backup(ctx, filepath.Join(f.tb.TempDir(), "copy.db"))
	f.must(err)
	actions, err := f.Store.Actions(ctx, reconcile.ActionFilter{Limit: all})
	f.must(err)
	runs, err := f.Store.Runs(ctx, all)
	f.must(err)
	hooks, err := f.Store.RecentWebhooks(ctx, all)
	f.must(err)
	at := figures{bytes: size, packed: b.Bytes, rows: b.Rows, actions: len(actions), runs: len(runs), hooks: len(hooks), ever: f.ever}
	for _, s := range f.World.Subscriptions() {
		if s.Status == "active" {
			at.alive++
		}
	}
	f.tb.Logf("day %3d: %6d kB (%6d kB packed), %6d rows; journal %5d, runs %4d, webhooks %5d; customers %d, ever %d",
		day, at.bytes/1000, at.packed/1000, at.rows, at.actions, at.runs, at.hooks, at.alive, at.ever)
	return at
}

// rightAtTheEnd compares the panel with what is paid for.
func (f *fleet) rightAtTheEnd() {
	f.tb.Helper()
	up := map[string]bool{}
	for _, h := range f.World.Hostings() {
		if h.Status == "active" && h.SuspendedBy == "" {
			_, rest, _ := strings.Cut(h.FriendlyName, "[")
			sub, _, _ := strings.Cut(rest, "/")
			up[strings.TrimSuffix(sub, "]")] = true
		}
	}
	for _, s := range f.World.Subscriptions() {
		if s.Status == "active" && !up[s.ID] {
			f.tb.Errorf("%s is paid for and not up", s.ID)
		}
		if s.Status == "canceled" && up[s.ID] {
			f.tb.Errorf("%s is cancelled and up", s.ID)
		}
	}
	if v := f.World.Violations(); len(v) > 0 {
		f.tb.Errorf("sent what must never be sent: %v", v)
	}
}

// TestAYearOfAFleet lets a fleet live on with JOURNAL_KEEP at its shortest, and shows the size
// of the database a quarter. Once that time is over, nothing of the history grows; who has
// been a customer keeps some rows. `make year` has more customers, a whole year, and the usual
// JOURNAL_KEEP as well.
func TestAYearOfAFleet(t *testing.T) {
	size, days := int(number(t, "FLEET", 25)), int(number(t, "DAYS", 200))
	short := live(t, size, days, 90*24*time.Hour)
	half, end := short[2], short[3]
	const each = 25 // rows of a customer and a hosting, and what stays of their history
	if grown, limit := end.rows-half.rows, int64(each*(end.ever-half.ever)+(half.hooks+half.runs)/10); grown > limit {
		t.Errorf("%d rows more in the last quarter with %d new customers, want %d at most", grown, end.ever-half.ever, limit)
	}
	if limit := half.runs + half.runs/20; end.runs > limit {
		t.Errorf("%d runs a quarter before the end, and %d at the end", half.runs, end.runs)
	}
	if end.bytes > end.packed+end.packed/4 {
		t.Errorf("of %d bytes %d are free", end.bytes, end.bytes-end.packed)
	}
	if _, long := os.LookupEnv("DAYS"); long {
		live(t, size, days, 2*365*24*time.Hour)
	}
}

// live returns the figures at the end of each quarter of the days.
func live(t *testing.T, size, days int, keep time.Duration) (quarters []figures) {
	t.Helper()
	t.Logf("%d customers, %d days, JOURNAL_KEEP=%dd", size, days, keep/(24*time.Hour))
	f := newFleet(t, size, keep)
	for day := range days {
		f.day(day)
		if (day+1)%(days/4) == 0 {
			quarters = append(quarters, f.figures(day+1))
		}
	}
	f.run(true)
	f.rightAtTheEnd()
	return quarters
}

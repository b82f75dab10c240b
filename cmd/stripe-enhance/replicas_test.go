//go:build unix

package main

import (
	"cmp"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// The ways in which a writer can be lost. Each is put into practice while the panel
// has a create in hand whose answer the writer has not heard, and while the creates
// of seven other customers, whose intents are stored, wait for their turn.
var losses = []struct {
	name string
	lose func(*drill)
	back func(*drill) // nil: it does not come back
}{
	{"killed", (*drill).kill, nil},
	{"frozen", (*drill).freeze, (*drill).thaw},
	{"cut from the database", (*drill).cut, (*drill).mend},
}

// drill is three replicas on one PostgreSQL, of which the first leads.
type drill struct {
	*site
	*testing.T
	database string // past every wire
	first    *replica
	line     *wire // of the first to the database
	heirs    []*replica
	effects  int      // when the first was lost
	sent     []string // what the first had recorded as sent by then, as in [drill.nothingBefore]
}

// The order of events is compared, and no duration.
//
// One of these fails if there is no fence before the wire (the frozen process wakes and
// creates seven organisations a second time), if a lease stays valid without end (six), if a
// transaction may stand still without limit (no process takes over from the one that was cut
// off), if the journal requires no token, or if any process may take the lease at any time.
func TestAWriterThatIsLostIsReplacedAndNothingHappensTwice(t *testing.T) {
	for _, loss := range losses {
		t.Run(loss.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for leases to run out
			d := newDrill(t)
			customers := several("customer", 8)
			d.losing(func() { d.signUp(customers...) }, func() { loss.lose(d) })
			until := d.leaseEnd()
			heir := writer(t, d.heirs...)
			t.Logf("%s led %s after the lease of the first had run out", heir.name, time.Since(until).Round(time.Millisecond))
			d.settledFor(len(customers))
			d.nothingBefore(until)
			if loss.back != nil {
				loss.back(d)
				eventually(t, "the first is a follower", func() bool { return !d.first.leads() })
			}
			d.signUp("afterwards") // the heir still leads, and works
			d.settledFor(len(customers) + 1)
			d.everythingOnce(len(customers) + 1)
		})
	}
}

func newDrill(t *testing.T) *drill {
	t.Helper()
	d := &drill{T: t, database: pgtest.Empty(t)}
	d.site = newSite(t, d.database)
	var through string
	d.line, through = newWire(t, d.database)
	// So slow that the creates of eight customers wait for each other, and that
	// most of them would come after the lease.
	d.first = d.begin("first", "DATABASE_URL="+through, "ENHANCE_RPS=4")
	d.heirs = []*replica{d.begin("second"), d.begin("third")}
	for _, r := range append(d.heirs, d.first) {
		r.up() // three of them migrated one empty database together
	}
	d.mapPrices()
	d.makeFirst()
	return d
}

// makeFirst hands the lease to the first replica: the others are frozen until it
// has got it.
func (d *drill) makeFirst() {
	d.Helper()
	for _, r := range d.heirs {
		d.signal(r, syscall.SIGSTOP)
	}
	eventually(d, "the first leads", d.first.leads)
	for _, r := range d.heirs {
		d.signal(r, syscall.SIGCONT)
	}
	eventually(d, "one leads", func() bool { return d.first.leads() && !d.heirs[0].leads() && !d.heirs[1].leads() })
}

func (d *drill) signal(r *replica, s syscall.Signal) {
	d.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		d.Fatalf("%s to %s: %v", s, r.name, err)
	}
}

// losing starts an event, and loses the writer while the panel has the first create in hand.
// Then the panel does it, and its answer reaches no process.
func (d *drill) losing(happen, lose func()) {
	d.Helper()
	reached, lost := make(chan struct{}), make(chan struct{})
	var creates, calls atomic.Int32
	var all sync.RWMutex // held while they order, so that one run sees all of them
	d.world.SetFault(func(c simulator.Call) simulator.Fault {
		calls.Add(1)
		all.RLock()
		defer all.RUnlock()
		if c.Route == "POST /orgs/{org}/customers" && creates.Add(1) == 1 {
			close(reached)
			<-lost // there are no more orders
		}
		return simulator.Fault{}
	})
	// A request that is in hand when they begin to order could be answered with some of the
	// orders, so the writer is stopped first, until no request comes any more.
	d.signal(d.first, syscall.SIGSTOP)
	before := int32(-1)
	eventually(d, "no request is in hand", func() bool {
		now := calls.Load()
		defer func() { before = now }()
		return now == before
	})
	all.Lock()
	happen()
	all.Unlock()
	d.signal(d.first, syscall.SIGCONT)
	select {
	case <-reached:
	case <-time.After(patience):
		d.Fatal("no create was sent")
	}
	eventually(d, "other creates wait for their turn", func() bool { return d.count("SELECT count(*) FROM actions WHERE state = 'sent'") > 4 })
	lose()
	close(lost)
}

func (d *drill) kill() { d.signal(d.first, syscall.SIGKILL); <-d.first.ended }

func (d *drill) freeze() { d.signal(d.first, syscall.SIGSTOP) }

func (d *drill) thaw() {
	effects := len(d.world.Effects())
	d.signal(d.first, syscall.SIGCONT)
	// It wakes with an answer that it wants to record and seven creates that are
	// overdue. The record is refused by the token, the creates by the fence.
	d.first.says(0, "outcome not recorded", "no longer the lease's")
	d.first.says(0, "run interrupted")
	for _, e := range d.world.Effects()[effects:] {
		d.Errorf("when the frozen one woke, %s was done once more at Enhance, for %s", e.Kind, e.After.Name)
	}
}

// cut severs the line in the middle of a transaction that has locked the lease's
// row: the renewal of the lease, or the record of an outcome.
func (d *drill) cut() {
	select {
	case <-d.line.cutAfter("FROM leases WHERE name"):
	case <-time.After(patience):
		d.Fatal("no transaction to cut off")
	}
}

func (d *drill) mend() {
	d.line.mend()
	d.first.says(0, "run interrupted")
}

// ask is one row of the database, past the wires.
func (d *drill) ask(query string, dst ...any) {
	d.Helper()
	db, err := sql.Open("pgx", d.database)
	if err != nil {
		d.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(d.Context(), query).Scan(dst...); err != nil {
		d.Fatal(err)
	}
}

func (d *drill) count(query string) (n int) {
	d.Helper()
	d.ask(query, &n)
	return n
}

// leaseEnd is when the lease of the lost writer runs out.
func (d *drill) leaseEnd() (until time.Time) {
	d.Helper()
	d.effects = len(d.world.Effects())
	var sent string
	d.ask(`SELECT expires_at, (SELECT coalesce(string_agg(kind || ' ' || coalesce(nullif(subscription_id, ''), org_id), ','), '')
		FROM actions WHERE state = 'sent') FROM leases WHERE name = 'writer'`, &until, &sent)
	d.sent = strings.Split(sent, ",")
	return until
}

// eachCustomer is what is done for everybody who orders. The database alone does not show that
// all of it is done: between two of these the journal has nothing open.
var eachCustomer = []string{"create_org", "create_subscription", "rename_org", "invite_owner"}

// settledFor waits until everything is done for each of n customers.
func (d *drill) settledFor(n int) {
	d.Helper()
	eventually(d, fmt.Sprintf("%d customers have their hosting, and nothing is left to do", n), func() bool {
		kinds := map[string]int{}
		for _, e := range d.world.Effects() {
			kinds[e.Kind]++
		}
		missing := slices.ContainsFunc(eachCustomer, func(kind string) bool { return kinds[kind] < n })
		return !missing && d.count("SELECT count(*) FROM actions WHERE state IN ('planned', 'sent', 'ambiguous')") == 0
	})
}

// nothingBefore fails the test if anything was done between the loss of the writer and the
// end of its lease, except what the writer had recorded as sent: one that is cut from the
// database may still send that, because until then the lease is its own.
func (d *drill) nothingBefore(until time.Time) {
	d.Helper()
	for _, e := range d.world.Effects()[d.effects:] {
		begun := e.Kind == "create_org" || slices.Contains(d.sent, e.Kind+" "+cmp.Or(e.Subscription, e.Org))
		if e.At.Before(until) && !begun {
			d.Errorf("%s for %s at %s, before the lease of the lost writer ended at %s", e.Kind, e.After.Name, e.At, until)
		}
	}
}

// everythingOnce compares the effects at the panel with n orders.
func (d *drill) everythingOnce(n int) {
	d.Helper()
	done, kinds := map[string]int{}, map[string]int{}
	for _, e := range d.world.Effects() {
		kinds[e.Kind]++
		what := fmt.Sprintf("%s %s", e.Kind, e.Org)
		if e.Kind == "create_org" {
			what = e.Kind + " " + e.After.Name // two of them have two ids
		}
		done[what]++
	}
	for what, times := range done {
		if times > 1 {
			d.Errorf("%s was done %d times", what, times)
		}
	}
	want := map[string]int{}
	for _, kind := range eachCustomer {
		want[kind] = n
	}
	if diff := gocmp.Diff(want, kinds); diff != "" {
		d.Errorf("what was done (-want +got):\n%s", diff)
	}
	if v := d.world.Violations(); len(v) > 0 {
		d.Errorf("sent what must never be sent: %v", v)
	}
	if down := slices.ContainsFunc(d.world.Hostings(), func(h simulator.Hosting) bool { return h.SuspendedBy != "" || strings.EqualFold(h.Status, "deleted") }); down {
		d.Error("a paying customer has no hosting")
	}
}

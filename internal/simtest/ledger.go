package simtest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing/iotest"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// ledger is the checker's knowledge: the effects and state of the simulators, the
// operator's settings, and the times at which each run looked. It contains nothing that the
// program believes.
type ledger struct {
	desk
	identities
	statements
	contents
	letters
	twins      twinsDesk
	acting     *process          // whose effect is looked at; nil: of a call that took effect later
	offer      map[string]string // price → plan, as it should be
	prices     []string
	shots      []shot // the last minutes, oldest first
	seen       int    // effects looked at
	origin     map[int]origin
	up         map[string]time.Time // subscription → when it was last seen up
	well       map[string]bool      // subscriptions that were in good standing when last seen
	owing      map[string]time.Time // subscription → when it first was past_due or unpaid since it was last paid
	forgiven   map[string]time.Time // subscription → when it came to be so without a payment
	orgs       map[string]string    // orgs made through the API → customer
	emptied    map[string]bool      // orgs in which staff deleted or renamed a hosting
	most       map[string]int       // subscription → most units that it had at any moment
	sold       map[string]bool      // items that were mapped to a plan at some time
	soldIn     map[string]bool      // subscriptions with such items
	more       map[string]int       // subscription → hostings that the operator unbound for good, so that others replace them
	days       []dated              // effects that a brake counts
	approvals  []approval
	waiting    map[string]string // changes that held plans showed when the run at work began → plan
	suspension firstSuspension
	byHand     []string          // addresses of owners of orgs made by staff
	owner      map[string]string // org made by staff → who owns it
	makers     map[string]maker  // of hostings and orgs, by id
	allSeen    bool              // at the end: full runs have seen every subscription
	raced      int               // things made twice by two installations that ran at the same moment
	blind      bool              // a listing of the panel went wrong in the run at work
	lost       time.Time
	others     map[int]time.Time // hostings → when staff or a second installation last changed them
	violent    int               // violations of the simulators looked at
	last       reconcile.Report
	disputed   map[string]bool // subscriptions with a dispute that is open or lost
	charged    map[string]bool // Stripe customers with such a dispute, or a refund
	answered   map[string]bool // subscriptions served in the run at work
	billed     map[string]bool // subscriptions whose invoices were served in the run at work
	asked      map[string]int  // item → the most units that were ordered of it
	read       map[int]bool    // hostings served in the run at work
}

// desk is the operator's part of the database, which is lost with it.
type desk struct {
	mappings map[string]string
	manual   []manual
	known    map[string]bool   // subscriptions that a run which ended well has seen
	isNew    map[string]bool   // orders that the operator has called new
	unbound  map[int]unbound   // hostings that the operator has unbound
	rebound  map[int]bool      // hostings that the operator has bound again
	looked   map[int]time.Time // hostings → when this installation last read them
	spells   map[string]spellRead
	// hasMet: a run has seen every hosting of the panel; populated: and some of them
	// were made by staff before anything was bound.
	hasMet, populated bool
}

// manual is a hold that a person set.
type manual struct {
	id, customer, subscription string
	kind                       reconcile.ManualKind
	since                      time.Time
}

type backup struct {
	db   *database
	desk desk
}

// origin is where a hosting came from, and what staff did to it.
type origin struct {
	staff        bool
	made         time.Time
	bound        bool   // a run that ended well has read it, and no database was lost since
	late         bool   // it was made after its caller had given up
	subscription string // of its marker when it was made
	org          string // in which it was made
	gone         time.Time
	suspended    time.Time // by us, if the last suspension was ours
	byStaff      time.Time // by staff, if it was theirs
}

// firstSuspension is when a program first suspended a hosting, and which. What the panel shows
// of it teaches the program how the panel names it.
type firstSuspension struct {
	hosting int
	at      time.Time
}

// dated is an effect under a brake; run is the run that it was done in.
type dated struct {
	kind string
	at   time.Time
}

type approval struct {
	kind reconcile.ActionKind
	n    int
	at   time.Time
}

func newDesk() desk {
	return desk{mappings: map[string]string{}, known: map[string]bool{}, isNew: map[string]bool{}, unbound: map[int]unbound{}, rebound: map[int]bool{}, looked: map[int]time.Time{}, spells: map[string]spellRead{}}
}

func (d desk) clone() desk {
	d.mappings, d.manual, d.known, d.isNew = maps.Clone(d.mappings), slices.Clone(d.manual), maps.Clone(d.known), maps.Clone(d.isNew)
	d.unbound, d.looked, d.spells = maps.Clone(d.unbound), maps.Clone(d.looked), maps.Clone(d.spells)
	return d
}

func (l *ledger) begin(offer map[string]int) {
	l.desk, l.identities, l.statements, l.contents, l.offer = newDesk(), newIdentities(), newStatements(), newContents(), map[string]string{}
	l.letters = newLetters()
	l.origin, l.orgs, l.most, l.more, l.answered = map[int]origin{}, map[string]string{}, map[string]int{}, map[string]int{}, map[string]bool{}
	l.billed, l.asked = map[string]bool{}, map[string]int{}
	for price, plan := range offer {
		l.offer[price] = strconv.Itoa(plan)
	}
	l.sold, l.soldIn = map[string]bool{}, map[string]bool{}
	l.owner, l.makers, l.others = map[string]string{}, map[string]maker{}, map[int]time.Time{}
	l.read, l.emptied, l.up = map[int]bool{}, map[string]bool{}, map[string]time.Time{}
	l.well, l.forgiven, l.owing = map[string]bool{}, map[string]time.Time{}, map[string]time.Time{}
	l.disputed, l.charged = map[string]bool{}, map[string]bool{}
	l.prices = slices.Sorted(maps.Keys(offer))
}

// restored puts the operator's desk back with the database.
func (y *play) restored(d desk) {
	y.desk, y.lost = d, y.world.Now()
	for id, o := range y.origin {
		o.bound = false
		y.origin[id] = o
	}
}

// shot is the state of all subscriptions at one instant.
type shot struct {
	at    time.Time
	bills map[string]*bill
}

// bill is one Stripe subscription as the policy sees it.
type bill struct {
	id, customer string
	status       string
	entitlement  entitlement
	units        int // of items that are mapped to a plan
	none         int // items with prices that the operator maps to no hosting
	turned       int // units of those that were sold as hosting before
	items        int
	whole        bool // every item is mapped to a plan
	mapped       bool // at least one is
	plans        []int
	ended        time.Time
	secondTrial  bool // TRIALS=one
	perhapsTrial bool // it is a second trial for a program that has read the first one
}

type entitlement int

const (
	keep   entitlement = iota // give nothing, take nothing
	up                        // entitled
	down                      // to be suspended
	either                    // up or down: the program may not know which
	ended                     // to be suspended, and in the end deleted
)

// window is how far back the checker remembers facts that a program may not have known.
const (
	tolerance = 60 * time.Second
	window    = 4 * time.Minute
)

// watch records what every customer pays for now.
func (y *play) watch() {
	now := y.world.Now()
	s := shot{now, map[string]*bill{}}
	plans := map[string]int{}
	for _, p := range y.world.Plans() {
		plans[strconv.Itoa(p.ID)], plans[p.Name] = p.ID, p.ID
	}
	all := y.world.Subscriptions()
	for _, sub := range all {
		b := y.billOf(sub, plans, now)
		b.customer = sub.Customer
		s.bills[sub.ID] = b
	}
	y.trials(all, s.bills)
	y.suspendedByDispute(s.bills)
	for _, sub := range all {
		b := s.bills[sub.ID]
		if b.entitlement == up || b.entitlement == either {
			y.up[sub.ID] = now
		}
		total := 0
		for _, it := range sub.Items {
			units := int(max(it.Quantity, 1))
			y.asked[it.ID] = max(y.asked[it.ID], units)
			if y.mappings[it.Price] == "" {
				units = y.asked[it.ID] // it keeps what it had, whatever its quantity is now
			}
			total += units
		}
		y.most[sub.ID] = max(y.most[sub.ID], total)
	}
	if n := len(y.shots); n > 0 && y.shots[n-1].at.Equal(now) {
		y.shots = y.shots[:n-1]
	}
	for len(y.shots) > 1 && now.Sub(y.shots[1].at) > window {
		y.shots = y.shots[1:]
	}
	y.shots = append(y.shots, s)
}

// billOf applies the policy, as docs/policy.md describes it, to one subscription.
func (y *play) billOf(sub simulator.Subscription, plans map[string]int, now time.Time) *bill {
	b := &bill{id: sub.ID, status: sub.Status, whole: true, items: len(sub.Items)}
	for _, it := range sub.Items {
		if y.sellsNone(sub, it, b) {
			continue
		}
		plan := plans[y.mappings[it.Price]]
		if y.mappings[it.Price] == "" || plan == 0 || it.Quantity > 100 {
			b.whole = false
			continue
		}
		b.mapped, y.sold[it.ID], y.soldIn[sub.ID] = true, true, true
		for range it.Quantity {
			b.plans = append(b.plans, plan)
			b.units++
		}
	}
	y.forgave(sub, now)
	switch sub.Status {
	case "active", "trialing":
		b.entitlement = up
	case "past_due":
		b.entitlement = y.graceOf(sub, now)
	case "unpaid", "paused":
		b.entitlement = down
	case "canceled", "incomplete_expired":
		b.entitlement, b.ended = ended, time.Unix(sub.EndedAt, 0)
	}
	if (b.entitlement == up || b.entitlement == either) && sub.PauseCollection != "" && y.Company.Policy.SuspendPaused {
		b.entitlement = down
	}
	return b
}

// bill is a subscription now.
func (l *ledger) bill(id string) *bill { return l.shots[len(l.shots)-1].bills[id] }

// since are the shots that a program may have acted on which read at the earliest
// at an instant: the state then, and every one after.
func (l *ledger) since(at time.Time) []shot {
	i := len(l.shots) - 1
	for i > 0 && l.shots[i].at.After(at) {
		i--
	}
	return l.shots[i:]
}

// orgListed finds the org, and the hosting if there is one, in the path of a read.
var orgListed = regexp.MustCompile(`/([-0-9a-f]{36})/subscriptions(?:/([0-9]+))?$`)

// served records which subscriptions and hostings an answer showed to the program.
func (y *play) served(p *process, r *http.Request, answer *http.Response, err error) {
	y.calls++
	if y.traced {
		status := 0
		if answer != nil {
			status = answer.StatusCode
		}
		y.logf("  %d %s %s %d %v", p.number, r.Method, r.URL.RequestURI(), status, err != nil)
	}
	if err == nil && answer.StatusCode == http.StatusNotFound {
		y.sawGone(p, r)
	}
	if err != nil || r.Method != http.MethodGet || answer.StatusCode != http.StatusOK {
		return
	}
	id, one := strings.CutPrefix(r.URL.Path, "/v1/subscriptions/")
	one = one && json.Valid(peek(answer)) // else it cannot be read
	switch {
	case one && p.number == second:
		y.twins.answered[id] = true
	case one:
		y.answered[id] = true
	}
	if p.number == second {
		return // this installation does not know what a second one reads
	}
	if r.URL.Path == "/v1/invoices" {
		y.billed[r.URL.Query().Get("subscription")] = true
	}
	if of := orgListed.FindStringSubmatch(r.URL.Path); of != nil {
		y.sawHostings(of[1], of[2], answer)
	}
}

// sawHostings records what the listing of an org, or the answer about one hosting, showed.
func (y *play) sawHostings(org, one string, answer *http.Response) {
	var shown map[int]bool
	if one == "" {
		shown = hostingsIn(answer) // a listing may be a minute old, and lack the newest
	}
	for _, h := range y.world.Hostings() {
		if h.Org == org && (one == "" && shown[h.ID] || one == strconv.Itoa(h.ID)) {
			y.read[h.ID], y.looked[h.ID] = true, y.world.Now()
		}
	}
}

// peek reads an answer, which the program reads after that, to the same end.
func peek(answer *http.Response) []byte {
	body, end := io.ReadAll(answer.Body)
	if end == nil {
		end = io.EOF
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), iotest.ErrReader(end)), answer.Body}
	return body
}

// hostingsIn are the hostings that the answer to a listing shows.
func hostingsIn(answer *http.Response) map[int]bool {
	var page struct {
		Items []struct {
			ID int `json:"id"`
		} `json:"items"`
	}
	shown := map[int]bool{}
	if json.Unmarshal(peek(answer), &page) == nil {
		for _, item := range page.Items {
			shown[item.ID] = true
		}
	}
	return shown
}

// sawGone notes that a run has seen that a hosting is gone.
func (y *play) sawGone(p *process, r *http.Request) {
	if of := orgListed.FindStringSubmatch(r.URL.Path); of != nil && r.Method == http.MethodGet && p.number != second {
		id, _ := strconv.Atoi(of[2])
		y.looked[id] = y.world.Now()
	}
}

// bears reports whether a name at the panel bears a marker. If the name only has the mark
// of a suspension of ours, it ends in a bracket too.
func bears(name string) bool {
	_, marked := reconcile.MarkerOf(name)
	return marked
}

// marked reports whether a hosting bears a marker now. If it does not, a database that does
// not know the hosting yet cannot learn whose it is.
func (y *play) marked(hosting int) bool {
	for _, h := range y.world.Hostings() {
		if h.ID == hosting {
			return bears(h.FriendlyName)
		}
	}
	return false
}

// learned counts the subscriptions and hostings that a run read as known, if it ended well.
func (y *play) learned(p *process) {
	if p.number == second {
		y.twins.learned(p)
		return
	}
	if !p.dry {
		for id := range y.answered {
			y.known[id] = true
		}
		for id := range y.read {
			o := y.origin[id]
			o.bound = o.bound || y.marked(id)
			y.origin[id] = o
		}
		y.readBills()
	}
	clear(y.answered)
	clear(y.billed)
	clear(y.read)
}

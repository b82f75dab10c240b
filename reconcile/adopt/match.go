package adopt

import (
	"cmp"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// together is how far apart org and subscription are made when one order made both.
	together = 48 * time.Hour
	// mostCompared is how many hostings of one org are compared with one order: more than a
	// subscription can pay for.
	mostCompared = 200
	// doubt is the part of the score that is left to a pair which a person has to judge.
	doubtNum, doubtDen = 3, 4
)

// Match returns a row for each hosting, and for each order that is left without one.
func Match(f Facts) []Pair {
	m := newMatcher(f)
	rows := m.pairUp(m.edges())
	slices.SortFunc(rows, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Subscription, b.Subscription),
			cmp.Compare(a.Org, b.Org), cmp.Compare(a.Hosting, b.Hosting))
	})
	return rows
}

// edge is one order beside a hosting that it may be paying for.
type edge struct {
	o        *Order
	h        *Hosting
	evidence []Evidence
	score    int
	why      string // a person has to decide, because; "": it is certain
}

// edges are all pairs that something speaks for.
func (m *matcher) edges() []edge {
	var all []edge
	for i := range m.orders {
		o := &m.orders[i]
		if o.Ignored != "" || o.New || o.units() == 0 {
			continue
		}
		for _, org := range m.candidates(o) {
			hostings := m.byOrg[org]
			if len(hostings) > mostCompared {
				hostings = slices.DeleteFunc(slices.Clone(hostings), func(h *Hosting) bool { return o.Free[h.Plan] == 0 && !m.names(o, h) })
				slices.SortStableFunc(hostings, func(a, b *Hosting) int { return compareBool(m.names(o, b), m.names(o, a)) })
				hostings = hostings[:min(len(hostings), mostCompared)]
			}
			for _, h := range hostings {
				e := edge{o: o, h: h, evidence: m.evidence(o, h), why: m.doubt(o, h)}
				e.score = scoreOf(e.evidence)
				if e.why != "" {
					e.score = e.score * doubtNum / doubtDen
				}
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, func(a, b edge) int {
		return cmp.Or(compareBool(a.why != "", b.why != ""), cmp.Compare(b.score, a.score),
			cmp.Compare(a.o.Subscription, b.o.Subscription), cmp.Compare(a.h.ID, b.h.ID))
	})
	return all
}

// compareBool puts false first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func scoreOf(evidence []Evidence) (score int) {
	for _, w := range weights {
		if slices.Contains(evidence, w.evidence) {
			score += w.weight
		}
	}
	return min(score, 100)
}

// candidates are the orgs with hostings that may be an order's, in order.
func (m *matcher) candidates(o *Order) []string {
	var all []string
	add := func(org string) {
		if len(m.byOrg[org]) > 0 && !slices.Contains(all, org) {
			all = append(all, org)
		}
	}
	for org := range m.orgsOf[o.Customer] {
		add(org)
	}
	add(o.Org)
	if b := m.buyers[o.Customer]; b != nil {
		for _, org := range m.byName[reconcile.NameKey(b.Name)] {
			add(org)
		}
	}
	slices.Sort(all)
	return all
}

// evidence is what speaks for a pair, the strongest first.
func (m *matcher) evidence(o *Order, h *Hosting) []Evidence {
	org, email := m.orgs[h.Org], m.email(o.Customer)
	owners := org.owners()
	owns := email != "" && slices.Contains(owners, email)
	is := map[Evidence]bool{
		Metadata:   o.MetadataHosting == h.ID || o.MetadataHosting == 0 && o.MetadataOrg == h.Org,
		OwnerEmail: owns && len(owners) == 1,
		OneOwner:   owns && len(owners) > 1,
		CustomerOf: o.Org == h.Org,
		Domain:     m.siteOn(o, h),
		Plan:       o.Free[h.Plan] > 0,
		Count:      o.Free[h.Plan] > 0 && m.paidFor(o.Customer, h.Plan) == m.there(h.Org, h.Plan),
		Name:       m.sameName(o, org),
		Created:    !o.Created.IsZero() && !org.Created.IsZero() && o.Created.Sub(org.Created).Abs() <= together,
	}
	var all []Evidence
	for _, w := range weights {
		if is[w.evidence] {
			all = append(all, w.evidence)
		}
	}
	return all
}

// pairUp takes the best pairs first, and gives no hosting and no unit away twice. An order
// or a hosting that is left is a row by itself.
func (m *matcher) pairUp(edges []edge) (rows []Pair) {
	taken := map[int64]bool{}
	left := map[string]int{}   // subscription → units
	byPlan := map[string]int{} // slot → units of one plan
	for i := range m.orders {
		o := &m.orders[i]
		left[o.Subscription] = o.units()
		for plan, free := range o.Free {
			byPlan[slot(o, plan)] = free
		}
	}
	for _, e := range edges {
		fits := e.o.Free[e.h.Plan] > 0
		if taken[e.h.ID] || left[e.o.Subscription] == 0 || fits && byPlan[slot(e.o, e.h.Plan)] == 0 {
			continue
		}
		taken[e.h.ID] = true
		left[e.o.Subscription]--
		if fits {
			byPlan[slot(e.o, e.h.Plan)]--
		}
		rows = append(rows, m.paired(e))
	}
	for i := range m.hostings {
		if h := &m.hostings[i]; !taken[h.ID] {
			rows = append(rows, m.hostingAlone(h))
		}
	}
	for i := range m.orders {
		if o := &m.orders[i]; left[o.Subscription] > 0 {
			rows = append(rows, m.orderAlone(o, left[o.Subscription], byPlan))
		}
	}
	return rows
}

// slot is a plan of an order, as a key.
func slot(o *Order, plan int) string { return o.Subscription + ":" + reconcile.FormatID(int64(plan)) }

func (m *matcher) paired(e edge) Pair {
	org := m.orgs[e.h.Org]
	p := Pair{Customer: e.o.Customer, Subscription: e.o.Subscription, Email: m.typed(e.o.Customer), Org: org.ID, OrgName: org.Name,
		Hosting: e.h.ID, Plan: e.h.Plan, Score: e.score, Evidence: e.evidence, Decision: Link, Reason: agrees(e.evidence)}
	if e.why != "" {
		p.Decision, p.Reason = Review, e.why
	}
	return p
}

func (m *matcher) hostingAlone(h *Hosting) Pair {
	org := m.orgs[h.Org]
	p := Pair{Org: h.Org, OrgName: org.Name, Hosting: h.ID, Plan: h.Plan, Email: org.OwnerEmail, Decision: Review}
	for _, key := range org.owners() {
		for _, id := range m.emails[key] {
			p.Customer = id
		}
	}
	switch {
	case h.Ignored != "":
		p.Decision, p.Reason = Ignore, h.Ignored
	case p.Customer != "":
		p.Reason = nothingLeftFor(p.Customer)
	default:
		p.Reason = paidByNone
	}
	return p
}

func (m *matcher) orderAlone(o *Order, left int, byPlan map[string]int) Pair {
	p := Pair{Customer: o.Customer, Subscription: o.Subscription, Email: m.typed(o.Customer), Org: o.Org, Decision: Review, Reason: nothingLike(o, left)}
	if org := m.orgs[o.Org]; org != nil {
		p.OrgName = org.Name
	}
	for plan := range o.Free {
		if byPlan[slot(o, plan)] > 0 && (p.Plan == 0 || plan < p.Plan) {
			p.Plan = plan
		}
	}
	switch {
	case o.Ignored != "":
		p.Decision, p.Reason = Ignore, o.Ignored
	case o.New:
		p.Decision, p.Reason = New, decidedNew
	}
	return p
}

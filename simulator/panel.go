package simulator

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// panel is Enhance's side of the world. It is one value, so that it can be copied and
// restored like a backup.
type panel struct {
	our    *Org   // the organisation that sells
	master string // its parent, which the token may not touch
	staff  string // the person who suspends by hand

	plans     []*Plan
	orgs      []*Org // the customers, in order of creation
	orgByID   map[string]*Org
	hostings  []*Hosting // in order of creation, so sorted by ID
	websites  []*Website
	domains   map[string]*Website // lower case; also those of deleted websites
	backups   Backups             // how the panel makes them
	apps      Apps                // how the panel installs them
	quota     []Resource          // of the organisation that sells; none: unlimited
	logins    map[string]*Login   // by lower-case e-mail
	loginByID map[string]*Login

	nextHosting int
	listings    map[string][]*Org // filtered lists of customers, until a customer changes
}

// Resource is a quota of a plan or its use in a hosting.
type Resource struct {
	Name  string // diskspace, websites, mailboxes, … as in orchd's ResourceName
	Total int64  // negative: unlimited, which is left out on the wire
}

// Plan is a hosting plan. Names are not unique.
type Plan struct {
	ID        int
	Name      string
	Resources []Resource
	// ServerGroups has the groups among which a website may choose; empty: it may not.
	ServerGroups []string
	createdAt    time.Time
	hostings     int // the number of those not deleted
}

// Org is a customer's organisation. Names are not unique.
type Org struct {
	ID, Name, Status, SuspendedBy string
	Created                       time.Time
	Members                       []Member

	hostings []*Hosting
	websites []*Website
}

// Member connects a login and an organisation. It is pending until it is Active.
type Member struct {
	ID, Login, Email, Name string
	Roles                  []string
	Active                 bool
	Joined                 time.Time
	invite                 string
}

// Login is a person who can sign in. No two have the same e-mail.
type Login struct {
	ID, Email, Name string
	Registered      bool // false: invited, and without a password yet
}

// Hosting is Enhance's subscription.
type Hosting struct {
	ID           int
	Org          string
	Plan         int
	FriendlyName string
	Status       string // active, deleted
	SuspendedBy  string // empty: not suspended
	Created      time.Time
	Usage        map[string]int64 // by resource name
}

// Website belongs to a hosting.
type Website struct {
	ID, Domain, Org string
	Hosting         int
	PHP             string
	ServerGroup     string // "" if the panel chose
	Status          string // active, deleted
	Created         time.Time
	Apps            []App
	Databases       []string
	removed         bool // removed by itself, not with its hosting
	backups         []backup
	birth           uint64
}

func newPanel(master, staff, our string, start time.Time) *panel {
	return &panel{
		our:    &Org{ID: our, Name: "Hosting by Example", Status: "active", Created: start.AddDate(-2, 0, 0)},
		master: master, staff: staff,
		orgByID: map[string]*Org{}, domains: map[string]*Website{}, logins: map[string]*Login{},
		loginByID: map[string]*Login{}, nextHosting: 100, listings: map[string][]*Org{},
	}
}

func (p *panel) plan(id int) *Plan {
	for _, pl := range p.plans {
		if pl.ID == id {
			return pl
		}
	}
	return nil
}

// hosting finds a hosting by binary search, because ids are given in order.
func (p *panel) hosting(id int) *Hosting {
	i, found := slices.BinarySearchFunc(p.hostings, id, func(h *Hosting, id int) int { return h.ID - id })
	if !found {
		return nil
	}
	return p.hostings[i]
}

// invalidate drops the filtered lists, because a customer was added or changed.
func (p *panel) invalidate() { clear(p.listings) }

func (o *Org) owner() *Member {
	for i := range o.Members {
		if o.Members[i].Active && slices.Contains(o.Members[i].Roles, "Owner") {
			return &o.Members[i]
		}
	}
	return nil
}

func (o *Org) member(email string) *Member {
	for i := range o.Members {
		if strings.EqualFold(o.Members[i].Email, email) {
			return &o.Members[i]
		}
	}
	return nil
}

func (o *Org) activeHostings() (n int) {
	for _, h := range o.hostings {
		if h.Status == "active" {
			n++
		}
	}
	return n
}

func (o *Org) copy() Org {
	c := *o
	c.Members = slices.Clone(o.Members)
	for i := range c.Members {
		c.Members[i].Roles = slices.Clone(c.Members[i].Roles)
	}
	c.hostings, c.websites = nil, nil
	return c
}

func (h *Hosting) state() State {
	return State{Name: h.FriendlyName, Plan: h.Plan, Status: h.Status, SuspendedBy: h.SuspendedBy}
}

func (o *Org) state() State { return State{Name: o.Name, Status: o.Status, SuspendedBy: o.SuspendedBy} }

// clone copies the whole panel, sharing nothing.
func (p *panel) clone() *panel {
	c := *p
	our := p.our.copy()
	c.our, c.plans, c.orgs, c.hostings, c.websites = &our, nil, nil, nil, nil
	c.orgByID, c.listings = map[string]*Org{}, map[string][]*Org{}
	c.domains, c.logins, c.loginByID = map[string]*Website{}, map[string]*Login{}, map[string]*Login{}
	for _, pl := range p.plans {
		dup := *pl
		dup.Resources = slices.Clone(pl.Resources)
		c.plans = append(c.plans, &dup)
	}
	for _, o := range p.orgs {
		dup := o.copy()
		c.orgs = append(c.orgs, &dup)
		c.orgByID[dup.ID] = &dup
	}
	for _, h := range p.hostings {
		dup := *h
		dup.Usage = maps.Clone(h.Usage)
		c.hostings = append(c.hostings, &dup)
		o := c.orgByID[dup.Org]
		o.hostings = append(o.hostings, &dup)
	}
	for _, site := range p.websites {
		dup := *site
		dup.backups = slices.Clone(site.backups)
		dup.Apps, dup.Databases = slices.Clone(site.Apps), slices.Clone(site.Databases)
		c.websites = append(c.websites, &dup)
		o := c.orgByID[dup.Org]
		o.websites = append(o.websites, &dup)
		if !dup.removed {
			c.domains[strings.ToLower(dup.Domain)] = &dup
		}
	}
	for key, l := range p.logins {
		dup := *l
		c.logins[key], c.loginByID[dup.ID] = &dup, &dup
	}
	return &c
}

// Backup is a copy of the panel at some moment.
type Backup struct{ panel *panel }

// Snapshot returns a backup of the panel: plans, organisations, hostings, people.
func (w *World) Snapshot() Backup {
	w.enter()
	defer w.mu.Unlock()
	return Backup{w.panel.clone()}
}

// Restore sets the panel back to a backup, as after a disaster. Everything made since
// is gone, and its ids are given out again. The log of effects keeps everything.
func (w *World) Restore(b Backup) {
	w.enter()
	defer w.mu.Unlock()
	w.panel = b.panel.clone()
}

// Hostings returns copies of all, deleted ones included, oldest first.
func (w *World) Hostings() []Hosting {
	w.enter()
	defer w.mu.Unlock()
	out := make([]Hosting, len(w.panel.hostings))
	for i, h := range w.panel.hostings {
		out[i] = *h
		out[i].Usage = maps.Clone(h.Usage)
	}
	return out
}

// Orgs returns copies of all customers' organisations, oldest first.
func (w *World) Orgs() []Org {
	w.enter()
	defer w.mu.Unlock()
	out := make([]Org, len(w.panel.orgs))
	for i, o := range w.panel.orgs {
		out[i] = o.copy()
	}
	return out
}

// Websites returns copies of all, deleted ones included, oldest first.
func (w *World) Websites() []Website {
	w.enter()
	defer w.mu.Unlock()
	out := make([]Website, len(w.panel.websites))
	for i, s := range w.panel.websites {
		out[i] = *s
		out[i].Apps, out[i].Databases = slices.Clone(s.Apps), slices.Clone(s.Databases)
	}
	return out
}

// Plans returns copies of all.
func (w *World) Plans() []Plan {
	w.enter()
	defer w.mu.Unlock()
	out := make([]Plan, len(w.panel.plans))
	for i, p := range w.panel.plans {
		out[i] = *p
		out[i].Resources = slices.Clone(p.Resources)
	}
	return out
}

// Invite is an open invitation.
type Invite struct{ Org, Email, Link string }

// Invites returns the invitations that are not accepted yet.
func (w *World) Invites() (out []Invite) {
	w.enter()
	defer w.mu.Unlock()
	for _, o := range w.panel.orgs {
		for _, m := range o.Members {
			if !m.Active && m.invite != "" {
				out = append(out, Invite{Org: o.ID, Email: m.Email, Link: m.invite})
			}
		}
	}
	return out
}

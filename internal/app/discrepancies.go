package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// Discrepancies are the differences between the two sides and, as sentences, the parts that
// are left out.
type Discrepancies struct {
	Rows  []report.Valued
	Notes []string
}

// errNoListing is for a database into which Stripe was never read.
var errNoListing = errors.New("no full run has read Stripe and the panel into this database yet; this one does: stripe-enhance reconcile --full")

// Discrepancies compares both sides as the database knows them, and values each difference
// by the prices at Stripe. Only subscriptions in rows are read there. progress may be nil.
func (a *App) Discrepancies(ctx context.Context, progress func(reconcile.Progress)) (d Discrepancies, err error) {
	listed, err := a.Store.LastListed(ctx)
	if err == nil && listed.At.IsZero() {
		err = errNoListing
	}
	if err != nil {
		return d, err
	}
	l := auditing{App: a, linked: map[int64]bool{}, org: map[string]bool{}}
	if l.cat, err = a.Catalog(ctx); err != nil {
		return d, err
	}
	if err := a.Store.EachCustomer(ctx, l.customer); err != nil {
		return d, err
	}
	for _, part := range []func(context.Context) error{l.unbound, l.empty, l.unread} {
		if err := part(ctx); err != nil {
			return d, err
		}
	}
	v := valuation{App: a, progress: progress}
	rows, err := v.judge(ctx, l.rows)
	if err == nil {
		d.Rows, err = v.value(ctx, rows)
	}
	if err != nil {
		return d, err
	}
	d.Notes = append(l.notes, v.notes...)
	slices.SortStableFunc(d.Rows, compareRows)
	return d, nil
}

// compareRows is by kind, then by customer.
func compareRows(a, b report.Valued) int {
	return cmp.Or(cmp.Compare(slices.Index(reconcile.DiscrepancyKinds, a.Kind), slices.Index(reconcile.DiscrepancyKinds, b.Kind)),
		strings.Compare(strings.ToLower(a.Email), strings.ToLower(b.Email)), cmp.Compare(a.Customer, b.Customer),
		cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Org, b.Org), cmp.Compare(a.Hosting, b.Hosting))
}

// auditing collects discrepancies from the database.
type auditing struct {
	*App
	cat    *planner.Catalog
	rows   []reconcile.Discrepancy
	notes  []string
	linked map[int64]bool  // hostings that the next run binds
	org    map[string]bool // orgs that are duplicates
}

func (l *auditing) customer(c reconcile.Customer) error {
	found := planner.Audit(&c, l.cat, l.Config.Policy(), l.Now())
	for _, id := range found.Linked {
		l.linked[id] = true
	}
	for _, d := range found.Discrepancies {
		if d.Kind == reconcile.DuplicateMade && d.Hosting == 0 {
			l.org[d.Org] = true
		}
	}
	l.rows = append(l.rows, found.Discrepancies...)
	return nil
}

func (l *auditing) unbound(ctx context.Context) error {
	return l.Store.UnboundHostings(ctx, l.Config.Policy().Instance, func(u reconcile.UnboundOrg) error {
		if !l.linked[u.Hosting] {
			l.rows = append(l.rows, planner.UnboundHosting(u))
		}
		return nil
	})
}

func (l *auditing) empty(ctx context.Context) error {
	return l.Store.EmptyOrgs(ctx, l.Config.Policy().Instance, func(u reconcile.UnboundOrg) error {
		if !l.org[u.ID] {
			l.rows = append(l.rows, planner.LeftEmpty(u))
		}
		return nil
	})
}

// unread notes that there are orgs whose hostings have not been listed yet.
func (l *auditing) unread(ctx context.Context) error {
	some, err := l.Store.UnreadOrgs(ctx, "", 1)
	if len(some) > 0 {
		l.notes = append(l.notes, "not every organisation of the panel has been read yet: hostings in the others are left out. `stripe-enhance reconcile --full` reads them")
	}
	return err
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// indexOverlap is read again each time the index of orgs is refreshed: two clocks
// are compared, and an org created in between must not be missed.
const indexOverlap = 15 * time.Minute

// indexPanel knows the orgs of the panel, and the objects of others there; see
// existing.
func (r *run) indexPanel(ctx context.Context) error {
	if err := r.indexOrgs(ctx); err != nil {
		return err
	}
	return r.existing(ctx)
}

// indexOrgs lists all orgs in a full run, and, when nothing is known yet, also every
// hosting. That first look is what makes a lost database harmless: whatever carries
// our marker is found again before anything is created, and in that run nothing is
// taken away.
func (r *run) indexOrgs(ctx context.Context) error {
	since, err := r.Cursors.Cursor(ctx, cursorOrgs)
	if err != nil {
		return err
	}
	if since == "" {
		return r.recover(ctx)
	}
	if r.mode == reconcile.RunFull {
		return r.listEveryOrg(ctx)
	}
	return nil
}

// recover looks at the whole panel. It can be interrupted: orgs whose hostings
// were read are not read again, and their hostings are not forgotten. Those that
// cannot be read are passed over, and keep from being made what may be in them; see
// barred.
func (r *run) recover(ctx context.Context) error {
	began := r.clock()
	interrupted, err := r.Cursors.Cursor(ctx, cursorRecovery)
	if err != nil {
		return err
	}
	orgs, err := r.saveEveryOrg(ctx)
	if err != nil {
		return err
	}
	// An org that cannot be read now may hold objects of ours until it is read.
	newest, err := r.Inventory.NewestOrg(ctx)
	if err != nil {
		return err
	}
	if err := r.Cursors.SetCursor(ctx, r.tok, cursorRecovery, newest.UTC().Format(time.RFC3339Nano)); err != nil {
		return err
	}
	seen, err := r.searchUnlisted(ctx, orgs, true)
	if err != nil {
		return err
	}
	if seen > 0 || interrupted != "" && orgs > 0 {
		if err := r.readMarked(ctx); err != nil {
			return err
		}
		r.evidence.setLossNoted()
		r.blockRemovals(fmt.Sprintf("this database knew nothing of the panel: %d orgs and %d hostings were looked at, what carries a marker of ours is bound again", orgs, seen))
	}
	return r.indexedAt(ctx, began)
}

// saveEveryOrg stores the whole index, page by page: each org as it was read is
// true by itself. It returns how many there are.
func (r *run) saveEveryOrg(ctx context.Context) (int, error) {
	n := 0
	err := r.OrgLister.EveryOrg(ctx, func(page []reconcile.Org) error {
		n += len(page)
		r.progress.show("comparing", n, 0)
		return r.Inventory.SaveOrgs(ctx, r.tok, page, false, r.now)
	})
	if err != nil {
		return n, fmt.Errorf("listing orgs: %w", err)
	}
	return n, r.Inventory.SaveOrgs(ctx, r.tok, nil, true, r.now)
}

// listEveryOrg refreshes the whole index.
func (r *run) listEveryOrg(ctx context.Context) error {
	if err := r.lookForPanel(ctx); err != nil {
		return err
	}
	began := r.clock()
	if _, err := r.saveEveryOrg(ctx); err != nil {
		return err
	}
	if _, err := r.searchUnlisted(ctx, 0, false); err != nil {
		return err
	}
	return r.indexedAt(ctx, began)
}

// everyOrgOnce refreshes the whole index, once in a run.
func (r *run) everyOrgOnce(ctx context.Context) error {
	return r.index.refreshAll(ctx, func() error { return r.listEveryOrg(ctx) })
}

// newestOrgs brings the newest orgs into the index: back to the newest of the last
// listing, by the panel's own dates. Our clock may have been wrong when we looked
// last, and orgs that were made since would be missed; and the newest that we know may be
// one that was read by itself, with others before it that were not listed.
func (r *run) newestOrgs(ctx context.Context) error {
	text, err := r.Cursors.Cursor(ctx, cursorNewest)
	if err != nil {
		return err
	}
	since := time.Time{}
	if newest, err := time.Parse(time.RFC3339Nano, text); err == nil {
		since = newest.Add(-indexOverlap)
	}
	orgs, err := r.Panel.Orgs(ctx, since)
	if err != nil {
		return fmt.Errorf("listing orgs: %w", err)
	}
	return r.Inventory.SaveOrgs(ctx, r.tok, orgs, false, r.now)
}

// indexedAt notes that the index is complete up to an instant, and up to which org.
func (r *run) indexedAt(ctx context.Context, began time.Time) error {
	newest, err := r.Inventory.NewestOrg(ctx)
	if err != nil {
		return err
	}
	if !newest.IsZero() {
		if err := r.Cursors.SetCursor(ctx, r.tok, cursorNewest, newest.UTC().Format(time.RFC3339Nano)); err != nil {
			return err
		}
	}
	r.index.setRecent()
	return r.Cursors.SetCursor(ctx, r.tok, cursorOrgs, began.UTC().Format(time.RFC3339))
}

// freshIndex makes sure, once in a run, that orgs created lately are known. It
// is the look before the first org is created.
func (r *run) freshIndex(ctx context.Context) error {
	return r.index.refresh(ctx, func() error {
		began := r.clock()
		if err := r.newestOrgs(ctx); err != nil {
			return err
		}
		if _, err := r.searchUnlisted(ctx, 0, false); err != nil {
			return err
		}
		if err := r.noticeSeconds(ctx); err != nil {
			return err
		}
		return r.indexedAt(ctx, began)
	})
}

// lookAt reads one hosting and stores what it is. Enhance's own "not found" is a
// state to be held; every other error is only an error.
func (r *run) lookAt(ctx context.Context, org string, id int64) error {
	_, err := r.look(ctx, org, id)
	return err
}

func (r *run) look(ctx context.Context, org string, id int64) (reconcile.Hosting, error) {
	done, err := r.together.turns.take(ctx, orgKey(org), false)
	if err != nil {
		return reconcile.Hosting{}, err
	}
	defer done()
	h, err := r.Panel.Hosting(ctx, org, id)
	if errors.Is(err, fault.NotFound) {
		h, err = reconcile.Hosting{ID: id, Org: org, State: reconcile.HostingMissing}, nil
	}
	if err != nil {
		return h, err
	}
	h.ObservedAt = r.clock()
	return h, r.Inventory.SaveHosting(ctx, r.tok, h, r.now)
}

// noticeLoss notes that a marker of ours was found which nothing in this database
// accounts for: it was restored from a backup that is older than the panel. What
// else it has forgotten is not known, so this run takes nothing away.
func (r *run) noticeLoss(c *reconcile.Customer, d planner.Decision) {
	i := slices.IndexFunc(d.Actions, func(a reconcile.Action) bool { return a.Kind == reconcile.Link && a.How == reconcile.BoundByMarker })
	if i < 0 || len(c.Pending) > 0 {
		return
	}
	if r.evidence.findLoss(c.ID) {
		r.blockRemovals(fmt.Sprintf("this database is older than the panel, it seems: %s, and this database has no record that it was made. "+
			"Each hosting that carries a marker of ours is bound again", d.Actions[i].Reason))
	}
}

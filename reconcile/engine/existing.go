package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// secondsShown is how many of the duplicates are looked up for a sentence.
const secondsShown = 3

// existing asks before customers are planned what the panel has that is not ours, and
// whether another installation makes hostings for the same subscriptions.
func (r *run) existing(ctx context.Context) error {
	unbound, err := r.Existing.AskAboutUnbound(ctx, r.tok, r.now)
	if err != nil {
		return err
	}
	return r.lookBeside(ctx, unbound)
}

// lookAround is existing without its write.
func (r *run) lookAround(ctx context.Context) error {
	unbound, err := r.Existing.Unbound(ctx)
	if err != nil {
		return err
	}
	return r.lookBeside(ctx, unbound)
}

// lookBeside keeps everything from being created if it is not decided which orders are new,
// or if another installation works for the same subscriptions.
func (r *run) lookBeside(ctx context.Context, unbound reconcile.Unbound) error {
	if unbound.Undecided && r.Policy.NewAfter.IsZero() {
		r.waitForPerson(fmt.Sprintf("the panel has %s that no subscription is bound to, and it is not decided which orders are new: nothing is created. "+
			"Either set NEW_CUSTOMERS_ONLY_AFTER to a day (orders from then on are new customers', older ones wait as holds \"adopt\" with the command for each), "+
			"or take them over with `stripe-enhance adopt`", inOrgs(unbound)))
	}
	return r.noticeSeconds(ctx)
}

func inOrgs(u reconcile.Unbound) string {
	plural := func(n int, noun string) string {
		if n == 1 {
			return "1 " + noun
		}
		return fmt.Sprintf("%d %ss", n, noun)
	}
	return plural(u.Hostings, "hosting") + " in " + plural(u.Orgs, "org")
}

// noticeSeconds looks for what another installation of this program has made for
// subscriptions that are served here. As long as there is any, nothing is created: two
// that work for the same customers make everything twice.
func (r *run) noticeSeconds(ctx context.Context) error {
	if r.evidence.createsAreBlocked() {
		return nil
	}
	seconds, err := r.Existing.Duplicates(ctx, r.Policy.Instance, secondsShown)
	if err != nil || len(seconds) == 0 {
		return err
	}
	text := ""
	for i, s := range seconds {
		if i > 0 {
			text += "; "
		}
		if s.Hosting == 0 {
			text += fmt.Sprintf("org %s carries the marker %s beside org %s", s.Org, s.Marker, s.FirstOrg)
			continue
		}
		text += fmt.Sprintf("hosting %d in org %s carries the marker %s of hosting %d", s.Hosting, s.Org, s.Marker, s.First)
	}
	reason := fmt.Sprintf("another installation makes hostings for the subscriptions that are served here (%s): nothing is created. "+
		"Stop one of the two, or, where each has customers of its own, set INSTANCE to another word in each. "+
		"Then delete the unused duplicates in the panel, and run `stripe-enhance reconcile --full`", text)
	if r.evidence.blockCreates(reason) {
		r.waitForPerson(reason)
	}
	return nil
}

// createHeld reports whether a create is withheld because of another installation.
func createHeld(h reconcile.Hold) bool {
	return h.Kind == reconcile.HoldDuplicate && strings.HasPrefix(h.ActionID, "create_")
}

// findSite asks the panel where an ordered domain is, and reads the hosting that it is
// on: one that was not listed yet may be the customer's.
func (r *run) findSite(ctx context.Context, n planner.Need) error {
	sites, err := r.Websites.FindWebsite(ctx, reconcile.DomainKey(n.Domain))
	if err != nil {
		return fmt.Errorf("looking for the domain %s: %w", n.Domain, err)
	}
	for _, s := range sites {
		if s.Hosting == 0 {
			continue
		}
		if err := r.lookAt(ctx, s.Org, s.Hosting); err != nil {
			return err
		}
	}
	return r.Existing.SaveSites(ctx, r.tok, n.Domain, sites, r.clock())
}

// readOrgByID reads an org again. One that is gone is like one that was deleted.
func (r *run) readOrgByID(ctx context.Context, id string) error {
	o, err := r.Panel.Org(ctx, id)
	if errors.Is(err, fault.NotFound) {
		o, err = reconcile.Org{ID: id, Deleted: true}, nil
	}
	if err != nil {
		return err
	}
	return r.Inventory.SaveOrgs(ctx, r.tok, []reconcile.Org{o}, false, r.now)
}

// marked reports whether an org still carries a marker of ours in its name. That of another
// installation stays where it is.
func (r *run) marked(o reconcile.Org) bool {
	m, _ := reconcile.MarkerOf(o.Name)
	return m.Of(r.Policy.Instance) != reconcile.Marker{}
}

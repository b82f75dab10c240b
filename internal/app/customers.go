package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// HistoryRows is how many rows of the journal are shown of a customer.
const HistoryRows = 20

// Catalog is the stored mappings, plans and features, with more mappings as if they were
// stored.
func (a *App) Catalog(ctx context.Context, more ...reconcile.Mapping) (*planner.Catalog, error) {
	mappings, err := a.Store.Mappings(ctx)
	if err != nil {
		return nil, err
	}
	plans, _, err := a.Store.Plans(ctx)
	if err != nil {
		return nil, err
	}
	features, err := a.Store.Features(ctx)
	return planner.NewCatalog(append(mappings, more...), plans).WithFeatures(features...), err
}

// ReadHosting reads a hosting of one of these customers at the panel: in the org that a
// person named, in the org where it was seen last, or in the orgs of the customers.
func (a *App) ReadHosting(ctx context.Context, id int64, org string, customers []string) (reconcile.Hosting, error) {
	known, err := a.Store.HostingOrg(ctx, id)
	if err != nil {
		return reconcile.Hosting{}, err
	}
	orgs := []string{org, known}
	if org == "" && known == "" {
		if orgs, err = a.orgsOf(ctx, customers); err != nil {
			return reconcile.Hosting{}, err
		}
	}
	for _, org := range orgs {
		if org == "" {
			continue
		}
		h, err := a.Enhance.Hosting(ctx, org, id)
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err == nil {
			err = a.orgLives(ctx, h)
		}
		return h, err
	}
	return reconcile.Hosting{}, fmt.Errorf("hosting %d was not found at the panel in any organisation of this customer: name its organisation with --org, or run stripe-enhance reconcile --full, which finds where it is", id)
}

// orgLives is an error if the org of a hosting was deleted.
func (a *App) orgLives(ctx context.Context, h reconcile.Hosting) error {
	o, err := a.Enhance.Org(ctx, h.Org)
	if err == nil && o.Deleted {
		err = fmt.Errorf("org %s of hosting %d was deleted in the panel: restore it there first", h.Org, h.ID)
	}
	return err
}

// orgsOf are the orgs in which a hosting of the customers may be.
func (a *App) orgsOf(ctx context.Context, customers []string) (orgs []string, err error) {
	found, err := a.Store.Customers(ctx, customers)
	for i := range found {
		if o := found[i].Org; o != nil {
			orgs = append(orgs, o.ID)
		}
		for _, s := range found[i].Subscriptions {
			orgs = append(orgs, s.MetadataOrg)
		}
	}
	return orgs, err
}

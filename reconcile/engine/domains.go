package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// lookForDomain asks the panel whether the website can have its domain, before the website
// is made. The hosting of a dry run that is not there yet cannot be asked about.
func (r *run) lookForDomain(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first || a.Hosting <= 0 {
		return false, nil
	}
	return true, r.readDomainUse(ctx, a.Org, a.Hosting, a.Domain, hostingOf(c, a.Hosting))
}

// readDomainUse stores where the panel has a domain. A panel or a token that does not
// answer the question is a fact and not a failure: then the website is made without it.
// before is the hosting on which the website is about to be made; nil: on none.
func (r *run) readDomainUse(ctx context.Context, org string, hosting int64, domain string, before *reconcile.Hosting) error {
	use, err := r.Websites.DomainUse(ctx, org, domain)
	switch {
	case err == nil:
	case errors.Is(err, fault.LeftAlone):
		return err // nothing was asked
	default:
		switch fault.Of(err) {
		case fault.Denied, fault.Permanent, fault.Malformed, fault.NotFound:
			use = reconcile.DomainUse{Status: reconcile.DomainUnknown}
		case fault.Transient, fault.Throttled, fault.Conflict, fault.Ambiguous, fault.Unknown, fault.Canceled, fault.Fenced:
			return fmt.Errorf("asking for the domain %s: %w", domain, err)
		}
	}
	use.Domain, use.ReadAt = domain, r.clock()
	switch {
	case before == nil:
	case use.Status == reconcile.DomainFree:
		use.FreeAt = use.ReadAt
	case use.Status == reconcile.DomainOwnOrg && use.Hosting == hosting && before.DomainUse.Domain == domain:
		use.FreeAt = before.DomainUse.FreeAt
	}
	return r.ContentStore.SaveDomainUse(ctx, r.tok, hosting, use)
}

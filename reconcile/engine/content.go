package engine

import (
	"context"
	"errors"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// readContent lists the websites of an org and stores them for each of its hostings. If
// the panel or the token does not allow that, it is a fact and not a failure: nothing is
// taken away without it, but the customer must not wait for the rest. An error that may
// pass by itself is tried again.
func (r *run) readContent(ctx context.Context, org string) error {
	now := r.clock()
	sites, err := r.Contents.Websites(ctx, org)
	unread := ""
	switch {
	case err == nil:
	case errors.Is(err, fault.LeftAlone):
		return err // nothing was asked
	default:
		switch fault.Of(err) {
		case fault.Denied, fault.Permanent, fault.Malformed, fault.NotFound:
			unread = err.Error()
		case fault.Transient, fault.Throttled, fault.Conflict, fault.Ambiguous, fault.Unknown, fault.Canceled, fault.Fenced:
			return err
		}
	}
	return r.ContentStore.SaveContent(ctx, r.tok, org, sites, unread, now)
}

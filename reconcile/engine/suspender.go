package engine

import (
	"context"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// cursorSuspender is the name in the panel's suspendedBy for our own suspensions:
// the pin of the panel and the id.
const cursorSuspender = "suspender"

// isOurs reports whether the suspension that a hosting shows is the one that we sent.
// Staff may have suspended it in the same moment, or since a call of ours was lost,
// and a payment must not lift their suspension. We are known as the
// organisation that sells, or, where the panel names another id, by the first call
// that was answered; an unanswered one teaches nothing.
func (r *run) isOurs(ctx context.Context, h reconcile.Hosting, answered bool) (bool, error) {
	pin := r.Owners.Fingerprint()
	known, err := r.Cursors.Cursor(ctx, cursorSuspender)
	if err != nil {
		return false, err
	}
	us := pin + " " + h.SuspendedBy
	switch {
	case known == us:
		return true, nil
	case strings.HasSuffix(pin, " "+h.SuspendedBy):
	case !answered || strings.HasPrefix(known, pin+" "):
		r.note("hosting %d of org %s was to be suspended by us and is suspended by %s: it is left to them", h.ID, h.Org, h.SuspendedBy)
		return false, nil
	}
	return true, r.Cursors.SetCursor(ctx, r.tok, cursorSuspender, us)
}

// namesUs marks each hosting of which the panel says that we suspended it: as the
// organisation that sells, or as it named us when we suspended something.
func (r *run) namesUs(c *reconcile.Customer) {
	pin := r.Owners.Fingerprint()
	for i := range c.Hostings {
		h := &c.Hostings[i]
		h.NamesUs = h.SuspendedBy != "" && (strings.HasSuffix(pin, " "+h.SuspendedBy) || r.evidence.suspender == pin+" "+h.SuspendedBy)
	}
}

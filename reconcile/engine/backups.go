package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// readBackups looks for a website of a hosting without a backup since an instant, and
// stores the result. If the panel or the token does not allow that, it is a fact and not a
// failure: the hosting is not deleted, but the customer must not wait for the rest.
func (r *run) readBackups(ctx context.Context, org string, hosting int64, since time.Time) error {
	b, err := r.Backups.Backups(ctx, org, hosting, since)
	if refused(err) {
		b, err = reconcile.Backups{Refused: err.Error()}, nil
	}
	if err != nil {
		return err
	}
	b.Since, b.ReadAt = since, r.clock()
	return r.BackupStore.SaveBackups(ctx, r.tok, hosting, b)
}

// refused reports whether a read was refused in a way that does not pass by itself.
func refused(err error) bool {
	if err == nil || errors.Is(err, fault.LeftAlone) {
		return false // nothing was asked
	}
	switch fault.Of(err) {
	case fault.Denied, fault.Permanent, fault.Malformed, fault.NotFound:
		return true
	case fault.Transient, fault.Throttled, fault.Conflict, fault.Ambiguous, fault.Unknown, fault.Canceled, fault.Fenced:
	}
	return false
}

// backup makes one of a website. The panel answers when it is done; if that takes longer
// than a call, findBackup finds it under way.
func (r *run) backup(ctx context.Context, c *reconcile.Customer, a reconcile.Action, _ *reconcile.Outcome) error {
	h := hostingOf(c, a.Hosting)
	if h == nil {
		return fault.Errorf(fault.Conflict, "hosting %d is not known yet", a.Hosting)
	}
	if err := r.Backups.StartBackup(ctx, a.Org, a.Hosting, a.Domain); err != nil {
		return err
	}
	if err := r.readBackups(ctx, a.Org, a.Hosting, h.SuspendedByUs); err != nil {
		return notReadBack(err)
	}
	return nil
}

// findBackup looks for a backup of the website that is done, under way or failed.
func (r *run) findBackup(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, _ *reconcile.Outcome) (bool, error) {
	h := hostingOf(c, p.Hosting)
	if h == nil {
		return false, nil
	}
	if err := r.readBackups(ctx, p.Org, p.Hosting, h.SuspendedByUs); err != nil {
		return false, err
	}
	again, err := r.load(ctx, c.ID)
	if err != nil {
		return false, err
	}
	if h = hostingOf(again, p.Hosting); h == nil || h.Backups.Refused != "" {
		return false, nil
	}
	b := &h.Backups
	begun := !b.Began.IsZero() || b.Failed.After(p.SentAt.Add(-maxSkew))
	return begun || !strings.HasSuffix(p.ActionID, ":"+b.Lacking), nil
}

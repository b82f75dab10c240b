package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/money"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// valuation asks Stripe about rows: whether they are any, and what they are worth.
type valuation struct {
	*App
	progress func(reconcile.Progress) // may be nil
	notes    []string

	mu   sync.Mutex // guards done
	done int
}

// inParallel calls do for each of n, as many at a time as CONCURRENCY allows. An error of
// one ends all only where all would fail: when the command is interrupted.
func (v *valuation) inParallel(ctx context.Context, phase string, n int, do func(ctx context.Context, i int) error) ([]error, error) {
	errs := make([]error, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(v.Config.Concurrency, 1))
	v.done = 0
	for i := range n {
		g.Go(func() error {
			return fault.Guard(func() error {
				errs[i] = do(ctx, i)
				v.step(phase, n)
				return ctx.Err()
			})
		})
	}
	return errs, g.Wait()
}

func (v *valuation) step(phase string, total int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.done++; v.progress != nil {
		v.progress(reconcile.Progress{Phase: phase, Done: v.done, Total: total})
	}
}

// judge drops subscriptions that are unpaid by status and by invoice alike: which these are
// only their invoices show. Without a look at them there is no row. The hostings of the
// others are no longer listed as not paid.
func (v *valuation) judge(ctx context.Context, rows []reconcile.Discrepancy) ([]reconcile.Discrepancy, error) {
	var doubtful []int
	for i := range rows {
		if rows[i].Kind == reconcile.PaidButUnpaidStatus {
			doubtful = append(doubtful, i)
		}
	}
	drop := map[int]bool{}
	paid := make([]bool, len(doubtful))
	errs, err := v.inParallel(ctx, "reading invoices", len(doubtful), func(ctx context.Context, i int) error {
		at, err := v.Stripe.PaidInvoice(ctx, rows[doubtful[i]].Subscription)
		paid[i] = err == nil && !at.IsZero()
		return err
	})
	if err != nil {
		return nil, err
	}
	var failed error
	for i, at := range doubtful {
		drop[at] = !paid[i]
		failed = cmpErr(failed, errs[i])
	}
	switch {
	case errors.Is(failed, fault.Denied):
		v.notes = append(v.notes, "paid invoices of unpaid subscriptions are left out: the key at Stripe may not read invoices")
	case failed != nil:
		v.notes = append(v.notes, fmt.Sprintf("paid invoices of unpaid subscriptions are left out where they could not be read: %v", failed))
	}
	settled := map[string]bool{}
	for i, at := range doubtful {
		settled[rows[at].Subscription] = paid[i]
	}
	left := make([]reconcile.Discrepancy, 0, len(rows)-len(drop))
	for i := range rows {
		if !drop[i] && (!settled[rows[i].Subscription] || rows[i].Kind != reconcile.ProvisionedNotPaid && rows[i].Kind != reconcile.KeptTooLong) {
			left = append(left, rows[i])
		}
	}
	return left, nil
}

// cmpErr is the first error of two that is one.
func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// value adds to each row what it is worth. Each subscription in them is read once.
func (v *valuation) value(ctx context.Context, rows []reconcile.Discrepancy) ([]report.Valued, error) {
	var ids []string
	for i := range rows {
		if rows[i].Subscription != "" && len(rows[i].Shares) > 0 {
			ids = append(ids, rows[i].Subscription)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	amounts := make([]map[string]money.Amount, len(ids))
	errs, err := v.inParallel(ctx, "reading prices", len(ids), func(ctx context.Context, i int) (err error) {
		amounts[i], err = v.Stripe.Charges(ctx, ids[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]report.Valued, len(rows))
	for i := range rows {
		out[i].Discrepancy = rows[i]
		if at, found := slices.BinarySearch(ids, rows[i].Subscription); found && len(rows[i].Shares) > 0 {
			price(&out[i], amounts[at], errs[at])
		} else if rows[i].Subscription != "" {
			out[i].Reason += "; its amount is not known, because it is not known for which item it is"
		}
	}
	return out, nil
}

// price adds up the shares of a row.
func price(r *report.Valued, of map[string]money.Amount, err error) {
	var unknown money.Unknown
	switch {
	case errors.As(err, &unknown):
		r.Reason += "; its amount is not known: " + unknown.Error()
		return
	case errors.Is(err, fault.NotFound):
		r.Reason += "; its amount is not known, because Stripe does not know the subscription"
		return
	case err != nil:
		r.Reason += "; its amount could not be read: " + err.Error()
		return
	}
	sum := money.Amount{}
	for _, share := range r.Shares {
		amount, there := of[share.Item]
		if !there {
			r.Reason += "; its amount is not known, because its item has changed at Stripe since the last run"
			return
		}
		sum = sum.Plus(amount.Part(share.Units, share.Of))
	}
	r.Amount, r.Known = sum, true
}

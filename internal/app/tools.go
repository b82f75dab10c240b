package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// tools are for the page, beside the ports of the admin API. Their requests to the two sides
// wait for everything else, because a page is no reason that an order waits.
type tools struct{ *App }

// Suggestions implements server.Tools.
func (t tools) Suggestions(ctx context.Context) ([]server.Suggestion, []string, error) {
	mapped, err := t.Store.Mappings(ctx)
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	used := map[string]int{}
	all, err := mapping.Suggest(priority.With(ctx, priority.Bulk), mapping.Sources{Stripe: t.Stripe, Enhance: t.Enhance, Mapped: mapped,
		EachPayer: func(ctx context.Context, each func(reconcile.Subscription)) (int, error) {
			return t.EachPayer(ctx, func(s reconcile.Subscription) {
				for i := range s.Items {
					used[s.Items[i].Price]++
				}
				each(s)
			})
		},
		Printf: func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }})
	if err != nil {
		return nil, nil, err
	}
	out := make([]server.Suggestion, len(all))
	for i, s := range all {
		out[i] = server.Suggestion{Price: s.Price, Product: s.Product, Amount: s.Amount, Plan: s.Plan, PlanName: s.PlanName, Archived: s.Archived, Features: s.Features, Used: used[s.Price]}
	}
	slices.SortStableFunc(out, func(a, b server.Suggestion) int { return cmp.Compare(b.Used, a.Used) })
	return out, notes, nil
}

// PanelPlans implements server.Tools.
func (t tools) PanelPlans(ctx context.Context) ([]reconcile.EnhancePlan, error) {
	plans, _, err := t.Store.Plans(ctx)
	return plans, err
}

// Forecast implements server.Tools.
func (t tools) Forecast(ctx context.Context, until time.Time) ([]reconcile.ForecastEntry, []string, error) {
	f, err := t.App.Forecast(priority.With(ctx, priority.Bulk), until)
	return f.Entries, f.Notes, err
}

// Report implements server.Tools.
func (t tools) Report(ctx context.Context) (report.Discrepancies, error) {
	d, err := t.Discrepancies(priority.With(ctx, priority.Bulk), nil)
	if errors.Is(err, errNoListing) {
		err = errors.Join(fault.NotFound, err)
	}
	return report.DiscrepanciesOf(t.Now(), d.Rows, d.Notes), err
}

// Settings implements server.Tools.
func (t tools) Settings() []server.Setting {
	all := t.Config.Effective()
	out := make([]server.Setting, len(all))
	for i, s := range all {
		out[i] = server.Setting{Name: s.Name, Group: s.Group, Usage: s.Usage, Value: s.Value, Default: s.Default, Set: s.Set}
	}
	return out
}

// Progress implements server.Tools.
func (t tools) Progress() reconcile.Progress { return t.progress.get() }

// progress is how far the run at work is.
type progress struct {
	mu  sync.Mutex // guards now
	now reconcile.Progress
}

func (p *progress) set(now reconcile.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
}

func (p *progress) get() reconcile.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// tools are for the page, beside the ports of the admin API.
type tools struct {
	*App
	walks   *walks
	audits  *walks       // of reports, which may read prices at Stripe for minutes
	reads   *walks       // of names, which take a moment
	changes atomic.Int64 // by people in this process

	forecasts kept[*forecasts]
	reports   kept[*reported]
	offers    kept[*offers]
	names     kept[*store.Names]
}

func (a *App) newTools() *tools {
	t := &tools{App: a, walks: newWalks(), audits: newWalks(), reads: newWalks()}
	t.forecasts = kept[*forecasts]{age: figuresAge, make: t.makeForecasts, stamp: t.stamp}
	t.reports = kept[*reported]{age: reportAge, make: t.makeReport, stamp: t.stamp}
	always := func(context.Context) (string, error) { return "", nil }
	// A mapping changes the suggestions, and not the offers.
	t.offers = kept[*offers]{age: figuresAge, make: t.makeOffers, stamp: always}
	t.names = kept[*store.Names]{age: figuresAge, stamp: always, make: func(ctx context.Context) (*store.Names, error) { return t.Store.Names(ctx, t.Now()) }}
	t.forecasts.use(t, "forecast")
	t.reports.use(t, "report")
	t.offers.use(t, "prices without a mapping")
	t.names.use(t, "names of customers")
	t.reports.walks = t.audits
	t.names.walks, t.names.wait = t.reads, 0
	return t
}

// close ends the walks that are under way.
func (t *tools) close() {
	for _, w := range []*walks{t.walks, t.audits, t.reads} {
		w.close()
	}
}

// use gives figures with a name what all figures have in common.
func (k *kept[T]) use(t *tools, name string) {
	k.walks, k.wait, k.now = t.walks, figuresWait, t.Now
	k.log = func(err error) { t.Log.WithField("figures", name).WithError(err).Warn("figures of the page not made") }
}

// stamp is another one after each change by a person that figures depend on, in whichever
// process it was made.
func (t *tools) stamp(ctx context.Context) (string, error) {
	stored, err := t.Store.ChangedByPeople(ctx, t.Now())
	return fmt.Sprint(t.changes.Load(), " ", stored), err
}

// Changed implements server.Tools.
func (t *tools) Changed() { t.changes.Add(1) }

// offers are the prices and plans of both sides as they were read, and what subscriptions
// have. What was not read yet is read when it is asked for.
type offers struct {
	*tools
	prices []stripe.Price
	plans  []reconcile.EnhancePlan
	items  []reconcile.Item // of all that may be served, one of each price
	used   map[string]int   // by price
	partly int              // see EachPayer
	denied error            // why items could not be read

	mu       sync.Mutex // guards the rest
	byID     map[string]stripe.Price
	features map[string][]string // by product
	refused  error               // why no features are read
}

// makeOffers reads both sides and all customers.
func (t *tools) makeOffers(ctx context.Context) (o *offers, err error) {
	o = &offers{tools: t, used: map[string]int{}, byID: map[string]stripe.Price{}, features: map[string][]string{}}
	if o.prices, err = t.Stripe.Prices(ctx); err != nil {
		return nil, err
	}
	if o.plans, err = t.Enhance.Plans(ctx); err != nil {
		return nil, err
	}
	o.partly, err = t.EachPayer(ctx, func(s reconcile.Subscription) {
		for i := range s.Items {
			if it := s.Items[i]; o.used[it.Price] == 0 {
				o.items = append(o.items, reconcile.Item{Price: it.Price, Product: it.Product, LookupKey: it.LookupKey})
			}
			o.used[s.Items[i].Price]++
		}
	})
	if errors.Is(err, fault.Denied) {
		o.denied, err = err, nil
	}
	if err == nil {
		_, err = o.suggest(ctx, func(string, ...any) {}) // which reads what a view needs
	}
	return o, err
}

// suggest suggests plans by the mappings of this moment.
func (o *offers) suggest(ctx context.Context, printf func(string, ...any)) ([]mapping.Suggestion, error) {
	mapped, err := o.Store.Mappings(ctx)
	if err != nil {
		return nil, err
	}
	return mapping.Suggest(priority.With(ctx, priority.Bulk), mapping.Sources{Stripe: o, Enhance: o, Mapped: mapped, EachPayer: o.EachPayer, Printf: printf})
}

// Prices implements mapping.Prices.
func (o *offers) Prices(context.Context) ([]stripe.Price, error) { return slices.Clone(o.prices), nil }

// Plans implements mapping.Plans.
func (o *offers) Plans(context.Context) ([]reconcile.EnhancePlan, error) { return o.plans, nil }

// EachPayer is that of mapping.Sources, with all items in one subscription.
func (o *offers) EachPayer(_ context.Context, each func(reconcile.Subscription)) (int, error) {
	each(reconcile.Subscription{Items: o.items})
	return o.partly, o.denied
}

// Price implements mapping.Prices.
func (o *offers) Price(ctx context.Context, id string) (stripe.Price, error) {
	return readOnce(ctx, &o.mu, o.byID, id, o.Stripe.Price)
}

// ProductFeatures implements mapping.Prices.
func (o *offers) ProductFeatures(ctx context.Context, product string) ([]string, error) {
	o.mu.Lock()
	refused := o.refused
	o.mu.Unlock()
	if refused != nil {
		return nil, refused
	}
	keys, err := readOnce(ctx, &o.mu, o.features, product, o.Stripe.ProductFeatures)
	if errors.Is(err, fault.Denied) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.refused = err
	}
	return keys, err
}

// readOnce returns the value that was read of an id before, or reads it.
func readOnce[T any](ctx context.Context, mu *sync.Mutex, known map[string]T, id string, read func(context.Context, string) (T, error)) (T, error) {
	mu.Lock()
	value, ok := known[id]
	mu.Unlock()
	if ok {
		return value, nil
	}
	value, err := read(ctx, id)
	if err == nil {
		mu.Lock()
		defer mu.Unlock()
		known[id] = value
	}
	return value, err
}

// Suggestions implements server.Tools. The mappings are those of this moment.
func (t *tools) Suggestions(ctx context.Context) (s server.Suggestions, err error) {
	o, is, err := t.offers.get(ctx)
	s.Figures = is
	if err != nil || is.At.IsZero() {
		return s, err
	}
	all, err := o.suggest(ctx, func(format string, args ...any) { s.Notes = append(s.Notes, fmt.Sprintf(format, args...)) })
	if err != nil {
		return s, err
	}
	s.All = make([]server.Suggestion, len(all))
	for i, one := range all {
		s.All[i] = server.Suggestion{Price: one.Price, Product: one.Product, Amount: one.Amount, Plan: one.Plan, PlanName: one.PlanName, Archived: one.Archived, Features: one.Features, Used: o.used[one.Price]}
	}
	slices.SortStableFunc(s.All, func(a, b server.Suggestion) int { return cmp.Compare(b.Used, a.Used) })
	return s, nil
}

// PanelPlans implements server.Tools.
func (t *tools) PanelPlans(ctx context.Context) ([]reconcile.EnhancePlan, error) {
	plans, _, err := t.Store.Plans(ctx)
	return plans, err
}

// warm has what most views need made, if it is not there. The report is left out, because it
// reads prices at Stripe.
func (t *tools) warm() {
	t.forecasts.warm(figuresOld)
	t.offers.warm(figuresOld)
	t.names.warm(figuresOld)
}

// SearchCustomers implements server.Tools. Who looks at the whole list may be about to search.
func (t *tools) SearchCustomers(ctx context.Context, q reconcile.CustomerSearch) (rows []reconcile.CustomerRow, next string, asOf time.Time, err error) {
	if q.Text == "" {
		t.names.warm(namesOld)
		rows, next, err = t.Store.CustomerRows(ctx, q)
		return rows, next, asOf, err
	}
	names, is, err := t.names.get(ctx)
	if err != nil || is.At.IsZero() || t.Now().Sub(is.At) > namesOld {
		names, is.At = nil, time.Time{} // the database is searched
	}
	rows, next, err = t.Store.CustomersNamed(ctx, q, names)
	return rows, next, is.At, err
}

// forecasts are what comes until the last month that the page shows.
type forecasts struct {
	first []reconcile.ForecastEntry // by time; at most mostKept
	days  map[time.Time]server.ForecastDay
	notes []string
}

// furthestForecast is how many months ahead the page goes, and one.
const furthestForecast = 121

func (t *tools) makeForecasts(ctx context.Context) (*forecasts, error) {
	now := t.Now().UTC()
	all, err := t.App.Forecast(ctx, time.Date(now.Year(), now.Month()+furthestForecast, 1, 0, 0, 0, 0, time.UTC))
	f := &forecasts{days: map[time.Time]server.ForecastDay{}, notes: all.Notes}
	for i := range all.Entries {
		day := all.Entries[i].At.UTC().Truncate(24 * time.Hour)
		of := f.days[day]
		if of.All++; len(of.First) < server.ForecastDayFirst {
			of.First = append(of.First, all.Entries[i])
		}
		f.days[day] = of
	}
	f.first = slices.Clone(all.Entries[:min(len(all.Entries), mostKept)])
	return f, err
}

// Forecast implements server.Tools.
func (t *tools) Forecast(ctx context.Context, month time.Time) (part server.Forecast, err error) {
	f, is, err := t.forecasts.get(ctx)
	part.Figures = is
	if err != nil || is.At.IsZero() {
		return part, err
	}
	next := month.AddDate(0, 1, 0)
	part.Days, part.Notes = map[int]server.ForecastDay{}, f.notes
	for day := month; day.Before(next); day = day.AddDate(0, 0, 1) {
		if of, some := f.days[day]; some {
			part.Days[day.Day()] = of
			part.Total += of.All
		}
	}
	part.Entries = between(f.first, month, next)
	return part, nil
}

// between are the entries from a moment on, before another one.
func between(all []reconcile.ForecastEntry, from, until time.Time) []reconcile.ForecastEntry {
	at := func(e reconcile.ForecastEntry, t time.Time) int { return e.At.Compare(t) }
	low, _ := slices.BinarySearchFunc(all, from, at)
	high, _ := slices.BinarySearchFunc(all, until, at)
	return all[low:high]
}

// WholeForecast implements server.Tools.
func (t *tools) WholeForecast(ctx context.Context, month time.Time) (all []reconcile.ForecastEntry, err error) {
	next := month.AddDate(0, 1, 0)
	err = t.walks.walk(ctx, func(ctx context.Context) error {
		f, err := t.App.Forecast(ctx, next)
		all = between(f.Entries, month, next)
		return err
	})
	return all, err
}

// reported is a report with at most mostKept rows.
type reported struct {
	report.Discrepancies
	total int // of the rows
}

func (t *tools) makeReport(ctx context.Context) (*reported, error) {
	d, err := t.report(ctx)
	if err != nil {
		return nil, err
	}
	r := &reported{d, len(d.Rows)}
	r.Rows = slices.Clone(d.Rows[:min(len(d.Rows), mostKept)])
	return r, nil
}

func (t *tools) report(ctx context.Context) (report.Discrepancies, error) {
	d, err := t.Discrepancies(ctx, nil)
	if errors.Is(err, errNoListing) {
		err = errors.Join(fault.NotFound, err)
	}
	return report.DiscrepanciesOf(t.Now(), d.Rows, d.Notes), err
}

// Report implements server.Tools.
func (t *tools) Report(ctx context.Context) (r server.Report, err error) {
	d, is, err := t.reports.get(ctx)
	r.Figures = is
	if err == nil && !is.At.IsZero() {
		r.Discrepancies, r.Total = d.Discrepancies, d.total
	}
	return r, err
}

// WholeReport implements server.Tools.
func (t *tools) WholeReport(ctx context.Context) (d report.Discrepancies, err error) {
	err = t.audits.walk(ctx, func(ctx context.Context) (err error) {
		d, err = t.report(ctx)
		return err
	})
	return d, err
}

// Settings implements server.Tools.
func (t *tools) Settings() []server.Setting {
	all := t.Config.Effective()
	out := make([]server.Setting, len(all))
	for i, s := range all {
		out[i] = server.Setting{Name: s.Name, Group: s.Group, Usage: s.Usage, Value: s.Value, Default: s.Default, Set: s.Set}
	}
	return out
}

// Progress implements server.Tools.
func (t *tools) Progress() reconcile.Progress { return t.progress.get() }

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

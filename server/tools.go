package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
)

// Tools are for the page, beside the ports of the admin API. Each method does the work of the
// command of its name. Notes are sentences about the parts that are left out.
type Tools interface {
	// Suggestions lists the prices that no mapping names, those in use first.
	Suggestions(ctx context.Context) (Suggestions, error)
	// PanelPlans returns the plans of the panel, as a run has read them last.
	PanelPlans(ctx context.Context) ([]reconcile.EnhancePlan, error)
	// Forecast has the changes that come with a date in the month that begins at a moment.
	Forecast(ctx context.Context, month time.Time) (Forecast, error)
	// WholeForecast lists all of them, by time. It takes long, and is made now.
	WholeForecast(ctx context.Context, month time.Time) ([]reconcile.ForecastEntry, error)
	// Report compares both sides. fault.NotFound: no run has listed them yet.
	Report(ctx context.Context) (Report, error)
	// WholeReport has all rows. It takes long, and is made now.
	WholeReport(ctx context.Context) (report.Discrepancies, error)
	// SearchCustomers is Directory.CustomerRows for a part of a name, e-mail or domain. asOf is
	// of when the names are in which it was searched; zero: of now, as always without a text.
	SearchCustomers(ctx context.Context, q reconcile.CustomerSearch) (rows []reconcile.CustomerRow, next string, asOf time.Time, err error)
	// Changed has figures made anew, because a person has changed what they depend on.
	Changed()
	// Settings are those that apply, without the value of any secret.
	Settings() []Setting
	// Progress is how far the run at work in this process is; zero: there is none.
	Progress() reconcile.Progress
}

// Figures is how present the result of a walk over all customers is. It is made in the
// background, once for all views.
type Figures struct {
	At       time.Time // when it was begun; zero: it is made for the first time, and not at hand yet
	Counting bool      // it is being made anew
	Behind   bool      // a person has changed something since
	Failed   bool      // it could not be made anew
}

// Suggestions are the prices that no mapping names. Notes are sentences about the parts that
// are left out.
type Suggestions struct {
	All   []Suggestion
	Notes []string
	Figures
}

// Forecast is a month. Of a long one Entries are the first, by time.
type Forecast struct {
	Entries []reconcile.ForecastEntry
	Total   int                 // of all entries
	Days    map[int]ForecastDay // those that have any
	Notes   []string
	Figures
}

// ForecastDay is a day of a month.
type ForecastDay struct {
	All   int
	First []reconcile.ForecastEntry // at most ForecastDayFirst
}

// ForecastDayFirst is how many entries of a day the calendar has.
const ForecastDayFirst = 4

// Report is a report with its first rows. The totals are of all.
type Report struct {
	report.Discrepancies
	Total int // of all rows
	Figures
}

// Suggestion is a price that no mapping names, with the plan that its name suggests.
type Suggestion struct {
	Price, Product, Amount string
	Plan, PlanName         string // "": no plan stands out
	Archived               bool   // the price is off sale
	Features               []string
	Used                   int // subscriptions that have it
}

// Setting is a setting with its value and its meaning.
type Setting struct {
	Name, Group, Usage string
	Value              string // "": it is not set; of a secret that is set, only a word for it
	Default            string
	Set                bool // by the operator
}

// Adoption matches hostings with subscriptions, as the command adopt does.
type Adoption interface {
	// Pairs returns the rows of the last comparison in this process that are left, and when
	// that was; zero: there was none.
	Pairs() (rows []adopt.Pair, at time.Time)
	// Compare reads both sides and makes the rows anew.
	Compare(ctx context.Context) error
	// Decide carries out the decision in a row. The error is a Refused if that cannot be done.
	Decide(ctx context.Context, p adopt.Pair, author string) error
}

// Refused is a request that cannot be meant, as a sentence for the person who made it.
type Refused struct {
	Text    string
	Unknown bool // it can be meant, and Stripe or Enhance does not know it
}

func (r Refused) Error() string { return r.Text }

// Warm has what most views of the page need made in the background, if it is not there yet.
func (s *Server) Warm() {
	if s.o.Warm != nil {
		s.o.Warm()
	}
}

// Tools are the tools of the page.
func (s *Server) Tools() Tools { return s.o.Tools }

// Changed follows every change by a person that figures of the page depend on.
func (s *Server) Changed() {
	if s.o.Tools != nil {
		s.o.Tools.Changed()
	}
}

// Adoption is nil if there is none.
func (s *Server) Adoption() Adoption { return s.o.Adoption }

// OpenKey is the key for which the sign-in has a button; "": there is none.
func (s *Server) OpenKey() string { return s.o.OpenKey }

// Leaving reports whether the server is about to end.
func (s *Server) Leaving() bool { return s.isLeaving() }

// SetMapping maps a price to a plan. The options that are given change those that the mapping
// has. Unless it is unchecked, Stripe has to know the price and Enhance the plan, because a
// mapping that leads nowhere holds every order of the price; warning is why one of them could
// not be asked. The error is a Refused if the mapping is wrong.
func (s *Server) SetMapping(ctx context.Context, m *reconcile.Mapping, given reconcile.GivenOptions, unchecked bool, by string) (warning string, err error) {
	if m.BillingID == "" || m.Plan == "" || !Printable(m.BillingID) || !Printable(m.Plan) {
		return "", Refused{Text: "billingPlanId and enhancePlanId are required"}
	}
	all, err := s.o.Mappings.List(ctx)
	if err != nil {
		return "", err
	}
	for _, stands := range all {
		if stands.BillingID == m.BillingID {
			m.MappingOptions = stands.MappingOptions
		}
	}
	if m.MappingOptions, err = given.Over(m.MappingOptions, m.Plan); err != nil {
		return "", Refused{Text: err.Error()}
	}
	if !unchecked {
		problem, err := s.o.Mappings.Check(ctx, *m)
		switch {
		case problem != "":
			return "", Refused{Text: problem, Unknown: true}
		case ctx.Err() != nil:
			return "", errors.Join(errNotAsked, err)
		case err != nil: // a run reports a mapping that leads nowhere
			warning = "not verified: " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
	}
	if err := s.o.Mappings.Set(ctx, *m, by, s.o.Now()); err != nil {
		return "", err
	}
	s.Changed()
	s.nudge(ctx, "admin")
	return warning, nil
}

// errNotAsked is the error of a check whose caller has left.
var errNotAsked = errors.New("neither side was asked to the end")

// RemoveMapping removes the mapping of a price.
func (s *Server) RemoveMapping(ctx context.Context, billingID string) (found bool, err error) {
	found, err = s.o.Mappings.Delete(ctx, billingID)
	if err == nil && found {
		s.Changed()
		s.nudge(ctx, "admin")
	}
	return found, err
}

// startLimit is how long StartRun waits for the run to begin.
const startLimit = 2 * time.Second

// StartRun asks for a run over everything. run is its id; "": it waits for another run to end,
// or for the process that is the writer.
func (s *Server) StartRun(ctx context.Context) (run string, err error) {
	if !s.o.Loop.Leading() {
		if err := s.o.Nudges.Nudge(ctx, reconcile.NudgeTargets(true, nil), "admin", s.o.Now()); err != nil {
			return "", err
		}
		s.o.Loop.Wake("admin") // this process may have become the writer meanwhile
		return "", nil
	}
	asked := s.o.Loop.Ask(Request{Full: true, Trigger: "admin"})
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	select {
	case run = <-asked.began:
		return run, nil
	case o := <-asked.done:
		return o.report.Run.ID, o.err
	case <-limit.C:
		return "", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// respondRefused answers an error of SetMapping.
func (s *Server) respondRefused(w http.ResponseWriter, r *http.Request, err error) {
	var no Refused
	switch {
	case errors.As(err, &no) && no.Unknown:
		respondError(w, http.StatusUnprocessableEntity, no.Text)
	case errors.As(err, &no):
		respondError(w, http.StatusBadRequest, no.Text)
	case errors.Is(err, errNotAsked):
		s.respondPortError(w, r, "The price or the plan", err)
	default:
		s.respondPortError(w, r, "The mapping", err)
	}
}

package server

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Request is the scope of one run.
type Request struct {
	// Full reads every subscription; otherwise what changed.
	Full bool
	// Subscriptions limits the run to these.
	Subscriptions []string
	// Trigger is the cause: cron, webhook, admin, approve.
	Trigger string
}

// Runner is the reconciler and its lease. Run is only called by the loop, one
// call at a time.
type Runner interface {
	// Run does one run. began is called with the id of the run once it is
	// recorded, before anything is looked at. The error is *reconcile.LeaseTaken
	// when another process is the writer. When ctx ends, the action in hand is
	// finished and recorded before Run returns.
	Run(ctx context.Context, r Request, began func(run string)) (reconcile.Report, error)
	// Flow serves one subscription that a webhook has named, if one waits. It is called
	// from several goroutines, while Run is at work too.
	Flow(ctx context.Context) (reconcile.Served, error)
	// Lead campaigns for the lease and renews it until ctx ends; then it waits for
	// the run at work and releases the lease.
	Lead(ctx context.Context) error
	// Leading reports whether this process is the writer. It never blocks.
	Leading() bool
}

// Nudges are stored requests to look. No method needs the lease, and each is durable
// when it returns.
type Nudges interface {
	// LogWebhook stores an event, and reports whether it was new. With look it also
	// stores a nudge in the same transaction: for the subscription, or, if the event
	// names none, for all customers that are due.
	LogWebhook(ctx context.Context, event, kind, subscription string, look bool, now time.Time) (isNew bool, err error)
	// WebhookResult records that a run has followed the events received up to a
	// moment: those of one subscription, or, with "", all. A problem marks them as failed.
	WebhookResult(ctx context.Context, subscription string, received time.Time, problem string, now time.Time) error
	// Nudge asks the writer to look at subscriptions; without any, at all customers
	// that are due.
	Nudge(ctx context.Context, subscriptions []string, why string, now time.Time) error
	// NudgesWaiting reports whether any nudge is stored.
	NudgesWaiting(ctx context.Context) (bool, error)
	// NudgesOverdue is NudgesWaiting without those by which webhooks name a subscription
	// and that are not older than before. The loop calls it every second.
	NudgesOverdue(ctx context.Context, before time.Time) (bool, error)
}

// History reads the records of runs. Not found is fault.NotFound.
type History interface {
	// Runs returns the newest runs, newest first.
	Runs(ctx context.Context, limit int) ([]reconcile.RunRecord, error)
	Run(ctx context.Context, id string) (reconcile.RunRecord, error)
	// LastListed returns when everything was last listed; zero: never.
	LastListed(ctx context.Context) (reconcile.ListedState, error)
	// RunActions yields the actions a run touched, in planned order.
	RunActions(ctx context.Context, run string, yield func(reconcile.ActionRecord) error) error
	// Holds yields the holds that stand at present.
	Holds(ctx context.Context, yield func(reconcile.Hold) error) error
}

// Plans are the held plans: changes that wait for approval. Not found is
// fault.NotFound; already approved, or no longer wanted, is fault.Conflict.
type Plans interface {
	HeldPlans(ctx context.Context, now time.Time, includeOld bool) ([]reconcile.HeldPlan, error)
	HeldPlan(ctx context.Context, id string) (reconcile.HeldPlan, error)
	// Approve releases exactly the content of the plan and makes its customers due.
	// version is the version that the person has seen, or 0 for the present one; if the
	// plan is at another version, the error is fault.Conflict. id may be shortened to its
	// first reconcile.MinHeldPlanID characters.
	Approve(ctx context.Context, id string, version int, by string, now time.Time) (reconcile.HeldPlan, error)
	// Reject ends a waiting plan, and puts a hold on each subscription in it; id and version as
	// in Approve. newID makes the ids of the holds.
	Reject(ctx context.Context, id string, version int, by, reason string, newID func() string, now time.Time) (reconcile.HeldPlan, error)
}

// Mappings define which price buys which plan.
type Mappings interface {
	List(ctx context.Context) ([]reconcile.MappingRecord, error)
	Set(ctx context.Context, m reconcile.Mapping, by string, now time.Time) error
	Delete(ctx context.Context, billingID string) (found bool, err error)
	// Check reports, as a sentence for the operator, that Stripe or Enhance does not
	// know the price or plan of a mapping; "" if both know it. An error means that a
	// side did not answer.
	Check(ctx context.Context, m reconcile.Mapping) (problem string, err error)
}

// ManualHolds are the holds that people put with `holds add`.
type ManualHolds interface {
	ManualHolds(ctx context.Context, now time.Time) ([]reconcile.ManualHold, error)
	// AddManualHold stores a hold, and reports whether its customer or subscription is
	// known. If it is not known yet, the hold applies as soon as a run has seen it.
	AddManualHold(ctx context.Context, h reconcile.ManualHold) (known bool, err error)
	RemoveManualHold(ctx context.Context, id string, now time.Time) (found bool, err error)
}

// Journal has every action that a run has planned.
type Journal interface {
	Actions(ctx context.Context, f reconcile.ActionFilter) ([]reconcile.ActionRecord, error)
	// Retry ends back-off and parking of a customer, and makes it due. id is that of an
	// action, a customer or a subscription; fault.NotFound if there is none.
	Retry(ctx context.Context, id string, now time.Time) (customer string, err error)
}

// Customers finds customers. None is no error.
type Customers interface {
	ByEmail(ctx context.Context, email string) ([]reconcile.CustomerRecord, error)
	ByID(ctx context.Context, id string) ([]reconcile.CustomerRecord, error)
	BySubscription(ctx context.Context, id string) ([]reconcile.CustomerRecord, error)
	// WantName stores the name that the organisation of a customer is to have, which a run
	// gives it. The error is a reconcile.InstructionRefused if that makes no sense.
	WantName(ctx context.Context, customer, name, why string, now time.Time) (changed bool, err error)
	// Login makes a one-time link to log in as the owner of the customer's organisation. When
	// it returns, the journal has a row for it. The error is a reconcile.InstructionRefused
	// if there is no owner whom a link could be for.
	Login(ctx context.Context, c *reconcile.CustomerRecord, w reconcile.LoginRequest) (reconcile.Login, error)
}

// Directory has the lists of the page, and what only the page and the command line show.
type Directory interface {
	// CustomerRows returns a part of the customers, by id, and where the next part begins; "":
	// there is none.
	CustomerRows(ctx context.Context, q reconcile.CustomerSearch) (rows []reconcile.CustomerRow, next string, err error)
	// CustomerStory returns a customer as `customers show` prints it; fault.NotFound if there
	// is none. With refresh both sides are read now, and nothing is stored.
	CustomerStory(ctx context.Context, id string, refresh bool) (report.Customer, error)
	// HoldRows returns a part of what the last decisions withhold, by customer.
	HoldRows(ctx context.Context, q reconcile.HoldSearch) (holds []reconcile.Hold, next string, err error)
	HoldCounts(ctx context.Context) (reconcile.HoldCounts, error)
	// PlanHeads returns the held plans that wait, or, with old, the newest of all, without
	// their actions: Total counts them.
	PlanHeads(ctx context.Context, old bool, limit int) ([]reconcile.HeldPlan, error)
	// PlanPart returns a held plan with a part of its actions, by customer.
	PlanPart(ctx context.Context, q reconcile.PlanSearch) (plan reconcile.HeldPlan, next string, err error)
	// Worth reads at Stripe what subscriptions cost a month: "12.50 eur", or a sentence that
	// gives the reason why it is not known.
	Worth(ctx context.Context, subscriptions []string) (map[string]Worth, error)
	// FailureKinds counts the customers that fail, by reconcile.SameFailure of the error, and
	// FailingOf lists those of one kind.
	FailureKinds(ctx context.Context) (map[string]int, error)
	FailingOf(ctx context.Context, kind string, limit int) (customers []string, err error)
}

// Worth is what a subscription costs a month.
type Worth struct {
	Amount, Currency string // "12.50" and "eur"; "": it is not known
	Problem          string // why it is not known
}

// Overview reads totals. Every method returns within seconds.
type Overview interface {
	Ping(ctx context.Context) error
	Totals(ctx context.Context, now time.Time) (reconcile.Totals, error)
	RecentWebhooks(ctx context.Context, limit int) ([]reconcile.WebhookRecord, error)
	FailedWebhooks(ctx context.Context, limit int) (records []reconcile.WebhookRecord, total int, err error)
}

// Days reads the figures of the last hours. Its cost follows what happened since, and not how
// long the journal is.
type Days interface {
	// DoneSince counts the actions that ended since a moment, by kind and state.
	DoneSince(ctx context.Context, since time.Time) (map[reconcile.ActionClass]int, error)
	// WentLive returns, newest first, the hostings that were made since a moment.
	WentLive(ctx context.Context, since time.Time, limit int) ([]reconcile.WentLive, error)
	// HoldCounts counts the holds of the last decision of every customer.
	HoldCounts(ctx context.Context) (reconcile.HoldCounts, error)
}

// Verify checks the signature of a webhook over the raw body. The event that it
// returns is a hint where to look, and nothing more; it keeps no part of the body, whose
// memory is used again. Any error is a refusal.
type Verify func(body []byte, signature string, now time.Time) (reconcile.Event, error)

// Observer receives the results of runs and webhooks, for metrics and notifications.
// Calls must not block; they may come from any goroutine.
type Observer interface {
	// RunEnded follows every run of this process, failed ones included.
	RunEnded(ctx context.Context, r reconcile.Report, err error)
	// Served follows every flow run that did not leave its subscription to the next run.
	Served(ctx context.Context, r reconcile.Report)
	// WebhookAnswered follows every answer to a webhook: accepted, duplicate, refused
	// or failed.
	WebhookAnswered(result string)
	// Led is called when this process has become the writer, before its first run.
	Led(ctx context.Context)
}

package server

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Request says what one run shall look at.
type Request struct {
	// Full reads every subscription; otherwise what changed.
	Full bool
	// Subscriptions limits the run to these.
	Subscriptions []string
	// Trigger is who asked: cron, webhook, admin, approve.
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
	// Lead campaigns for the lease and keeps it until ctx ends, then waits for
	// the run at work and gives it back.
	Lead(ctx context.Context) error
	// Leading reports whether this process is the writer. It never blocks.
	Leading() bool
}

// Nudges are stored wishes that somebody looks. No method needs the lease; all
// are durable when they return.
type Nudges interface {
	// LogWebhook stores an event, and reports whether it was new. With look the
	// nudge that it stands for is stored in the same transaction: for its
	// subscription, or, where it names none, for whatever is due.
	LogWebhook(ctx context.Context, event, kind, subscription string, look bool, now time.Time) (isNew bool, err error)
	// WebhookResult records that events received up to a moment were followed:
	// of one subscription, or, with "", of all. A problem marks them as failed.
	WebhookResult(ctx context.Context, subscription string, received time.Time, problem string, now time.Time) error
	// Nudge asks the writer to look at subscriptions, or at whatever is due.
	Nudge(ctx context.Context, subscriptions []string, why string, now time.Time) error
	// NudgesWaiting reports whether any nudge is stored. It is asked every second.
	NudgesWaiting(ctx context.Context) (bool, error)
}

// History is what runs did. Not found is fault.NotFound.
type History interface {
	// Runs returns the newest runs, newest first.
	Runs(ctx context.Context, limit int) ([]reconcile.RunRecord, error)
	Run(ctx context.Context, id string) (reconcile.RunRecord, error)
	// LastListed tells when everything was listed last; zero: never.
	LastListed(ctx context.Context) (reconcile.ListedState, error)
	// RunActions yields the actions a run touched, in planned order.
	RunActions(ctx context.Context, run string, yield func(reconcile.ActionRecord) error) error
	// Holds yields what is withheld at present.
	Holds(ctx context.Context, yield func(reconcile.Hold) error) error
}

// Plans are what the brake holds for approval. Not found is fault.NotFound;
// already approved, or no longer wanted, is fault.Conflict.
type Plans interface {
	HeldPlans(ctx context.Context, now time.Time, includeOld bool) ([]reconcile.HeldPlan, error)
	HeldPlan(ctx context.Context, id string) (reconcile.HeldPlan, error)
	// Approve releases exactly the content of the plan and makes its customers due.
	// version is the one that the person has seen, 0 the one that there is; fault.Conflict
	// when the plan is at another one. id may be shortened to its first
	// reconcile.MinHeldPlanID characters.
	Approve(ctx context.Context, id string, version int, by string, now time.Time) (reconcile.HeldPlan, error)
}

// Mapping is a mapping with who set it; both empty for rows inserted by hand.
type Mapping struct {
	reconcile.Mapping
	UpdatedAt time.Time
	UpdatedBy string
}

// Mappings say which price buys which plan.
type Mappings interface {
	List(ctx context.Context) ([]Mapping, error)
	Set(ctx context.Context, m reconcile.Mapping, by string, now time.Time) error
	Delete(ctx context.Context, billingID string) (found bool, err error)
	// Check reports, as a sentence for the operator, that a side does not know
	// what the mapping names; "" when none says so. An error means that a side could
	// not be asked.
	Check(ctx context.Context, m reconcile.Mapping) (problem string, err error)
}

// ManualHolds are "hands off", said by a person.
type ManualHolds interface {
	ManualHolds(ctx context.Context, now time.Time) ([]reconcile.ManualHold, error)
	// AddManualHold stores a hold, also of what is not known yet: it stands from the
	// moment that is seen.
	AddManualHold(ctx context.Context, h reconcile.ManualHold) (known bool, err error)
	RemoveManualHold(ctx context.Context, id string, now time.Time) (found bool, err error)
}

// ActionFilter chooses rows of the journal; empty fields choose all.
type ActionFilter struct {
	Customer     string
	Subscription string
	State        reconcile.ActionState
	Limit        int
}

// Journal is every action that was ever planned.
type Journal interface {
	Actions(ctx context.Context, f ActionFilter) ([]reconcile.ActionRecord, error)
	// Retry releases the customer behind an action, customer or subscription
	// from back-off and parking, and makes it due. fault.NotFound.
	Retry(ctx context.Context, id string, now time.Time) (customer string, err error)
}

// Customer is a paying party as a person wants to see it.
type Customer struct {
	reconcile.Customer
	Held    []reconcile.Hold
	DueAt   time.Time                // zero: only when something changes
	History []reconcile.ActionRecord // newest first
}

// Customers finds parties. None is no error.
type Customers interface {
	ByEmail(ctx context.Context, email string) ([]Customer, error)
	ByID(ctx context.Context, id string) ([]Customer, error)
	BySubscription(ctx context.Context, id string) ([]Customer, error)
	// Rename sets the name of an organisation at Enhance.
	Rename(ctx context.Context, org, name string) error
}

// WebhookRecord is an event that came in.
type WebhookRecord struct {
	EventID      string
	Type         string
	Subscription string
	ReceivedAt   time.Time
	State        string // received, followed, failed
	Error        string
	FinishedAt   time.Time
}

// Totals are what health and metrics count.
type Totals struct {
	reconcile.Counts
	OldestDue time.Time // zero: nobody is due
}

// Overview reads totals. Every method returns within seconds.
type Overview interface {
	Ping(ctx context.Context) error
	Totals(ctx context.Context, now time.Time) (Totals, error)
	RecentWebhooks(ctx context.Context, limit int) ([]WebhookRecord, error)
	FailedWebhooks(ctx context.Context, limit int) (records []WebhookRecord, total int, err error)
}

// Verify checks the signature of a webhook over the raw body. What it returns is
// a hint where to look, and nothing more. Any error is a refusal.
type Verify func(body []byte, signature string, now time.Time) (reconcile.Event, error)

// Observer is told what the loop and the webhook did, for metrics and
// notifications. Calls must not block; they may come from any goroutine.
type Observer interface {
	// RunEnded follows every run of this process, failed ones included.
	RunEnded(ctx context.Context, r reconcile.Report, err error)
	// WebhookAnswered has one of: accepted, duplicate, refused, failed.
	WebhookAnswered(result string)
	// Led is called before the first run after taking over, from a former writer
	// or from nobody.
	Led(ctx context.Context)
}

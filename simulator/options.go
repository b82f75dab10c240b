package simulator

import "time"

// Options configure a [World]. The zero value is a hostile world in Stripe's test mode
// whose clock stands at 2 March 2026, 09:00 UTC.
type Options struct {
	// Seed decides every id, fault and delay. If two worlds have the same seed and get
	// the same requests in the same order, they answer the same bytes.
	Seed uint64

	// Start is the clock's first time. Zero: a fixed date, or Follow's time.
	Start time.Time

	// Follow ties the clock to another one. The world calls it on every request and
	// operation while it is locked, so it must not call the world. Use time.Now if the
	// client is a program with its own clock, because otherwise it finds that the
	// clocks differ. Nil: only Advance moves the time.
	Follow func() time.Time

	// Calm switches the hostility off. Faults set by a hook still happen.
	Calm bool

	// Livemode is the mode of the account and of every object in it.
	Livemode bool

	// StripeKey is the only key that is accepted. If it begins with rk_ it is
	// restricted, see Deny. Empty: a secret key of the right mode is made up.
	StripeKey string

	// EnhanceToken and OrgID are the panel's access token and the organisation
	// that sells. Empty: made up.
	EnhanceToken, OrgID string

	// MaxPage is the size of Enhance's largest page. 0: 100 in a calm world, 25 in a
	// hostile one. Stripe has its own limit of 100.
	MaxPage int

	// RefusePage makes Enhance refuse a request for a page larger than MaxPage, instead of
	// giving that many.
	RefusePage bool

	// Latency is a real delay before each answer, for benchmarks.
	Latency time.Duration

	// StripeRPS and EnhanceRPS: requests beyond this number per second and route are
	// answered with 429. 0: no limit. Seconds are those of the simulated clock, so if
	// it stands still (no Follow) the limits never refill.
	StripeRPS, EnhanceRPS int

	// Deny lists the resources that a restricted key may not read: customers,
	// subscriptions, products, prices, events, checkout_sessions, invoices; and "write"
	// for every write. Such a key may never read the account.
	Deny []string

	// RetryFor is how long Stripe retries a failed charge before it applies
	// AfterRetries. 0: 21 days.
	RetryFor time.Duration

	// AfterRetries is the account's setting for a charge that never succeeded: "cancel"
	// (the default), "unpaid", or "past_due" to leave it so.
	AfterRetries string

	// NoDueDate leaves due_date null on invoices that are charged automatically, as
	// Stripe does. Otherwise it is the time of the invoice.
	NoDueDate bool

	// RequestLog is how many of the latest requests Requests can return; the counters
	// include all. 0: 10,000.
	RequestLog int
}

const (
	calmPage    = 100
	hostilePage = 25
	requestLog  = 10_000
	retryFor    = 21 * 24 * time.Hour
)

// fixedStart is a Monday morning, because tests are easier to read if weeks begin on
// one.
var fixedStart = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// withDefaults sets the fields that are zero. It needs the seed for the made-up keys.
func (o Options) withDefaults() Options {
	if o.Start.IsZero() {
		o.Start = fixedStart
		if o.Follow != nil {
			o.Start = o.Follow()
		}
	}
	o.Start = o.Start.UTC()
	if o.MaxPage <= 0 {
		o.MaxPage = hostilePage
		if o.Calm {
			o.MaxPage = calmPage
		}
	}
	if o.RetryFor <= 0 {
		o.RetryFor = retryFor
	}
	if o.AfterRetries == "" {
		o.AfterRetries = "cancel"
	}
	if o.RequestLog <= 0 {
		o.RequestLog = requestLog
	}
	return o.withKeys()
}

func (o Options) withKeys() Options {
	d := prf(o.Seed)
	if o.StripeKey == "" {
		o.StripeKey = "sk_test_" + d.id(24, "stripe key")
		if o.Livemode {
			o.StripeKey = "sk_live_" + d.id(24, "stripe key")
		}
	}
	if o.EnhanceToken == "" {
		o.EnhanceToken = d.id(40, "enhance token")
	}
	if o.OrgID == "" {
		o.OrgID = d.uuid("our organisation")
	}
	return o
}

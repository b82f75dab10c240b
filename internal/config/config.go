// Package config turns environment, .env file and flags into one checked value.
//
// Decisions:
//
//   - One struct is the manual: the tags of [Config] are the only place where a
//     variable's name, default, meaning and example are written down. Flags, help,
//     error messages and the table of docs/settings.md are made from them.
//   - All problems are reported together. An operator who sets up a cron job at night
//     should not need nine tries to learn of nine mistakes.
//   - An empty value is an unset one. Container manifests write `NAME=` for
//     "nothing here", and no variable means something by being empty.
//   - Surrounding white space is dropped, because secrets mounted from files often end
//     in a newline.
//   - Each secret may be in a file that a variable …_FILE names, and then it is read again
//     when the file changes: Kubernetes, systemd and vaults bring and rotate it there. A
//     new value that would be refused at start is not taken.
//   - A wrong value is reported even if the present command does not use it; a missing
//     value is reported only if the command needs it.
//   - Nothing here contacts anything, and no message contains a secret's value.
package config

import (
	"net/url"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// Config has everything that an operator can decide. Tags: env is the variable's name,
// envDefault its value if it is unset, usage its meaning (and the meaning of zero, if
// that is not plain), example a possible value, group the section of the help.
type Config struct {
	// DatabaseURL is a secret because a PostgreSQL URL carries a password.
	DatabaseURL secret.Text `env:"DATABASE_URL" envDefault:"sqlite:stripe-enhance.db" group:"database" usage:"where state is kept: sqlite:PATH, or postgres://… (Neon and PgBouncer in transaction mode included)" example:"sqlite:/var/lib/stripe-enhance/state.db"`
	// JournalKeep may not be short: the brakes, disputes and events look back at what was done.
	JournalKeep Keep `env:"JOURNAL_KEEP" envDefault:"2y" group:"database" usage:"how long the journal, the records of runs, webhooks and mails, and held plans that are over are kept (2y, 400d; 90d at least); older ones are pruned a few at a time, but never what a decision rests on; 0 or forever: all are kept" example:"5y"`
	// AutoMigrate lets every command that writes bring the database up to date first.
	AutoMigrate bool `env:"AUTO_MIGRATE" envDefault:"true" group:"database" usage:"run database migrations at start; false: only the migrate command does" example:"false"`

	StripeKey      secret.Text `env:"STRIPE_SECRET_KEY" group:"stripe" usage:"secret (sk_…) or restricted (rk_…) key with read on Subscriptions, Customers, Products, Prices, Events, Checkout Sessions, Entitlements, Disputes, Charges and Invoices" example:"rk_live_…"`
	WebhookSecrets Secrets     `env:"STRIPE_WEBHOOK_SECRET" group:"stripe" usage:"signing secret of the webhook endpoint, several separated by commas while rotating; unset: there is no webhook, and polling does everything" example:"whsec_…"`
	StripeURL      *url.URL    `env:"STRIPE_API_URL" envDefault:"https://api.stripe.com" group:"stripe" usage:"another base URL, for a proxy or a simulator" example:"http://127.0.0.1:12111"`
	StripeRPS      Rate        `env:"STRIPE_RPS" envDefault:"20" group:"stripe" usage:"requests a second to Stripe, lowered by itself on 429" example:"20"`
	// WriteMetadata needs a key with write permission, which is why it is off.
	WriteMetadata bool `env:"STRIPE_WRITE_METADATA" envDefault:"false" group:"stripe" usage:"write enhance_org_id and enhance_subscription_id to the Stripe objects; needs write permission" example:"true"`

	EnhanceURL   *url.URL    `env:"ENHANCE_API_URL" group:"enhance" usage:"address of the panel; /api is added when the path is empty" example:"https://panel.example.com"`
	EnhanceToken secret.Text `env:"ENHANCE_API_TOKEN" group:"enhance" usage:"access token of the organisation that sells (not of the master organisation)" example:"the token shown once under Settings › Access tokens"`
	EnhanceOrg   OrgID       `env:"ENHANCE_ORG_ID" group:"enhance" usage:"UUID of the organisation that sells" example:"6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11"`
	EnhanceRPS   Rate        `env:"ENHANCE_RPS" envDefault:"10" group:"enhance" usage:"requests a second to Enhance, lowered by itself on 429; some panels throttle between 1 and 5: begin with 5 and CONCURRENCY=2 on a small or shared one" example:"5"`
	// Concurrency above the rate buys nothing; it covers latency, not limits.
	Concurrency int `env:"CONCURRENCY" envDefault:"8" group:"enhance" usage:"requests in flight to each side" example:"8"`

	Mode           reconcile.Mode       `env:"MODE" envDefault:"enforce" group:"policy" usage:"observe: plans only; provision: creates, resumes and changes to a larger plan, never takes away; enforce: also suspends and changes to a smaller plan (termination needs RETENTION_PERIOD too)" example:"observe"`
	Grace          time.Duration        `env:"GRACE_PERIOD" envDefault:"72h" group:"policy" usage:"how long a past_due hosting stays up, from the due date of the oldest invoice that is unpaid in the present spell of past_due, and no earlier than that spell; 0: suspended as soon as Stripe reports past_due" example:"7d"`
	Retention      time.Duration        `env:"RETENTION_PERIOD" envDefault:"0" group:"policy" usage:"how long a suspended, cancelled subscription is kept before soft deletion (with MODE=enforce only); 0: for ever; less than 30 days is refused" example:"90d"`
	Paused         Paused               `env:"PAUSED_COLLECTION" envDefault:"keep" group:"policy" usage:"keep or suspend while Stripe's pause_collection is set" example:"suspend"`
	Onboarding     reconcile.Onboarding `env:"ONBOARDING" envDefault:"invite" group:"policy" usage:"invite: Enhance mails an invitation; password: login, owner and a password-recovery mail; none" example:"none"`
	Backup         bool                 `env:"BACKUP_BEFORE_TERMINATE" envDefault:"true" group:"policy" usage:"delete a hosting only after a backup of each of its websites" example:"false"`
	CreateWebsites bool                 `env:"CREATE_WEBSITES" envDefault:"true" group:"policy" usage:"create the website when a domain is known (Checkout custom field or metadata \"domain\")" example:"false"`
	UnpaidUpgrade  UnpaidUpgrade        `env:"UNPAID_UPGRADE" envDefault:"apply" group:"policy" usage:"apply or hold a change to a plan with more, while the subscription is past_due or the invoice of the change is open; a key that may not read Invoices knows the first alone" example:"hold"`
	Trials         Trials               `env:"TRIALS" envDefault:"any" group:"policy" usage:"any: each trial gets its hosting; one: a second trial of the same Stripe customer waits" example:"one"`
	Dispute        Dispute              `env:"DISPUTE" envDefault:"tell" group:"policy" usage:"a payment that the customer disputes, or that was refunded in full, is reported; hold: no new hosting and no larger plan for the customer; suspend: also suspends the hostings of the subscription whose payment is disputed" example:"hold"`

	// NewAfter is needed if the panel was in use before this program: an order from before
	// that day, without a hosting, is more likely of an old customer than of a new one.
	NewAfter Instant `env:"NEW_CUSTOMERS_ONLY_AFTER" group:"policy" usage:"on a panel with hostings that no subscription is bound to: orders from then on (UTC) are of new customers and get a hosting, unless one there may be theirs; older orders without a hosting wait for a person; unset: if there are such hostings, all orders wait" example:"2026-11-01"`
	Instance Word    `env:"INSTANCE" group:"policy" usage:"a short word (up to 16 lower-case letters, digits and hyphens) in every marker, a different one in each installation that sells on the same panel; hostings with another word are never touched; bound hostings without a word stay ours" example:"shop"`

	BrakeSuspend    planner.Limit `env:"BRAKE_SUSPEND" envDefault:"5,2%" group:"brake" usage:"most suspensions in one run: the larger of count and percentage of bound subscriptions; over it all are held for approval" example:"5,2%"`
	BrakeChangePlan planner.Limit `env:"BRAKE_CHANGE_PLAN" envDefault:"5,5%" group:"brake" usage:"the same for changes of plan" example:"5,5%"`
	BrakeCreate     planner.Limit `env:"BRAKE_CREATE" envDefault:"25,10%" group:"brake" usage:"the same for new hostings; if one customer orders more than 10, or more than two fifths of the count if that is more, that order is held by itself" example:"200"`
	BrakeTerminate  planner.Limit `env:"BRAKE_TERMINATE" envDefault:"1,1%" group:"brake" usage:"the same for terminations" example:"1,1%"`

	// SMTPServer is a secret because it carries a password.
	SMTPServer    secret.Text `env:"SMTP_URL" group:"mail" usage:"server for mails to customers: smtp://user:password@host:587 (STARTTLS) or smtps://… (TLS from the beginning); special characters are written as %XX; no mail is sent unless MAIL_FROM is set too" example:"smtp://billing:password@smtp.example.com:587"`
	MailFrom      string      `env:"MAIL_FROM" group:"mail" usage:"sender of mails to customers" example:"Example Hosting <billing@example.com>"`
	MailTemplates string      `env:"MAIL_TEMPLATES" group:"mail" usage:"directory of templates that come in the place of the built-in ones (English and Romanian), or add a language" example:"/etc/stripe-enhance/mails"`
	WarnBefore    Warnings    `env:"WARN_BEFORE" envDefault:"48h,24h" group:"mail" usage:"how long before a suspension or a deletion the customer is warned, several separated by commas, 2h at least; 0: no warnings" example:"72h,24h"`

	DriftInterval time.Duration `env:"DRIFT_INTERVAL" envDefault:"24h" group:"pace" usage:"every bound subscription is compared with Enhance at least this often, spread over the runs" example:"12h"`
	SettleTime    time.Duration `env:"SETTLE_TIME" envDefault:"90s" group:"pace" usage:"how long an unanswered create is left alone before it is looked for" example:"2m"`
	RetryMin      time.Duration `env:"RETRY_MIN" envDefault:"10s" group:"pace" usage:"first back-off of a customer whose action failed" example:"10s"`
	RetryMax      time.Duration `env:"RETRY_MAX" envDefault:"1h" group:"pace" usage:"longest back-off of a customer whose actions fail" example:"2h"`
	LeaseTTL      time.Duration `env:"LEASE_TTL" envDefault:"30s" group:"pace" usage:"how long other processes wait for a writer that has fallen silent" example:"30s"`

	// SimulatedClock moves the time of one process. Against a real account it would suspend
	// customers who have days left, so checkSimulated refuses it there.
	SimulatedClock bool `env:"SIMULATED_CLOCK" envDefault:"false" group:"pace" usage:"use the time of stripe-enhance simulate, which can be moved; refused unless both addresses are on this machine and the key is a test key" example:"false"`

	ListenAddr  Address `env:"LISTEN_ADDR" envDefault:":8080" group:"service" usage:"address of the HTTP side (PORT=n is read as :n when this is unset)" example:"127.0.0.1:8080"`
	MetricsAddr Address `env:"METRICS_ADDR" group:"service" usage:"separate address for /metrics; unset: served beside the rest" example:"127.0.0.1:9090"`
	AdminKeys   Secrets `env:"ADMIN_API_KEY" group:"service" usage:"key of the admin API, at least 32 characters, several separated by commas while rotating; unset: admin routes answer 404" example:"the output of: openssl rand -hex 32"`
	SupportKeys Secrets `env:"SUPPORT_API_KEY" group:"service" usage:"as ADMIN_API_KEY, for looking, retrying, holds and login links; approves nothing, and changes no mapping and no name" example:"the output of: openssl rand -hex 32"`
	// TrustedProxies: if every client could name an address in X-Forwarded-For, a client
	// could choose whose wrong tries are counted.
	TrustedProxies Networks `env:"TRUSTED_PROXIES" group:"service" usage:"addresses or networks, separated by commas, whose X-Forwarded-For counts" example:"10.0.0.0/8"`
	PollSchedule   Schedule `env:"POLL_SCHEDULE" envDefault:"@every 1m" group:"service" usage:"cron expression of incremental runs" example:"*/5 * * * *"`
	FullSchedule   Schedule `env:"FULL_SCHEDULE" envDefault:"@daily" group:"service" usage:"cron expression of full sweeps" example:"30 3 * * *"`
	NotifyURLs     Secrets  `env:"NOTIFY_URLS" group:"service" usage:"shoutrrr URLs separated by commas, for messages about brakes, orders that wait, parked customers, failed and recovered runs" example:"discord://token@channel"`
	NotifyLanguage Language `env:"NOTIFY_LANGUAGE" envDefault:"en" group:"service" usage:"language of those messages: en (English) or ro (Romanian)" example:"ro"`
	// CollectorHeaders is a secret because it carries the key for the collector.
	Collector        Collector   `env:"OTEL_EXPORTER_OTLP_ENDPOINT" group:"service" usage:"OpenTelemetry collector that gets traces of runs by OTLP over HTTP; /v1/traces is added; unset: no traces" example:"http://127.0.0.1:4318"`
	TracesCollector  Collector   `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" group:"service" usage:"the same with the whole address, which comes before the other" example:"http://127.0.0.1:4318/v1/traces"`
	CollectorHeaders secret.Text `env:"OTEL_EXPORTER_OTLP_HEADERS" group:"service" usage:"headers for the collector, key=value separated by commas" example:"api-key=0123456789"`
	LogLevel         LogLevel    `env:"LOG_LEVEL" envDefault:"INFO" group:"service" usage:"ERROR, WARN, INFO or DEBUG" example:"DEBUG"`
	LogFormat        LogFormat   `env:"LOG_FORMAT" envDefault:"auto" group:"service" usage:"text, json, or auto: text on a terminal, JSON elsewhere" example:"json"`
	// AppVersion replaces the version of the build, for images built without one.
	AppVersion string `env:"APP_VERSION" group:"service" usage:"version shown by health; unset: the one built in" example:"1.4.0"`

	// LogLevelSet reports that the operator chose the level: if not, the log on a terminal
	// is quieter than INFO.
	LogLevelSet bool `env:"-"`
	// DatabaseFrom is the source of DATABASE_URL.
	DatabaseFrom Source `env:"-"`
	// Files are the secrets that are in files.
	Files []*secret.File `env:"-"`

	given map[string]string // the values that the operator has set, as they may be shown
}

// Source is where the value of a setting comes from.
type Source uint8

const (
	// SourceDefault: no source sets it, and the default applies.
	SourceDefault Source = iota + 1
	// SourceFile is the .env.
	SourceFile
	// SourceEnvironment is the environment of the process.
	SourceEnvironment
	// SourceFlag is the command line.
	SourceFlag
)

// String names the source, in words that fit after "set".
func (s Source) String() string {
	switch s {
	case SourceDefault:
		return "by default"
	case SourceFile:
		return "in .env"
	case SourceEnvironment:
		return "in the environment"
	case SourceFlag:
		return "by a flag"
	}
	return "invalid"
}

// Policy returns the settings of the planner.
func (c *Config) Policy() reconcile.Policy {
	return reconcile.Policy{
		Mode:           c.Mode,
		Grace:          c.Grace,
		Retention:      c.Retention,
		Backup:         c.Backup,
		SuspendPaused:  c.Paused == SuspendPaused,
		Onboarding:     c.Onboarding,
		CreateWebsites: c.CreateWebsites,
		WriteMetadata:  c.WriteMetadata,
		NewAfter:       c.NewAfter.Time,
		Instance:       string(c.Instance),

		HoldUnpaidUpgrade: c.UnpaidUpgrade == HoldUnpaidUpgrade,
		OneTrial:          c.Trials == OneTrial,
		Dispute:           c.Dispute.policy(),
		Mail:              c.mail(),
	}
}

// Mails reports whether mails are sent to customers.
func (c *Config) Mails() bool { return c.SMTPServer.IsSet() && c.MailFrom != "" }

func (c *Config) mail() (p reconcile.MailPolicy) {
	if c.Mails() {
		p.On = true
		copy(p.WarnBefore[:], c.WarnBefore)
	}
	return p
}

// Brakes returns the limits of the fleet.
func (c *Config) Brakes() planner.Brakes {
	return planner.Brakes{
		Suspend:    c.BrakeSuspend,
		ChangePlan: c.BrakeChangePlan,
		Create:     c.BrakeCreate,
		Terminate:  c.BrakeTerminate,
	}
}

// Need is a set of settings that a command requires. The zero value requires none.
type Need uint8

const (
	// NeedStripe is a key for Stripe.
	NeedStripe Need = 1 << iota
	// NeedEnhance is the panel's address, a token and the selling org.
	NeedEnhance
)

// minRetention is the shortest retention period that is accepted: it takes a month until
// a card is replaced, a holiday has ended and a bill is noticed.
const minRetention = 30 * 24 * time.Hour

// minLease keeps the renewal (a third of it) above the round trip to a distant database:
// if a lease cannot be renewed in time, it changes hands without a reason.
const minLease = 3 * time.Second

// minAdminKey is the fewest characters of an admin key: 128 bits in hexadecimal.
const minAdminKey = 32

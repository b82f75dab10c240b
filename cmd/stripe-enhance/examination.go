package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// examination collects findings. What depends on a part that failed says nothing
// of its own: one broken key should be one line.
type examination struct {
	*program
	*parts
	findings []finding
	wrong    config.Problems // with the settings

	tell      bool // send a test message to each of NOTIFY_URLS
	billingUp bool
	fresh     bool                    // the database is empty
	plans     []reconcile.EnhancePlan // of the panel; nil when they could not be read
}

func (x *examination) ok(part, format string, args ...any) {
	x.findings = append(x.findings, finding{part, verdictOK, fmt.Sprintf(format, args...), ""})
}

func (x *examination) warn(part, detail, toDo string) {
	x.findings = append(x.findings, finding{part, verdictWarn, detail, toDo})
}

func (x *examination) fail(part, detail, toDo string) {
	x.findings = append(x.findings, finding{part, verdictFail, detail, toDo})
}

// settings tells each setting that is missing or wrong.
func (x *examination) settings() {
	for _, one := range x.wrong {
		var toDo string
		switch {
		case one.Example != "":
			toDo = "set it: " + one.Example
		case one.Meaning != "":
			toDo = one.Meaning
		default:
			toDo = "correct it, or take it out"
		}
		x.fail(one.Name, one.Wrong, toDo)
	}
}

// sides are those of which every setting can be used.
func (x *examination) sides() (need config.Need) {
	if !x.wrong.Names("STRIPE_SECRET_KEY", "STRIPE_API_URL", "STRIPE_RPS", "CONCURRENCY") {
		need |= config.NeedStripe
	}
	if !x.wrong.Names("ENHANCE_API_URL", "ENHANCE_API_TOKEN", "ENHANCE_ORG_ID", "ENHANCE_RPS", "CONCURRENCY") {
		need |= config.NeedEnhance
	}
	return need
}

func (x *examination) policy(context.Context) {
	if x.wrong.Names("MODE", "GRACE_PERIOD", "RETENTION_PERIOD") {
		return
	}
	c := x.config
	detail := fmt.Sprintf("MODE=%s, grace %s, ", c.Mode, c.Grace)
	switch {
	case c.Retention > 0 && c.Mode == reconcile.Enforce:
		detail += fmt.Sprintf("deleted after %s", c.Retention)
	case c.Retention > 0:
		detail += fmt.Sprintf("nothing is deleted: RETENTION_PERIOD=%s counts only with MODE=enforce", c.Retention)
	default:
		detail += "nothing is ever deleted"
	}
	if c.Mode == reconcile.Observe {
		x.warn("policy", detail, "nothing is changed in this mode; set MODE=enforce when the plan looks right")
		return
	}
	x.ok("policy", "%s", detail)
}

// database opens without migrating: a preflight leaves everything as it is.
func (x *examination) database(ctx context.Context) {
	if x.wrong.Names("DATABASE_URL") {
		return
	}
	s, err := store.Open(ctx, store.Options{URL: x.config.DatabaseURL, Look: true})
	if err != nil {
		toDo := "set DATABASE_URL to a place that can be written, or mend what the message says"
		var owner *store.OwnerError
		if errors.As(err, &owner) {
			toDo = asOwner(owner, x.command)
		} else if x.config.DatabaseFrom != config.SourceDefault && store.File(x.config.DatabaseURL) == "" {
			toDo = "do what the message says; DATABASE_URL is set " + x.config.DatabaseFrom.String()
		}
		x.fail("database", err.Error(), toDo)
		return
	}
	x.durability(ctx, s)
	pending, err := s.Pending(ctx)
	switch {
	case err != nil:
		x.fail("database", err.Error(), "mend what the message says")
	case len(pending) > 0 && !x.config.AutoMigrate:
		x.fail("database", report.Count(len(pending), "migration")+" missing", "run stripe-enhance migrate")
	case len(pending) > 0:
		version, err := s.Version(ctx)
		x.fresh = err == nil && version == 0
		x.ok("database", "%s; %s applied by the next run", x.whichDatabase(s), report.Count(len(pending), "migration"))
	default:
		x.parts.store = s
		x.ok("database", "%s, up to date", x.whichDatabase(s))
		return
	}
	if err := s.Close(); err != nil {
		x.fail("database", err.Error(), "mend what the message says")
	}
}

// whichDatabase names it: a file by its whole path, one on a server by its kind alone.
func (x *examination) whichDatabase(s *store.Store) string {
	return strings.TrimSpace(s.Dialect() + " " + store.File(x.config.DatabaseURL))
}

// durability tells settings of the server under which an intent may be lost.
func (x *examination) durability(ctx context.Context, s *store.Store) {
	risks, err := s.Durability(ctx)
	if err != nil {
		x.fail("database", err.Error(), "mend what the message says")
	}
	for _, r := range risks {
		say := x.warn
		if r.Certain {
			say = x.fail
		}
		say("database "+r.Setting, r.Harm, r.Remedy)
	}
}

func (x *examination) billing(ctx context.Context) {
	if x.stripe == nil {
		return
	}
	permissions, err := x.stripe.Check(ctx)
	if err != nil {
		x.fail("Stripe", err.Error(), "run the check again")
		return
	}
	denied := 0
	for _, one := range permissions {
		part := "Stripe " + one.Resource
		switch {
		case one.Err == nil:
			x.billingUp = true
			x.ok(part, "readable (%s)", one.Purpose)
		case one.Optional && errors.Is(one.Err, fault.Denied):
			x.warn(part, "not readable ("+one.Purpose+")", "optional: allow the key to read "+one.Resource+" in Stripe › Developers › API keys")
		case one.KeyRefused:
			x.fail("Stripe key", "refused by Stripe: "+x.config.StripeKey.Glimpse()+": "+one.Err.Error(), "STRIPE_SECRET_KEY is not a key of Stripe, or no longer: copy it again from Stripe › Developers › API keys")
			return
		case errors.Is(one.Err, fault.Denied):
			denied++
			x.fail(part, "refused: "+one.Err.Error(), "allow the key to read "+one.Resource+" in Stripe › Developers › API keys")
		default:
			x.fail(part, one.Err.Error(), unreachable(one.Err, "STRIPE_API_URL"))
			return // the others would only say the same, slowly
		}
	}
	if denied == len(permissions) {
		x.fail("Stripe key", "refused for everything", "is STRIPE_SECRET_KEY still valid, and of this account?")
		return
	}
	x.ok("Stripe key", "%s mode", modeOf(x.stripe.Livemode()))
}

// maxSkew is the difference of clocks beyond which a run takes nothing away.
const maxSkew = time.Minute

func (x *examination) clock(context.Context) {
	if x.stripe == nil {
		return
	}
	theirs, ours := x.stripe.ServerTime()
	if theirs.IsZero() {
		return
	}
	skew := ours.Sub(theirs).Round(time.Second)
	if skew.Abs() > maxSkew {
		x.fail("clock", fmt.Sprintf("this machine is %s off Stripe's clock", skew), "set the clock right (NTP); until then nothing is taken away")
		return
	}
	x.ok("clock", "within %s of Stripe's", max(skew.Abs(), time.Second))
}

func (x *examination) webhook(context.Context) {
	if x.wrong.Names("STRIPE_WEBHOOK_SECRET") {
		return
	}
	if n := len(x.config.WebhookSecrets); n > 0 {
		x.ok("webhook", "%s configured", report.Count(n, "secret"))
		return
	}
	x.ok("webhook", "no secret: none is needed, polling does everything")
}

// testedMajor is the major release of orchd whose documentation the client follows.
const testedMajor = "12."

const tokenRefused = "is ENHANCE_API_TOKEN of the organisation ENHANCE_ORG_ID, and allowed from this address?"

func (x *examination) panel(ctx context.Context) {
	if x.enhance == nil {
		return
	}
	version, err := x.enhance.Version(ctx)
	if errors.Is(err, fault.Denied) { // some panels ask for the token even here
		x.fail("Enhance token", err.Error(), tokenRefused)
		return
	}
	if err != nil {
		x.fail("Enhance", err.Error(), unreachable(err, "ENHANCE_API_URL"))
		return
	}
	if err := x.enhance.Ready(ctx); err != nil {
		x.fail("Enhance", err.Error(), "wait until the panel is ready")
		return
	}
	if strings.HasPrefix(version, testedMajor) {
		x.ok("Enhance", "orchd %s, ready", version)
	} else {
		x.warn("Enhance", "orchd "+version+", ready", "this program follows the documentation of orchd "+testedMajor+"x; try MODE=observe first")
	}
	self, err := x.enhance.Self(ctx)
	if err != nil {
		x.fail("Enhance token", err.Error(), x.whoseToken(ctx, err))
		return
	}
	x.ok("Enhance token", "organisation %q", self.Name)
	x.offers(ctx)
}

func (x *examination) offers(ctx context.Context) {
	customers, err := x.enhance.CustomerCount(ctx)
	if err != nil {
		x.fail("Enhance customers", err.Error(), "the token must be allowed to list customers")
		return
	}
	x.ok("Enhance customers", "%s", report.Number(customers))
	plans, err := x.enhance.Plans(ctx)
	switch {
	case err != nil:
		x.fail("Enhance plans", err.Error(), "the token must be allowed to list plans")
	case len(plans) == 0:
		x.fail("Enhance plans", "none", "create a plan in the panel; there is nothing to sell otherwise")
	default:
		x.plans = plans
		x.ok("Enhance plans", "%s", report.Number(len(plans)))
	}
}

const (
	noMappings = "none: no price buys a plan yet"
	mapFirst   = "stripe-enhance mappings suggest, then stripe-enhance mappings set BILLING_ID PLAN"
)

// mappings tries each against both sides. A mapping that leads nowhere holds
// everybody who buys it.
func (x *examination) mappings(ctx context.Context) {
	if x.fresh {
		x.fail("mappings", noMappings, mapFirst)
	}
	if x.parts.store == nil {
		return
	}
	all, err := x.parts.store.Mappings(ctx)
	switch {
	case err != nil:
		x.fail("mappings", err.Error(), "mend what the message says")
		return
	case len(all) == 0:
		x.fail("mappings", noMappings, mapFirst)
		return
	}
	bad := 0
	if x.plans != nil {
		for _, problem := range planner.NewCatalog(all, x.plans).Problems() {
			bad++
			x.fail("mappings", problem, offered(x.plans)+"; stripe-enhance mappings list shows all mappings")
		}
	}
	bad += x.unknownPrices(ctx, all)
	if bad == 0 {
		x.ok("mappings", "%s", report.Number(len(all)))
	}
}

func (x *examination) unknownPrices(ctx context.Context, all []reconcile.Mapping) (bad int) {
	if !x.billingUp {
		return 0
	}
	for _, m := range all {
		known, err := x.stripe.Known(ctx, m.BillingID)
		switch {
		case err != nil:
			x.fail("mappings", err.Error(), unreachable(err, "STRIPE_API_URL"))
			return bad + 1
		case !known:
			bad++
			x.fail("mappings", m.BillingID+" does not exist at Stripe in this mode",
				"correct it, or remove it: stripe-enhance mappings delete "+m.BillingID)
		}
	}
	return bad
}

// receivers tells who is told of what waits, and with --notify tries it.
func (x *examination) receivers(context.Context) {
	n := len(x.config.NotifyURLs)
	switch {
	case x.wrong.Names("NOTIFY_URLS"):
		return
	case n == 0 && x.tell:
		x.fail("notify", "NOTIFY_URLS is not set, so there is nobody to send a test message to", "set it, for example to discord://TOKEN@CHANNEL")
		return
	case n == 0:
		x.ok("notify", "NOTIFY_URLS is not set: nobody is told of what waits or fails")
		return
	case !x.tell:
		x.ok("notify", "%s configured; check --notify sends a test message", report.Count(n, "receiver"))
		return
	}
	messages, err := notify.New(x.config.NotifyURLs, x.log)
	if err != nil {
		x.fail("notify", err.Error(), "mend NOTIFY_URLS")
		return
	}
	defer messages.Close()
	missed := messages.Deliver("stripe-enhance: this is a test message of `stripe-enhance check --notify`, from " + x.person() + ". Nothing has happened.")
	for _, name := range missed {
		x.fail("notify "+name, "the test message was not taken", "compare URL "+name+" of NOTIFY_URLS with what the service gives you, and see that this machine reaches it")
	}
	if taken := n - len(missed); taken > 0 {
		x.ok("notify", "%s took the test message", report.Count(taken, "receiver"))
	}
}

// Package preflight checks that a run can work: the settings, the keys and their
// permissions, the database, the clock, the mappings and the messages. It changes nothing,
// and has one line with a next step for each thing that is wrong.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"github.com/stripe-enhance/stripe-enhance/reconcile"

	"encoding/json"
	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// Finding is one line of the preflight.
type Finding struct {
	Part   string `json:"part"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	ToDo   string `json:"to_do"` // the next step; "" if the part is fine
}

// Status is how a part is.
type Status uint8

const (
	OK   Status = iota + 1
	Warn        // it works, but an operator should look at it
	Fail        // a run would fail or hold changes
)

func (s Status) String() string {
	switch s {
	case OK:
		return "ok"
	case Warn:
		return "warn"
	case Fail:
		return "fail"
	}
	return "unknown"
}

// MarshalJSON writes the word.
func (s Status) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Options are what a check needs besides the parts.
type Options struct {
	Place  app.Place
	Wrong  config.Problems // in the settings
	Notify bool            // send a test message to each of NOTIFY_URLS
	Mail   string          // an address that gets a test mail; "": none
}

// Check looks at every part. It uses the configuration of a and adds parts to it; it does
// not need any. The error is a context that ended.
func Check(ctx context.Context, a *app.App, o Options) ([]Finding, error) {
	x := &check{App: a, place: o.Place, wrong: o.Wrong, notify: o.Notify, mail: o.Mail}
	x.settings()
	if err := a.Connect(x.sides()); err != nil {
		return nil, err
	}
	for _, look := range []func(context.Context){x.policy, x.files, x.database, x.billing, x.clock, x.webhook, x.panel, x.mappings, x.payers, x.waiting, x.receivers, x.mails} {
		look(ctx)
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	if err := a.Close(); err != nil {
		x.fail("database", err.Error(), "see the message")
	}
	return x.findings, nil
}

// Count is how many findings have a status.
func Count(all []Finding, s Status) (n int) {
	for _, f := range all {
		if f.Status == s {
			n++
		}
	}
	return n
}

// check collects findings. A part that depends on one that failed adds none of its own, so
// that one broken key is one line.
type check struct {
	*app.App
	place    app.Place
	findings []Finding
	wrong    config.Problems // in the settings

	notify    bool   // send a test message to each of NOTIFY_URLS
	mail      string // an address that gets a test mail
	billingUp bool
	fresh     bool                    // the database is empty
	plans     []reconcile.EnhancePlan // of the panel; nil if they could not be read
}

func (x *check) ok(part, format string, args ...any) {
	x.findings = append(x.findings, Finding{part, OK, fmt.Sprintf(format, args...), ""})
}

func (x *check) warn(part, detail, toDo string) {
	x.findings = append(x.findings, Finding{part, Warn, detail, toDo})
}

func (x *check) fail(part, detail, toDo string) {
	x.findings = append(x.findings, Finding{part, Fail, detail, toDo})
}

// seeMessage is the next step where the error itself names it.
const seeMessage = "mend what the message names"

// settings lists each setting that is missing or wrong.
func (x *check) settings() {
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

// sides are those whose settings are all valid.
func (x *check) sides() (need config.Need) {
	if !x.wrong.Names("STRIPE_SECRET_KEY", "STRIPE_API_URL", "STRIPE_RPS", "CONCURRENCY") {
		need |= config.NeedStripe
	}
	if !x.wrong.Names("ENHANCE_API_URL", "ENHANCE_API_TOKEN", "ENHANCE_ORG_ID", "ENHANCE_RPS", "CONCURRENCY") {
		need |= config.NeedEnhance
	}
	return need
}

func (x *check) policy(context.Context) {
	if x.wrong.Names("MODE", "GRACE_PERIOD", "RETENTION_PERIOD") {
		return
	}
	c := x.Config
	detail := fmt.Sprintf("MODE=%s, grace %s, ", c.Mode, c.Grace)
	switch {
	case c.Retention > 0 && c.Mode == reconcile.Enforce:
		detail += fmt.Sprintf("deleted after %s", c.Retention)
	case c.Retention > 0:
		detail += fmt.Sprintf("nothing is deleted: RETENTION_PERIOD=%s counts only with MODE=enforce", c.Retention)
	default:
		detail += "nothing is deleted"
	}
	if c.Mode == reconcile.Observe {
		x.warn("policy", detail, "nothing is changed in this mode; set MODE=enforce when the output of plan looks right")
		return
	}
	x.ok("policy", "%s", detail)
}

// files lists the secrets that are in files. What is wrong with one is among the settings.
func (x *check) files(context.Context) {
	for _, f := range x.Config.Files {
		if !x.wrong.Names(f.Name()) {
			x.ok(f.Name(), "read from %s, and again when that changes", f.Path())
		}
	}
}

func (x *check) webhook(context.Context) {
	if x.wrong.Names("STRIPE_WEBHOOK_SECRET") {
		return
	}
	if n := len(secret.Each(x.Config.WebhookSecrets)); n > 0 {
		x.ok("webhook", "%s configured", report.Count(n, "secret"))
		return
	}
	x.ok("webhook", "no secret: none is needed, polling does everything")
}

// receivers lists who gets messages, and with --notify sends each a test message.
func (x *check) receivers(context.Context) {
	n := len(secret.Each(x.Config.NotifyURLs))
	switch {
	case x.wrong.Names("NOTIFY_URLS"):
		return
	case n == 0 && x.notify:
		x.fail("notify", "NOTIFY_URLS is not set, so there is no receiver for a test message", "set it, for example to discord://TOKEN@CHANNEL")
		return
	case n == 0:
		x.ok("notify", "NOTIFY_URLS is not set: no messages are sent when changes wait or a run fails")
		return
	case !x.notify:
		x.ok("notify", "%s configured; check --notify sends a test message", report.Count(n, "receiver"))
		return
	}
	in := notify.Language(x.Config.NotifyLanguage)
	messages, err := notify.New(secret.Each(x.Config.NotifyURLs), in, x.Log)
	if err != nil {
		x.fail("notify", err.Error(), "mend NOTIFY_URLS")
		return
	}
	defer messages.Close()
	missed := messages.Deliver(notify.TestMessage(in, x.Person))
	for _, name := range missed {
		x.fail("notify "+name, "the test message was not taken", "compare URL "+name+" of NOTIFY_URLS with the one that the service shows, and check that this machine can reach it")
	}
	if taken := n - len(missed); taken > 0 {
		x.ok("notify", "%s took the test message", report.Count(taken, "receiver"))
	}
}

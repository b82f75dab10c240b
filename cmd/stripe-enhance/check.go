package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

// finding is one line of the preflight.
type finding struct {
	Part   string  `json:"part"`
	Status verdict `json:"status"`
	Detail string  `json:"detail"`
	ToDo   string  `json:"to_do"` // what to do about it; "" when it is fine
}

// verdict is ok, warn (works, but look at it) or fail (a run would fail or hold).
type verdict uint8

const (
	verdictOK verdict = iota + 1
	verdictWarn
	verdictFail
)

func (v verdict) String() string {
	switch v {
	case verdictOK:
		return "ok"
	case verdictWarn:
		return "warn"
	case verdictFail:
		return "fail"
	}
	return "unknown"
}

// MarshalJSON writes the word.
func (v verdict) MarshalJSON() ([]byte, error) { return json.Marshal(v.String()) }

// errCheckFailed ends a check that found something; the lines say what.
var errCheckFailed = errors.New("")

type checkDocument struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

func (p *program) checkCommand() *cobra.Command {
	var tell bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Preflight: keys and permissions, plans, mappings, database, clocks; what to do about each",
		Long: "Looks at every part once and changes nothing. One line each, with what to do.\n" +
			"A setting that is missing or wrong is a line too, and what can be looked at\n" +
			"without it is. With --notify a test message goes to each of NOTIFY_URLS.\n\n" +
			"Exit code 0: all good. 1: something would make a run fail or hold.",
		GroupID: groupLook,
		Example: "  stripe-enhance check\n" +
			"  stripe-enhance check --notify\n" +
			"  stripe-enhance check -o json | jq '.checks[] | select(.status != \"ok\")'",
		RunE: func(c *cobra.Command, _ []string) error { return p.check(c.Context(), tell) },
	}
	c.Flags().BoolVar(&tell, "notify", false, "send a test message to each of NOTIFY_URLS")
	return c
}

func (p *program) check(ctx context.Context, tell bool) error {
	p.sayf("%s", p.settingsFrom())
	c, warnings, wrong := config.Inspect(p.sources(), config.NeedStripe|config.NeedEnhance)
	for _, w := range warnings {
		p.sayf("warning: %s", w)
	}
	a := &parts{config: c, log: p.logger(c)}
	x := &examination{program: p, parts: a, wrong: wrong, tell: tell}
	x.settings()
	if err := a.clients(p, x.sides()); err != nil {
		return err
	}
	for _, look := range []func(context.Context){x.policy, x.database, x.billing, x.clock, x.webhook, x.panel, x.mappings, x.payers, x.waiting, x.receivers} {
		look(ctx)
		if err := ctx.Err(); err != nil {
			return errors.Join(err, a.close())
		}
	}
	if err := a.close(); err != nil {
		x.fail("database", err.Error(), "see the message")
	}
	return p.tellChecks(x.findings)
}

func (p *program) tellChecks(all []finding) error {
	bad := count(all, verdictFail)
	var err error
	if p.format == formatJSON {
		err = report.WriteJSON(p.out, checkDocument{OK: bad == 0, Checks: all})
	} else {
		err = p.checkLines(all, bad)
	}
	if err == nil && bad > 0 {
		err = errCheckFailed
	}
	return err
}

func count(all []finding, v verdict) (n int) {
	for _, f := range all {
		if f.Status == v {
			n++
		}
	}
	return n
}

func (p *program) checkLines(all []finding, bad int) error {
	s := p.style()
	paint := map[verdict]func(string) string{verdictOK: s.Good, verdictWarn: s.Warn, verdictFail: s.Bad}
	for _, f := range all {
		line := fmt.Sprintf("%s  %-24s %s", paint[f.Status](fmt.Sprintf("%-4s", f.Status)), f.Part, report.Plain(f.Detail))
		if f.ToDo != "" {
			line += "\n      → " + report.Plain(f.ToDo)
		}
		if err := p.printf("%s\n", line); err != nil {
			return err
		}
	}
	if bad > 0 {
		return p.printf("\n%s to mend before a run.\n", report.Count(bad, "thing"))
	}
	if n := count(all, verdictWarn); n > 0 { // all is not good while something waits for a person
		return p.printf("\nNothing keeps a run from working; %s to look at, marked %s.\n", report.Count(n, "thing"), verdictWarn)
	}
	return p.printf("\nAll good.\n")
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/preflight"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// errCheckFailed ends a check that found something. Its lines are printed before.
var errCheckFailed = errors.New("")

type checkDocument struct {
	OK     bool                `json:"ok"`
	Checks []preflight.Finding `json:"checks"`
}

func (p *program) checkCommand() *cobra.Command {
	var notify bool
	var mail string
	c := &cobra.Command{
		Use:   "check",
		Short: "Preflight: keys and permissions, plans, mappings, database, clocks, each with the next step",
		Long: "Looks at every part once and changes nothing. Each part is one line, with the next\n" +
			"step. A setting that is missing or wrong is a line too, and the parts that do not\n" +
			"need it are still looked at. With --notify each of NOTIFY_URLS gets a test message, and\n" +
			"with --mail an address gets a test mail from the server in SMTP_URL.\n\n" +
			"Exit code 0: all good. 1: something would make a run fail or hold changes.",
		GroupID: groupLook,
		Example: "  stripe-enhance check\n" +
			"  stripe-enhance check --notify\n" +
			"  stripe-enhance check --mail you@example.com\n" +
			"  stripe-enhance check -o json | jq '.checks[] | select(.status != \"ok\")'",
		RunE: func(c *cobra.Command, _ []string) error {
			if _, ok := reconcile.MailAddress(mail); mail != "" && !ok {
				return &usageError{fmt.Errorf("--mail %q is not an address like you@example.com", mail), c.CommandPath()}
			}
			return p.check(c.Context(), notify, mail)
		},
	}
	c.Flags().BoolVar(&notify, "notify", false, "send a test message to each of NOTIFY_URLS")
	c.Flags().StringVar(&mail, "mail", "", "send a test mail to this address")
	return c
}

func (p *program) check(ctx context.Context, notify bool, mail string) error {
	p.sayf("%s", p.place().SettingsFrom())
	c, warnings, wrong := config.Inspect(p.sources(), config.NeedStripe|config.NeedEnhance)
	for _, w := range warnings {
		p.sayf("warning: %s", w)
	}
	findings, err := preflight.Check(ctx, p.newApp(c), preflight.Options{Place: p.place(), Wrong: wrong, Notify: notify, Mail: mail})
	if err != nil {
		return err
	}
	return p.printChecks(findings)
}

func (p *program) printChecks(all []preflight.Finding) error {
	bad := preflight.Count(all, preflight.Fail)
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

func (p *program) checkLines(all []preflight.Finding, bad int) error {
	s := p.style()
	paint := map[preflight.Status]func(string) string{preflight.OK: s.Good, preflight.Warn: s.Warn, preflight.Fail: s.Bad}
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
	if n := preflight.Count(all, preflight.Warn); n > 0 { // not all is good while something waits for a person
		return p.printf("\nNothing keeps a run from working; %s to look at, marked %s.\n", report.Count(n, "thing"), preflight.Warn)
	}
	return p.printf("\nAll good.\n")
}

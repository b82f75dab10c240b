package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/adoption"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/store"
)

const importLegacyLong = `Takes over the functions on Vercel: reads their tables customers, subscriptions,
plan_mappings and webhook_logs in the PostgreSQL at URL, in one transaction that cannot
write, and compares each row with Stripe and with the panel. URL must not be DATABASE_URL.

A mapping is set if Stripe has the price and the panel has the plan, unless the price is
mapped here already. A hosting is linked if the subscription lives at Stripe, belongs to
that customer, pays for a hosting that it does not have, and the panel has the hosting in
that organisation, without a payer: what "adopt --csv" links. Nothing is guessed from an
e-mail, and what a person has decided here stays. Every other row is listed with the reason and a
command. Webhooks are not taken: they only make the program look.

It suspends nothing, creates nothing and invites no customer; the name of each linked
hosting gets the subscription's marker at its end. It can be given again: nothing is done twice.
End the functions and their webhook before. It exits with 3 while rows wait for a person.`

// importLegacyFlags are the flags of migrate import-legacy.
type importLegacyFlags struct {
	file   string
	author string
	dry    bool
}

func (p *program) importLegacyCommand() *cobra.Command {
	var w importLegacyFlags
	c := withCSV(&cobra.Command{
		Use:   "import-legacy [URL]",
		Short: "Take over mappings and hostings from the functions on Vercel",
		Long:  importLegacyLong,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil // RunE looks for the file
			}
			return arguments("URL")(c, args)
		},
		Example: "  stripe-enhance migrate import-legacy postgres://owner:PASSWORD@ep-x.eu-central-1.aws.neon.tech/neondb --dry-run\n" +
			"  stripe-enhance migrate import-legacy --url-file /run/secrets/old_database_url",
		RunE: func(c *cobra.Command, args []string) error {
			url, err := legacyURL(strings.Join(args, ""), w.file)
			if err != nil {
				return &usageError{err, c.CommandPath()}
			}
			p.decides = !w.dry
			return p.importLegacy(c.Context(), url, w)
		},
	})
	f := c.Flags()
	f.StringVar(&w.file, "url-file", "", "a file with the URL: all users of the machine can see an argument in the process list")
	f.StringVar(&w.author, "author", "", "who decided it (default: the user of this process)")
	f.BoolVar(&w.dry, "dry-run", false, "show what would be taken, and change nothing")
	return c
}

// legacyURL is the URL of the older system's database.
func legacyURL(argument, file string) (url secret.Text, err error) {
	switch {
	case (argument == "") == (file == ""):
		return url, errors.New("the URL of the older system's database is missing, or given twice: as an argument, or in a file by --url-file")
	case argument != "":
		url = secret.New(argument)
	default:
		text, err := secret.ReadFile(file)
		if err != nil {
			return url, err
		}
		url = secret.New(text)
	}
	if store.DumpCommand(url, "") == "" {
		return url, errors.New("the database of the older system is on PostgreSQL, at a URL like postgres://user:password@host/database")
	}
	return url, nil
}

func (p *program) importLegacy(ctx context.Context, url secret.Text, w importLegacyFlags) error {
	var webhooks int64
	return atTheDesk(ctx, p, w.author, func(ctx context.Context, d *adoption.Desk) ([]adoption.Import, error) {
		old, err := store.ReadLegacy(ctx, url)
		if err != nil {
			return nil, err
		}
		webhooks = old.Webhooks
		return d.ImportLegacy(ctx, old, w.dry)
	}, func(rows []adoption.Import) error { return p.printImported(rows, webhooks, w.dry) })
}

// importedJSON is the output of migrate import-legacy as JSON.
type importedJSON struct {
	DryRun   bool                `json:"dry_run"`
	Rows     []map[string]string `json:"rows"`
	Counts   map[string]int      `json:"counts"`
	Webhooks int64               `json:"webhooks"`
}

func (p *program) printImported(rows []adoption.Import, webhooks int64, dry bool) error {
	counts := map[string]int{}
	for _, end := range adoption.ImportEnds {
		counts[string(end)] = 0
	}
	t, short := &report.Table{Head: adoption.ImportColumns}, &report.Table{Head: []string{"kind", "end", "at Stripe", "at the panel", "e-mail", "reason", "command"}}
	for _, r := range rows {
		counts[string(r.End)]++
		t.Add(r.Cells()...)
		short.Add(r.Kind, string(r.End), r.BillingID+r.Subscription, r.Plan+r.Hosting, r.Email, r.Reason, r.Command)
	}
	var err error
	switch p.format {
	case formatJSON:
		out := importedJSON{dry, []map[string]string{}, counts, webhooks}
		for _, r := range rows {
			one := map[string]string{}
			for i, cell := range r.Cells() {
				one[adoption.ImportColumns[i]] = cell
			}
			out.Rows = append(out.Rows, one)
		}
		err = report.WriteJSON(p.out, out)
	case formatCSV:
		err = t.CSV(p.out)
	case formatText, formatICS:
		err = p.importedText(short, counts, webhooks, dry)
	}
	if err == nil && counts[string(adoption.ImportWaits)] > 0 {
		return leftError{}
	}
	return err
}

func (p *program) importedText(t *report.Table, counts map[string]int, webhooks int64, dry bool) error {
	if len(t.Rows) > 0 {
		if err := t.Text(p.out, "", p.style()); err != nil {
			return err
		}
	}
	var parts []string
	for _, end := range adoption.ImportEnds {
		parts = append(parts, fmt.Sprintf("%s %s", report.Number(counts[string(end)]), end))
	}
	if err := p.printf("\n%s: %s. %s there, none of which is needed.\n", report.Count(len(t.Rows), "row"), strings.Join(parts, ", "), report.Count(int(webhooks), "webhook")); err != nil {
		return err
	}
	if dry {
		return p.printf("Nothing was changed: the rows that are \"taken\" would be.\n")
	}
	return p.printf("The next step is `stripe-enhance plan`, which shows what differs from what is paid for.\n")
}

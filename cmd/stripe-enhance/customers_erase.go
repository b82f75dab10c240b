package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const exportLong = `Writes all that the database knows of one customer as JSON, for a person who asks for it
(GDPR, article 15): each row of each table that is about this customer, and nothing of any
other. Keys and rows always come in the same order. Stripe and the panel know more.

It only reads: the lease is not needed, and the journal gets no row. The file of --out is
readable for you alone, and must not exist.`

func (p *program) customersExport() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "export CUSTOMER",
		Short: "All that the database knows of one customer, as JSON",
		Long:  exportLong,
		Args:  arguments("CUSTOMER"),
		Example: "  stripe-enhance customers export bakery@example.com --out bakery.json\n" +
			"  stripe-enhance customers export cus_AbCdEf > customer.json",
		RunE: func(c *cobra.Command, args []string) error {
			var l reconcile.CustomerLookup
			if err := parseLookup(&l, args); err != nil {
				return &usageError{err, c.CommandPath()}
			}
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error { return p.export(ctx, a, l, file) })
		},
	}
	c.Flags().StringVar(&file, "out", "", "write it to this new file, readable for you alone")
	return c
}

// exported is the JSON of export.
type exported struct {
	Customer string                 `json:"customer"`
	At       *string                `json:"at"`
	Data     reconcile.PersonalData `json:"data"`
}

func (p *program) export(ctx context.Context, a *app.App, l reconcile.CustomerLookup, file string) error {
	c, err := p.oneCustomer(ctx, a, l)
	if err != nil {
		return err
	}
	data, err := a.Store.Personal(ctx, c.ID)
	if err != nil {
		return err
	}
	out := exported{Customer: c.ID, At: report.Time(p.now()), Data: data}
	if file == "" {
		return report.WriteJSON(p.out, out)
	}
	if err := writeNew(file, func(w io.Writer) error { return report.WriteJSON(w, out) }); err != nil {
		return err
	}
	p.sayf("wrote all of customer %s to %s", c.ID, file)
	return nil
}

// writeNew writes a file that must not exist, readable for its owner alone.
func writeNew(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

const eraseLong = `Forgets the name and the e-mail of a customer in this database, for a person who asks for
it (GDPR, article 17). Ids, dates, amounts, domains and the rows of the journal stay, with a
pseudonym in the place of name and e-mail. The file of SQLite is written anew, so that its
bytes have no remains.

It is refused as long as a run would only store the name again, or something is still done
for the customer: delete the customer at Stripe, and its hosting in the panel, run
"stripe-enhance reconcile --full", and then erase. Nothing is sent to Stripe or Enhance, and
no run creates, suspends or invites anything because of it. Backups of the database are
yours to delete.`

func (p *program) customersErase() *cobra.Command {
	var w personFlags
	c := &cobra.Command{
		Use:   "erase CUSTOMER",
		Short: "Forget the name and the e-mail of a customer, and keep the journal",
		Long:  eraseLong,
		Args:  arguments("CUSTOMER"),
		Example: "  stripe-enhance customers erase bakery@example.com --reason 'asked to be forgotten' --dry-run\n" +
			"  stripe-enhance customers erase cus_AbCdEf --reason 'asked to be forgotten'",
		RunE: func(c *cobra.Command, args []string) error {
			var l reconcile.CustomerLookup
			if err := errors.Join(parseLookup(&l, args), w.check(p)); err != nil {
				return &usageError{err, c.CommandPath()}
			}
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error { return p.erase(ctx, a, l, &w) })
		},
	}
	w.register(c, "show what would be erased, and change nothing")
	return c
}

// erasedCustomer is the JSON of erase.
type erasedCustomer struct {
	Customer string         `json:"customer"`
	Already  bool           `json:"already"` // nothing of the person was left
	Rows     map[string]int `json:"rows"`    // changed, by table
	Same     []string       `json:"same_email"`
	DryRun   bool           `json:"dry_run"`
}

func (p *program) erase(ctx context.Context, a *app.App, l reconcile.CustomerLookup, w *personFlags) error {
	c, err := p.oneCustomer(ctx, a, l)
	if err != nil {
		return err
	}
	do := a.Store.Erase
	if w.dry {
		do = a.Store.PreviewErasing
	}
	done, err := do(ctx, reconcile.Erasing{Customer: c.ID, Author: w.author, Reason: w.reason, At: p.now().UTC()})
	if no := reconcile.InstructionRefused(""); errors.As(err, &no) {
		return no
	}
	if err != nil {
		return err
	}
	out := erasedCustomer{Customer: c.ID, Already: len(done.Rows) == 0, Rows: done.Rows, Same: append([]string{}, done.Same...), DryRun: w.dry}
	if err := p.printErased(out); err != nil {
		return err
	}
	if done.Unfinished != "" {
		return fmt.Errorf("the rows are erased, but the file of the database still has remains of them: %s. Repeat this command when it is not in use", done.Unfinished)
	}
	return nil
}

func (p *program) printErased(out erasedCustomer) error {
	if p.format == formatJSON {
		return report.WriteJSON(p.out, out)
	}
	var rows []string
	for _, table := range slices.Sorted(maps.Keys(out.Rows)) {
		rows = append(rows, fmt.Sprintf("%d of %s", out.Rows[table], table))
	}
	text := fmt.Sprintf("The name and the e-mail of customer %s were erased, in %s.", out.Customer, strings.Join(rows, ", "))
	switch {
	case out.Already:
		text = fmt.Sprintf("The database has no name and no e-mail of customer %s.", out.Customer)
	case out.DryRun:
		text = fmt.Sprintf("The name and the e-mail of customer %s would be erased, in %s. Nothing was changed.", out.Customer, strings.Join(rows, ", "))
	}
	if err := p.printf("%s\n", text); err != nil {
		return err
	}
	for _, other := range out.Same {
		if err := p.printf("Customer %s has the same e-mail, and keeps it: erase it too, if it is the same person.\n", other); err != nil {
			return err
		}
	}
	return nil
}

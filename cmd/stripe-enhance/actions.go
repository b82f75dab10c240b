package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// mostRows is the most rows that a list shows, as in the admin API. An export has all.
const mostRows = 1000

func (p *program) actionsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "actions",
		Short: "The journal: every change that was planned, sent, done or given up",
		Long: "The journal has a row for every change, with its reason and its outcome, and for every\n" +
			"instruction of a person. It is the same as GET /api/admin/actions.",
		GroupID: groupLook,
		Example: "  stripe-enhance actions list --customer cus_AbCdEf\n  stripe-enhance actions export > journal.csv",
	}
	c.AddCommand(p.actionsList(), p.actionsRetry(), p.actionsExport())
	return c
}

// journalFlags choose rows of the journal.
type journalFlags struct {
	reconcile.ActionFilter
	state, since string
}

func (f *journalFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.Customer, "customer", "", "only those of a customer (cus_…)")
	flags.StringVar(&f.Subscription, "subscription", "", "only those of a subscription (sub_…)")
	flags.StringVar(&f.state, "state", "", "only those in a state: "+strings.Join(actionStates(), ", "))
	flags.StringVar(&f.since, "since", "", "only from a day (2030-01-31), a time (2030-01-31T12:00:00Z), or a duration before now (72h), on")
}

// actionStates are the states of the journal, in the order of a row's life.
func actionStates() (all []string) {
	for s := reconcile.ActionPlanned; reconcile.ParseActionState(s.String()) == s; s++ {
		all = append(all, s.String())
	}
	return all
}

// parse checks the flags and makes a filter of them.
func (f *journalFlags) parse(now time.Time) (err error) {
	f.Customer, f.Subscription = strings.TrimSpace(f.Customer), strings.TrimSpace(f.Subscription)
	if f.Subscription != "" && !reconcile.ValidID("sub_", f.Subscription) {
		return fmt.Errorf("--subscription %q is not the id of a subscription, which begins with sub_", f.Subscription)
	}
	if f.state != "" {
		if f.State = reconcile.ParseActionState(f.state); f.State == 0 {
			return fmt.Errorf("--state %s is not one of %s", f.state, strings.Join(actionStates(), ", "))
		}
	}
	if f.since != "" {
		if f.Since, err = pastMoment(f.since, now); err != nil {
			return err
		}
	}
	if f.Limit < 0 || f.Limit > mostRows {
		return fmt.Errorf("--limit %d is not a number from 1 to %d; stripe-enhance actions export has every row", f.Limit, mostRows)
	}
	return nil
}

// pastMoment reads a time in the past: a day begins at midnight UTC, a duration ends now.
func pastMoment(text string, now time.Time) (time.Time, error) {
	at, err := time.ParseDuration(text)
	if err == nil && at >= 0 {
		return now.Add(-at).UTC(), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %s is neither a day like 2030-01-31, nor a time like 2030-01-31T12:00:00Z, nor a duration like 72h", text)
}

func (p *program) actionsList() *cobra.Command {
	var f journalFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "The newest rows of the journal, the newest first",
		Long: "Lists rows of the journal, the newest first. The states are the journal's own: \"held\"\n" +
			"waits for an approval, \"sent\" and \"ambiguous\" have no known outcome yet, \"adopted\" was\n" +
			"found done after its answer was lost, and \"superseded\" is no longer wanted.",
		Args: arguments(),
		Example: "  stripe-enhance actions list --since 24h\n" +
			"  stripe-enhance actions list --customer cus_AbCdEf --state failed\n" +
			"  stripe-enhance actions list --subscription sub_1NqAbCdEf -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			err := f.parse(p.now())
			if err == nil && f.Limit == 0 {
				err = fmt.Errorf("--limit 0 is not a number from 1 to %d", mostRows)
			}
			if err != nil {
				return &usageError{err, c.CommandPath()}
			}
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error { return p.listActions(ctx, a, f.ActionFilter) })
		},
	}
	f.register(c)
	c.Flags().IntVar(&f.Limit, "limit", 100, "the most rows, up to 1000")
	return withCSV(c)
}

func (p *program) listActions(ctx context.Context, a *app.App, f reconcile.ActionFilter) error {
	records, err := a.Store.Actions(ctx, f)
	if err != nil {
		return err
	}
	outside := make([]report.JournalAction, 0, len(records))
	t := report.Table{Head: journalHead}
	for _, r := range records {
		outside = append(outside, report.JournalActionOf(r))
		t.Add(journalCells(r)...)
	}
	if p.format == formatText {
		t = report.Table{Head: []string{"at", "state", "kind", "customer", "subscription", "hosting", "reason", "id"}}
		for _, r := range records {
			why := r.Reason
			if r.Error != "" {
				why = r.Error
			}
			t.Add(instant(r.At()), r.State.String(), r.Kind.String(), r.Customer, r.Subscription, number(r.Hosting), why, r.ID)
		}
	}
	return p.list(&t, "the journal has no such row", outside)
}

// journalHead and journalCells are the CSV of the journal: of each row the same as in JSON,
// and the journal's own state.
var journalHead = []string{"at", "state", "kind", "customer", "subscription", "email", "org", "hosting", "plan", "plan_name", "from_plan",
	"domain", "reason", "error", "id", "key", "run_id", "planned_at", "sent_at", "finished_at"}

func journalCells(r reconcile.ActionRecord) []string {
	a := report.ActionOf(r)
	return []string{instant(r.At()), r.State.String(), a.Kind, a.Customer, a.Subscription, a.Email, a.Org, number(a.Hosting), a.Plan, a.PlanName, a.FromPlan,
		a.Domain, a.Reason, a.Error, a.ID, r.Key, r.Run, instant(r.PlannedAt), instant(r.SentAt), instant(r.FinishedAt)}
}

func (p *program) actionsExport() *cobra.Command {
	var f journalFlags
	c := &cobra.Command{
		Use:   "export",
		Short: "The whole journal, the oldest rows first (CSV, or with -o json a JSON object on each line)",
		Long: "Writes every row of the journal, in the order in which they were planned: as CSV, or with\n" +
			"-o json as a JSON object on each line. It reads a page of the database at a time, so that\n" +
			"it needs little memory and holds up no run.",
		Args:    arguments(),
		Example: "  stripe-enhance actions export > journal.csv\n  stripe-enhance actions export --since 2030-01-31 -o json | gzip > journal.jsonl.gz",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.parse(p.now()); err != nil {
				return &usageError{err, c.CommandPath()}
			}
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error { return p.exportActions(ctx, a, f.ActionFilter) })
		},
	}
	f.register(c)
	return withCSV(c)
}

func (p *program) exportActions(ctx context.Context, a *app.App, f reconcile.ActionFilter) error {
	out := bufio.NewWriter(p.out)
	if p.format == formatJSON {
		lines := json.NewEncoder(out)
		lines.SetEscapeHTML(false)
		err := a.Store.EachAction(ctx, f, func(r reconcile.ActionRecord) error { return lines.Encode(report.JournalActionOf(r)) })
		return errors.Join(err, out.Flush())
	}
	table := csv.NewWriter(out)
	if err := table.Write(journalHead); err != nil {
		return err
	}
	err := a.Store.EachAction(ctx, f, func(r reconcile.ActionRecord) error { return table.Write(journalCells(r)) })
	table.Flush()
	return errors.Join(err, table.Error(), out.Flush())
}

func (p *program) actionsRetry() *cobra.Command {
	return &cobra.Command{
		Use:   "retry ID",
		Short: "Try a customer again now that is parked, or waits after a failure",
		Long: "Ends the parking or the back-off of a customer, and makes it due. The id is that of an\n" +
			"action as the journal lists it, a customer (cus_…) or a subscription (sub_…). Correct the\n" +
			"cause of the failure first: `stripe-enhance customers show` shows it. It is the same as\n" +
			"POST /api/admin/actions/{id}/retry.",
		Args: arguments("ID"),
		Example: "  stripe-enhance actions list --state failed\n" +
			"  stripe-enhance actions retry cus_AbCdEf\n" +
			"  stripe-enhance actions retry create_org:cus_AbCdEf",
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error {
				return p.retryCustomer(ctx, a, strings.TrimSpace(args[0]))
			})
		},
	}
}

func (p *program) retryCustomer(ctx context.Context, a *app.App, id string) error {
	customer, err := a.Store.RetryWaiting(ctx, id, p.now())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("the database knows no action, customer or subscription %s: see stripe-enhance actions list", id)
	case errors.Is(err, fault.Conflict):
		return fmt.Errorf("there is nothing to retry: the customer of %s is neither parked nor waits after a failure. If something is held, `stripe-enhance customers show` shows what to do", id)
	case err != nil:
		return err
	}
	if err := a.Store.Nudge(ctx, nil, "a person asked for a retry", p.now()); err != nil {
		return err
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, map[string]string{"customer": customer})
	}
	return p.printf("Customer %s is tried again by the next run.\n", report.Plain(customer))
}

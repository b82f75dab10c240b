package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func (p *program) customersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "customers",
		Short:   "What is known about a customer, and what serves it",
		GroupID: groupLook,
		Example: "  stripe-enhance customers show --email bakery@example.com",
	}
	c.AddCommand(p.customersShow(), p.customersBind(), p.customersUnbind())
	return c
}

func (p *program) customersShow() *cobra.Command {
	var l reconcile.CustomerLookup
	var refresh bool
	c := &cobra.Command{
		Use:   "show [E-MAIL|cus_…|sub_…]",
		Short: "One customer: subscriptions, hosting, holds, history",
		Long: "Shows what the database knows, without asking Stripe or Enhance, and when each\n" +
			"hosting was last looked at. Several customers with one e-mail are all shown.\n" +
			"--refresh asks both sides now, shows what they say, and stores nothing: the next\n" +
			"run looks by itself, and `stripe-enhance reconcile --subscription` does at once.",
		Args: atMostOne("customer"),
		Example: "  stripe-enhance customers show bakery@example.com\n" +
			"  stripe-enhance customers show --email bakery@example.com\n" +
			"  stripe-enhance customers show --customer cus_AbCdEf -o json",
		RunE: func(c *cobra.Command, args []string) error {
			if err := whom(&l, args); err != nil {
				return &usageError{err, c.CommandPath()}
			}
			need := config.Need(0)
			if refresh {
				need = config.NeedStripe | config.NeedEnhance
			}
			return p.with(c.Context(), need, func(ctx context.Context, a *app.App) error {
				return p.showCustomers(ctx, a, l, refresh)
			})
		},
	}
	c.Flags().StringVar(&l.Email, "email", "", "the customer's e-mail, without regard to case")
	c.Flags().StringVar(&l.StripeCustomer, "customer", "", "the customer's id at Stripe (cus_…)")
	c.Flags().BoolVar(&refresh, "refresh", false, "look at Stripe and Enhance now; stores nothing")
	return c
}

// whom reads who is meant: by one flag or by one word.
func whom(l *reconcile.CustomerLookup, args []string) error {
	switch {
	case len(args) > 0 && (l.Email != "" || l.StripeCustomer != ""):
		return fmt.Errorf("%q and a flag both say whom: leave one out", args[0])
	case l.Email != "" && l.StripeCustomer != "":
		return errors.New("--email and --customer both say whom: leave one out")
	case l.Email != "" || l.StripeCustomer != "":
		return nil
	case len(args) == 0:
		return errors.New("whom? Name an e-mail, a customer (cus_…) or a subscription (sub_…)")
	}
	switch word := strings.TrimSpace(args[0]); {
	case strings.Contains(word, "@"):
		l.Email = word
	case reconcile.ValidID("cus_", word):
		l.StripeCustomer = word
	case reconcile.ValidID("sub_", word):
		l.Subscription = word
	default:
		return fmt.Errorf("%q is no e-mail, no id of a customer (cus_…) and none of a subscription (sub_…)", args[0])
	}
	return nil
}

func (p *program) showCustomers(ctx context.Context, a *app.App, l reconcile.CustomerLookup, refresh bool) error {
	found, err := a.Store.FindCustomers(ctx, l, app.HistoryRows)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no customer %s%s%s is known here; a full run reads all of them: stripe-enhance reconcile --full", l.Email, l.StripeCustomer, l.Subscription)
	}
	cat, err := a.Catalog(ctx)
	if err != nil {
		return err
	}
	all := make([]report.Customer, 0, len(found))
	for _, one := range found {
		var now app.Refreshed
		if refresh {
			now = a.Refresh(ctx, &one)
		}
		c := customerOf(one, p.now())
		c.Refreshed, c.RefreshProblems, c.RefreshChanges = refresh, now.Problems, now.Changes
		c.Ahead = report.AheadOf(planner.Decide(&one.Customer, cat, a.Config.Policy(), p.now()).Forecast)
		all = append(all, c)
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, map[string]any{"customers": all})
	}
	for i, one := range all {
		if i > 0 {
			if err := p.printf("\n"); err != nil {
				return err
			}
		}
		if err := one.Text(p.out, p.view()); err != nil {
			return err
		}
	}
	return nil
}

// customerOf gathers what the store returns into the outside form.
func customerOf(r reconcile.CustomerRecord, now time.Time) report.Customer {
	c := report.Customer{
		ID: r.ID, Email: r.Email, Name: r.Name, StripeCustomers: []report.Buyer{},
		Subscriptions: []report.Subscription{}, Holds: []report.Hold{}, ManualHolds: []report.ManualHold{}, History: []report.HistoryRow{},
		DueAt: report.Time(r.DueAt), PlannedAt: report.Time(r.PlannedAt), Failures: r.Failures,
		ParkedAt: report.Time(r.Parked), LastError: r.LastError, RetryAfter: report.Time(r.RetryAfter),
	}
	if r.Org != nil {
		c.Org, c.OrgName = r.Org.ID, r.Org.Name
	}
	for _, b := range r.Buyers {
		c.StripeCustomers = append(c.StripeCustomers, report.Buyer{ID: b.ID, Email: b.Email, Name: b.Name, Deleted: b.Deleted,
			FormerEmail: b.FormerEmail, EmailChangedAt: report.Time(b.EmailChanged)})
	}
	hostings := map[int64]reconcile.Hosting{}
	for _, h := range r.Hostings {
		hostings[h.ID] = h
	}
	for _, s := range r.Subscriptions {
		c.Subscriptions = append(c.Subscriptions, subscriptionOf(s, r.Bindings, hostings, now))
	}
	for _, h := range r.Held {
		c.Holds = append(c.Holds, report.HoldOf(h))
	}
	for _, h := range r.Manual {
		c.ManualHolds = append(c.ManualHolds, report.ManualHoldOf(h))
	}
	for _, a := range r.History {
		c.History = append(c.History, report.HistoryRow{At: report.Time(a.At()), PlannedAt: report.Time(a.PlannedAt), FinishedAt: report.Time(a.FinishedAt), Run: a.Run, Action: report.ActionOf(a)})
	}
	return c
}

func subscriptionOf(s reconcile.Subscription, bindings []reconcile.Binding, hostings map[int64]reconcile.Hosting, now time.Time) report.Subscription {
	out := report.Subscription{
		ID: s.ID, StripeCustomer: s.StripeCustomer, Status: s.Status.String(), Created: report.Time(s.Created), EndedAt: report.Time(s.EndedAt),
		CurrentPeriodEnd: report.Time(s.CurrentPeriodEnd), CancelAtPeriodEnd: s.CancelAtPeriodEnd, CollectionPaused: s.CollectionPaused,
		CancelAt: report.Time(s.CancelAt), SendInvoice: s.SendInvoice, Standing: s.ID + planner.DescribeSubscription(&s),
		Domain: s.Domain, ReadAt: report.Time(s.ReadAt), UnpaidSince: report.Time(s.UnpaidSince), Hostings: []report.Hosting{},
	}
	if s.Status == reconcile.StatusUnknown {
		out.Status = s.StatusText
	}
	var items []string
	for _, it := range s.Items {
		items = append(items, strconv.FormatInt(it.Quantity, 10)+" × "+it.Price)
	}
	out.Items = strings.Join(items, ", ")
	for _, b := range bindings {
		if b.Subscription != s.ID {
			continue
		}
		h := hostings[b.Hosting]
		one := report.HostingOf(h)
		one.ID, one.Org, one.Plan, one.BoundBy, one.Seen = b.Hosting, b.Org, strconv.Itoa(h.Plan), b.How.String(), report.Seen(h.ObservedAt, now)
		out.Hostings = append(out.Hostings, one)
	}
	return out
}

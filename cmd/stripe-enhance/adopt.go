package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/adoption"
	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
)

const adoptLong = `Matches the hostings at the panel that no subscription is bound to with the subscriptions
at Stripe that have no hosting, and shows the evidence for each pair: ids in Stripe's
metadata, the owner's e-mail, the domains, the plan, how many there are of it, names, and
dates. Without flags it changes nothing.

--apply links the pairs that are certain (decision "link"), and nothing else. For the
others, take the rows as a file (-o csv), write link, ignore, new or review into the column
"decision", and give the file back with --csv: every row is checked before the first is
carried out, and the same file can be given again. A hosting that is ignored is in no
order's way; a subscription that is ignored gets the hold "ignore"; one that is new gets a hosting
of its own.

A link is what "customers bind" records. The name of the hosting gets the subscription's
marker at its end, so that a lost database finds it again. This command suspends nothing,
invites no customer, and changes no plan.

It ends with 0 when everything is decided, and with 3 when rows wait for a person.`

// adoptFlags are the flags of adopt.
type adoptFlags struct {
	apply  bool
	file   string
	author string
}

func (p *program) adoptCommand() *cobra.Command {
	var w adoptFlags
	c := withCSV(&cobra.Command{
		Use:     "adopt",
		GroupID: groupSetUp,
		Short:   "Take over existing customers: match what the panel has with what Stripe bills",
		Long:    adoptLong,
		Args:    noArguments,
		Example: "  stripe-enhance adopt\n" +
			"  stripe-enhance adopt --apply\n" +
			"  stripe-enhance adopt -o csv > adopt.csv\n" +
			"  stripe-enhance adopt --csv adopt.csv",
		RunE: func(c *cobra.Command, _ []string) error {
			if w.apply && w.file != "" {
				return &usageError{errors.New("--apply and --csv are two ways to decide: give one of them"), c.CommandPath()}
			}
			p.decides = w.apply || w.file != ""
			return p.adopt(c.Context(), w)
		},
	})
	f := c.Flags()
	f.BoolVar(&w.apply, "apply", false, "link the pairs that are certain")
	f.StringVar(&w.file, "csv", "", "carry out the decisions in a file that -o csv has written (- reads standard input)")
	f.StringVar(&w.author, "author", "", "who decided it (default: the user of this process)")
	return c
}

func (p *program) adopt(ctx context.Context, w adoptFlags) error {
	var decided []adoption.Row
	if w.file != "" {
		text, err := p.read(w.file)
		if err == nil {
			decided, err = adoption.Parse(text)
		}
		if err != nil {
			return fmt.Errorf("%s: nothing was changed:\n%w", w.file, err)
		}
	}
	return atTheDesk(ctx, p, w.author, func(ctx context.Context, d *adoption.Desk) (adopted, error) {
		return p.adopted(ctx, d, w, decided)
	}, p.printAdopted)
}

// atTheDesk does the work of a command that takes over customers, shows its progress, and
// prints what came of it.
func atTheDesk[T any](ctx context.Context, p *program, author string, work func(context.Context, *adoption.Desk) (T, error), output func(T) error) error {
	return p.with(ctx, config.NeedStripe|config.NeedEnhance, func(ctx context.Context, a *app.App) error {
		show, finish := p.watch()
		if show == nil {
			show = func(reconcile.Progress) {}
		}
		e, err := a.Engine(show)
		if err != nil {
			return err
		}
		done, err := work(ctx, &adoption.Desk{App: a, Engine: e, Author: cmp.Or(strings.TrimSpace(author), p.person()), Show: show})
		finish()
		if err != nil {
			return err
		}
		return output(done)
	})
}

// adopted is what came of adopt.
type adopted struct {
	rows    []adopt.Pair
	applied int
	left    int // rows that wait for a person
	tries   bool
}

func (p *program) adopted(ctx context.Context, d *adoption.Desk, w adoptFlags, decided []adoption.Row) (a adopted, err error) {
	if w.file != "" {
		for _, r := range decided {
			a.rows = append(a.rows, r.Pair)
		}
		a.applied, a.left, err = d.Decided(ctx, decided)
		if mistakes := (adoption.Mistakes)(nil); errors.As(err, &mistakes) {
			err = fmt.Errorf("%s: nothing was changed:\n%w", w.file, err)
		}
		return a, err
	}
	if a.rows, err = d.Rows(ctx); err != nil {
		return a, err
	}
	if w.apply {
		a.applied, err = d.Certain(ctx, a.rows)
	}
	a.tries = !w.apply
	for _, r := range a.rows {
		if r.Decision == adopt.Review {
			a.left++
		}
	}
	return a, err
}

// adoptedJSON is the output of adopt as JSON.
type adoptedJSON struct {
	Pairs   []pairJSON     `json:"pairs"`
	Counts  map[string]int `json:"counts"`
	Applied int            `json:"applied"`
}

type pairJSON struct {
	Customer     string           `json:"customer"`
	Subscription string           `json:"subscription"`
	Email        string           `json:"email"`
	Org          string           `json:"org"`
	OrgName      string           `json:"org_name"`
	Hosting      int64            `json:"hosting"`
	Plan         string           `json:"plan"`
	Score        int              `json:"score"`
	Evidence     []adopt.Evidence `json:"evidence"`
	Decision     adopt.Decision   `json:"decision"`
	Reason       string           `json:"reason"`
}

func (p *program) printAdopted(a adopted) error {
	counts := map[string]int{}
	for _, d := range adopt.Decisions {
		counts[string(d)] = 0
	}
	for _, r := range a.rows {
		counts[string(r.Decision)]++
	}
	var err error
	switch p.format {
	case formatJSON:
		out := adoptedJSON{Pairs: []pairJSON{}, Counts: counts, Applied: a.applied}
		for _, r := range a.rows {
			out.Pairs = append(out.Pairs, pairJSON{r.Customer, r.Subscription, r.Email, r.Org, r.OrgName, r.Hosting, planText(r.Plan), r.Score,
				slices.Concat([]adopt.Evidence{}, r.Evidence), r.Decision, r.Reason})
		}
		err = report.WriteJSON(p.out, out)
	case formatCSV:
		err = adoption.Table(a.rows).CSV(p.out)
	case formatText, formatICS:
		err = p.adoptedText(a, counts)
	}
	if err == nil && a.left > 0 {
		return leftError{}
	}
	return err
}

func planText(id int) string {
	if id == 0 {
		return ""
	}
	return strconv.Itoa(id)
}

func (p *program) adoptedText(a adopted, counts map[string]int) error {
	if err := adoption.Short(a.rows).Text(p.out, "", p.style()); err != nil {
		return err
	}
	if len(a.rows) == 0 {
		return p.printf("Nothing waits: every hosting is bound or ignored, and every subscription has its hosting.\n")
	}
	var parts []string
	for _, d := range adopt.Decisions {
		if n := counts[string(d)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", report.Number(n), d))
		}
	}
	if err := p.printf("\n%s: %s.\n", report.Count(len(a.rows), "row"), strings.Join(parts, ", ")); err != nil {
		return err
	}
	return p.adviseOn(a, counts)
}

// adviseOn prints how much was done, and the next step.
func (p *program) adviseOn(a adopted, counts map[string]int) error {
	switch {
	case a.tries && counts[string(adopt.Link)] > 0:
		if err := p.printf("`stripe-enhance adopt --apply` carries out the decision \"link\", and nothing else.\n"); err != nil {
			return err
		}
	case a.tries:
	case a.applied == 0:
		if err := p.printf("Nothing was changed: all of it was done before, or waits.\n"); err != nil {
			return err
		}
	default:
		if err := p.printf("%s carried out.\n", report.Count(a.applied, "decision")); err != nil {
			return err
		}
	}
	if a.left == 0 {
		return nil
	}
	return p.printf("%s for you. Write them with `stripe-enhance adopt -o csv > adopt.csv`, decide in the column\n\"decision\" (link, ignore, new or review), and give them back with `stripe-enhance adopt --csv adopt.csv`.\n", waitText(a.left))
}

func waitText(n int) string {
	if n == 1 {
		return "1 row waits"
	}
	return report.Number(n) + " rows wait"
}

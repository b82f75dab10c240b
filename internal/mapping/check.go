package mapping

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// Account is a Stripe account, asked about the ids that a mapping may name.
type Account interface {
	// Known reports whether the account has a price, lookup key, product or feature of that id.
	Known(ctx context.Context, id string) (bool, error)
	// Livemode reports the mode of the last answer.
	Livemode() bool
}

// Check asks both sides about one mapping. problem is a sentence for the operator if one
// of them does not know it; err is a side that could not be asked.
func Check(ctx context.Context, account Account, panel Plans, m reconcile.Mapping) (problem string, err error) {
	plans, unread := panel.Plans(ctx)
	if unread == nil {
		one := []reconcile.Mapping{m}
		if problems := planner.NewCatalog(one, plans).Problems(); len(problems) > 0 {
			return problems[0] + "; " + Offered(plans), nil
		}
		if problems := planner.OptionProblems(one, plans); len(problems) > 0 {
			return problems[0], nil
		}
	}
	known, err := account.Known(ctx, m.BillingID)
	if err != nil || known {
		return "", errors.Join(unread, err)
	}
	return unknown(account, m), nil
}

func unknown(account Account, m reconcile.Mapping) string {
	return m.BillingID + " is no price, lookup key, product or feature of this Stripe account in " + Mode(account.Livemode()) + " mode"
}

// Verify asks both sides about mappings before they are saved. A side that is nil is not
// asked. The error lists the mappings that a side does not know. If a side cannot be asked,
// that is only printed: a run reports a mapping that leads nowhere, and takes nothing away
// because of it.
func Verify(ctx context.Context, account Account, panel Plans, printf func(string, ...any), all ...reconcile.Mapping) error {
	var problems []error
	if panel != nil {
		wrong, err := unknownPlans(ctx, panel, all)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			printf("not verified at Enhance: %v", err)
		}
		problems = append(problems, wrong...)
	}
	if account != nil {
		wrong, err := unknownPrices(ctx, account, all)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			printf("not verified at Stripe: %v", err)
		}
		problems = append(problems, wrong...)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w\nnothing was changed; --unchecked saves it without asking", errors.Join(problems...))
	}
	return nil
}

// unknownPlans are sentences about mappings to plans that the panel does not have, and one
// with the plans that it has.
func unknownPlans(ctx context.Context, panel Plans, all []reconcile.Mapping) (problems []error, err error) {
	plans, err := panel.Plans(ctx)
	if err != nil {
		return nil, err
	}
	for _, problem := range planner.NewCatalog(all, plans).Problems() {
		problems = append(problems, errors.New(problem))
	}
	if len(problems) > 0 {
		problems = append(problems, errors.New(Offered(plans)))
	}
	for _, problem := range planner.OptionProblems(all, plans) {
		problems = append(problems, errors.New(problem))
	}
	return problems, nil
}

// unknownPrices ends at the first that could not be asked: the others would fail in the
// same way, slowly.
func unknownPrices(ctx context.Context, account Account, all []reconcile.Mapping) (problems []error, err error) {
	for _, m := range all {
		known, err := account.Known(ctx, m.BillingID)
		if err != nil {
			return problems, err
		}
		if !known {
			problems = append(problems, errors.New(unknown(account, m)))
		}
	}
	return problems, nil
}

// Mode is Stripe's word for a mode.
func Mode(live bool) string {
	if live {
		return "live"
	}
	return "test"
}

// Offered lists the plans of a panel, for a message about one that it does not have.
func Offered(plans []reconcile.EnhancePlan) string {
	const most = 20
	var all []string
	for _, p := range plans[:min(len(plans), most)] {
		all = append(all, fmt.Sprintf("%d %s", p.ID, p.Name))
	}
	if len(plans) > most {
		all = append(all, fmt.Sprintf("and %d more", len(plans)-most))
	}
	return "the panel has the plans " + strings.Join(all, ", ")
}

package app

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// ConnectConfigured makes a client for each side that is fully configured, because a mapping
// can be saved on a machine that has no keys. It returns the sides that are not.
func (a *App) ConnectConfigured() (missing []string, err error) {
	var need config.Need
	if a.Config.StripeKey.IsSet() {
		need |= config.NeedStripe
	} else {
		missing = append(missing, "Stripe")
	}
	if a.Config.EnhanceURL != nil && a.Config.EnhanceToken.IsSet() && a.Config.EnhanceOrg != "" {
		need |= config.NeedEnhance
	} else {
		missing = append(missing, "Enhance")
	}
	return missing, a.Connect(need)
}

// VerifyMappings asks the sides that are connected whether they know what mappings name.
func (a *App) VerifyMappings(ctx context.Context, all ...reconcile.Mapping) error {
	var account mapping.Account
	var panel mapping.Plans
	if a.Stripe != nil {
		account = a.Stripe
	}
	if a.Enhance != nil {
		panel = a.Enhance
	}
	return mapping.Verify(ctx, account, panel, a.Printf, all...)
}

// SuggestMappings suggests plans for the prices that are not mapped.
func (a *App) SuggestMappings(ctx context.Context) ([]mapping.Suggestion, error) {
	mapped, err := a.Store.Mappings(ctx)
	if err != nil {
		return nil, err
	}
	return mapping.Suggest(ctx, mapping.Sources{Stripe: a.Stripe, Enhance: a.Enhance, Mapped: mapped, EachPayer: a.EachPayer, Printf: a.Printf})
}

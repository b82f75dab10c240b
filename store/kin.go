package store

import (
	"context"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// loadKin finds the other parties that have an org and a buyer with the same e-mail.
// What they have may be shared with a customer, or be meant by who comes back under a
// new Stripe id; nothing of it is the customer's own.
func (a *aggregate) loadKin(ctx context.Context) error {
	if len(a.emails) == 0 {
		return nil
	}
	kin := map[string]*reconcile.Kin{} // by party
	orgs := map[string][]*reconcile.Kin{}
	byKey := map[string][]*reconcile.Kin{}
	query := `SELECT s.email_key, c.id, c.org_id, c.org_guest, c.invited_at, c.invited_email, max(s.email_changed_at)
		FROM stripe_customers s JOIN customers c ON c.id = s.customer_id
		WHERE s.email_key <> '' AND c.org_id IS NOT NULL AND s.email_key IN ` + a.c.d.texts(1) + `
		GROUP BY s.email_key, c.id, c.org_id, c.org_guest, c.invited_at, c.invited_email ORDER BY c.id`
	err := a.c.each(ctx, query, []any{keys(a.emails)}, func(row scan) error {
		k := new(reconcile.Kin)
		var key string
		if err := row(&key, &k.ID, &k.Org.ID, &k.Guest, into(&k.Invited), &k.InvitedEmail, into(&k.EmailChanged)); err != nil {
			return err
		}
		if others := a.emails[key]; len(others) == 1 && others[0].ID == k.ID {
			return nil // nobody asks for it but itself
		}
		kin[k.ID] = k
		orgs[k.Org.ID] = append(orgs[k.Org.ID], k)
		byKey[key] = append(byKey[key], k)
		return nil
	})
	if err != nil || len(kin) == 0 {
		return err
	}
	err = a.c.each(ctx, orgColumns+" FROM orgs WHERE id IN "+a.c.d.texts(1), []any{keys(orgs)}, func(row scan) error {
		o, err := scanOrg(row)
		for _, k := range orgs[o.ID] {
			k.Org = o
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := loadKinHostings(ctx, a.c, kin); err != nil {
		return err
	}
	for key, customers := range a.emails {
		for _, customer := range customers {
			for _, k := range byKey[key] {
				if k.ID != customer.ID {
					customer.Kin = append(customer.Kin, *k)
				}
			}
		}
	}
	return nil
}

// loadKinHostings adds which hostings the parties are bound to, and for which of
// their subscriptions.
func loadKinHostings(ctx context.Context, c conn, kin map[string]*reconcile.Kin) error {
	query := `SELECT b.customer_id, s.id, s.status, n.hosting_id, h.state
		FROM stripe_customers b JOIN subscriptions s ON s.stripe_customer_id = b.id
		JOIN bindings n ON n.subscription_id = s.id JOIN hostings h ON h.id = n.hosting_id
		WHERE h.terminated_by_us IS NULL AND b.customer_id IN ` + c.d.texts(1) + " ORDER BY s.id, n.slot"
	return c.each(ctx, query, []any{keys(kin)}, func(row scan) error {
		var party, status, state string
		var h reconcile.KinHosting
		if err := row(&party, &h.Subscription, &status, &h.Hosting, &state); err != nil {
			return err
		}
		h.Ended, h.State = reconcile.ParseStatus(status).Ended(), reconcile.ParseHostingState(state)
		if k := kin[party]; !slices.Contains(k.Hostings, h) {
			k.Hostings = append(k.Hostings, h)
		}
		return nil
	})
}

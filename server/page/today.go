package page

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// todayBody is the body of the first page.
type todayBody struct {
	Totals reconcile.Totals
}

func (v *visit) today() (any, error) {
	totals, err := v.ports.Overview.Totals(v.r.Context(), v.server.Now())
	if err != nil {
		return nil, err
	}
	return todayBody{Totals: totals}, nil
}

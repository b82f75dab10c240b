package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// scene is one thing that happens, and the checks after the program has done its work.
type scene struct {
	after time.Duration // the clock moves first
	title string
	do    event
	show  func(context.Context, *stage) ([]string, error) // a command of the operator, and what it prints
	then  []check
}

const (
	hour = time.Hour
	day  = 24 * hour
)

// story is the week, and a little more. It begins on a Monday at nine.
func story() []scene {
	var all []scene
	all = append(all, opening()...)
	all = append(all, arrivals()...)
	all = append(all, changes()...)
	all = append(all, declined()...)
	all = append(all, abuse()...)
	return append(all, masses()...)
}

func opening() []scene {
	return []scene{
		{
			title: "The shop opens: three prices at Stripe, three plans in the panel, and which buys which.",
			do: func(ctx context.Context, s *stage) error {
				for price, plan := range s.world.Offer() {
					if err := s.app.Store.SetMapping(ctx, reconcile.Mapping{BillingID: price, Plan: fmt.Sprint(plan)}, "operator@example.com", s.world.Now()); err != nil {
						return err
					}
				}
				return nil
			},
			then: []check{effects(0)},
		},
		{
			after: 5 * time.Minute,
			title: "The library has had its site at this host for years, and pays at Stripe. Nothing connects the two, and nothing is made for it.",
			do:    wasThere("library", "Basic"),
			then:  []check{up("library", "Basic", 1), effects(0), held(reconcile.HoldAdopt, "library")},
		},
		{
			after: 5 * time.Minute,
			title: "The operator lets the program find out who is who: stripe-enhance adopt --apply.",
			show:  adopts,
			then:  []check{up("library", "Basic", 1), orgs("library", 1), serves("library")},
		},
	}
}

func arrivals() []scene {
	return []scene{
		{
			after: 20 * time.Minute,
			title: "The bakery orders Basic and types in its domain.",
			do:    signsUp("bakery", simulator.SignUp{Price: basic, Domain: "bakery.example"}),
			then:  []check{up("bakery", "Basic", 1), invited("bakery"), website("bakery.example")},
		},
		{
			after: 40 * time.Minute,
			title: "An agency orders Basic three times over.",
			do:    signsUp("agency", simulator.SignUp{Lines: []simulator.Line{{Price: basic, Quantity: 3}}}),
			then:  []check{up("agency", "Basic", 3), orgs("agency", 1)},
		},
		{
			after: hour,
			title: "The florist orders Pro. The panel makes the organisation, and its answer is lost on the way.",
			do:    losing("POST /orgs/{org}/customers", signsUp("florist", simulator.SignUp{Price: pro})),
			then:  []check{up("florist", "Pro", 1), orgs("florist", 1)},
		},
		{
			after: hour,
			title: "The cinema orders Business. This time the answer about the hosting is lost.",
			do:    losing("POST /orgs/{org}/customers/{customer}/subscriptions", signsUp("cinema", simulator.SignUp{Price: business})),
			then:  []check{up("cinema", "Business", 1), orgs("cinema", 1)},
		},
		{
			after: hour,
			title: "The bookshop orders as a guest, and once more with capitals in its address: two customers at Stripe, one person.",
			do: inTurn(
				signsUp("bookshop", simulator.SignUp{Price: basic, Guest: true}),
				signsUp("bookshop again", simulator.SignUp{Email: "BookShop@Example.com", Price: basic, Guest: true}),
			),
			then: []check{up("bookshop", "Basic", 2), orgs("bookshop", 1)},
		},
		{
			after: hour,
			title: "The garage starts with a trial of two weeks.",
			do:    signsUp("garage", simulator.SignUp{Price: pro, Trial: 14 * day}),
			then:  []check{up("garage", "Pro", 1)},
		},
		{
			after: hour,
			title: "The museum buys consulting, which is not hosting and is mapped to no plan.",
			do: func(ctx context.Context, s *stage) error {
				price := s.world.AddPrice("prod_consulting", "", 9900)
				return signsUp("museum's advisor", simulator.SignUp{Price: price})(ctx, s)
			},
			then: []check{nothingFor("museum's advisor"), held(reconcile.HoldUnmapped, "museum's advisor")},
		},
		{
			after: 18 * hour,
			title: "A spring sale: twenty sign up before breakfast.",
			do:    sale(20),
			then:  []check{up("customer-01", "Basic", 1), up("customer-20", "Basic", 1)},
		},
	}
}

func changes() []scene {
	return []scene{
		{
			after: 2 * hour,
			title: "The bakery upgrades to Pro.",
			do: func(_ context.Context, s *stage) error {
				return s.world.ChangePrice(s.orders["bakery"].Subscription, "", pro)
			},
			then: []check{up("bakery", "Pro", 1), sameHosting("bakery")},
		},
		{
			after: 3 * hour,
			title: "The agency lets one of its three go.",
			do: func(_ context.Context, s *stage) error {
				return s.world.SetQuantity(s.orders["agency"].Subscription, "", 2)
			},
			then: []check{up("agency", "Basic", 2), down("agency", 1)},
		},
		{
			after: 16 * hour,
			title: "The museum orders Basic.",
			do:    signsUp("museum", simulator.SignUp{Price: basic}),
			then:  []check{up("museum", "Basic", 1)},
		},
		{
			after: 6 * hour,
			title: "The museum cancels: suspended, and kept.",
			do:    ordered("museum", (*simulator.World).Cancel),
			then:  []check{down("museum", 1)},
		},
		{
			after: 20 * hour,
			title: "The museum changes its mind and buys again: the old hosting comes back, with everything on it.",
			do:    signsUp("museum", simulator.SignUp{Price: basic}),
			then:  []check{up("museum", "Basic", 1), down("museum", 0), sameHosting("museum")},
		},
	}
}

func declined() []scene {
	return []scene{
		{
			after: hour,
			title: "The cards of the florist and of the cinema are declined.",
			do: inTurn(
				ordered("florist", (*simulator.World).FailPayment),
				ordered("cinema", (*simulator.World).FailPayment),
			),
			then: []check{
				up("florist", "Pro", 1), up("cinema", "Business", 1),
				held(reconcile.HoldGrace, "florist"), held(reconcile.HoldGrace, "cinema"),
			},
		},
		{
			after: hour,
			title: "What lies ahead, day by day: stripe-enhance forecast.",
			show:  forecasts(7),
			then:  []check{neverDown("florist"), neverDown("cinema")},
		},
		{
			after: 23 * hour,
			title: "Two days before the end of grace both are warned by mail, with the invoice.",
			then:  []check{mailed("florist", reconcile.WarnSuspend, 1), mailed("cinema", reconcile.WarnSuspend, 1), neverDown("florist")},
		},
		{
			after: hour,
			title: "The cinema pays in time. It never noticed more than the mail.",
			do:    ordered("cinema", (*simulator.World).Pay),
			then:  []check{up("cinema", "Business", 1), neverDown("cinema")},
		},
		{
			after: 23 * hour,
			title: "One day before the end of grace the florist is warned again, and the cinema is not.",
			then:  []check{mailed("florist", reconcile.WarnSuspend, 2), mailed("cinema", reconcile.WarnSuspend, 1)},
		},
		{
			after: day,
			title: "The florist's three days of grace are over.",
			then:  []check{down("florist", 1), mailed("florist", reconcile.NoticeSuspended, 1)},
		},
		{
			after: 5 * hour,
			title: "The florist pays and is back.",
			do:    ordered("florist", (*simulator.World).Pay),
			then:  []check{up("florist", "Pro", 1), down("florist", 0), mailed("florist", reconcile.NoticeResumed, 1)},
		},
	}
}

func abuse() []scene {
	return []scene{
		{
			after: hour,
			title: "The panel's staff suspend the garage: it sends spam. Its bill is paid, but that does not lift the suspension.",
			do: func(_ context.Context, s *stage) error {
				return s.world.StaffSuspend(s.hosting("garage"))
			},
			then: []check{down("garage", 1)},
		},
		{
			after: 25 * hour,
			title: "A day later the comparison with the panel notices it.",
			then:  []check{down("garage", 1), held(reconcile.HoldForeignSuspension, "garage")},
		},
		{
			after: hour,
			title: "Hosting that is paid and not there, or there and not paid, with the money: stripe-enhance report.",
			show:  reports,
			then:  []check{down("garage", 1)},
		},
	}
}

func masses() []scene {
	return []scene{
		{
			after: 3 * hour,
			title: "A script goes wrong at Stripe: twelve paying customers are marked unpaid.",
			do:    each(1, 12, (*simulator.World).MarkUnpaid),
			then:  []check{braked(reconcile.Suspend, 12), up("customer-01", "Basic", 1), up("customer-12", "Basic", 1)},
		},
		{
			after: hour,
			title: "The script is corrected. No customer was suspended, and the held plan is gone.",
			do:    each(1, 12, (*simulator.World).Pay),
			then:  []check{braked(reconcile.Suspend, 0), neverDown("customer-01"), neverDown("customer-12")},
		},
		{
			after: 20 * hour,
			title: "Seven customers leave on one day. That is over the limit, so it is held as well.",
			do:    each(14, 20, (*simulator.World).Cancel),
			then:  []check{braked(reconcile.Suspend, 7), up("customer-14", "Basic", 1)},
		},
		{
			after: 30 * time.Minute,
			title: "The operator looks at the held plan and approves it: stripe-enhance approve.",
			do:    approves(reconcile.Suspend),
			then:  []check{braked(reconcile.Suspend, 0), down("customer-14", 1), down("customer-20", 1), up("customer-13", "Basic", 1)},
		},
		{
			after: 2 * day,
			title: "Two quiet days.",
			then:  []check{up("bakery", "Pro", 1)},
		},
	}
}

// The prices of the shop, as the simulator offers them.
const (
	basic    = "price_basic_monthly"
	pro      = "price_pro_monthly"
	business = "price_business_monthly"
)

type event = func(context.Context, *stage) error

// signsUp places an order and keeps it under the customer's name in the story.
func signsUp(who string, o simulator.SignUp) event {
	return func(_ context.Context, s *stage) error {
		if o.Email == "" {
			o.Email = mail(who)
		}
		if o.Name == "" {
			o.Name = who
		}
		done, err := s.world.SignUp(o)
		s.orders[who] = done
		return err
	}
}

func ordered(who string, verb func(*simulator.World, string) error) event {
	return func(_ context.Context, s *stage) error { return verb(s.world, s.orders[who].Subscription) }
}

func losing(route string, then event) event {
	return func(ctx context.Context, s *stage) error {
		s.lose[route] = true
		return then(ctx, s)
	}
}

func inTurn(all ...event) event {
	return func(ctx context.Context, s *stage) error {
		for _, one := range all {
			if err := one(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}
}

func sale(n int) event {
	return func(ctx context.Context, s *stage) error {
		for i := 1; i <= n; i++ {
			if err := signsUp(numbered(i), simulator.SignUp{Price: basic})(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}
}

// each does something to the customers of the sale with these numbers.
func each(from, to int, verb func(*simulator.World, string) error) event {
	return func(ctx context.Context, s *stage) error {
		for i := from; i <= to; i++ {
			if err := ordered(numbered(i), verb)(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}
}

func approves(kind reconcile.ActionKind) event {
	return func(ctx context.Context, s *stage) error {
		plans, err := s.app.Store.HeldPlans(ctx, s.world.Now(), false)
		if err != nil {
			return err
		}
		for _, p := range plans {
			if p.Kind == kind {
				_, err := s.app.Store.Approve(ctx, p.ID, p.Version, "operator@example.com", s.world.Now())
				return err
			}
		}
		return fmt.Errorf("no plan of %s is held", kind)
	}
}

func numbered(i int) string { return fmt.Sprintf("customer-%02d", i) }

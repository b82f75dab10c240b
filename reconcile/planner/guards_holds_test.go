package planner_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// A person who has a subscription left alone sees one hold in the place of its own. Other
// manual holds, and those that have run out, take the place of none.
func TestOnlyIgnoreTakesThePlaceOfOtherHolds(t *testing.T) {
	held := func(kind reconcile.ManualKind, sub string, until time.Time) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.Subscriptions[0].Items[0].Price = "price_number"
			c.Manual = []reconcile.ManualHold{{Kind: kind, Subscription: sub, Customer: "cus_1", Author: "ops", Until: until}}
		}
	}
	later := noon.Add(time.Hour)
	check(t, []guarded{
		{"ignore", held(reconcile.Ignore, "sub_1", later), "hold manual"},
		{"ignore until now", held(reconcile.Ignore, "sub_1", noon), "hold plan_missing"},
		{"ignore of another subscription", held(reconcile.Ignore, "sub_2", later), "hold plan_missing"},
		{"no-suspend", held(reconcile.NoSuspend, "sub_1", later), "hold plan_missing"},
		{"no-suspend for all", held(reconcile.NoSuspend, "", later), "hold plan_missing"},
		{"ignore where there is nothing to hold", func(c *reconcile.Customer, p *reconcile.Policy) {
			held(reconcile.Ignore, "sub_1", later)(c, p)
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
		}, ""},
	})
	p := policy()
	c := world(func(c *reconcile.Customer) { held(reconcile.Ignore, "sub_1", later)(c, &p) })
	if d := planner.Decide(&c, catalog(), p, noon); !d.Next.Equal(later) || len(d.Holds) != 1 || d.Holds[0].Subscription != "sub_1" || d.Holds[0].Manual != reconcile.Ignore {
		t.Errorf("decided again at %s: %+v", d.Next, d.Holds)
	}
}

// An upgrade replaced the item of the empty hosting at the same time as an exchange was to
// replace that hosting. If a manual hold withholds the exchange, the empty hosting stays,
// and serves the new item.
func TestAWithheldExchangeLeavesTheBindingOfTheOtherAlone(t *testing.T) {
	c := upgraded(func(c *reconcile.Customer) {
		c.Bindings[1].Item = "si_0"
		c.Manual = []reconcile.ManualHold{{Kind: reconcile.KeepSuspended, Subscription: "sub_1", Author: "ops"}}
	})
	d := planner.Decide(&c, catalog(), policy(), noon)
	if diff := cmp.Diff("link:sub_2/1:8:si_2, hold manual, hold manual, hold manual", summary(d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A hold keeps an order only if it is of a subscription that is entitled and has fewer
// hostings than units, or of the customer as a whole and any of them is so.
func TestAHoldKeepsAnOrderOfItsOwnSubscription(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		want   []string // the subscriptions, or the customer, of the holds that keep an order
	}{
		{"one of two units waits", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0].Quantity, c.Lookalikes = 2, []reconcile.Lookalike{alike(9)}
		}, []string{"sub_1"}},
		{"the other subscription waits", func(c *reconcile.Customer) {
			c.Subscriptions[0].MetadataHostingText = "#9" // held, and served by hosting 7
			another(c, "2", reconcile.StatusActive, "price_number")
		}, []string{"sub_2"}},
		{"a second org, of a customer who is served", func(c *reconcile.Customer) {
			c.MarkedOrgs = []reconcile.Org{{ID: "org-9", Name: "Ada [cus_1]", ObservedAt: noon}}
		}, nil},
		{"a second org, of a customer whose order waits", func(c *reconcile.Customer) {
			c.MarkedOrgs = []reconcile.Org{{ID: "org-9", Name: "Ada [cus_1]", ObservedAt: noon}}
			c.Subscriptions[0].Items[0].Quantity, c.Lookalikes = 2, []reconcile.Lookalike{alike(9)}
		}, []string{"cus_1", "sub_1"}},
		{"a second org, of a customer who does not pay", func(c *reconcile.Customer) {
			c.MarkedOrgs = []reconcile.Org{{ID: "org-9", Name: "Ada [cus_1]", ObservedAt: noon}}
			c.Subscriptions[0].Status, c.Bindings, c.Hostings = reconcile.StatusUnpaid, nil, nil
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(tc.change)
			var got []string
			d := planner.Decide(&c, catalog(), policy(), noon)
			for _, h := range d.Holds {
				if h.Order {
					got = append(got, h.OrderKey())
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.want, got); diff != "" || len(d.Holds) == 0 {
				t.Errorf("%s (-want +got):\n%s", summary(d), diff)
			}
		})
	}
}

// A hold has the org of its hosting, which may be another than the customer's: as the panel
// has it, else as it was bound or unbound. It has none if the org of the hosting is not known.
func TestAHoldHasTheOrgOfItsHosting(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		want   string
	}{
		{"of no hosting: the customer's", func(c *reconcile.Customer) {
			c.Bindings, c.Hostings, c.Subscriptions[0].Items[0].Price = nil, nil, "price_number"
		}, "org-1"},
		{"of one that another org has", func(c *reconcile.Customer) { c.Bindings, c.Hostings[0].Org = nil, "org-2" }, "org-2"},
		{"of one that was bound in another org, and is not among those read", func(c *reconcile.Customer) {
			c.Bindings[0].Org, c.Hostings, c.Subscriptions[0].Items[0].Price = "org-2", nil, "price_number"
		}, "org-2"},
		{"of one that looks like the order, in another org", func(c *reconcile.Customer) {
			c.Bindings, c.Hostings, c.Lookalikes = nil, nil, []reconcile.Lookalike{alike(9)}
			c.Lookalikes[0].Org = "org-2"
		}, "org-2"},
		{"of one that was unbound, and is not among those read", func(c *reconcile.Customer) {
			unboundFrom(c)
			c.Hostings, c.Unbindings[0].Org = nil, "org-2"
		}, "org-2"},
		{"of one that was unbound, and moved since", func(c *reconcile.Customer) {
			unboundFrom(c)
			c.Hostings[0].Org = "org-3"
		}, "org-3"},
		{"of one of which only the number is known", func(c *reconcile.Customer) {
			c.Bindings, c.Hostings = nil, nil
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = "org-9", 8
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(tc.change)
			d := planner.Decide(&c, catalog(), policy(), noon)
			if len(d.Holds) == 0 {
				t.Errorf("no hold: %s", summary(d))
			}
			for _, h := range d.Holds {
				if h.Org != tc.want && (h.Hosting != 0 || len(d.Holds) == 1) {
					t.Errorf("hold %s of hosting %d is in org %q, want %q: %s", h.Kind, h.Hosting, h.Org, tc.want, h.Reason)
				}
			}
		})
	}
}

// A customer that failed is shown with its org, even where no decision can be made.
func TestAFailureIsShownWithItsCustomer(t *testing.T) {
	c := world(func(c *reconcile.Customer) { c.LastError, c.Failures, c.RetryAfter = "refused", 1, noon.Add(time.Hour) })
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		org    string
		held   bool
	}{
		{"with an org", func(*reconcile.Customer) {}, "org-1", true},
		{"without an org", func(c *reconcile.Customer) { c.Org = nil }, "", true},
		{"the back-off is over", func(c *reconcile.Customer) { c.RetryAfter = noon }, "", false},
		{"it has succeeded since", func(c *reconcile.Customer) { c.LastError = "" }, "", false},
	} {
		it := c
		tc.change(&it)
		if h, held := planner.HoldForFailure(&it, noon); held != tc.held || h.Org != tc.org || held && (h.Customer != "cus_1" || h.Email != "a@example.com" || !h.Until.Equal(c.RetryAfter)) {
			t.Errorf("%s: held %v, %+v", tc.name, held, h)
		}
	}
}

// If an answer of Stripe cannot be read, the hold quotes why, and not a status that Stripe
// has not sent.
func TestAnAnswerThatCannotBeReadIsQuoted(t *testing.T) {
	for text, want := range map[string]string{
		reconcile.Unreadable + "items: a number was expected": "Stripe's answer about sub_1 cannot be read (items: a number was expected)",
		"hibernating": `sub_1 has the status "hibernating", which this version does not know`,
	} {
		c := world(func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].StatusText = reconcile.StatusUnknown, text
		})
		d := planner.Decide(&c, catalog(), policy(), noon)
		if len(d.Actions) > 0 || len(d.Holds) != 1 || d.Holds[0].Kind != reconcile.HoldUnknownStatus || !strings.HasPrefix(d.Holds[0].Reason, want) {
			t.Errorf("%q: %s, %+v", text, summary(d), d.Holds)
		}
	}
}

// A suspension that carries our mark, and that the journal does not know, is held with an
// action that one approval releases. Without the mark, or where the panel names staff, only
// staff lift it.
func TestASuspensionWithOurMarkIsLiftedByApproval(t *testing.T) {
	marked := func(name string, namesUs bool) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			h := &c.Hostings[0]
			h.State, h.FriendlyName, h.NamesUs = reconcile.HostingSuspended, name, namesUs
		}
	}
	check(t, []guarded{
		{"our mark", marked("Basic (suspended) [sub_1/1]", true), "resume:sub_1/1:7" + reconcile.PerhapsOursSuffix + ", hold perhaps_ours"},
		{"our mark, and the panel names staff", marked("Basic (suspended) [sub_1/1]", false), "hold foreign_suspension"},
		{"no mark", marked("Basic [sub_1/1]", true), "hold foreign_suspension"},
	})
}

// What has passed is no forecast: an end that Stripe has announced and not yet reported, or
// the end of a trial of which the day is not known.
func TestWhatHasPassedIsNoForecast(t *testing.T) {
	for name, change := range map[string]func(s *reconcile.Subscription){
		"an end before now":           func(s *reconcile.Subscription) { s.CancelAt = noon.Add(-time.Hour) },
		"an end now":                  func(s *reconcile.Subscription) { s.CancelAt = noon },
		"a trial that ends some time": func(s *reconcile.Subscription) { s.Status = reconcile.StatusTrialing },
		"a first payment that is open for two days": func(s *reconcile.Subscription) {
			s.Status, s.Created = reconcile.StatusIncomplete, noon.Add(-48*time.Hour)
		},
	} {
		c := world(func(c *reconcile.Customer) { change(&c.Subscriptions[0]) })
		if d := planner.Decide(&c, catalog(), policy(), noon); len(d.Forecast) > 0 {
			t.Errorf("%s: %+v", name, d.Forecast)
		}
	}
}

// A domain that no website can have is held with its text, and is not asked for again. The
// hosting itself does not wait for it.
func TestADomainThatCannotBeReadHoldsTheWebsiteAlone(t *testing.T) {
	typed := func(domain string, bound bool) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, p *reconcile.Policy) {
			if !bound {
				c.Bindings, c.Hostings = nil, nil
			}
			p.CreateWebsites, c.Subscriptions[0].Domain, c.Subscriptions[0].DomainChecked = true, domain, false
		}
	}
	const made = "create_subscription:sub_1/1:1"
	check(t, []guarded{
		{"with a new hosting", typed("my shop", false), made + ", hold unreadable"},
		{"with one that is there", typed("my shop", true), "hold unreadable"},
		{"a domain", typed("Shop.example.com", false), made + ", create_website:sub_1/1:shop.example.com"},
		{"none", typed("", false), made + ", read 4 sub_1"},
	})
}

// An item that is mapped to none buys no plan, and the sentence gives the reason.
func TestWhatIsMappedToNoneBuysNoPlan(t *testing.T) {
	cat := planner.NewCatalog([]reconcile.Mapping{{BillingID: "price_news", Plan: reconcile.NotHosting}}, []reconcile.EnhancePlan{{ID: 1, Name: "Basic"}})
	if plan, why, ok := cat.PlanFor(reconcile.Item{Price: "price_news"}); ok || plan.ID != 0 || !strings.Contains(why, "price_news") {
		t.Errorf("it buys plan %d (%v): %q", plan.ID, ok, why)
	}
}

// If a person asks about a subscription, a manual hold is the reason why nothing is done
// only until it runs out.
func TestAHoldThatHasRunOutIsNoReason(t *testing.T) {
	for until, held := range map[time.Time]bool{{}: true, noon.Add(time.Second): true, noon: false} {
		c := world(func(c *reconcile.Customer) {
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.Ignore, Subscription: "sub_1", Author: "ops", Until: until}}
		})
		target, _ := planner.TargetOf(&c, catalog(), "sub_1", nil, nil, policy(), noon)
		if strings.Contains(target.Text, "a person holds it") != held {
			t.Errorf("until %s: %s", until, target.Text)
		}
	}
}

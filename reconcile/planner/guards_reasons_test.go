package planner_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// hasSentence checks that one sentence of a decision has a text in it.
func hasSentence(t *testing.T, c reconcile.Customer, p reconcile.Policy, want string) {
	t.Helper()
	d := planner.Decide(&c, catalog(), p, noon)
	var all []string
	for _, h := range d.Holds {
		all = append(all, h.Reason)
	}
	for _, a := range d.Actions {
		all = append(all, a.Reason)
	}
	for _, f := range d.Forecast {
		all = append(all, f.Reason)
	}
	if text := strings.Join(all, "\n"); !strings.Contains(text+"\n", want) {
		t.Errorf("no sentence has %q:\n%s", want, text)
	}
}

// A person acts on the sentence alone: it names the fact that counts, and the command that
// mends it.
func TestSentencesNameWhatToDo(t *testing.T) {
	same := func(*reconcile.Policy) {}
	unknownItem := func(items ...reconcile.Item) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Subscriptions[0].Items = append(c.Subscriptions[0].Items, items...)
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByMarker})
			c.Hostings = append(c.Hostings, upAt(8, 2, "Pro [sub_1/2]"))
		}
	}
	const itemUnknown = "hosting 8 is bound to sub_1, and it is not known which of its items it serves; "
	ownedOrgs := func(owners ...string) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			unbound(c)
			c.OwnedOrgs = []reconcile.Org{{ID: "org-3", Name: "Ada", HostingsRead: noon, Owners: owners, OwnersRead: noon}}
		}
	}
	status := func(s reconcile.Status) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) { c.Subscriptions[0].Status, c.Subscriptions[0].StatusText = s, s.String() }
	}
	held := func(m reconcile.ManualHold) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			status(reconcile.StatusUnknown)(c)
			m.Kind, m.Subscription, m.Author = reconcile.Ignore, "sub_1", "ops"
			c.Manual = []reconcile.ManualHold{m}
		}
	}
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		policy func(p *reconcile.Policy)
		want   string
	}{
		{"of several plans those that are asked for", func(c *reconcile.Customer) {
			for id, price := range map[string]string{"2": "price_pro", "3": "price_pro"} {
				another(c, id, reconcile.StatusActive, price)
				c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_" + id, Item: "si_" + id, Slot: 1, Org: "org-1", Hosting: 7, How: reconcile.BoundByMetadata})
			}
			c.Subscription("sub_3").Status = reconcile.StatusUnpaid
			another(c, "4", reconcile.StatusActive, "price_pro")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_4", Item: "si_4", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 2, "Pro [sub_4/1]"))
		}, same, `several live subscriptions are bound to hosting 7 (sub_1 for plan "Basic" (1); sub_2 for plan "Pro" (2)): it keeps plan "Basic" (1) until one is left. Unbind the others: ` +
			"`" + planner.UnbindCommand("sub_1", 7) + "`, or `" + planner.UnbindCommand("sub_2", 7) + "`\n"},
		{"an item without a mapping may be the unknown one", unknownItem(reconcile.Item{ID: "si_x", Price: "price_x", Quantity: 1}), same,
			itemUnknown + "item si_x (price price_x) has no mapping: it stays as it is until `" + planner.MapCommand("price_x", "2") + "`"},
		{"an item whose plan is gone may be the unknown one", unknownItem(reconcile.Item{ID: "si_x", Price: "price_number", Quantity: 1}), same,
			itemUnknown + "which plan item si_x is for is not known: it stays as it is; the mapping of price_number names the plan"},
		{"an item in an absurd number may be the unknown one", unknownItem(reconcile.Item{ID: "si_x", Price: "price_pro", Quantity: 5000}), same,
			itemUnknown + "item si_x asks for 5000 hostings: it stays as it is until that is a number that makes sense"},
		{"no item may be the unknown one", unknownItem(), same,
			itemUnknown + "as many others serve it as it asks for: it stays as it is. If it is not needed: `" + planner.UnbindCommand("sub_1", 8) + "`"},
		{"nothing to map", func(c *reconcile.Customer) { c.Subscriptions[0].Items = nil }, same,
			"no price of sub_1 is mapped to a plan (it has no items): see it with `" + planner.LookCommand("sub_1") + "`"},
		{"several orgs", func(c *reconcile.Customer) {
			ownedOrgs()(c)
			c.OwnedOrgs = append(c.OwnedOrgs, reconcile.Org{ID: "org-2"})
		}, same, "2 orgs are owned by a@example.com ([org-2 org-3]): name the right one with `" + planner.MetadataCommand("sub_1", "enhance_org_id", "ORG") + "`"},
		{"an org with several owners", ownedOrgs("a@example.com", "b@example.com"), same,
			`org org-3 ("Ada") is owned by a@example.com and has 2 owners: name the right org with ` + "`" + planner.MetadataCommand("sub_1", "enhance_org_id", "org-3") + "`"},
		{"a hold that outlasts the grace period", func(c *reconcile.Customer) {
			status(reconcile.StatusPastDue)(c)
			c.Subscriptions[0].Lapse.Since = noon
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Customer: "cus_1", Author: "ops", Until: noon.Add(4 * dayLong)}}
		}, same, "the grace period ends at 2026-03-04 12:00 UTC, and it stays up then too: no-suspend by ops\n"},
		{"a hold that ends before the grace period", func(c *reconcile.Customer) {
			status(reconcile.StatusPastDue)(c)
			c.Subscriptions[0].Lapse.Since = noon
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Customer: "cus_1", Author: "ops", Until: noon.Add(dayLong)}}
		}, same, "it stays up until 2026-03-04 12:00 UTC and is suspended then unless Stripe reports active\n"},
		{"an end on a day that is not known", status(reconcile.StatusCanceled), same, "sub_1 is canceled\n"},
		{"what Stripe does not know, beside what it knows", func(c *reconcile.Customer) {
			c.Subscriptions[0].Gone = true
			another(c, "2", reconcile.StatusActive, "price_basic")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_2/1]"))
		}, same, "if the subscription is gone for good: `" + planner.UnbindCommand("sub_1", 7) + "`\n"},
		{"a new org is for the order that waits for nothing", func(c *reconcile.Customer) {
			unbound(c)
			c.Unbindings = []reconcile.Unbinding{{Subscription: "sub_1", Slot: 1, Org: "org-1", Hosting: 7}}
			another(c, "2", reconcile.StatusTrialing, "price_basic")
		}, same, "sub_2 is in trial, and its customer has no org at the panel\n"},
		{"past due without a grace period", status(reconcile.StatusPastDue), func(p *reconcile.Policy) { p.Grace = 0 }, "sub_1 is past_due and there is no grace period\n"},
		{"a subscription that is left alone", held(reconcile.ManualHold{}), same, "nothing is done for sub_1: ignore by ops until it is removed\n"},
		{"how to end that", held(reconcile.ManualHold{ID: "h1", Reason: "a friend"}), same,
			"nothing is done for sub_1: ignore by ops until it is removed (a friend); `stripe-enhance holds remove h1` ends it\n"},
		{"a buyer without an address", func(c *reconcile.Customer) { unbound(c); c.Email = "" }, same,
			"customer cus_1 has no e-mail at Stripe, so no invitation can be sent: enter it with `" + planner.EmailCommand("cus_1") + "`"},
		{"a buyer whose address is none", func(c *reconcile.Customer) { unbound(c); c.Email = "ada" }, same,
			`the e-mail "ada" of customer cus_1 is no address, so no invitation can be sent: correct it with ` + "`" + planner.EmailCommand("cus_1") + "`"},
		{"an end of what has no hosting", func(c *reconcile.Customer) {
			status(reconcile.StatusUnpaid)(c)
			c.Bindings, c.Hostings, c.Subscriptions[0].CancelAt = nil, nil, noon.Add(dayLong)
		}, same, "ends at 2026-03-02 12:00 UTC, as Stripe has announced; no hosting is bound to it\n"},
		{"an end under a hold that outlasts it", func(c *reconcile.Customer) {
			c.Subscriptions[0].CancelAt = noon.Add(dayLong)
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Customer: "cus_1", Author: "ops", Until: noon.Add(2 * dayLong)}}
		}, same, "as Stripe has announced; its hosting stays up then too: no-suspend by ops\n"},
		{"an end under a hold that is over by then", func(c *reconcile.Customer) {
			c.Subscriptions[0].CancelAt = noon.Add(dayLong)
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Customer: "cus_1", Author: "ops", Until: noon.Add(time.Hour)}}
		}, same, "as Stripe has announced; its hosting is suspended then\n"},
		{"of what another customer with the same address had, what is still there", func(c *reconcile.Customer) {
			unbound(c)
			c.Kin = []reconcile.Kin{{ID: "cus_2", Org: reconcile.Org{ID: "org-2", OwnersRead: noon}, Hostings: []reconcile.KinHosting{
				{Subscription: "sub_7", Hosting: 30, State: reconcile.HostingActive}, {Subscription: "sub_8", Ended: true, Hosting: 31, State: reconcile.HostingDeleted},
				{Subscription: "sub_9", Ended: true, Hosting: 32, State: reconcile.HostingSuspended}}}}
		}, same, "; cus_2, with the same e-mail, had hosting 32 for sub_9, which has ended: if this customer is back for it, run `" + planner.BindCommand("sub_1", 32)},
		{"metadata that names the hosting of an ended one", func(c *reconcile.Customer) {
			status(reconcile.StatusCanceled)(c)
			c.Subscriptions[0].EndedAt = noon
			s := another(c, "3", reconcile.StatusActive, "price_number")
			s.MetadataOrg, s.MetadataHosting = "org-1", 7
		}, same, "but the metadata of sub_3 (active) names hosting 7: it stays as it is until that one can be given it, or has ended\n"},
		{"metadata that cannot be read", func(c *reconcile.Customer) {
			status(reconcile.StatusCanceled)(c)
			c.Subscriptions[0].EndedAt = noon
			another(c, "3", reconcile.StatusActive, "price_basic").MetadataHostingText = "#7"
		}, same, "but the metadata of sub_3 (active) cannot be read and may mean hosting 7: it stays as it is until that one can be given it, or has ended\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy()
			tc.policy(&p)
			hasSentence(t, world(tc.change), p, tc.want)
		})
	}
}

// If a person has to choose among hostings, the sentence lists each of them once, with all
// that is on it, and how to choose.
func TestTheChoiceIsDescribedInFull(t *testing.T) {
	one := func(h *reconcile.Hosting) { h.Content = sites("a.example.com") }
	full := func(change func(c *reconcile.Customer)) reconcile.Customer {
		return lowered(func(c *reconcile.Customer) {
			for i := range c.Hostings {
				one(&c.Hostings[i])
			}
			change(c)
		})
	}
	const all = "every hosting of it has something on it (hosting 9 of sub_1: 1 website (a.example.com); hosting 7 of sub_1: %s; hosting 8 of sub_1: 1 website (a.example.com)): " +
		"nothing is taken away until a person has chosen. Suspend the one that goes in the panel"
	on := func(content string) string { return strings.Replace(all, "%s", content, 1) }
	for _, tc := range []struct {
		name string
		c    reconcile.Customer
		want string
	}{
		{"two stay", full(func(*reconcile.Customer) {}), on("1 website (a.example.com)") + "\n"},
		{"one stays", full(func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0].Quantity, c.Bindings, c.Hostings = 1, c.Bindings[:2], c.Hostings[:2]
		}), "Suspend the one that goes in the panel, or name the one that stays in the metadata enhance_org_id and enhance_subscription_id of sub_1\n"},
		{"the hosting of another subscription is none of them", full(func(c *reconcile.Customer) {
			another(c, "2", reconcile.StatusActive, "price_basic")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 5, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(5, 1, ""))
			one(&c.Hostings[3])
		}), on("1 website (a.example.com)") + "\n"},
		{"many sites, and what the panel counts beside them", full(func(c *reconcile.Customer) {
			c.Hostings[0].Content = sites("a.example.com", "b.example.com")
			c.Hostings[0].Usage = []reconcile.Usage{{Name: "websites", Used: 2}, {Name: "transfer", Used: 9}, {Name: "mailboxes", Used: 1}, {Name: "forwarders"}, {Name: "domainAliases", Used: 2}, {Name: "diskspace", Used: 7}}
		}), on("2 websites (a.example.com, b.example.com), diskspace 7, 2 domain aliases, 1 mailbox") + "\n"},
		{"more websites than could be listed", full(func(c *reconcile.Customer) { c.Hostings[0].Usage = []reconcile.Usage{{Name: "websites", Used: 3}} }),
			on("1 website (a.example.com), 3 websites") + "\n"},
		{"mailboxes where the websites cannot be listed", full(func(c *reconcile.Customer) {
			c.Hostings[0].Content, c.Hostings[0].Usage = reconcile.Content{ReadAt: noon, Unread: "403 Forbidden"}, []reconcile.Usage{{Name: "mailboxes", Used: 2}}
		}), on("2 mailboxes, its websites cannot be listed: 403 Forbidden") + "\n"},
		{"an empty one stays", upgraded(func(c *reconcile.Customer) { c.Bindings[1].How = reconcile.BoundByAdopt }),
			"may have less on it (hosting 7 of sub_1: 1 website (a.example.com); hosting 8 of sub_2: nothing): nothing is taken away"},
		{"more than a sentence lists", lowered(func(c *reconcile.Customer) {
			for slot := 4; slot <= 8; slot++ {
				c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: slot, Org: "org-1", Hosting: int64(slot + 6), How: reconcile.BoundByCreate})
				c.Hostings = append(c.Hostings, upAt(int64(slot+6), 1, ""))
			}
			for i := range c.Hostings {
				one(&c.Hostings[i])
			}
			c.Subscriptions[0].Items[0].Quantity = 7
		}), "; hosting 11 of sub_1: 1 website (a.example.com); and 2 more): nothing is taken away"},
	} {
		t.Run(tc.name, func(t *testing.T) { hasSentence(t, tc.c, policy(), tc.want) })
	}
}

// What is done or held for a subscription has the address of its own buyer. Only databases
// of old versions have customers with several.
func TestEachSubscriptionHasTheAddressOfItsBuyer(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		c.Buyers = []reconcile.Buyer{{StripeCustomer: reconcile.StripeCustomer{ID: "cus_1", Email: "a@example.com"}}, {StripeCustomer: reconcile.StripeCustomer{ID: "cus_9", Email: " eve@example.com "}}}
		for id, buyer := range map[string]string{"2": "cus_9", "3": "cus_unknown"} {
			another(c, id, reconcile.StatusActive, "price_basic").StripeCustomer = buyer
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_" + id, Item: "si_" + id, Slot: 1, Org: "org-1", Hosting: 7, How: reconcile.BoundByCreate})
		}
		for i := range c.Subscriptions {
			c.Subscriptions[i].Status, c.Subscriptions[i].Lapse.Since = reconcile.StatusPastDue, noon
		}
	})
	d := planner.Decide(&c, catalog(), policy(), noon)
	got := map[string]string{}
	for _, h := range d.Holds {
		got[h.Subscription] = h.Email
	}
	if want := map[string]string{"sub_1": "a@example.com", "sub_2": "eve@example.com", "sub_3": "a@example.com"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

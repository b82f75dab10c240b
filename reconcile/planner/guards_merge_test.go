package planner_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// splitFrom is a customer with hosting 7 in org-1, from which a person has split it, and
// with a new order.
func splitFrom(c *reconcile.Customer) {
	c.Org, c.OrgNamed, c.Invited = nil, false, time.Time{}
	c.Apart = []reconcile.ApartOrg{{Org: "org-1", Why: "ada@desk: it left the agency", At: noon}}
	c.Subscriptions[0].DomainChecked = true
	another(c, "2", reconcile.StatusActive, "price_basic")
}

// After a split the hostings stay, and the next one is made in another org, whatever
// evidence leads to the former one.
func TestNoEvidenceLeadsBackIntoAnOrgFromWhichAPersonHasSplitTheCustomer(t *testing.T) {
	const own = "create_org:cus_1, create_subscription:sub_2/1:1, rename_org:cus_1, invite_owner:cus_1:a@example.com"
	org := reconcile.Org{ID: "org-1", Name: "Ada", OwnerEmail: "a@example.com", Owners: []string{"a@example.com"}, OwnersRead: noon, HostingsRead: noon, ObservedAt: noon}
	other := org
	other.ID = "org-2"
	split := func(change func(c *reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			splitFrom(c)
			change(c)
		}
	}
	kin := func(o reconcile.Org) []reconcile.Kin {
		return []reconcile.Kin{{ID: "cus_9", Org: o, Invited: noon, InvitedEmail: "a@example.com"}}
	}
	check(t, []guarded{
		{"a hosting of it is bound there", split(func(*reconcile.Customer) {}), own},
		{"and another one elsewhere", split(func(c *reconcile.Customer) {
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-2", Hosting: 8, How: reconcile.BoundByCreate})
			h := upAt(8, 1, "Basic [sub_1/2]")
			h.Org, c.Subscriptions[0].Items[0].Quantity = "org-2", 2
			c.Hostings = append(c.Hostings, h)
		}), "link:cus_1:org-2, create_subscription:sub_2/1:1"},
		{"its marker is on a hosting there", split(func(c *reconcile.Customer) { c.Bindings = nil }),
			"link:sub_1/1:7:si_1, " + own},
		{"a hosting of it was there", split(func(c *reconcile.Customer) {
			c.Bindings, c.Hostings[0].State, c.Hostings[0].TerminatedByUs = nil, reconcile.HostingDeleted, noon.Add(-dayLong)
			c.Subscriptions = c.Subscriptions[1:]
			c.Hostings[0].FriendlyName = "Basic [sub_2/1]"
		}), strings.Replace(own, "sub_2/1:1", "sub_2/2:1", 1)},
		{"the org carries its marker", split(func(c *reconcile.Customer) { c.MarkedOrgs = []reconcile.Org{{ID: "org-1", Name: "Ada [cus_1]"}} }), own},
		{"another one carries its marker", split(func(c *reconcile.Customer) { c.MarkedOrgs = []reconcile.Org{{ID: "org-2", Name: "Ada [cus_1]"}} }),
			"link:cus_1:org-2, create_subscription:sub_2/1:1"},
		{"it is that of the same e-mail", split(func(c *reconcile.Customer) { c.Kin = kin(org) }), own},
		{"another one is that of the same e-mail", split(func(c *reconcile.Customer) { c.Kin = kin(other) }), "link:cus_1:org-2, create_subscription:sub_2/1:1"},
		{"its only owner has the e-mail", split(func(c *reconcile.Customer) { c.OwnedOrgs = []reconcile.Org{org} }), own},
		{"the only owner of that one and of another has the e-mail", split(func(c *reconcile.Customer) { c.OwnedOrgs = []reconcile.Org{org, other} }),
			"link:cus_1:org-2, create_subscription:sub_2/1:1"},
		{"the metadata of the new order names it", split(func(c *reconcile.Customer) { c.Subscriptions[1].MetadataOrg = "org-1" }), "hold conflict"},
		{"the metadata of the new order names another one", split(func(c *reconcile.Customer) { c.Subscriptions[1].MetadataOrg = "org-2" }),
			"link:cus_1:org-2, create_subscription:sub_2/1:1"},
		{"the metadata names it as the place of the hosting that is there", split(func(c *reconcile.Customer) { c.Subscriptions[0].MetadataOrg = "org-1" }), own},
		{"our own hand wrote it, and one more is ordered", split(func(c *reconcile.Customer) {
			s := &c.Subscriptions[0]
			s.MetadataOrg, s.MetadataHosting, s.MetadataWritten, s.Items[0].Quantity = "org-1", 7, 7, 2
			c.Subscriptions = c.Subscriptions[:1]
		}), strings.Replace(own, "sub_2/1:1", "sub_1/2:1", 1)},
		{"a hosting there looks like its own, by the owner", split(func(c *reconcile.Customer) { lookalike(c, reconcile.LikeOwner) }), own},
		{"a hosting there looks like its own, because it was its org", split(func(c *reconcile.Customer) { lookalike(c, reconcile.LikeOrg) }), own},
		{"a hosting there has the ordered domain", split(func(c *reconcile.Customer) { lookalike(c, reconcile.LikeDomain) }), "hold adopt"},
		{"its subscription ends: it follows that", split(func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].StatusText = reconcile.StatusUnpaid, "unpaid"
			c.Subscriptions = c.Subscriptions[:1]
		}), "suspend:sub_1/1:7"},
	})
}

func lookalike(c *reconcile.Customer, why reconcile.Likeness) {
	l := alike(9)
	l.Why = why
	c.Lookalikes = []reconcile.Lookalike{l}
}

// The hold about metadata names both statements and the two ways out.
func TestMetadataAgainstASplitIsExplained(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		splitFrom(c)
		c.Subscriptions[1].MetadataOrg = "org-1"
	})
	holds := planner.Decide(&c, catalog(), policy(), noon).Holds
	for _, want := range []string{"the metadata of sub_2 names org org-1", "split from it by ada@desk: it left the agency", "metadata[enhance_org_id]=", "customers merge cus_1"} {
		if len(holds) != 1 || !strings.Contains(holds[0].Reason, want) {
			t.Errorf("%v, want %q", holds, want)
		}
	}
}

// A guest in the org of another customer gets new hostings there, names nothing, and its
// hosting does not keep the first customer from the invitation.
func TestAGuestByTheWordOfAPerson(t *testing.T) {
	merged := func(change func(c *reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) { // cus_1 has hosting 7 in org-1, and is a guest in org-2
			c.Org, c.OrgGuest, c.OrgWhy, c.Invited = &reconcile.Org{ID: "org-2", Name: "Agency"}, true, "ada@desk: why", time.Time{}
			c.Subscriptions[0].DomainChecked = true
			change(c)
		}
	}
	host := func(guests ...reconcile.Sharer) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) { // no owner was invited to org-1 yet
			c.Invited = time.Time{}
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_9/1]"))
			c.Sharers = append(guests, reconcile.Sharer{ID: "cus_1", Subscriptions: []string{"sub_1"}})
		}
	}
	const invited = "invite_owner:cus_1:a@example.com"
	guest := reconcile.Sharer{ID: "cus_9", Guest: true, Why: "ada@desk: why", Subscriptions: []string{"sub_9"}}
	byEvidence, another9 := guest, guest
	byEvidence.Why, another9.Subscriptions = "", []string{"sub_8"}
	check(t, []guarded{
		{"what it has stays", merged(func(*reconcile.Customer) {}), ""},
		{"what is new is made there", merged(func(c *reconcile.Customer) { another(c, "2", reconcile.StatusActive, "price_basic") }), "create_subscription:sub_2/1:1"},
		{"one more of what it has", merged(func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].Quantity = 2 }), "create_subscription:sub_1/2:1"},
		{"it has no e-mail, and needs none", merged(func(c *reconcile.Customer) {
			c.Email, c.Subscriptions[0].Items[0].Quantity = "", 2
		}), "create_subscription:sub_1/2:1"},
		{"what is not paid is suspended where it is", merged(func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].StatusText = reconcile.StatusUnpaid, "unpaid"
		}), "suspend:sub_1/1:7"},
		{"its former org still has the marker", merged(func(c *reconcile.Customer) {
			c.MarkedOrgs = []reconcile.Org{{ID: "org-1", Name: "Ada [cus_1]", ObservedAt: noon}}
		}), ""},
		{"a second org has the marker, and no person has put it here", merged(func(c *reconcile.Customer) {
			c.OrgWhy, c.MarkedOrgs = "", []reconcile.Org{{ID: "org-3", Name: "Ada [cus_1]", ObservedAt: noon}}
		}), "hold duplicate"},
		{"the first customer, with a guest by the word of a person", host(guest), invited},
		{"the first customer, with a guest by evidence", host(byEvidence), "hold conflict"},
		{"the first customer, with hosting of another one than the guest", host(another9), "hold conflict"},
		{"the first customer, without a guest", host(), "hold conflict"},
	})
}

// shared is the customers of a statement: cus_1 with hosting 7 in org-1, and the agency
// cus_2 with org-2.
func shared() (c, into reconcile.Customer) {
	c = world(func(*reconcile.Customer) {})
	into = reconcile.Customer{ID: "cus_2", Email: "agency@example.com", Org: &reconcile.Org{ID: "org-2", Name: "Agency", ObservedAt: noon}, OrgNamed: true,
		Hostings: []reconcile.Hosting{{ID: 20, Org: "org-2", State: reconcile.HostingActive}, {ID: 21, Org: "org-3", State: reconcile.HostingActive}},
		Lookalikes: []reconcile.Lookalike{{Org: "org-2", Hosting: 22, Why: reconcile.LikeOrg}, {Org: "org-2", Hosting: 23, Why: reconcile.LikeName},
			{Org: "org-4", Hosting: 24, Why: reconcile.LikeOrg}}}
	return c, into
}

// A statement is refused with a sentence and what to do, and changes nothing then.
func TestAStatementAboutAnOrgIsRefused(t *testing.T) {
	sent := []reconcile.Pending{{ActionID: "create_org:cus_1", Kind: reconcile.CreateOrg, SentAt: noon}}
	guest := func(c *reconcile.Customer) { c.OrgGuest = true }
	hosts := func(c *reconcile.Customer) {
		c.Sharers = []reconcile.Sharer{{ID: "cus_1"}, {ID: "cus_5", Guest: true}, {ID: "cus_6", Guest: true}}
	}
	for _, tc := range []struct {
		name   string
		kind   reconcile.OrgInstructionKind
		change func(c, into *reconcile.Customer)
		want   string // "": it is followed
	}{
		{"merge", reconcile.MergeOrgs, func(*reconcile.Customer, *reconcile.Customer) {}, ""},
		{"merge of one without an org", reconcile.MergeOrgs, func(c, _ *reconcile.Customer) { c.Org = nil }, ""},
		{"merge of a guest elsewhere", reconcile.MergeOrgs, func(c, _ *reconcile.Customer) {
			guest(c)
			hosts(c)
		}, ""},
		{"merge into a guest", reconcile.MergeOrgs, func(_, into *reconcile.Customer) { guest(into) }, ""},
		{"merge with itself", reconcile.MergeOrgs, func(c, into *reconcile.Customer) { *into = *c }, "cus_1 is one customer"},
		{"merge into one without an org", reconcile.MergeOrgs, func(_, into *reconcile.Customer) { into.Org = nil }, "cus_2 has no organisation at Enhance yet"},
		{"merge into a deleted org", reconcile.MergeOrgs, func(_, into *reconcile.Customer) { into.Org.Deleted = true }, "org org-2 of cus_2 was deleted"},
		{"merge into a suspended org", reconcile.MergeOrgs, func(_, into *reconcile.Customer) { into.Org.Suspended = true }, "org org-2 of cus_2 is suspended"},
		{"merge while a write is not known", reconcile.MergeOrgs, func(c, _ *reconcile.Customer) { c.Pending = sent }, "its outcome is not known yet"},
		{"merge of one that has guests", reconcile.MergeOrgs, func(c, _ *reconcile.Customer) { hosts(c) },
			"that of cus_5, cus_6, and would be left without its first customer: give them another one before this, with `stripe-enhance customers merge cus_5 cus_2 "},
		{"split of a guest", reconcile.SplitOrgs, func(c, _ *reconcile.Customer) { guest(c) }, ""},
		{"split while a write is not known", reconcile.SplitOrgs, func(c, _ *reconcile.Customer) { guest(c); c.Pending = sent }, "its outcome is not known yet"},
		{"split of one that shares nothing", reconcile.SplitOrgs, func(*reconcile.Customer, *reconcile.Customer) {}, "it shares it with no other one"},
		{"split of one that has guests", reconcile.SplitOrgs, func(c, _ *reconcile.Customer) { hosts(c) }, "its guests are cus_5, cus_6. To split one of them: `stripe-enhance customers split cus_5 "},
		{"split of one without an org", reconcile.SplitOrgs, func(c, _ *reconcile.Customer) { c.Org = nil }, "cus_1 has no organisation at Enhance that it could be split from"},
		{"no kind", 0, func(*reconcile.Customer, *reconcile.Customer) {}, "has no kind"},
	} {
		c, into := shared()
		tc.change(&c, &into)
		ch, err := planner.InstructOrg(reconcile.OrgInstruction{Kind: tc.kind, Customer: "cus_1", Into: "cus_2", Author: "ada@desk", Reason: "why", At: noon})(&c, &into)
		var no reconcile.InstructionRefused
		switch {
		case tc.want == "" && (err != nil || ch.Already):
			t.Errorf("%s: %v, already %t", tc.name, err, ch.Already)
		case tc.want != "" && (!errors.As(err, &no) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	c, _ := shared()
	if _, err := planner.InstructOrg(reconcile.OrgInstruction{Kind: reconcile.MergeOrgs, Customer: "cus_1", Into: "cus_none"})(&c, nil); err == nil || !strings.Contains(err.Error(), "the database has no customer cus_none") {
		t.Errorf("into one that is not known: %v", err)
	}
}

// If all is so already, nothing changes, even while a write is under way.
func TestAStatementAboutAnOrgThatIsSoAlready(t *testing.T) {
	for name, tc := range map[string]struct {
		kind   reconcile.OrgInstructionKind
		change func(c, into *reconcile.Customer)
		want   string
	}{
		"a guest there": {reconcile.MergeOrgs, func(c, into *reconcile.Customer) { c.Org, c.OrgGuest = into.Org, true }, "cus_1 is in org org-2 with cus_2 already"},
		"the other one is its guest": {reconcile.MergeOrgs, func(c, into *reconcile.Customer) {
			into.Org, into.OrgGuest, c.Pending = c.Org, true, []reconcile.Pending{{Kind: reconcile.Suspend}}
		}, "cus_1 is in org org-1 with cus_2 already"},
		"split": {reconcile.SplitOrgs, func(c, _ *reconcile.Customer) {
			c.Org, c.Apart = nil, []reconcile.ApartOrg{{Org: "org-9"}}
		}, "cus_1 was split from org org-9 already"},
	} {
		c, into := shared()
		tc.change(&c, &into)
		ch, err := planner.InstructOrg(reconcile.OrgInstruction{Kind: tc.kind, Customer: "cus_1", Into: "cus_2"})(&c, &into)
		if err != nil || !ch.Already {
			t.Fatalf("%s: %+v %v", name, ch, err)
		}
		after := c
		if ch.Apply(&after); cmp.Diff(c, after) != "" {
			t.Errorf("%s: it changes the customer", name)
		}
		if d := cmp.Diff([]string{tc.want}, ch.Describe()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// The customer after a merge and after a split, and what people read.
func TestAStatementAboutAnOrgIsApplied(t *testing.T) {
	w := reconcile.OrgInstruction{Kind: reconcile.MergeOrgs, Customer: "cus_1", Into: "cus_2", Author: "ada@desk", Reason: "why", At: noon}
	c, into := shared()
	c.Org.Name, c.Org.OwnerEmail, c.NameWanted, c.InvitedEmail = "Ada [cus_1]", "A@example.com", "Other", "a@example.com"
	c.Apart = []reconcile.ApartOrg{{Org: "org-2", Why: "before"}, {Org: "org-5", Why: "before"}}
	c.Hostings = append(c.Hostings, upAt(8, 1, "by hand"))
	c.Lookalikes = []reconcile.Lookalike{alike(8)}
	former := *c.Org
	ch, err := planner.InstructOrg(w)(&c, &into)
	if err != nil {
		t.Fatal(err)
	}
	ch.Apply(&c)
	sharers := []reconcile.Sharer{{ID: "cus_1", Email: "a@example.com", Guest: true, Why: "ada@desk: why", Subscriptions: []string{"sub_1"}}, {ID: "cus_2", Email: "agency@example.com"}}
	seen := []int64{}
	for _, h := range c.Hostings {
		seen = append(seen, h.ID)
	}
	for what, pair := range map[string][2]any{
		"org":         {*into.Org, *c.Org},
		"guest":       {[]any{true, true, "ada@desk: why", time.Time{}, "", ""}, []any{c.OrgGuest, c.OrgNamed, c.OrgWhy, c.Invited, c.InvitedEmail, c.NameWanted}},
		"sharers":     {sharers, c.Sharers},
		"apart":       {[]reconcile.ApartOrg{{Org: "org-5", Why: "before"}}, c.Apart},
		"hostings":    {[]int64{7, 20}, seen},
		"look-alikes": {[]reconcile.Lookalike{{Org: "org-2", Hosting: 22, Why: reconcile.LikeOrg}}, c.Lookalikes},
		"former org":  {[][]reconcile.Org{{former}, {former}}, [][]reconcile.Org{c.MarkedOrgs, c.OwnedOrgs}},
		"journal": {reconcile.Action{ID: "merge:cus_1:org-2", Kind: reconcile.Link, Customer: "cus_1", Org: "org-2", How: reconcile.BoundByAdopt,
			Reason: "put into org org-2 of cus_2 by ada@desk: why (before: org org-1)"}, ch.Entry()},
		"sentences": {[]string{`cus_1 is a guest in org org-2 ("Agency") of cus_2: its new hostings are made there, and the owner of that org has access to them; cus_1 is not invited`,
			"org org-1 is not its own any more: nothing new is made in it",
			"nothing is moved, suspended, deleted or renamed at the panel because of this: hosting 7 of sub_1 in org org-1 stays where it is"}, ch.Describe()},
	} {
		if d := cmp.Diff(pair[0], pair[1]); d != "" {
			t.Errorf("%s after the merge (-want +got):\n%s", what, d)
		}
	}
	other, _ := shared()
	other.ID = "cus_3"
	before := other
	if ch.Apply(&other); cmp.Diff(before, other) != "" {
		t.Error("it changes another customer")
	}
	w.Kind, w.Into = reconcile.SplitOrgs, ""
	if ch, err = planner.InstructOrg(w)(&c, nil); err != nil {
		t.Fatal(err)
	}
	ch.Apply(&c)
	for what, pair := range map[string][2]any{
		"org":      {[]any{(*reconcile.Org)(nil), false, false, "", 0}, []any{c.Org, c.OrgGuest, c.OrgNamed, c.OrgWhy, len(c.Sharers)}},
		"apart":    {[]reconcile.ApartOrg{{Org: "org-2", Why: "ada@desk: why", At: noon}, {Org: "org-5", Why: "before"}}, c.Apart},
		"hostings": {[]any{1, int64(7), 0}, []any{len(c.Hostings), c.Hostings[0].ID, len(c.Lookalikes)}},
		"journal": {reconcile.Action{ID: "split:cus_1:org-2", Kind: reconcile.Link, Customer: "cus_1", Org: "org-2", How: reconcile.BoundByAdopt,
			Reason: "split from org org-2 of cus_2 by ada@desk: why"}, ch.Entry()},
		"sentence": {`cus_1 is no guest in org org-2 ("Agency") of cus_2 any more: its new hostings are made in an org of its own`, ch.Describe()[0]},
	} {
		if d := cmp.Diff(pair[0], pair[1]); d != "" {
			t.Errorf("%s after the split (-want +got):\n%s", what, d)
		}
	}
}

// A person who binds a hosting in an org from which the customer was split has to know it.
func TestAHostingInAnOrgFromWhichTheCustomerWasSplitIsBoundKnowingly(t *testing.T) {
	c := world(splitFrom)
	w := reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: "sub_2", Hosting: upAt(9, 1, "by hand"), Author: "ada@desk", Reason: "why", At: noon}
	_, err := planner.Instruct(w, catalog(), "")(&c, nil)
	if err == nil || !strings.Contains(err.Error(), "was split from it by ada@desk: it left the agency: add --other-org") {
		t.Errorf("without the flag: %v", err)
	}
	w.OtherOrg = true
	if ch, err := planner.Instruct(w, catalog(), "")(&c, nil); err != nil || ch.Bind == nil {
		t.Errorf("with the flag: %+v %v", ch, err)
	}
}

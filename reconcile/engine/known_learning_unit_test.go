package engine

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// What a run learns from its own outcome replaces a reading of the database, so if the
// database has something else, or that is not known, the customer is loaded.
func TestACustomerIsLoadedWhereAnOutcomeDoesNotShowWhatIsStored(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	org := reconcile.Org{ID: "org-1", Name: "Ada"}
	usage := []reconcile.Usage{}
	suspended := reconcile.Hosting{ID: 7, State: reconcile.HostingSuspended, SuspendedByUs: at, Usage: usage}
	foreign, running, unread := suspended, suspended, suspended
	foreign.SuspendedByUs, running.State, unread.Usage = time.Time{}, reconcile.HostingActive, nil
	listed := org
	listed.HostingsRead = at
	bound := reconcile.Binding{Org: "org-1", Hosting: 8}
	elsewhere := reconcile.Binding{Org: "org-2", Hosting: 8}
	for _, test := range []struct {
		name    string
		c       reconcile.Customer
		kind    reconcile.ActionKind
		outcome reconcile.Outcome
		known   bool
	}{
		{"a name", reconcile.Customer{Org: &org}, reconcile.RenameOrg, reconcile.Outcome{Org: &org}, true},
		{"a name of an org that it does not have", reconcile.Customer{}, reconcile.RenameOrg, reconcile.Outcome{Org: &org}, false},
		{"a name of an org that was listed with it", reconcile.Customer{Org: &org}, reconcile.RenameOrg, reconcile.Outcome{Org: &listed}, false},
		{"a hosting", reconcile.Customer{Org: &org}, reconcile.CreateSubscription, reconcile.Outcome{Hosting: &reconcile.Hosting{ID: 8}, Binding: &bound}, true},
		{"a hosting of a customer without an org", reconcile.Customer{}, reconcile.CreateSubscription, reconcile.Outcome{Hosting: &reconcile.Hosting{ID: 8}, Binding: &bound}, false},
		{"a hosting in another org", reconcile.Customer{Org: &org}, reconcile.CreateSubscription, reconcile.Outcome{Hosting: &reconcile.Hosting{ID: 8}, Binding: &elsewhere}, false},
		{"a hosting that is there already", reconcile.Customer{Org: &org, Hostings: []reconcile.Hosting{{ID: 8}}}, reconcile.CreateSubscription,
			reconcile.Outcome{Hosting: &reconcile.Hosting{ID: 8}, Binding: &bound}, false},
		{"a suspension", reconcile.Customer{Hostings: []reconcile.Hosting{{ID: 7}}}, reconcile.Suspend, reconcile.Outcome{Hosting: &suspended}, true},
		{"a suspension of a hosting that it does not have", reconcile.Customer{Hostings: []reconcile.Hosting{{ID: 9}}}, reconcile.Suspend, reconcile.Outcome{Hosting: &suspended}, false},
		{"a suspension by others", reconcile.Customer{Hostings: []reconcile.Hosting{{ID: 7}}}, reconcile.Suspend, reconcile.Outcome{Hosting: &foreign}, false},
		{"a suspension that was lifted meanwhile", reconcile.Customer{Hostings: []reconcile.Hosting{{ID: 7}}}, reconcile.Suspend, reconcile.Outcome{Hosting: &running}, false},
		{"a suspension that was read without its usage", reconcile.Customer{Hostings: []reconcile.Hosting{{ID: 7}}}, reconcile.Suspend, reconcile.Outcome{Hosting: &unread}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.outcome.Action.Kind, test.outcome.State = test.kind, reconcile.ActionApplied
			if next := learned(&test.c, test.outcome); (next != nil) != test.known {
				t.Errorf("learned: %+v", next)
			}
		})
	}
}

func TestAWishThatIsFulfilledIsKnownToBeOver(t *testing.T) {
	org := reconcile.Org{ID: "org-1", Name: "Ada", Owners: []string{"ada@example.com"}, Hostings: 2, Created: time.Date(2026, 1, 1, 0, 0, 0, 1500, time.UTC)}
	org.HostingsRead = org.Created
	named := reconcile.Org{ID: "org-1", Name: "Ada Ltd", Hostings: 2}
	for wish, left := range map[string]string{"Ada Ltd": "", "Ada Inc": "Ada Inc"} {
		c := learned(&reconcile.Customer{Org: &org, NameWanted: wish},
			reconcile.Outcome{Action: reconcile.Action{Kind: reconcile.RenameOrg}, State: reconcile.ActionApplied, Org: &named})
		if c == nil || c.NameWanted != left || c.Org.Name != "Ada Ltd" || len(c.Org.Owners) != 1 || c.Org.HostingsRead.IsZero() || !c.Org.Created.Equal(org.Created) {
			t.Errorf("the name %q is wanted: %+v", wish, c)
		}
	}
	for wish, left := range map[string]string{"ada@example.com": "", "other@example.com": "other@example.com"} {
		c := learned(&reconcile.Customer{InviteWanted: wish}, reconcile.Outcome{Action: reconcile.Action{Kind: reconcile.InviteOwner}, State: reconcile.ActionApplied,
			Invited: org.Created, InvitedEmail: "ada@example.com"})
		if c == nil || c.InviteWanted != left || !c.Invited.Equal(org.Created.Truncate(time.Microsecond)) {
			t.Errorf("an invitation to %s is wanted: %+v", wish, c)
		}
	}
}

// A customer that was loaded again since, or beside which something was written, is not
// the one that an outcome changes.
func TestAnOutcomeChangesOnlyTheCustomerThatIsKnownNow(t *testing.T) {
	nothing := func() error { return nil }
	invited := reconcile.Outcome{Action: reconcile.Action{Kind: reconcile.InviteOwner, Customer: "cus_1"}, State: reconcile.ActionApplied, InvitedEmail: "ada@example.com"}
	own := func(k *known) { _ = k.changes.duringAbout([]string{customerSubject("cus_1")}, "a", nothing) }
	old := &reconcile.Customer{ID: "cus_1"}
	for name, change := range map[string]func(k *known){
		"loaded again":              func(k *known) { k.put(&reconcile.Customer{ID: "cus_1"}, k.changes.now()) },
		"something else is written": func(k *known) { _ = k.changes.during(nothing) },
		"its facts are written":     func(k *known) { _ = k.changes.duringAbout([]string{customerSubject("cus_1")}, "", nothing) },
	} {
		k := newKnown(&changes{})
		k.put(old, k.changes.now())
		change(k)
		learn := k.learner(old, "a")
		own(k)
		own(k)
		learn(invited)
		if c := k.get("cus_1"); c != nil {
			t.Errorf("%s: known as %+v", name, c)
		}
	}
	k := newKnown(&changes{})
	k.put(old, k.changes.now())
	learn := k.learner(old, "a")
	own(k)
	_ = k.changes.during(nothing)
	own(k)
	again := &reconcile.Customer{ID: "cus_1", Name: "as it is now"}
	k.put(again, k.changes.now())
	learn(invited)
	if c := k.get("cus_1"); c != again {
		t.Errorf("loaded during the action: known as %+v", c)
	}
	if !stored(time.Time{}).IsZero() {
		t.Error("no time is stored as a time")
	}
}

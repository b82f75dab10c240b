package enhance_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

func TestADomainIsFoundWhereverItIs(t *testing.T) {
	n := newTown(t)
	org := n.world.StaffCreateOrg("Bob", "bob@example.com")
	other, err := n.world.StaffCreateHosting(org, 2, "by hand")
	if err != nil {
		t.Fatal(err)
	}
	for domain, hosting := range map[string]int{"www.ada.example.com": other, "ada.example.com.example.org": int(n.hosting), "canada.example.com": int(n.hosting)} {
		if _, err := n.world.AddWebsite(hosting, domain); err != nil {
			t.Fatal(err)
		}
	}
	for domain, want := range map[string][]reconcile.WebsiteLocation{
		"Ada.example.com.": {{Org: org, Hosting: int64(other)}},
		"example.com":      nil,
		"bob.example.com":  nil,
	} {
		got, err := n.client.FindWebsite(t.Context(), domain)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", domain, err, diff)
		}
	}
}

func TestADomainIsNotFoundOnWhatIsDeletedNorInOurOwnOrg(t *testing.T) {
	n := newTown(t)
	site := func(more string) string { return `{"id":"w-` + strconv.Itoa(len(more)) + `",` + more + `}` }
	n.breaks("GET /orgs/{org}/websites", body(200, `{"total":5,"items":[`+
		site(`"domain":"ada.example.com","orgId":"`+otherOrg+`","subscriptionId":42,"status":"deleted"`)+`,`+
		site(`"domain":"ada.example.com","orgId":"`+ourOrg+`","subscriptionId":43,"status":"active"`)+`,`+
		site(`"domain":{"domain":"bob.example.com"},"aliases":[{"domain":"www.ada.example.com"}],"orgId":"`+otherOrg+`","subscriptionId":44,"status":"active"`)+`,`+
		site(`"domain":"ada.example.com","subscriptionId":45,"status":"active","kind":"normal"`)+`,`+
		site(`"domain":"ada.example.com","orgId":"`+otherOrg+`","status":"active"`)+`]}`))
	got, err := n.client.FindWebsite(t.Context(), "ada.example.com")
	if diff := cmp.Diff([]reconcile.WebsiteLocation{{Org: otherOrg, Hosting: 44}, {Org: otherOrg}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	n.breaks("GET /orgs/{org}/websites", simulator.NotDone(500))
	if _, err := n.client.FindWebsite(t.Context(), "ada.example.com"); fault.Of(err) != fault.Transient {
		t.Errorf("a panel that does not answer: %v", err)
	}
}

func TestAllWebsitesAreThoseOfCustomersWithTheirAliases(t *testing.T) {
	n := newTown(t)
	site := func(id, more string) string { return `{"id":"` + id + `",` + more + `}` }
	n.breaks("GET /orgs/{org}/websites", body(200, `{"total":4,"items":[`+
		site("w-1", `"domain":"gone.example.com","orgId":"`+otherOrg+`","subscriptionId":42,"status":"deleted"`)+`,`+
		site("w-2", `"domain":"ours.example.com","orgId":"`+ourOrg+`","subscriptionId":43,"status":"active"`)+`,`+
		site("w-3", `"domain":"nowhere.example.com","status":"active"`)+`,`+
		site("w-4", `"domain":{"domain":"bob.example.com"},"aliases":[{"domain":"www.ada.example.com"}],"orgId":"`+otherOrg+`","subscriptionId":44,"status":"active"`)+`]}`))
	place := reconcile.WebsiteLocation{Org: otherOrg, Hosting: 44}
	got, err := n.client.AllWebsites(t.Context())
	if diff := cmp.Diff([]reconcile.Site{{Domain: "bob.example.com", WebsiteLocation: place}, {Domain: "www.ada.example.com", WebsiteLocation: place}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	n.breaks("GET /orgs/{org}/websites", simulator.NotDone(500))
	if _, err := n.client.AllWebsites(t.Context()); fault.Of(err) != fault.Transient {
		t.Errorf("a panel that does not answer: %v", err)
	}
}

func TestANameIsChangedAlone(t *testing.T) {
	n := newTown(t)
	name := "Mine [sub_1/1]"
	if err := n.client.Change(t.Context(), n.org, n.hosting, reconcile.HostingChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	h, err := n.client.Hosting(t.Context(), n.org, n.hosting)
	if err != nil || h.FriendlyName != name || h.State != reconcile.HostingActive {
		t.Errorf("%+v: %v", h, err)
	}
}

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

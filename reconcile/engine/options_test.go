package engine_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// A mapping may onboard with a password though the setting is to invite. Then membership in
// the org proves nothing about the mail with which the customer chooses a password.
func TestALostRecoveryMailOfAMappingIsSentAgain(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	must(t, r.Store.SetMapping(context.Background(), reconcile.Mapping{BillingID: "price_basic_monthly", Plan: "1",
		MappingOptions: reconcile.MappingOptions{Onboarding: reconcile.Password}}, "test", r.World.Now()))
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: "price_basic_monthly"})
	lost := false
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route != "PUT /login/password-recovery" || lost {
			return simulator.Fault{Honest: true}
		}
		lost = true
		return simulator.Lost(false)
	})
	for range 4 {
		_, _ = r.Try(engine.Request{})
		r.World.Advance(2 * time.Minute)
	}
	mails := r.World.Mails()
	if !lost || !slices.ContainsFunc(mails, func(m simulator.Mail) bool { return m.Kind == "password-recovery" }) ||
		slices.ContainsFunc(mails, func(m simulator.Mail) bool { return m.Kind == "invite" }) {
		t.Errorf("lost %v, then sent: %+v", lost, mails)
	}
}

// A panel of another version, or a token that may not ask, is no reason to make no website.
func TestAPanelThatDoesNotCheckDomainsGetsTheWebsiteAnyway(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusBadRequest} {
		r := testenv.New(t, testenv.Options{})
		signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: "price_basic_monthly", Metadata: map[string]string{"domain": "ada.example.com"}})
		r.World.SetFault(func(c simulator.Call) simulator.Fault {
			if strings.HasSuffix(c.Route, "/domains/check") {
				return simulator.NotDone(status)
			}
			return simulator.Fault{}
		})
		if rep := r.Run(engine.Request{}); !rep.Converged() {
			t.Errorf("%d: %v, %v", status, kinds(rep), rep.Holds)
		}
		if sites := r.World.Websites(); len(sites) != 1 || sites[0].Domain != "ada.example.com" {
			t.Errorf("%d: the websites are %+v", status, sites)
		}
	}
}

// A domain that another customer has is held without a refused request, and gets its website
// within the hour after it was freed.
func TestAFreedDomainGetsItsWebsite(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: "price_basic_monthly"})
	r.Run(engine.Request{})
	_, err := r.World.AddWebsite(r.World.Hostings()[0].ID, "shop.example.com")
	must(t, err)
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: "price_basic_monthly", Metadata: map[string]string{"domain": "https://www.shop.example.com/"}})
	rep := r.Run(engine.Request{})
	diff(t, "held", []string{"domain_taken"}, holdKinds(rep))
	if !strings.Contains(rep.Holds[0].Reason, "a website of another org has it (hosting ") || slices.Contains(kinds(rep), "create_website failed") {
		t.Errorf("%v: %s", kinds(rep), rep.Holds[0].Reason)
	}
	must(t, r.World.RemoveWebsite("shop.example.com"))
	r.World.Advance(time.Hour + time.Minute)
	diff(t, "after an hour", []string{"create_website applied"}, kinds(r.Run(engine.Request{})))
	diff(t, "then", []string(nil), kinds(r.Run(engine.Request{})))
}

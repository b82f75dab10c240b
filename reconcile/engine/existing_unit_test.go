package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// beside is what others have at the panel.
type beside struct {
	Existing
	Websites
	duplicates []reconcile.Duplicate
	looks      int
	found      []reconcile.WebsiteLocation
	saved      []reconcile.WebsiteLocation
}

func (b *beside) Duplicates(context.Context, string, int) ([]reconcile.Duplicate, error) {
	b.looks++
	return b.duplicates, nil
}

func (b *beside) FindWebsite(context.Context, string) ([]reconcile.WebsiteLocation, error) {
	return b.found, nil
}

func (b *beside) SaveSites(_ context.Context, _ reconcile.Token, _ string, sites []reconcile.WebsiteLocation, _ time.Time) error {
	b.saved = sites
	return nil
}

// besideRun is a run that has no other ports: a call of one of them would be a panic.
func besideRun(b *beside) *run {
	log := logrus.New()
	log.SetLevel(logrus.PanicLevel)
	return &run{Engine: &Engine{Options: Options{Now: time.Now}, Ports: Ports{Existing: b, Websites: b}}, evidence: newEvidence(), findings: &findings{log: logrus.NewEntry(log)}}
}

func TestEachDuplicateIsNamedOnce(t *testing.T) {
	b := &beside{duplicates: []reconcile.Duplicate{
		{Marker: reconcile.Marker{StripeID: "cus_1"}, Org: "org-2", FirstOrg: "org-1"},
		{Marker: reconcile.Marker{StripeID: "sub_1", Slot: 1}, Org: "org-2", Hosting: 8, First: 7},
	}}
	r := besideRun(b)
	for range 2 {
		if err := r.noticeSeconds(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const want = "(org org-2 carries the marker [cus_1] beside org org-1; hosting 8 in org org-2 carries the marker [sub_1/1] of hosting 7)"
	if waits := r.evidence.waitsFor(); strings.Count(waits, want) != 1 {
		t.Errorf("waits for %q, want %q once", waits, want)
	}
	if len(r.evidence.closed()) != 1 || !r.evidence.createsAreBlocked() || b.looks != 1 {
		t.Errorf("gates %q after %d looks", r.evidence.closed(), b.looks)
	}
}

func TestNumbersOfObjectsAreWords(t *testing.T) {
	for want, u := range map[string]reconcile.Unbound{"1 hosting in 1 org": {Hostings: 1, Orgs: 1}, "2 hostings in 1 org": {Hostings: 2, Orgs: 1}, "3 hostings in 2 orgs": {Hostings: 3, Orgs: 2}} {
		if got := inOrgs(u); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A domain may be somewhere that is no hosting; there is nothing to read then.
func TestASiteThatIsOnNoHostingIsStoredAsItIs(t *testing.T) {
	b := &beside{found: []reconcile.WebsiteLocation{{Org: "org-1"}}}
	if err := besideRun(b).findSite(t.Context(), planner.Need{Kind: planner.NeedWebsiteLocation, Domain: "ada.example.com"}); err != nil || len(b.saved) != 1 {
		t.Errorf("stored %v: %v", b.saved, err)
	}
}

func TestAWebsiteIsNotMadeWithoutItsHosting(t *testing.T) {
	var out reconcile.Outcome
	err := besideRun(&beside{}).createWebsite(t.Context(), &reconcile.Customer{}, reconcile.Action{Kind: reconcile.CreateWebsite, Hosting: 7}, &out)
	if !errors.Is(err, fault.Conflict) || out.Hosting != nil {
		t.Errorf("%v, %+v", err, out)
	}
}

func TestNothingIsDeletedByAProgramThatCannot(t *testing.T) {
	var out reconcile.Outcome
	err := besideRun(&beside{}).terminate(t.Context(), &reconcile.Customer{}, reconcile.Action{Kind: reconcile.Terminate, Hosting: 7}, &out)
	if !errors.Is(err, fault.Permanent) || out.Hosting != nil {
		t.Errorf("%v, %+v", err, out)
	}
}

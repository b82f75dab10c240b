package enhance_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

var t0 = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

func atT0(o *enhance.Options) { o.Now = func() time.Time { return t0 } }

// subscription is a complete answer, with fields that a later release may add.
func subscription(more string) string {
	return fmt.Sprintf(`{"id":42,"planId":2,"planName":"Pro","subscriberId":%q,"vendorId":%q,
		"resources":[{"name":"websites","total":10,"usage":3},{"name":"diskspace","usage":5368709120},{"name":"unheardOf","total":0,"usage":0}],
		"allowances":[],"selections":[],"planType":"shared","allowedPhpVersions":["php83"],"defaultPhpVersion":"php83",
		"redisAllowed":true,"friendlyName":"Pro [sub_1Nq/1]","newIn13":{"a":[1,2]},%s}`, strings.ToUpper(otherOrg), ourOrg, more)
}

func TestAHostingIsReadAsItStands(t *testing.T) {
	whole := func(edit func(*reconcile.Hosting)) reconcile.Hosting {
		h := reconcile.Hosting{
			ID: 42, Org: otherOrg, Plan: 2, State: reconcile.HostingActive, FriendlyName: "Pro [sub_1Nq/1]", ObservedAt: t0,
			Usage: []reconcile.Usage{
				{Name: "websites", Used: 3, Total: new(int64(10))}, {Name: "diskspace", Used: 5 << 30}, {Name: "unheardOf", Total: new(int64(0))},
			},
		}
		edit(&h)
		return h
	}
	for _, c := range []struct {
		name, more string
		edit       func(*reconcile.Hosting)
	}{
		{"active", `"status":"active"`, func(*reconcile.Hosting) {}},
		{"active with suspendedBy null", `"status":"active","suspendedBy":null`, func(*reconcile.Hosting) {}},
		{"suspended shows only as suspendedBy", `"status":"active","suspendedBy":"` + noID + `"`, func(h *reconcile.Hosting) {
			h.State, h.SuspendedBy = reconcile.HostingSuspended, noID
		}},
		{"suspended by nobody is not known", `"status":"active","suspendedBy":""`, func(h *reconcile.Hosting) {
			h.State = reconcile.HostingUnknown
		}},
		{"deleted", `"status":"deleted"`, func(h *reconcile.Hosting) { h.State = reconcile.HostingDeleted }},
		{"deleted while suspended is deleted", `"status":"deleted","suspendedBy":"` + noID + `"`, func(h *reconcile.Hosting) {
			h.State, h.SuspendedBy = reconcile.HostingDeleted, noID
		}},
		{"a status of tomorrow is unknown", `"status":"frozen"`, func(h *reconcile.Hosting) { h.State = reconcile.HostingUnknown }},
		{"no status is unknown", `"planName":"Pro"`, func(h *reconcile.Hosting) { h.State = reconcile.HostingUnknown }},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := served(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "customers") {
					respond(w, 200, `{"items":[%s],"total":1,"next":null}`, subscription(c.more))
					return
				}
				respond(w, 200, "%s", subscription(c.more))
			})
			client := fast(t, url, atT0)
			one, err := client.Hosting(t.Context(), otherOrg, 42)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(whole(c.edit), one); diff != "" {
				t.Errorf("by id (-want +got)\n%s", diff)
			}
			all, err := client.Hostings(t.Context(), otherOrg)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]reconcile.Hosting{whole(c.edit)}, all); diff != "" {
				t.Errorf("in the listing (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAnAnswerAboutSomethingElseIsMalformed(t *testing.T) {
	org := func(id, parent string) string {
		return fmt.Sprintf(`{"id":%q,"parentId":%q,"name":"A","status":"active","subscriptionsCount":0,"websitesCount":0,"createdAt":"2026-03-01T00:00:00Z","locale":"en"}`, id, parent)
	}
	hosting := func(more string) string { return `{"status":"active","resources":[],"friendlyName":"",` + more + `}` }
	page := func(item string) string { return `{"items":[` + item + `],"total":1}` }
	ask := map[string]func(*enhance.Client) error{
		"org":      func(c *enhance.Client) error { _, err := c.Org(t.Context(), otherOrg); return err },
		"self":     func(c *enhance.Client) error { _, err := c.Self(t.Context()); return err },
		"orgs":     func(c *enhance.Client) error { _, err := c.Orgs(t.Context(), time.Time{}); return err },
		"newest":   func(c *enhance.Client) error { _, err := c.Orgs(t.Context(), t0.AddDate(-1, 0, 0)); return err },
		"hosting":  func(c *enhance.Client) error { _, err := c.Hosting(t.Context(), otherOrg, 42); return err },
		"hostings": func(c *enhance.Client) error { _, err := c.Hostings(t.Context(), otherOrg); return err },
	}
	for _, c := range []struct{ name, ask, answer, sentence string }{
		{"another org", "org", org(noID, ourOrg), "the answer is about organisation " + noID},
		{"an org of somebody else", "org", org(otherOrg, noID), "is a customer of " + noID + ", not of ours"},
		{"another org in place of ours", "self", org(otherOrg, noID), "the answer is about organisation " + otherOrg},
		{"a listing with an org of somebody else", "orgs", page(org(otherOrg, noID)), "not of ours"},
		{"the newest with an org of somebody else", "newest", page(org(otherOrg, noID)), "not of ours"},
		{"another hosting", "hosting", hosting(`"id":43,"planId":1`), "the answer is about hosting 43"},
		{"a hosting of another customer", "hosting", hosting(`"id":42,"planId":1,"subscriberId":"` + noID + `"`), "belongs to organisation " + noID},
		{"a hosting without a plan", "hosting", hosting(`"id":42`), "names no plan"},
		{"a listing with a hosting of another customer", "hostings", page(hosting(`"id":42,"planId":1,"subscriberId":"` + noID + `"`)), "belongs to"},
		{"an id beyond any integer", "hosting", hosting(`"id":92233720368547758080,"planId":1`), "id is a number"},
		{"a plan beyond any integer", "hosting", hosting(`"id":42,"planId":1e30`), "planId is a number"},
		{"a plan as a string", "hosting", hosting(`"id":42,"planId":"1"`), "planId is a string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := served(t, func(w http.ResponseWriter, _ *http.Request) { respond(w, 200, "%s", c.answer) })
			err := ask[c.ask](fast(t, url))
			if diff := cmp.Diff("malformed", verdict(err)); diff != "" {
				t.Fatalf("(-want +got)\n%s%v", diff, err)
			}
			if !strings.Contains(err.Error(), c.sentence) {
				t.Errorf("the error is %q, without %q", err, c.sentence)
			}
		})
	}
}

func TestAHostingThatIsDeletedNeedsNoPlan(t *testing.T) {
	url := served(t, func(w http.ResponseWriter, _ *http.Request) { respond(w, 200, `{"id":42,"status":"deleted"}`) })
	h, err := fast(t, url).Hosting(t.Context(), otherOrg, 42)
	if err != nil || h.State != reconcile.HostingDeleted {
		t.Errorf("got %v, %v", h.State, err)
	}
}

func TestNothingOfARefusedAnswerStaysInTheNextOne(t *testing.T) {
	answers := make(chan string, attempts)
	answers <- `{"planId":9,"status":"active","suspendedBy":"` + noID + `","friendlyName":"old"}`
	answers <- `{"id":42,"planId":1,"status":"active"}`
	url := served(t, func(w http.ResponseWriter, _ *http.Request) { respond(w, 200, "%s", <-answers) })
	got, err := fast(t, url, atT0).Hosting(t.Context(), otherOrg, 42)
	if err != nil {
		t.Fatal(err)
	}
	want := reconcile.Hosting{ID: 42, Org: otherOrg, Plan: 1, State: reconcile.HostingActive, ObservedAt: t0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPlansKeepOnlyTheLimitsThatExist(t *testing.T) {
	url := served(t, func(w http.ResponseWriter, _ *http.Request) {
		respond(w, 200, `{"total":2,"items":[
			{"id":7,"name":"Pro","resources":[{"name":"websites","total":10},{"name":"mailboxes"},{"name":"ftp","total":0}],"planType":"tomorrow"},
			{"id":3,"name":"Pro"}]}`)
	})
	plans, err := fast(t, url).Plans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []reconcile.EnhancePlan{
		{ID: 3, Name: "Pro", Limits: map[string]int64{}},
		{ID: 7, Name: "Pro", Limits: map[string]int64{"websites": 10, "ftp": 0}},
	}
	if diff := cmp.Diff(want, plans); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTheOrganisationsOfATokenAreThoseThatCanBeConfigured(t *testing.T) {
	answer := `{"memberships":[{"orgId":"` + strings.ToUpper(otherOrg) + `","orgName":"Ada"},{"orgId":"new-kind-of-id","orgName":"Bob"},{"orgName":"Eve"},{"orgId":"` + ourOrg + `","new":{}}]}`
	status := 200
	client := fast(t, served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/login/memberships" {
			t.Errorf("asked for %s", r.URL)
		}
		respond(w, status, "%s", answer)
	}))
	orgs, err := client.Memberships(t.Context())
	if diff := cmp.Diff([]reconcile.Org{{ID: otherOrg, Name: "Ada"}, {ID: ourOrg}}, orgs); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for _, c := range []struct {
		status int
		answer string
		want   string
	}{{401, `{"code":"unauthorized"}`, "denied"}, {200, `{"memberships":{}}`, "malformed"}, {502, ``, "transient"}} {
		status, answer = c.status, c.answer
		if orgs, err := client.Memberships(t.Context()); verdict(err) != c.want || orgs != nil {
			t.Errorf("%d %s: %v, %v, want %s", c.status, c.answer, orgs, err, c.want)
		}
	}
}

func TestAnOrgIsReadAsItStands(t *testing.T) {
	for _, c := range []struct {
		name, more string
		edit       func(*reconcile.Org)
	}{
		{"active", `"status":"active"`, func(*reconcile.Org) {}},
		{"deleted", `"status":"deleted"`, func(o *reconcile.Org) { o.Deleted = true }},
		{"suspended", `"status":"active","suspendedBy":"` + noID + `"`, func(o *reconcile.Org) { o.Suspended = true }},
		{"suspended in a word", `"status":"suspended"`, func(o *reconcile.Org) { o.Suspended = true }},
		{"of tomorrow", `"status":"frozen"`, func(*reconcile.Org) {}},
		{"owned", `"status":"active","ownerEmail":"Ada@Example.com"`, func(o *reconcile.Org) { o.OwnerEmail = "Ada@Example.com" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := served(t, func(w http.ResponseWriter, _ *http.Request) {
				respond(w, 200, `{"id":%q,"name":"Ada [cus_1]","subscriptionsCount":2,"createdAt":"2026-03-01T10:11:12.131415Z",%s}`, strings.ToUpper(otherOrg), c.more)
			})
			want := reconcile.Org{
				ID: otherOrg, Name: "Ada [cus_1]", Hostings: 2, ObservedAt: t0,
				Created: time.Date(2026, time.March, 1, 10, 11, 12, 131415000, time.UTC),
			}
			c.edit(&want)
			got, err := fast(t, url, atT0).Org(t.Context(), otherOrg)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestCreatedAtIsUnderstoodInEveryFormThatPanelsWrite(t *testing.T) {
	whole, second := t0.Add(123456789*time.Nanosecond), t0
	for text, want := range map[string]time.Time{
		"2026-03-02T09:00:00Z":                second,
		"2026-03-02T09:00:00.123456789Z":      whole,
		"2026-03-02T10:00:00.123456789+01:00": whole,
		"2026-03-02T09:00:00":                 second,
		"2026-03-02T09:00:00.123456789":       whole,
		"2026-03-02 09:00:00":                 second,
		"2026-03-02 09:00:00.123456789 UTC":   whole,
		"2026-03-02 10:00:00 +01:00":          second,
		"2026-03-02 10:00:00+01:00":           second,
		"2026-03-02":                          second.Truncate(24 * time.Hour),
		"":                                    {},
		"yesterday":                           {},
	} {
		url := served(t, func(w http.ResponseWriter, _ *http.Request) {
			respond(w, 200, `{"id":%q,"name":"A","status":"active","createdAt":%s}`, otherOrg, strconv.Quote(text))
		})
		got, err := fast(t, url).Org(t.Context(), otherOrg)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Created); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", text, diff)
		}
	}
}

package enhance_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// planPage is a page with the given ids.
func planPage(total string, ids ...int) string {
	items := make([]string, len(ids))
	for i, id := range ids {
		items[i] = fmt.Sprintf(`{"id":%d,"name":"Plan %d","resources":[]}`, id, id)
	}
	if total != "" {
		total = `,"total":` + total
	}
	return `{"items":[` + strings.Join(items, ",") + `]` + total + `}`
}

func TestAListingThatIsNotWholeIsAnErrorAndNeverAShorterList(t *testing.T) {
	for _, c := range []struct {
		name     string
		pages    map[string]string // by offset
		sentence string
	}{
		{"an empty page before the total", map[string]string{"0": planPage("3", 1, 2), "2": planPage("3")}, "an empty page after 2 of 3"},
		{"nothing at all, with a total", map[string]string{"0": planPage("3")}, "an empty page after 0 of 3"},
		{"more than the total", map[string]string{"0": planPage("1", 1, 2)}, "2 items where the total is 1"},
		{"the same page again", map[string]string{"0": planPage("4", 1, 2), "2": planPage("4", 1, 2)}, "1 came twice"},
		{"one id twice in a page", map[string]string{"0": planPage("2", 1, 1)}, "1 came twice"},
		{"a total that shrinks", map[string]string{"0": planPage("3", 1, 2), "2": planPage("2")}, "the total moved from 3 to 2"},
		{"a total that grows", map[string]string{"0": planPage("3", 1, 2), "2": planPage("4", 3)}, "the total moved from 3 to 4"},
		{"no total", map[string]string{"0": planPage("", 1)}, "a page without a total"},
		{"no total on the second page", map[string]string{"0": planPage("2", 1), "1": planPage("", 2)}, "a page without a total"},
		{"a total of null", map[string]string{"0": planPage("null", 1)}, "a page without a total"},
		{"a total in words", map[string]string{"0": planPage(`"1"`, 1)}, "total is a string"},
		{"half a total", map[string]string{"0": planPage("1.5", 1)}, "total is a number"},
		{"a total beyond any integer", map[string]string{"0": planPage("1e40", 1)}, "total is a number"},
		{"a negative total", map[string]string{"0": planPage("-1")}, "a total of -1"},
		{"no items", map[string]string{"0": `{"total":0}`}, "a page without items"},
		{"items of null", map[string]string{"0": `{"items":null,"total":0}`}, "a page without items"},
		{"items as an object", map[string]string{"0": `{"items":{},"total":0}`}, "items is a object"},
		{"an item of null", map[string]string{"0": `{"items":[null],"total":1}`}, "item 0 has no id"},
		{"an item without an id", map[string]string{"0": `{"items":[{"name":"Pro"}],"total":1}`}, "item 0 has no id"},
		{"an id of nothing", map[string]string{"0": planPage("1", 0)}, "item 0 has no id"},
		{"a page and more", map[string]string{"0": planPage("1", 1) + planPage("1", 2)}, "no JSON at byte"},
		{"a page of a list", map[string]string{"0": `[]`}, "the answer is a array"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := served(t, func(w http.ResponseWriter, r *http.Request) {
				respond(w, 200, "%s", c.pages[r.URL.Query().Get("offset")])
			})
			plans, err := fast(t, url).Plans(t.Context())
			if diff := cmp.Diff("malformed", verdict(err)); diff != "" {
				t.Fatalf("(-want +got)\n%s%v", diff, err)
			}
			if len(plans) != 0 || !strings.Contains(err.Error(), c.sentence) {
				t.Errorf("got %v and %q, want %q", plans, err, c.sentence)
			}
		})
	}
}

func TestAListingThatMovedOnceIsReadAgainFromTheStart(t *testing.T) {
	var asked atomic.Int64
	url := served(t, func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); {
		case n == 1:
			respond(w, 200, "%s", planPage("3", 1, 2))
		case r.URL.Query().Get("offset") == "0":
			respond(w, 200, "%s", planPage("4", 1, 2))
		default: // a fourth was created meanwhile
			respond(w, 200, "%s", planPage("4", 3, 4))
		}
	})
	plans, err := fast(t, url).Plans(t.Context())
	if err != nil || len(plans) != 4 {
		t.Fatalf("got %v, %v", plans, err)
	}
	if got := asked.Load(); got != 4 {
		t.Errorf("asked %d times, want 2 + 2", got)
	}
}

func TestAListingThatKeepsMovingIsGivenUpAfterThreeTries(t *testing.T) {
	var asked atomic.Int64
	url := served(t, func(w http.ResponseWriter, r *http.Request) {
		respond(w, 200, "%s", planPage(strconv.FormatInt(100+asked.Add(1), 10), 1))
	})
	if _, err := fast(t, url).Plans(t.Context()); verdict(err) != "malformed" {
		t.Errorf("got %v", err)
	}
	if got := asked.Load(); got != 6 {
		t.Errorf("asked %d times, want 3 × 2", got)
	}
}

func TestAnyCutIntoPagesGivesTheSameListing(t *testing.T) {
	var rows []int
	var sizes []int
	url := served(t, func(w http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		size := min(limit, sizes[offset%len(sizes)], len(rows)-offset)
		respond(w, 200, "%s", planPage(strconv.Itoa(len(rows)), rows[offset:offset+size]...))
	})
	client := fast(t, url)
	rapid.Check(t, func(rt *rapid.T) {
		rows = rapid.SliceOfNDistinct(rapid.IntRange(1, 10_000), 0, 350, func(i int) int { return i }).Draw(rt, "rows")
		sizes = rapid.SliceOfN(rapid.IntRange(1, 120), 1, 5).Draw(rt, "sizes")
		plans, err := client.Plans(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		got := make([]int, len(plans))
		for i, p := range plans {
			got[i] = p.ID
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(rows)), got, equateEmpty); diff != "" {
			rt.Fatalf("(-want +got)\n%s", diff)
		}
	})
}

var equateEmpty = cmp.Transformer("empty", func(s []int) []int {
	if len(s) == 0 {
		return nil
	}
	return s
})

// orgAt is an org created so long after t0.
type orgAt struct {
	n      int
	after  time.Duration
	status string
}

func (o orgAt) id() string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", o.n) }

func (o orgAt) json() string {
	return fmt.Sprintf(`{"id":%q,"parentId":%q,"name":"Org %d","status":%q,"createdAt":%q}`,
		o.id(), ourOrg, o.n, o.status, t0.Add(o.after).Format("2006-01-02T15:04:05Z"))
}

// panelOf lists orgs in pages of three. obey: it sorts as asked. hides: it leaves out
// deleted orgs unless it is asked for them.
func panelOf(t *testing.T, orgs []orgAt, obey, hides bool, queries *[]string) string {
	return served(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		*queries = append(*queries, q.Get("sortBy")+" "+q.Get("status")+" "+q.Get("offset"))
		rows := slices.Clone(orgs)
		rows = slices.DeleteFunc(rows, func(o orgAt) bool {
			return q.Get("status") != "" && o.status != q.Get("status") || hides && q.Get("status") == "" && o.status == "deleted"
		})
		if obey && q.Get("sortBy") == "createdAt" {
			slices.SortStableFunc(rows, func(a, b orgAt) int { return int(b.after - a.after) })
		}
		offset, _ := strconv.Atoi(q.Get("offset"))
		var items []string
		for _, o := range rows[min(offset, len(rows)):min(offset+3, len(rows))] {
			items = append(items, o.json())
		}
		respond(w, 200, `{"items":[%s],"total":%d}`, strings.Join(items, ","), len(rows))
	})
}

func names(orgs []reconcile.Org) []string {
	var all []string
	for _, o := range orgs {
		name := o.Name
		if o.Deleted {
			name += " deleted"
		}
		all = append(all, name)
	}
	return all
}

// The orgs of the tests below, in the order of their ids.
var village = []orgAt{
	{1, 1 * time.Hour, "active"}, {2, 7 * time.Hour, "active"}, {3, 3 * time.Hour, "active"}, {4, 5 * time.Hour, "active"},
	{5, 2 * time.Hour, "active"}, {6, 6 * time.Hour, "active"}, {7, 4 * time.Hour, "active"},
}

func TestTheNewestOrgsAreReadBackToTheInstantAndNoFurther(t *testing.T) {
	for _, c := range []struct {
		name    string
		since   time.Duration
		want    []string
		queries []string
	}{
		{"within the first page", 6 * time.Hour, []string{"Org 2", "Org 6"}, []string{"createdAt  0"}},
		{"a second later", 6*time.Hour + time.Second, []string{"Org 2"}, []string{"createdAt  0"}},
		{"a fraction later", 6*time.Hour + time.Millisecond, []string{"Org 2", "Org 6"}, []string{"createdAt  0"}},
		{"at the end of a page", 5 * time.Hour, []string{"Org 2", "Org 6", "Org 4"}, []string{"createdAt  0", "createdAt  3"}},
		{"in the future", 9 * time.Hour, nil, []string{"createdAt  0"}},
		{"before all", -time.Hour, []string{"Org 2", "Org 6", "Org 4", "Org 7", "Org 3", "Org 5", "Org 1"}, []string{"createdAt  0", "createdAt  3", "createdAt  6"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var queries []string
			client := fast(t, panelOf(t, village, true, false, &queries))
			orgs, err := client.Orgs(t.Context(), t0.Add(c.since))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, names(orgs)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(c.queries, queries); diff != "" {
				t.Errorf("asked (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAnOrderThatIsNotAsAskedLeadsToTheCompleteListing(t *testing.T) {
	var queries []string
	client := fast(t, panelOf(t, village, false, false, &queries))
	orgs, err := client.Orgs(t.Context(), t0.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Org 2", "Org 6", "Org 4", "Org 7", "Org 3", "Org 5"}, names(orgs)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	want := []string{"createdAt  0", "id  0", "id  3", "id  6", "id deleted 0"}
	if diff := cmp.Diff(want, queries); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
}

func TestAnOrderThatBreaksBetweenTwoPagesIsNoticed(t *testing.T) {
	var queries []string
	rows := []orgAt{{1, 9 * time.Hour, "active"}, {2, 8 * time.Hour, "active"}, {3, 7 * time.Hour, "active"}, {4, 10 * time.Hour, "active"}}
	client := fast(t, panelOf(t, rows, false, false, &queries))
	orgs, err := client.Orgs(t.Context(), t0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Org 4", "Org 1", "Org 2", "Org 3"}, names(orgs)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !slices.Contains(queries, "id  0") {
		t.Errorf("the complete listing was not read: %v", queries)
	}
}

func TestACompleteListingHasTheDeletedOrgsWhetherThePanelHidesThemOrNot(t *testing.T) {
	rows := append(slices.Clone(village[:3]), orgAt{8, 8 * time.Hour, "deleted"}, orgAt{9, time.Hour, "deleted"})
	want := []string{"Org 8 deleted", "Org 2", "Org 3", "Org 1", "Org 9 deleted"}
	for _, hides := range []bool{false, true} {
		var queries []string
		orgs, err := fast(t, panelOf(t, rows, true, hides, &queries)).Orgs(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, names(orgs)); diff != "" {
			t.Errorf("hides %t: (-want +got)\n%s", hides, diff)
		}
		if got := slices.Contains(queries, "id deleted 0"); got != hides {
			t.Errorf("hides %t: asked for deleted ones: %t", hides, got)
		}
	}
}

func TestAnOrgDeletedBetweenTheTwoListingsIsListedOnceAndDeleted(t *testing.T) {
	url := served(t, func(w http.ResponseWriter, r *http.Request) {
		o := village[0]
		if r.URL.Query().Get("status") == "deleted" {
			o.status = "deleted"
		}
		respond(w, 200, `{"items":[%s],"total":1}`, o.json())
	})
	orgs, err := fast(t, url).Orgs(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Org 1 deleted"}, names(orgs)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnOrgThatDoesNotSayWhenItWasMadeIsNeverLeftOut(t *testing.T) {
	url := served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("status") == "deleted" {
			respond(w, 200, `{"items":[],"total":0}`)
			return
		}
		respond(w, 200, `{"items":[{"id":%q,"name":"Org X","status":"active","createdAt":"?"},%s],"total":2}`, otherOrg, village[0].json())
	})
	orgs, err := fast(t, url).Orgs(t.Context(), t0.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Org X"}, names(orgs)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAPanelWithoutCustomersHasNone(t *testing.T) {
	for name, since := range map[string]time.Time{"all": {}, "the newest": t0} {
		var queries []string
		orgs, err := fast(t, panelOf(t, nil, true, false, &queries)).Orgs(t.Context(), since)
		if err != nil || len(orgs) != 0 {
			t.Errorf("%s: %v, %v", name, orgs, err)
		}
	}
}

// sitePage is a page of websites, as Website in the vendor's document: a domain that is
// an object, and a subscription that is a number.
func sitePage(total int, sites ...string) string {
	return fmt.Sprintf(`{"items":[%s],"total":%d}`, strings.Join(sites, ","), total)
}

func site(id, domain, more string) string {
	return fmt.Sprintf(`{"id":%q,"domain":{"id":"d","domain":%q,"kind":"primary"},"kind":"normal","size":0,%s}`, id, domain, more)
}

func TestTheWebsitesOfAnOrgAreAllOfThemAndWhereTheyAre(t *testing.T) {
	pages := map[string]string{
		"0": sitePage(5, site("s1", "b.example.com", `"subscriptionId":42,"status":"active","orgId":"`+strings.ToUpper(otherOrg)+`"`),
			site("s2", "gone.example.com", `"subscriptionId":42,"status":"deleted"`)),
		"2": sitePage(5, site("s3", "a.example.com", `"subscriptionId":43.0,"status":"disabled"`), site("s4", "new.example.com", `"subscriptionId":43,"status":"frozen"`)),
		"4": sitePage(5, `{"id":"s5","domain":"plain.example.com","subscriptionId":44}`),
	}
	url := served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/orgs/"+otherOrg+"/websites" || r.URL.Query().Has("recursion") {
			t.Errorf("asked %s", r.URL)
		}
		respond(w, 200, "%s", pages[r.URL.Query().Get("offset")])
	})
	got, err := fast(t, url).Websites(t.Context(), otherOrg)
	if err != nil {
		t.Fatal(err)
	}
	want := []reconcile.Website{{Domain: "a.example.com", Hosting: 43}, {Domain: "b.example.com", Hosting: 42},
		{Domain: "new.example.com", Hosting: 43}, {Domain: "plain.example.com", Hosting: 44}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// If the websites of two hostings cannot be told apart, neither may look empty.
func TestWebsitesOfWhichItIsNotKnownWhereTheyAreAreAnError(t *testing.T) {
	for name, page := range map[string]string{
		"no hosting":             sitePage(1, site("s1", "a.example.com", `"status":"active"`)),
		"a hosting of null":      sitePage(1, site("s1", "a.example.com", `"subscriptionId":null`)),
		"a hosting of nothing":   sitePage(1, site("s1", "a.example.com", `"subscriptionId":0`)),
		"half a hosting":         sitePage(1, site("s1", "a.example.com", `"subscriptionId":42.5`)),
		"somebody else's":        sitePage(1, site("s1", "a.example.com", `"subscriptionId":42,"orgId":"`+noID+`"`)),
		"a page before the end":  sitePage(2, site("s1", "a.example.com", `"subscriptionId":42`)),
		"an object without list": `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			url := served(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("offset") != "0" {
					respond(w, 200, "%s", sitePage(2))
					return
				}
				respond(w, 200, "%s", page)
			})
			sites, err := fast(t, url).Websites(t.Context(), otherOrg)
			if diff := cmp.Diff("malformed", verdict(err)); diff != "" || len(sites) != 0 {
				t.Errorf("(-want +got)\n%s%v %v", diff, sites, err)
			}
		})
	}
}

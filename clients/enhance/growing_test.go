package enhance_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// register holds the orgs of a panel that changes: before every answer, change may
// alter them.
type register struct {
	orgs   []orgAt // by id
	size   int     // of a page
	asked  int
	change func(t *register, q string)
	// disobeys: it lists by id whatever it was asked for.
	disobeys bool
	least    int // the smallest offset that was asked for
}

func (v *register) add(o orgAt) {
	at, _ := slices.BinarySearchFunc(v.orgs, o, func(a, b orgAt) int { return a.n - b.n })
	v.orgs = slices.Insert(v.orgs, at, o)
}

func (v *register) serve(t *testing.T) string {
	return served(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		v.asked++
		if v.change != nil {
			v.change(v, q.Get("sortBy")+" "+q.Get("status"))
		}
		rows := slices.Clone(v.orgs)
		if q.Get("status") != "" {
			rows = slices.DeleteFunc(rows, func(o orgAt) bool { return o.status != q.Get("status") })
		}
		if q.Get("sortBy") == "createdAt" && !v.disobeys {
			slices.SortStableFunc(rows, func(a, b orgAt) int { return int(b.after - a.after) })
		}
		offset, _ := strconv.Atoi(q.Get("offset"))
		v.least = min(v.least, offset)
		offset = max(offset, 0)
		var items []string
		for _, o := range rows[min(offset, len(rows)):min(offset+v.size, len(rows))] {
			items = append(items, o.json())
		}
		w.Header().Set("Date", t0.Add(100*time.Hour).Format(http.TimeFormat))
		respond(w, 200, `{"items":[%s],"total":%d}`, strings.Join(items, ","), len(rows))
	})
}

func everyOrg(t *testing.T, url string) (map[string]bool, error) {
	got := map[string]bool{}
	err := fast(t, url).EveryOrg(t.Context(), func(page []reconcile.Org) error {
		for _, o := range page {
			got[o.ID] = true
		}
		return nil
	})
	return got, err
}

// TestAListingThatGrowsWithEveryPageIsCompleted: before every answer an org is added
// somewhere in the order. If the listing began again whenever its total moved, it would
// never end.
func TestAListingThatGrowsWithEveryPageIsCompleted(t *testing.T) {
	for name, place := range map[string]func(n int) int{
		"before all":   func(n int) int { return 1000 - n },
		"after all":    func(n int) int { return 1_000_000 + n },
		"in the midst": func(n int) int { return 1000 + n*173%9000*10 + 5 },
	} {
		t.Run(name, func(t *testing.T) {
			v := &register{size: 10, change: func(v *register, _ string) {
				v.add(orgAt{place(v.asked), 100*time.Hour + time.Duration(v.asked)*time.Second, "active"})
			}}
			for i := range 300 {
				v.add(orgAt{1000 + 10*i, time.Duration(i) * time.Minute, "active"})
			}
			was := slices.Clone(v.orgs)
			got, err := everyOrg(t, v.serve(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range was {
				if !got[o.id()] {
					t.Errorf("org %d was there before it began and is left out", o.n)
				}
			}
			if behind := len(v.orgs) - len(got); behind > 12 {
				t.Errorf("%d of %d orgs are not known at the end", behind, len(v.orgs))
			}
			if v.asked > 60 {
				t.Errorf("asked %d times for 30 pages", v.asked)
			}
		})
	}
}

// TestAListingThatGrowsAndCannotBeCompletedIsAnError: the orgs that came meanwhile are
// found by the time of their creation. If that does not find them all, what came is not
// everything.
func TestAListingThatGrowsAndCannotBeCompletedIsAnError(t *testing.T) {
	young := 100 * time.Hour
	for name, c := range map[string]struct {
		disobeys bool
		add      func(asked int) orgAt
		sentence string
	}{
		"its order is another than the one asked for": {true, func(n int) orgAt { return orgAt{1_000_000 + n, young, "active"} }, "the newest are not listed first"},
		"an org came that was made long ago":          {false, func(n int) orgAt { return orgAt{1000 - n, 0, "active"} }, "came where the total is"},
	} {
		t.Run(name, func(t *testing.T) {
			v := &register{size: 10, disobeys: c.disobeys, change: func(v *register, _ string) { v.add(c.add(v.asked)) }}
			for i := range 100 {
				v.add(orgAt{1000 + 10*i, time.Duration(i) * time.Minute, "active"})
			}
			_, err := everyOrg(t, v.serve(t))
			if verdict(err) != "malformed" || !strings.Contains(err.Error(), c.sentence) {
				t.Errorf("got %v, want %s", err, c.sentence)
			}
		})
	}
}

// TestAnErrorOfTheReceiverEndsAListing, whether it is about an org that was there or about
// one that came meanwhile.
func TestAnErrorOfTheReceiverEndsAListing(t *testing.T) {
	for _, refused := range []string{"Org 1000", "Org 997"} { // the second came before the third answer
		v := &register{size: 10, change: func(v *register, _ string) { v.add(orgAt{1000 - v.asked, 100 * time.Hour, "active"}) }}
		for i := range 100 {
			v.add(orgAt{1000 + 10*i, time.Duration(i) * time.Minute, "active"})
		}
		full, after := errors.New("disk full"), 0
		err := fast(t, v.serve(t)).EveryOrg(t.Context(), func(page []reconcile.Org) error {
			if after > 0 {
				t.Error("it was given another page")
			}
			if slices.Contains(names(page), refused) {
				after++
				return full
			}
			return nil
		})
		if !errors.Is(err, full) {
			t.Errorf("%s: got %v, want the error of the receiver", refused, err)
		}
	}
}

// TestAPanelThatHidesEverythingHasNotNothing, and is not asked for what is before the
// first org.
func TestAPanelThatHidesEverythingHasNotNothing(t *testing.T) {
	v := &register{}
	v.add(orgAt{1000, 0, "active"})
	got, err := everyOrg(t, v.serve(t))
	if verdict(err) != "malformed" || !strings.Contains(err.Error(), "an empty page after 0 of 1") || v.least < 0 {
		t.Errorf("got %v, %v; the smallest offset is %d", got, err, v.least)
	}
}

// TestWhateverComesAndGoesWhatStaysIsListed: orgs come and go between any two answers.
// The listing has every org that was there throughout, or it is an error; it is never
// shorter.
func TestWhateverComesAndGoesWhatStaysIsListed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := &register{size: rapid.IntRange(2, 9).Draw(rt, "page")}
		n := rapid.IntRange(0, 60).Draw(rt, "orgs")
		for i := range n {
			v.add(orgAt{1000 + 100*i, time.Duration(i) * time.Minute, "active"})
		}
		was, gone := slices.Clone(v.orgs), map[int]bool{}
		// Below 20 an org comes, from 80 on one goes. There is one change between two
		// answers, because two could cancel each other out in the total and leave no
		// trace.
		changes := rapid.SliceOfN(rapid.IntRange(0, 99), 40, 40).Draw(rt, "changes")
		places := rapid.SliceOfN(rapid.IntRange(0, 9999), 40, 40).Draw(rt, "places")
		v.change = func(v *register, _ string) {
			change, place := changes[v.asked%40], places[v.asked%40]
			switch {
			case change < 20:
				at := 900 + place%(100*n+200)
				if !slices.ContainsFunc(v.orgs, func(o orgAt) bool { return o.n == at }) && !gone[at] {
					v.add(orgAt{at, 100*time.Hour + time.Duration(v.asked)*time.Second, "active"})
				}
			case change >= 80 && len(v.orgs) > 0:
				i := place % len(v.orgs)
				gone[v.orgs[i].n] = true
				v.orgs = slices.Delete(v.orgs, i, i+1)
			}
		}
		got, err := everyOrg(t, v.serve(t))
		if err != nil {
			if verdict(err) != "malformed" {
				rt.Fatal(err)
			}
			return
		}
		for _, o := range was {
			if !gone[o.n] && !got[o.id()] {
				rt.Fatalf("org %d was there all the time and is left out", o.n)
			}
		}
	})
}

// TestTheNewestOrgsOfAGrowingPanelAreRead: the order is newest first, so a new org
// appears before those that were read already.
func TestTheNewestOrgsOfAGrowingPanelAreRead(t *testing.T) {
	v := &register{size: 10, change: func(v *register, _ string) {
		v.add(orgAt{9000 + v.asked, 100*time.Hour + time.Duration(v.asked)*time.Second, "active"})
	}}
	for i := range 300 {
		v.add(orgAt{1000 + i, time.Duration(i) * time.Minute, "active"})
	}
	orgs, err := fast(t, v.serve(t)).Orgs(t.Context(), t0.Add(100*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < 300; i++ {
		if !slices.Contains(names(orgs), fmt.Sprint("Org ", 1000+i)) {
			t.Fatalf("org %d is left out", 1000+i)
		}
	}
}

// TestAPanelThatGivesTheSamePageForeverIsNotAListing, whatever its total does.
func TestAPanelThatGivesTheSamePageForeverIsNotAListing(t *testing.T) {
	for _, c := range [][2]int{{4, 0}, {40, 0}, {40, 1}} { // the total, and how it grows
		asked := 0
		url := served(t, func(w http.ResponseWriter, _ *http.Request) {
			asked++
			respond(w, 200, `{"items":[%s,%s],"total":%d}`, village[1].json(), village[0].json(), c[0]+c[1]*asked)
		})
		if got, err := everyOrg(t, url); verdict(err) != "malformed" {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := fast(t, url).Orgs(t.Context(), t0.Add(-time.Hour)); verdict(err) != "malformed" {
			t.Errorf("the newest: %v, %v", got, err)
		}
		if asked > 400 {
			t.Errorf("asked %d times", asked)
		}
	}
}

package simulator

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAFleetOfSixtyHasEveryStatusAndEveryOddity(t *testing.T) {
	w := New(Options{Calm: true})
	f := w.Populate(60, Mix{})
	byStatus, emails := map[string]int{}, map[string]int{}
	found := map[string]bool{}
	for _, s := range w.Subscriptions() {
		byStatus[s.Status]++
		units := int64(0)
		for _, it := range s.Items {
			units += it.Quantity
			found["an unmapped price"] = found["an unmapped price"] || it.Price == f.Unmapped
		}
		found["a quantity"] = found["a quantity"] || units > int64(len(s.Items))
		found["several items"] = found["several items"] || len(s.Items) == 2
		found["more than 20 items"] = found["more than 20 items"] || s.ID == f.Large && len(s.Items) > 20
		found["the unknown status"] = found["the unknown status"] || s.ID == f.Unknown && !slices.Contains(statuses, s.Status)
	}
	for _, c := range w.Customers() {
		emails[strings.ToLower(c.Email)]++
		found["no e-mail"] = found["no e-mail"] || c.Email == ""
		found["an upper-case e-mail"] = found["an upper-case e-mail"] || c.Email != strings.ToLower(c.Email)
		found["one e-mail twice, in other letters"] = found["one e-mail twice, in other letters"] || emails[strings.ToLower(c.Email)] == 2 && c.Email != ""
	}
	for what, yes := range found {
		if !yes {
			t.Errorf("the fleet lacks %s", what)
		}
	}
	for _, s := range statuses {
		if byStatus[s] == 0 {
			t.Errorf("no subscription is %s", s)
		}
	}
}

func TestASmallFleetIsTheBeginningOfTheSameLargeOne(t *testing.T) {
	of := func(n int) (out []string) {
		w := New(Options{Calm: true, Seed: 5})
		w.Populate(n, Mix{})
		for _, s := range w.Subscriptions()[:50] {
			out = append(out, s.ID+" "+s.Status+" "+s.Items[0].Price)
		}
		return out
	}
	if diff := cmp.Diff(of(60), of(600)); diff != "" {
		t.Errorf("the first 50 of 60 and of 600 (-60 +600):\n%s", diff)
	}
}

func TestABoundFleetHasAHostingWithItsMarkerForEachUnit(t *testing.T) {
	w := New(Options{Calm: true})
	f := w.Populate(300, Mix{Bound: true})
	want := map[string]int64{}
	status := map[string]string{}
	for _, s := range w.Subscriptions() {
		status[s.ID] = s.Status
		for _, it := range s.Items {
			if _, mapped := f.Plans[it.Price]; mapped && s.Status != "incomplete" && s.Status != "incomplete_expired" {
				want[s.ID] += it.Quantity
			}
		}
	}
	got := map[string]int64{}
	for _, h := range w.Hostings() {
		sub, _ := marker(h.FriendlyName)
		got[sub]++
		down := slices.Contains([]string{"canceled", "unpaid", "paused"}, status[sub])
		if down != (h.SuspendedBy != "") {
			t.Errorf("%s is %s and its hosting suspended by %q", sub, status[sub], h.SuspendedBy)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hostings by subscription (-want +got):\n%s", diff)
	}
	owners := map[string]bool{}
	for _, o := range w.Orgs() {
		for _, m := range o.Members {
			if owners[strings.ToLower(m.Email)] {
				t.Errorf("%s owns two organisations", m.Email)
			}
			owners[strings.ToLower(m.Email)] = true
		}
	}
}

func TestAFleetIsQuietUnlessItLives(t *testing.T) {
	for name, tt := range map[string]struct {
		mix   Mix
		quiet bool
	}{"quiet": {Mix{}, true}, "living": {Mix{Living: true}, false}} {
		w := New(Options{Calm: true})
		w.Populate(60, tt.mix)
		before := len(w.Events())
		w.Advance(10 * day)
		if quiet := len(w.Events()) == before; quiet != tt.quiet {
			t.Errorf("%s: %d events before and %d after ten days", name, before, len(w.Events()))
		}
	}
}

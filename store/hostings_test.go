package store

import (
	"strconv"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestFreeOrgsAreOfferedByMarkerAndByOwner(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "Ann@Example.com"), facts("sub_b", "cus_b", "bob@example.com"))
		f.bindOrg("cus_b", "org-bound")
		org := func(id, name, owner string, deleted bool) reconcile.Org {
			return reconcile.Org{ID: id, Name: name, OwnerEmail: owner, Deleted: deleted, Created: t0, ObservedAt: t0, Hostings: 1}
		}
		marked, owned := org("org-1", "Ann [cus_a]", "", false), org("org-2", "Ann", "ann@example.com", false)
		both := org("org-3", "Ann [cus_a]", "ANN@example.com", false)
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{marked, owned, both,
			org("org-4", "deleted", "ann@example.com", true), org("org-5", "Other [cus_z]", "", false), org("org-6", "x", "", false),
			org("org-bound", "Bob", "ann@example.com", false)}, true, t0))
		c := f.customer("cus_a")
		same(t, "marked", []reconcile.Org{marked, both}, c.MarkedOrgs)
		same(t, "owned", []reconcile.Org{owned, both}, c.OwnedOrgs)
		complete, err := f.Cursor(t.Context(), "orgs_complete")
		f.must(err)
		same(t, "complete", t0.Format(time.RFC3339Nano), complete)
	})
}

// A plan decides on as a customer of the org to which it binds one: with its owner, its
// hostings, and the customer that had it first.
func TestTheOrgsToWhichACustomerMayBeBoundNextComeWithIt(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a, b := facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com")
		a.MetadataOrg, b.MetadataOrg = "org-free", "org-c"
		f.save(t0, a, b, facts("sub_c", "cus_c", "c@example.com"))
		f.bindOrg("cus_c", "org-c")
		f.bindHosting("cus_c", "sub_c", 1, "org-c", 30)
		free := reconcile.Org{ID: "org-free", Name: "By hand", OwnerEmail: "x@example.com", Hostings: 1, Created: t0, ObservedAt: t0}
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{free}, false, t0))
		f.must(f.SaveHosting(t.Context(), f.tok, reconcile.Hosting{ID: 9, Org: "org-free", Plan: 1, State: reconcile.HostingActive, ObservedAt: t0}, t0))
		named := f.customer("cus_a").NamedOrgs
		same(t, "named", 1, len(named))
		same(t, "by hand", []any{"org-free", "x@example.com", "", 1}, []any{named[0].ID, named[0].OwnerEmail, named[0].Founder, len(named[0].Hostings)})
		named = f.customer("cus_b").NamedOrgs
		same(t, "of another customer", []any{1, "org-c", "cus_c", 0}, []any{len(named), named[0].ID, named[0].Founder, len(named[0].Hostings)})
		same(t, "its own", 0, len(f.customer("cus_c").NamedOrgs))
	})
}

func TestAnOrgMissingFromACompleteListStaysAsItIs(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		o := reconcile.Org{ID: "org-1", Name: "A", OwnerEmail: "a@example.com", Created: t0, ObservedAt: t0}
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{o}, true, t0))
		f.must(f.SaveOrgs(t.Context(), f.tok, nil, true, t0.Add(time.Hour)))
		same(t, "owned", []reconcile.Org{o}, f.customer("cus_a").OwnedOrgs)
	})
}

func TestUnreadOrgsAreThoseWhoseHostingsWereNeverListed(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-1", Hostings: 2}, {ID: "org-2"}, {ID: "org-3", Hostings: 1, Deleted: true}, {ID: "org-4", Hostings: 1}}, true, t0))
		unread := func() []string {
			var ids []string
			for after := ""; ; after = ids[len(ids)-1] {
				orgs, err := f.UnreadOrgs(t.Context(), after, 2)
				f.must(err)
				if len(orgs) == 0 {
					return ids
				}
				for _, o := range orgs {
					ids = append(ids, o.ID)
				}
			}
		}
		same(t, "unread", []string{"org-1", "org-2", "org-4"}, unread())
		f.must(f.SaveHostings(t.Context(), f.tok, "org-1", []reconcile.Hosting{*activeHosting(1, "org-1"), *activeHosting(2, "org-1")}, t0))
		same(t, "unread after reading", []string{"org-2", "org-4"}, unread())
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-1", Hostings: 2}}, false, t0))
		same(t, "unread after listing again", []string{"org-2", "org-4"}, unread())
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-1", Hostings: 3}}, false, t0))
		same(t, "unread once somebody has made one more in it", []string{"org-1", "org-2", "org-4"}, unread())
	})
}

// The panel may show a new org before the hosting in it. If that counted as read, the twin of
// a hosting that another installation made would never be found.
func TestANewOrgThatShowsFewerHostingsThanItCountsIsReadAgain(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		for _, id := range []string{"org-a", "org-b", "org-c"} {
			f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: id, Hostings: 1, Created: t0}}, false, t0))
		}
		unread := func(now time.Time, hostings ...reconcile.Hosting) (ids []string) {
			for _, id := range []string{"org-a", "org-b"} {
				f.must(f.SaveHostings(t.Context(), f.tok, id, hostings, now))
			}
			orgs, err := f.UnreadOrgs(t.Context(), "", 10)
			f.must(err)
			return orgIDs(orgs)
		}
		deleted := reconcile.Hosting{ID: 9, Org: "org-b", Plan: 1, State: reconcile.HostingDeleted}
		same(t, "new, and another's", []string{"org-b", "org-c"}, unread(t0.Add(time.Minute)))
		same(t, "the panel does not count a deleted one", []string{"org-b", "org-c"}, unread(t0.Add(time.Minute), deleted))
		same(t, "it shows as many", []string{"org-c"}, unread(t0.Add(time.Minute), deleted, reconcile.Hosting{ID: 8, Org: "org-b", Plan: 1, State: reconcile.HostingSuspended}))
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-b", Hostings: 2, Created: t0}}, false, t0))
		same(t, "no longer new", []string{"org-c"}, unread(t0.Add(youngOrg)))
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-a", Hostings: 1, Created: t0}, {ID: "org-b", Hostings: 2, Created: t0}}, true, t0))
		orgs, err := f.UnreadOrgs(t.Context(), "", 10)
		f.must(err)
		same(t, "once all are listed, those that still count more", []string{"org-a", "org-b", "org-c"}, orgIDs(orgs))
	})
}

func orgIDs(orgs []reconcile.Org) (ids []string) {
	for _, o := range orgs {
		ids = append(ids, o.ID)
	}
	return ids
}

func TestAHostingThatAnOrgNoLongerListsStaysAsItIs(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		f.settled(t0, "cus_a")
		before := f.customer("cus_a")
		f.must(f.SaveHostings(t.Context(), f.tok, "org-a", nil, t0.Add(time.Hour)))
		after := f.customer("cus_a")
		after.NamedOrgs = nil // the org itself is known by now
		same(t, "customer", before, after)
		same(t, "due", []string(nil), f.dueIDs(t0.Add(time.Hour)))
	})
}

func TestHostingsAreOfferedByBindingByOrgAndByMarker(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-elsewhere", 1)
		h := func(id int64, org, name string) reconcile.Hosting {
			out := *activeHosting(id, org)
			out.FriendlyName = name
			return out
		}
		f.must(f.SaveHostings(t.Context(), f.tok, "org-a", []reconcile.Hosting{h(2, "org-a", "by org"), h(3, "org-a", "Pro [sub_a/2]")}, t0))
		f.must(f.SaveHostings(t.Context(), f.tok, "org-z", []reconcile.Hosting{h(4, "org-z", "Pro [sub_a/3]"), h(5, "org-z", "stranger"), h(6, "org-z", "Pro [sub_b/1]")}, t0))
		ids := func(customer string) (ids []int64) {
			for _, h := range f.customer(customer).Hostings {
				ids = append(ids, h.ID)
			}
			return ids
		}
		same(t, "of the first", []int64{1, 2, 3, 4}, ids("cus_a"))
		same(t, "of the second", []int64{6}, ids("cus_b"))
	})
}

func TestACustomerIsDueWhenItsHostingChangedAndOnlyThen(t *testing.T) {
	cases := []struct {
		name   string
		change func(*reconcile.Hosting)
		due    bool
	}{
		{"nothing", func(*reconcile.Hosting) {}, false},
		{"friendly name", func(h *reconcile.Hosting) { h.FriendlyName = "renamed" }, false},
		{"state", func(h *reconcile.Hosting) { h.State = reconcile.HostingSuspended }, true},
		{"plan", func(h *reconcile.Hosting) { h.Plan = 3 }, true},
		{"who suspended", func(h *reconcile.Hosting) { h.SuspendedBy = "org-x" }, true},
		{"missing", func(h *reconcile.Hosting) { *h = reconcile.Hosting{ID: 42, State: reconcile.HostingMissing} }, true},
	}
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		for _, c := range cases {
			f.must(f.SaveHosting(t.Context(), f.tok, *activeHosting(42, "org-a"), t0))
			f.settled(t0, "cus_a", "cus_b")
			h := *activeHosting(42, "org-a")
			c.change(&h)
			f.must(f.SaveHosting(t.Context(), f.tok, h, t0.Add(time.Hour)))
			want := []string{"cus_a"}
			if !c.due {
				want = nil
			}
			same(t, c.name, want, f.dueIDs(t0.Add(time.Hour)))
		}
	})
}

func TestThePlansInUseAreThoseOfBoundHostingsThatLive(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-1")
		hosting := func(id int64, plan int, state reconcile.HostingState) reconcile.Hosting {
			return reconcile.Hosting{ID: id, Org: "org-1", Plan: plan, State: state, ObservedAt: t0}
		}
		for i, id := range []int64{1, 2, 4} {
			f.bindHosting("cus_a", "sub_a", i+1, "org-1", id)
		}
		f.must(f.SaveHostings(t.Context(), f.tok, "org-1", []reconcile.Hosting{hosting(1, 7, reconcile.HostingActive),
			hosting(2, 5, reconcile.HostingSuspended), hosting(3, 6, reconcile.HostingActive), hosting(4, 8, reconcile.HostingDeleted)}, t0))
		ids, err := f.BoundPlans(t.Context())
		f.must(err)
		same(t, "in use", []int{5, 7}, ids)
	})
}

func TestDriftIsWhatWasLookedAtLongestAgo(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		for i, id := range []int64{11, 12, 13} {
			f.bindHosting("cus_a", "sub_a", i+1, "org-a", id)
			h := *activeHosting(id, "org-a")
			h.ObservedAt = t0.Add(-time.Duration(i) * time.Hour)
			f.must(f.SaveHosting(t.Context(), f.tok, h, t0))
		}
		never := action("link:sub_a/4:14", reconcile.Link, "cus_a", "sub_a")
		f.must(f.do(never, t0, reconcile.Outcome{Binding: &reconcile.Binding{Subscription: "sub_a", Slot: 4, Org: "org-a", Hosting: 14, How: reconcile.BoundByMetadata}}))
		f.must(f.SaveHosting(t.Context(), f.tok, reconcile.Hosting{ID: 99, Org: "org-a", State: reconcile.HostingActive, ObservedAt: t0.AddDate(-1, 0, 0)}, t0)) // unbound
		drift := func(before time.Time, limit int) (ids []int64) {
			due, err := f.DriftDue(t.Context(), before, t0.Add(time.Minute), limit)
			f.must(err)
			for _, h := range due {
				ids = append(ids, h.ID)
			}
			return ids
		}
		same(t, "all", []int64{14, 13, 12, 11}, drift(t0.Add(time.Second), 10))
		same(t, "the first two", []int64{14, 13}, drift(t0.Add(time.Second), 2))
		same(t, "older than an hour", []int64{14, 13}, drift(t0.Add(-time.Hour), 10))
		ahead := *activeHosting(11, "org-a")
		ahead.ObservedAt = t0.Add(20 * time.Hour) // by a clock that was wrong
		f.must(f.SaveHosting(t.Context(), f.tok, ahead, t0))
		same(t, "with one from the future", []int64{14, 13, 11}, drift(t0.Add(-time.Hour), 10))
		same(t, "each once", []int64{14, 13, 12, 11}, drift(t0.AddDate(1, 0, 0), 10))
		var last []int64
		seen, err := f.SeenLast(t.Context(), 2)
		f.must(err)
		for _, h := range seen {
			last = append(last, h.ID)
		}
		same(t, "looked at last, of those that are bound", []int64{11, 12}, last)
	})
}

func TestWhatIsToBeLookedAtAgainIsDueAndKeepsWhatIsKnown(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 11)
		f.bindHosting("cus_b", "sub_b", 1, "org-b", 12)
		f.must(f.SaveHosting(t.Context(), f.tok, reconcile.Hosting{ID: 99, Org: "org-a", State: reconcile.HostingActive, ObservedAt: t0}, t0)) // unbound
		due := func() (ids []int64) {
			all, err := f.DriftDue(t.Context(), t0.Add(-time.Hour), t0.Add(time.Hour), 10)
			f.must(err)
			for _, h := range all {
				ids = append(ids, h.ID)
				same(t, "its state", reconcile.HostingActive, h.State)
			}
			return ids
		}
		same(t, "before", []int64(nil), due())
		f.must(f.LookAgain(t.Context(), f.tok, []string{}))
		same(t, "of none", []int64(nil), due())
		f.must(f.LookAgain(t.Context(), f.tok, []string{"sub_b", "sub_none"}))
		same(t, "of one", []int64{12}, due())
		f.must(f.LookAgain(t.Context(), f.tok, nil))
		same(t, "all", []int64{11, 12}, due())
	})
}

// The test fails if the mirror is not asked, or if the marker of a customer counts.
func TestUnknownMarkersAreThoseOfSubscriptionsThatTheMirrorLacks(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_known", "cus_a", ""))
		var all []reconcile.Hosting
		for i, name := range []string{"Pro [sub_known/1]", "Pro [sub_b/1]", "Pro [sub_b/2]", "Pro [sub_a/1]", "by hand", "Ada [cus_x]"} {
			h := *activeHosting(int64(i+1), "org-1")
			h.FriendlyName = name
			all = append(all, h)
		}
		f.must(f.SaveHostings(t.Context(), f.tok, "org-1", all, t0))
		for limit, want := range map[int][]string{10: {"sub_a", "sub_b"}, 1: {"sub_a"}} {
			ids, err := f.UnknownMarkers(t.Context(), "", limit)
			f.must(err)
			same(t, "unknown", want, ids)
		}
		unknown, err := f.Unknown(t.Context(), []string{"sub_a", "sub_known", "sub_b"})
		f.must(err)
		same(t, "unknown of three", []string{"sub_a", "sub_b"}, unknown)
	})
}

// With every org listed again, this fails; with none, too.
func TestOnlyTheOrgsThatAMarkerIsInAreListedAgain(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for i, name := range []string{"Pro [sub_a/1]", "Pro [sub_b/1]", "by hand"} {
			h := *activeHosting(int64(i+1), "org-"+strconv.Itoa(i+1))
			h.FriendlyName = name
			f.must(f.SaveHostings(t.Context(), f.tok, h.Org, []reconcile.Hosting{h}, t0))
		}
		f.must(f.ListAgain(t.Context(), f.tok, "sub_b"))
		orgs, err := f.UnreadOrgs(t.Context(), "", 10)
		f.must(err)
		same(t, "orgs to be listed", 1, len(orgs))
		same(t, "the org of the marker", "org-2", orgs[0].ID)
	})
}

// An org that was deleted is known by its marker, so that it is not made again, and is
// offered to no owner.
func TestADeletedOrgIsOfferedByItsMarkerAlone(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.joined("cus_b", "cus_a") // an old customer, whose second buyer has an org of its own
		gone := reconcile.Org{ID: "org-1", Name: "Ann [cus_a]", OwnerEmail: "a@example.com", Deleted: true, ObservedAt: t0}
		second := reconcile.Org{ID: "org-2", Name: "Bob [cus_b]", ObservedAt: t0}
		before := second
		before.Name = "Bob"
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{gone, before, second}, false, t0)) // the panel moved one between two pages
		c := f.customer("cus_a")
		same(t, "marked", []reconcile.Org{gone, second}, c.MarkedOrgs)
		same(t, "owned", []reconcile.Org(nil), c.OwnedOrgs)
	})
}

func TestAnOrgWithoutATimeOfReadingWasReadNow(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-1"}, {ID: "org-2", ObservedAt: t0.Add(-time.Hour)}}, false, t0))
		f.must(f.SaveHosting(t.Context(), f.tok, reconcile.Hosting{ID: 7, Org: "org-1", State: reconcile.HostingActive}, t0))
		orgs, err := f.UnreadOrgs(t.Context(), "", 10)
		f.must(err)
		same(t, "orgs", []time.Time{t0, t0.Add(-time.Hour)}, []time.Time{orgs[0].ObservedAt, orgs[1].ObservedAt})
		f.save(t0, facts("sub_a", "cus_a", "", func(s *reconcile.SubscriptionFacts) { s.MetadataHosting = 7 }))
		same(t, "a hosting", t0, f.customer("cus_a").Hostings[0].ObservedAt)
	})
}

// A second org with the marker of a customer is a reason to look at the customer. One that
// was deleted, or whose name is that of a hosting, is none.
func TestASecondOrgWithTheMarkerOfACustomerMakesItDue(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.settled(t0, "cus_a")
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-a", Name: "Ann [cus_a]"}, {ID: "org-1", Name: "Ann [cus_a]", Deleted: true},
			{ID: "org-2", Name: "Ann [cus_a/1]"}, {ID: "org-3", Name: "Ann"}, {ID: "org-4", Name: "Zoe [cus_z]"}}, true, t0))
		same(t, "due", []string(nil), f.dueIDs(t0))
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-5", Name: "Ann [cus_a]"}}, true, t0))
		same(t, "due because of a second one", []string{"cus_a"}, f.dueIDs(t0))
	})
}

// A hosting that the panel does not find makes its customer due once, not at every look.
func TestAHostingThatIsStillMissingIsNoNews(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.must(f.SaveHosting(t.Context(), f.tok, made(7, "org-a", "Pro [sub_a/1]"), t0))
		f.settled(t0, "cus_a")
		for _, due := range [][]string{{"cus_a"}, nil} {
			f.must(f.SaveHosting(t.Context(), f.tok, reconcile.Hosting{ID: 7, State: reconcile.HostingMissing}, t0))
			same(t, "due", due, f.dueIDs(t0))
			f.settled(t0, "cus_a")
		}
	})
}

package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestWhatIsOnHostingsIsThatOfTheLastListing(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		f.bindHosting("cus_a", "sub_a", 2, "org-a", 43)
		f.must(f.SaveHosting(t.Context(), f.tok, reconcile.Hosting{ID: 44, Org: "org-b", State: reconcile.HostingActive}, t0))
		f.settled(t0, "cus_a")
		content := func() map[int64]reconcile.Content {
			on := map[int64]reconcile.Content{}
			for _, h := range f.customer("cus_a").Hostings {
				on[h.ID] = h.Content
			}
			return on
		}
		same(t, "never listed", map[int64]reconcile.Content{42: {}, 43: {}}, content())

		var sites []reconcile.Website
		for i := range 7 {
			sites = append(sites, reconcile.Website{Domain: fmt.Sprintf("%c.example.com\x00", 'g'-i), Hosting: 43})
		}
		sites = append(sites, reconcile.Website{Domain: "elsewhere.example.com", Hosting: 44}, reconcile.Website{Domain: "nowhere.example.com", Hosting: 99})
		f.must(f.SaveContent(t.Context(), f.tok, "org-a", sites, "", t0.Add(time.Hour)))
		five := []string{"a.example.com", "b.example.com", "c.example.com", "d.example.com", "e.example.com"}
		same(t, "listed", map[int64]reconcile.Content{42: {ReadAt: t0.Add(time.Hour)}, 43: {Sites: five, Count: 7, ReadAt: t0.Add(time.Hour)}}, content())

		f.must(f.SaveContent(t.Context(), f.tok, "org-a", nil, "403 Forbidden", t0.Add(2*time.Hour)))
		refused := reconcile.Content{Unread: "403 Forbidden", ReadAt: t0.Add(2 * time.Hour)}
		same(t, "refused", map[int64]reconcile.Content{42: refused, 43: refused}, content())

		f.must(f.SaveHosting(t.Context(), f.tok, reconcile.Hosting{ID: 42, Org: "org-a", State: reconcile.HostingSuspended, SuspendedBy: "x"}, t0.Add(3*time.Hour)))
		same(t, "read by id since", map[int64]reconcile.Content{42: refused, 43: refused}, content())
		f.must(f.SaveContent(t.Context(), f.tok, "org-a", sites[:1], "", t0.Add(3*time.Hour)))
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(3*time.Hour))) // by the suspension, not by the websites
		f.settled(t0.Add(3*time.Hour), "cus_a")
		f.must(f.SaveContent(t.Context(), f.tok, "org-a", nil, "", t0.Add(4*time.Hour)))
		same(t, "due", []string(nil), f.dueIDs(t0.Add(4*time.Hour)))
		if err := f.SaveContent(t.Context(), f.tok-1, "org-a", nil, "", t0); !errors.Is(err, fault.Fenced) {
			t.Errorf("with a token of yesterday: %v", err)
		}
	})
}

// What the panel shows of backups is kept with the hosting as it was read, and wakes no
// customer.
func TestBackupsAreKeptWithTheirHosting(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		f.settled(t0, "cus_a")
		same(t, "never read", reconcile.Backups{}, f.customer("cus_a").Hostings[0].Backups)
		for _, b := range []reconcile.Backups{
			{ReadAt: t0, Since: t0.Add(-time.Hour), Lacking: "a.example.com", Began: t0.Add(-time.Minute), Failed: t0.Add(-time.Second), Refused: "403 Forbidden"},
			{ReadAt: t0.Add(time.Hour), Since: t0},
		} {
			f.must(f.SaveBackups(t.Context(), f.tok, 42, b))
			same(t, "read", b, f.customer("cus_a").Hostings[0].Backups)
		}
		same(t, "due", []string(nil), f.dueIDs(t0.Add(4*time.Hour)))
	})
}

func TestWhatWeWroteIntoMetadataIsKnown(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		a := reconcile.Action{ID: "write_metadata:sub_a:42", Kind: reconcile.WriteMetadata, Customer: "cus_a", Subscription: "sub_a", Org: "org-a", Hosting: 42}
		f.plan("cus_a", a)
		f.must(f.do(a, t0, reconcile.Outcome{State: reconcile.ActionApplied, MetadataOK: true}))
		named := facts("sub_a", "cus_a", "a@example.com")
		named.MetadataOrg, named.MetadataHosting = "org-a", 42
		f.save(t0.Add(time.Hour), named)
		s := f.customer("cus_a").Subscriptions[0]
		same(t, "named and written", []int64{42, 42}, []int64{s.MetadataHosting, s.MetadataWritten})
		named.MetadataHosting = 43
		f.save(t0.Add(2*time.Hour), named)
		s = f.customer("cus_a").Subscriptions[0]
		same(t, "named by a person since", []int64{43, 42}, []int64{s.MetadataHosting, s.MetadataWritten})
	})
}

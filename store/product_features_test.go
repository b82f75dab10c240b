package store

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestTheFeaturesOfAProductAreKept(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		stored := func() []reconcile.ProductFeatures {
			t.Helper()
			all, err := f.Features(t.Context())
			f.must(err)
			return all
		}
		if got := stored(); len(got) != 0 {
			t.Errorf("before: %v", got)
		}
		a := reconcile.ProductFeatures{Product: "prod_a", Keys: []string{"basic", "pro"}, ReadAt: t0, AskedAt: t0}
		refused := reconcile.ProductFeatures{Product: "prod_b", Keys: []string{}, AskedAt: t0, Unread: "403"}
		f.must(f.SaveFeatures(t.Context(), f.tok, refused))
		f.must(f.SaveFeatures(t.Context(), f.tok, a))
		same(t, "features", []reconcile.ProductFeatures{a, refused}, stored())
		a.Emptied, a.AskedAt, a.Unread = true, t0.Add(time.Hour), "503"
		f.must(f.SaveFeatures(t.Context(), f.tok, a))
		same(t, "read again", []reconcile.ProductFeatures{a, refused}, stored())
	})
}

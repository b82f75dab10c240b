package reconcile_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// FuzzMarker checks that a marker is read as it was written, and that a name has one
// only if it ends in exactly that text.
func FuzzMarker(f *testing.F) {
	for _, seed := range []string{"Pro [sub_1Nq/1]", "Ada [cus_9s6]", "[sub_1/0]", "[sub_1/01]", "[sub_/1]", "[sub_1/1] ", "[[sub_1/1]]", "x[cus_1/1]", "[sub_1/99999999999999999999]", "[sub_ä/1]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		m, ok := reconcile.MarkerOf(name)
		if !ok {
			if m != (reconcile.Marker{}) {
				t.Fatalf("no marker, and %+v", m)
			}
			return
		}
		if !strings.HasSuffix(strings.TrimSpace(name), m.String()) || m.Slot < 0 {
			t.Fatalf("%q read as %s", name, m)
		}
		if sub := strings.HasPrefix(m.StripeID, "sub_"); sub != (m.Slot > 0) || strings.ContainsAny(m.StripeID, "/[] .") {
			t.Fatalf("%q read as %+v", name, m)
		}
		if again, ok := reconcile.MarkerOf("Anything " + m.String()); !ok || again != m {
			t.Fatalf("%s written and read as %+v", m, again)
		}
	})
}

// FuzzPlanID checks that the id of a held plan depends on its actions, and not on their
// order or on duplicates; and that plans have different ids if they differ in one action.
func FuzzPlanID(f *testing.F) {
	f.Add("suspend:sub_1/1:7\nsuspend:sub_2/1:8", uint64(1))
	f.Add("", uint64(2))
	f.Add("a\n\nb\na", uint64(3))
	f.Fuzz(func(t *testing.T, content string, seed uint64) {
		ids := strings.Split(content, "\n")
		id := reconcile.HeldPlanID(ids)
		shuffled := append(slices.Clone(ids), ids[0])
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := reconcile.HeldPlanID(shuffled); again != id || len(id) != 16 {
			t.Fatalf("%q and %q", id, again)
		}
		if other := reconcile.HeldPlanID(append(slices.Clone(ids), content+"\x00one more")); other == id {
			t.Fatalf("one more action, and the same id %q", id)
		}
		if less := reconcile.HeldPlanID(ids[1:]); less == id && !slices.Contains(ids[1:], ids[0]) {
			t.Fatalf("one action less, and the same id %q", id)
		}
	})
}

package reconcile_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestTheNameOfASuspendedHosting(t *testing.T) {
	for _, c := range []struct{ name, instance, want string }{
		{"Basic [sub_1/1]", "", "Basic (suspended) [sub_1/1]"},
		{"Basic [sub_1/1]", "shop", "Basic (suspended) [sub_1/1]"}, // made before INSTANCE was set
		{"Basic [sub_1/1@shop]", "shop", "Basic (suspended) [sub_1/1@shop]"},
		{"[sub_1/1]", "", "(suspended) [sub_1/1]"},
		{"My (suspended) site [sub_1/1]", "", "My (suspended) site (suspended) [sub_1/1]"},
		{"My site", "", "My site (suspended) [stripe-enhance]"},
		{"My site (suspended)", "shop", "My site (suspended) (suspended) [stripe-enhance@shop]"},
		{"", "", "(suspended) [stripe-enhance]"},
	} {
		got := reconcile.SuspendedName(c.name, c.instance)
		if got != c.want || !reconcile.SuspensionMarked(got, c.instance) || reconcile.SuspensionMarked(c.name, c.instance) {
			t.Errorf("%q becomes %q, want %q", c.name, got, c.want)
		}
		if back := reconcile.ResumedName(got, c.instance); back != c.name {
			t.Errorf("%q becomes %q again, want %q", got, back, c.name)
		}
		if again := reconcile.SuspendedName(got, c.instance); again != got {
			t.Errorf("%q is marked twice: %q", got, again)
		}
	}
	for _, c := range [][2]string{{"Basic [sub_1/1@shop]", ""}, {"Basic [sub_1/1@shop]", "other"}} { // of another installation
		if got := reconcile.SuspendedName(c[0], c[1]); got != c[0] {
			t.Errorf("%q of another installation becomes %q", c[0], got)
		}
	}
	for _, c := range [][2]string{{"Basic (suspended) [sub_1/1@shop]", ""}, {"My site (suspended) [stripe-enhance@shop]", ""},
		{"My site (suspended)", ""}, {"(suspended) My site [sub_1/1]", ""}, {"My site (suspended) [x]", ""}, {"Basic for Ada's bakery [sub_1/1]", ""}} {
		if reconcile.SuspensionMarked(c[0], c[1]) {
			t.Errorf("%q is taken for our mark", c[0])
		}
		if got := reconcile.ResumedName(c[0], c[1]); got != c[0] {
			t.Errorf("%q without our mark becomes %q", c[0], got)
		}
	}
}

// When the suspension is lifted, a name is again what people wrote, byte for byte; and
// its marker never changes.
func TestAMarkComesAndGoesWithoutATrace(t *testing.T) {
	words := []string{"Basic", "Pro Größe", "(suspended)", "(suspended) ", " ", "[", "]", "[x]", "[sub_1/1]", " [sub_1/1]", " [sub_1/2@shop]", "[cus_1]", "[stripe-enhance]"}
	rapid.Check(t, func(t *rapid.T) {
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 5).Draw(t, "name"), "")
		instance := rapid.SampledFrom([]string{"", "shop", "other"}).Draw(t, "instance")
		if reconcile.SuspensionMarked(name, instance) {
			return // staff wrote that: the name is not ours to restore, and an operator decides
		}
		down := reconcile.SuspendedName(name, instance)
		before, _ := reconcile.MarkerOf(name)
		if after, marked := reconcile.MarkerOf(down); marked && after != before {
			t.Fatalf("the marker of %q is %s in %q", name, after, down)
		}
		if before.Of(instance) != (reconcile.Marker{}) && !strings.HasSuffix(strings.TrimSpace(down), before.String()) {
			t.Fatalf("the marker is not the last word of %q", down)
		}
		if strings.TrimSpace(name) == "" {
			name = ""
		}
		if up := reconcile.ResumedName(down, instance); up != name {
			t.Fatalf("%q was %q and is %q", name, down, up)
		}
	})
}

func TestTheMarkerInANameThatPeopleGave(t *testing.T) {
	one := reconcile.Marker{StripeID: "sub_1", Slot: 2}
	ours := reconcile.Marker{StripeID: "sub_1", Slot: 2, Instance: "shop"}
	for _, c := range []struct {
		name string
		m    reconcile.Marker
		want string // "": it stays
	}{
		{"My site", one, "My site [sub_1/2]"},
		{"My site [2024]", ours, "My site [2024] [sub_1/2@shop]"},
		{" ", one, "[sub_1/2]"},
		{"Basic [sub_1/2]", one, ""},
		{"Basic [sub_9/1]", one, "Basic [sub_1/2]"},
		{"Basic (suspended) [sub_9/1]", one, "Basic (suspended) [sub_1/2]"},
		{"Basic [sub_1/2]", ours, "Basic [sub_1/2@shop]"},
		{"Basic [sub_9/1@lab]", ours, ""},
		{"My site (suspended) [stripe-enhance]", one, ""},
	} {
		got := reconcile.MarkedName(c.name, c.m)
		if got != c.want {
			t.Errorf("%q becomes %q, want %q", c.name, got, c.want)
		}
		if m, _ := reconcile.MarkerOf(got); got != "" && m != c.m {
			t.Errorf("%q carries the marker %s", got, m)
		}
	}
}

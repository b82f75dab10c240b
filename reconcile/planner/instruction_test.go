package planner_test

import (
	"fmt"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// enum is an enumeration whose texts are in the database, the API or the settings.
type enum interface {
	~uint8
	fmt.Stringer
}

// readBack checks that each value from 1 to last has a text of its own that is parsed as
// that value, and that any other text is parsed as unknown.
func readBack[T enum](t *testing.T, parse func(string) T, last T, none string, unknown T) {
	t.Helper()
	seen := map[string]bool{}
	for v := T(1); v <= last; v++ {
		text := v.String()
		if text == "" || text == none && v != unknown || seen[text] || parse(text) != v {
			t.Errorf("%T(%d) is %q, and that is read as %d", v, v, text, parse(text))
		}
		seen[text] = true
	}
	for _, v := range []T{0, last + 1, 255} {
		if text := v.String(); text != none {
			t.Errorf("%T(%d) is %q, want %q", v, v, text, none)
		}
	}
	for _, text := range []string{"", "nonsense"} {
		if v := parse(text); v != unknown {
			t.Errorf("%q is read as %T(%d), want %d", text, v, v, unknown)
		}
	}
}

func TestEveryWordIsReadBack(t *testing.T) {
	t.Run("status", func(t *testing.T) {
		readBack(t, reconcile.ParseStatus, reconcile.StatusUnknown, "unknown", reconcile.StatusUnknown)
	})
	t.Run("kind", func(t *testing.T) { readBack(t, reconcile.ParseActionKind, reconcile.SendMail, "unknown", 0) })
	t.Run("binding", func(t *testing.T) {
		readBack(t, reconcile.ParseBindKind, reconcile.BoundByResubscription, "unknown", 0)
	})
	t.Run("state", func(t *testing.T) { readBack(t, reconcile.ParseActionState, reconcile.ActionSuperseded, "unknown", 0) })
	t.Run("hold", func(t *testing.T) { readBack(t, reconcile.ParseManualKind, reconcile.Ignore, "unknown", 0) })
	t.Run("mode", func(t *testing.T) { readBack(t, reconcile.ParseMode, reconcile.Enforce, "invalid", 0) })
	t.Run("onboarding", func(t *testing.T) { readBack(t, reconcile.ParseOnboarding, reconcile.NoOnboarding, "invalid", 0) })
	t.Run("hosting", func(t *testing.T) {
		unread := func(text string) reconcile.HostingState { // "": never read
			if text == "" {
				text = "nonsense"
			}
			return reconcile.ParseHostingState(text)
		}
		readBack(t, unread, reconcile.HostingUnknown, "unread", reconcile.HostingUnknown)
		for _, text := range []string{"", "unread"} {
			if s := reconcile.ParseHostingState(text); s != 0 {
				t.Errorf("%q is read as %s, want unread", text, s)
			}
		}
	})
}

func TestAMarkerIsTheLastWordOfANameAndNamesAStripeID(t *testing.T) {
	for _, tc := range []struct {
		name string
		want reconcile.Marker // zero: none
	}{
		{"Basic [sub_1Nq/2]", reconcile.Marker{StripeID: "sub_1Nq", Slot: 2}},
		{"[sub_1/1]", reconcile.Marker{StripeID: "sub_1", Slot: 1}},
		{" Ada [cus_9s6] ", reconcile.Marker{StripeID: "cus_9s6"}},
		{"a [b] [sub_a_B9/10]", reconcile.Marker{StripeID: "sub_a_B9", Slot: 10}},
		{"[sub_1/1] Basic", reconcile.Marker{}},
		{"Basic sub_1/1]", reconcile.Marker{}},
		{"Basic [sub_1]", reconcile.Marker{}},
		{"Basic [sub_1/0]", reconcile.Marker{}},
		{"Basic [sub_1/01]", reconcile.Marker{}},
		{"Basic [sub_1/x]", reconcile.Marker{}},
		{"Basic [sub_/1]", reconcile.Marker{}},
		{"Basic [sub_a b/1]", reconcile.Marker{}},
		{"Basic [sub_é/1]", reconcile.Marker{}},
		{"Ada [cus_]", reconcile.Marker{}},
		{"Ada [cus_a-b]", reconcile.Marker{}},
		{"Ada [cus_1/1]", reconcile.Marker{}},
		{"Ada [org_1]", reconcile.Marker{}},
		{"Ada [customer:legacy-42]", reconcile.Marker{StripeID: "legacy-42"}},
		{"Ada [customer:legacy-42@shop]", reconcile.Marker{StripeID: "legacy-42", Instance: "shop"}},
		{"Ada [customer:ada%40example.com]", reconcile.Marker{StripeID: "ada@example.com"}},
		{"Ada [customer:a%5D%401%20b]", reconcile.Marker{StripeID: "a]@1 b"}},
		{"Ada [customer:a%2Fb]", reconcile.Marker{}},
		{"Ada [customer:cus_a-b]", reconcile.Marker{StripeID: "cus_a-b"}},
		{"Ada [legacy-42]", reconcile.Marker{}},
		{"Ada [customer:]", reconcile.Marker{}},
		{"Ada [customer:cus_1]", reconcile.Marker{}},
		{"Ada [customer:sub_1]", reconcile.Marker{}},
		{"Ada [customer:a%62]", reconcile.Marker{}},
		{"Ada [customer:a%4]", reconcile.Marker{}},
		{"Ada [customer:a%0A]", reconcile.Marker{}},
	} {
		m, ok := reconcile.MarkerOf(tc.name)
		if m != tc.want || ok != (m != reconcile.Marker{}) {
			t.Errorf("%q carries %+v (%v), want %+v", tc.name, m, ok, tc.want)
		}
		if back, _ := reconcile.MarkerOf("x " + m.String()); back != m {
			t.Errorf("%+v is written as %q and read as %+v", m, m, back)
		}
	}
	if text := (reconcile.Marker{}).String(); text != "" {
		t.Errorf("no marker is written as %q", text)
	}
}

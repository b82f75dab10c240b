package reconcile_test

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// In the marker of an org, the id of a customer that people chose keeps its letters, digits
// and usual signs, so that staff recognise it; everything else is written as in a URL.
func TestAChosenIDIsWrittenSoThatStaffRecogniseIt(t *testing.T) {
	for id, want := range map[string]string{
		"Legacy-42_A.z": "[customer:Legacy-42_A.z]", "ada@example.com": "[customer:ada%40example.com]", "a [b]": "[customer:a%20%5Bb%5D]", "müller": "[customer:m%C3%BCller]",
		"cus_9s6": "[cus_9s6]", "cus_": "[customer:cus_]", "cus_a-b": "[customer:cus_a-b]",
	} {
		m := reconcile.Marker{StripeID: id}
		if got := m.String(); got != want {
			t.Errorf("%q is written as %s, want %s", id, got, want)
		}
		if back, ok := reconcile.MarkerOf("Ada " + want); !ok || back != m {
			t.Errorf("%s is read as %+v, want %q", want, back, id)
		}
	}
}

// The name of a plan may be any text, even one that looks like a marker.
func TestAPlanMayBeCalledLikeAMarker(t *testing.T) {
	for _, tc := range []struct{ name, from, to, want string }{
		{"Basic [sub_1/1]", "Basic", "Pro [cus_1]", "Pro [cus_1] [sub_1/1]"},
		{"Basic [cus_1] [sub_1/1]", "Basic [cus_1]", "Pro", "Pro [sub_1/1]"},
		{"Basic [sub_1/1] ", "Basic [sub_1/1]", "Pro", ""},
		{"Basic [sub_1/1]", "Basic [sub_1/1]", "Pro", ""},
	} {
		if got := reconcile.NameOnPlan(tc.name, tc.from, tc.to, ""); got != tc.want {
			t.Errorf("%q on plan %q becomes %q, want %q", tc.name, tc.to, got, tc.want)
		}
	}
}

package planner

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestTheNameFollowsThePlanWhereItIsStillOurs(t *testing.T) {
	for name, c := range map[string]struct{ is, instance, want string }{
		"ours":                       {"Basic [sub_1/1]", "", "Pro [sub_1/1]"},
		"ours, suspended by us":      {"Basic (suspended) [sub_1/1]", "", "Pro (suspended) [sub_1/1]"},
		"ours, with our word":        {"Basic [sub_1/1@shop]", "shop", "Pro [sub_1/1@shop]"},
		"of before a word was set":   {"Basic [sub_1/1]", "shop", "Pro [sub_1/1]"},
		"of another installation":    {"Basic [sub_1/1@other]", "shop", ""},
		"without a marker":           {"Basic", "", ""},
		"that staff gave":            {"Ada's bakery [sub_1/1]", "", ""},
		"that staff gave more words": {"Basic for Ada [sub_1/1]", "", ""},
		"of a plan that begins so":   {"Basic Plus [sub_1/1]", "", ""},
		"that is right":              {"Pro [sub_1/1]", "", ""},
		"of nothing but the marker":  {"[sub_1/1]", "", ""},
		"with a tail behind":         {"Basic [sub_1/1] (old)", "", ""},
	} {
		if got := reconcile.NameOnPlan(c.is, "Basic", "Pro", c.instance); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", name, c.is, got, c.want)
		}
	}
	for _, plans := range [][2]string{{"", "Pro"}, {"Basic", ""}, {"Basic", "Basic"}} {
		if got := reconcile.NameOnPlan("Basic [sub_1/1]", plans[0], plans[1], ""); got != "" {
			t.Errorf("from %q to %q: %q, want nothing", plans[0], plans[1], got)
		}
	}
}

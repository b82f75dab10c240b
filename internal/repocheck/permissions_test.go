package repocheck

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

var readOn = regexp.MustCompile(`with read on ([A-Z][A-Za-z, ]+)`)

// The permissions that a restricted key needs are the same, in the same order, in the
// README, in the help and in the errors, which quote the help, and they are those that
// check tries.
func TestThePermissionsAreTheSameEverywhere(t *testing.T) {
	places := map[string]string{"README.md": section(t, "Ten minutes to production")}
	for _, v := range config.Variables() {
		if v.Name == "STRIPE_SECRET_KEY" {
			places["help"] = v.Usage
		}
	}
	for place, text := range places {
		m := readOn.FindStringSubmatch(strings.Join(strings.Fields(text), " "))
		if m == nil {
			t.Errorf("%s does not list the permissions of the key", place)
			continue
		}
		got := strings.Split(strings.ReplaceAll(m[1], " and ", ", "), ", ")
		if diff := cmp.Diff(stripe.Permissions(), got); diff != "" {
			t.Errorf("%s (-check +%s):\n%s", place, place, diff)
		}
	}
}

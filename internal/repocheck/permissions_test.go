package repocheck

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

// readOn matches the list, in English and in Romanian.
var readOn = regexp.MustCompile(`(?:with read on|cu drept de citire pe) ([A-Z][A-Za-zș, ]+)`)

// The permissions that a restricted key needs are the same, in the same order, in the
// README, on the page about installing, in the help and in the errors, which quote the help,
// and they are those that check tries.
func TestThePermissionsAreTheSameEverywhere(t *testing.T) {
	places := map[string]string{}
	for _, page := range []string{"README.md", "README.ro.md", "docs/install.md", "docs/ro/install.md"} {
		places[page] = read(t, page)
	}
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
		got := strings.Split(strings.NewReplacer(" and ", ", ", " și ", ", ").Replace(m[1]), ", ")
		if diff := cmp.Diff(stripe.Permissions(), got); diff != "" {
			t.Errorf("%s (-check +%s):\n%s", place, place, diff)
		}
	}
}

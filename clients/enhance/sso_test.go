package enhance_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// The link is a credential: no error quotes it, and only a link passes for one.
func TestALoginLinkIsALinkAndIsInNoError(t *testing.T) {
	const member = "0b5e3c1a-1111-4222-8333-444455556666"
	for name, tc := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"a link":         {201, `"https://panel.example.com/login?otp=SECRET"`, nil},
		"no text":        {201, `{"link":"https://panel.example.com/?otp=SECRET"}`, fault.Malformed},
		"nothing":        {201, `""`, fault.Malformed},
		"not a link":     {201, `"SECRET"`, fault.Malformed},
		"a script":       {201, `"javascript:SECRET"`, fault.Malformed},
		"not allowed":    {403, `{"code":"forbidden"}`, fault.Denied},
		"unknown member": {404, `{"code":"not_found","detail":"member"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			n := newTown(t)
			n.breaks("GET /orgs/{org}/members/{member}/sso", body(tc.status, tc.body))
			link, err := n.client.LoginLink(t.Context(), n.org, member)
			if (err == nil) != (name == "a link") || tc.want != nil && !errors.Is(err, tc.want) && !errors.Is(err, fault.Ambiguous) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if err != nil && (link != "" || strings.Contains(err.Error(), "SECRET")) {
				t.Errorf("link %q with the error %v", link, err)
			}
		})
	}
	n := newTown(t)
	if _, err := n.client.LoginLink(t.Context(), n.org, "../../x"); !errors.Is(err, fault.Permanent) {
		t.Errorf("an id that is none: %v", err)
	}
	if _, err := n.client.LoginLink(t.Context(), "x", member); !errors.Is(err, fault.Permanent) {
		t.Errorf("an org that is none: %v", err)
	}
}

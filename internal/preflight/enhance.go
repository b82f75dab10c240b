package preflight

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

// testedMajor is the major release of orchd whose documentation the client follows.
const testedMajor = "12."

const tokenRefused = "is ENHANCE_API_TOKEN of the organisation ENHANCE_ORG_ID, and allowed from this address?"

func (x *check) panel(ctx context.Context) {
	if x.Enhance == nil {
		return
	}
	version, err := x.Enhance.Version(ctx)
	if errors.Is(err, fault.Denied) { // some panels ask for the token even here
		x.fail("Enhance token", err.Error(), tokenRefused)
		return
	}
	if err != nil {
		x.fail("Enhance", err.Error(), unreachable(err, "ENHANCE_API_URL"))
		return
	}
	if err := x.Enhance.Ready(ctx); err != nil {
		x.fail("Enhance", err.Error(), "wait until the panel is ready")
		return
	}
	if strings.HasPrefix(version, testedMajor) {
		x.ok("Enhance", "orchd %s, ready", version)
	} else {
		x.warn("Enhance", "orchd "+version+", ready", "this program follows the documentation of orchd "+testedMajor+"x; try MODE=observe first")
	}
	self, err := x.Enhance.Self(ctx)
	if err != nil {
		x.fail("Enhance token", err.Error(), x.whoseToken(ctx, err))
		return
	}
	x.ok("Enhance token", "organisation %q", self.Name)
	x.offers(ctx)
}

func (x *check) offers(ctx context.Context) {
	customers, err := x.Enhance.CustomerCount(ctx)
	if err != nil {
		x.fail("Enhance customers", err.Error(), "the token must be allowed to list customers")
		return
	}
	x.ok("Enhance customers", "%s", report.Number(customers))
	plans, err := x.Enhance.Plans(ctx)
	switch {
	case err != nil:
		x.fail("Enhance plans", err.Error(), "the token must be allowed to list plans")
	case len(plans) == 0:
		x.fail("Enhance plans", "none", "create a plan in the panel; there is nothing to sell otherwise")
	default:
		x.plans = plans
		x.ok("Enhance plans", "%s", report.Number(len(plans)))
	}
	x.quota(ctx)
}

// quota shows how much is left of what the organisation's own provider gives it: a paid
// order fails at the panel for want of it.
func (x *check) quota(ctx context.Context) {
	all, err := x.Enhance.Quota(ctx)
	if err != nil {
		x.warn("Enhance quota", err.Error(), "the token may not read the organisation's own plan; watch in the panel how much of it is left")
		return
	}
	var parts, out, low []string
	for _, u := range all {
		if u.Total == nil {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %d of %d", u.Name, u.Used, *u.Total))
		switch {
		case u.Used >= *u.Total:
			out = append(out, u.Name)
		case u.Used*10 >= *u.Total*9:
			low = append(low, u.Name)
		}
	}
	detail := strings.Join(parts, ", ")
	switch {
	case len(parts) == 0:
		x.ok("Enhance quota", "unlimited")
	case len(out) > 0:
		x.fail("Enhance quota", detail, "order more "+strings.Join(out, " and ")+" from your provider: until then the panel refuses orders that need it")
	case len(low) > 0:
		x.warn("Enhance quota", detail, "order more "+strings.Join(low, " and ")+" from your provider, before a paid order fails for want of it")
	default:
		x.ok("Enhance quota", "%s", detail)
	}
}

// whoseToken names the organisation of the token, if the panel shows it.
func (x *check) whoseToken(ctx context.Context, refused error) string {
	if errors.Is(refused, fault.Transient) {
		return unreachable(refused, "ENHANCE_API_URL")
	}
	// It needs a client of its own, because the breaker of the other one is open now.
	c := x.Config
	again, err := enhance.New(enhance.Options{BaseURL: c.EnhanceURL.String(), Token: c.EnhanceToken, Org: string(c.EnhanceOrg), Log: x.Log, Now: x.Now})
	if err != nil {
		return tokenRefused
	}
	orgs, err := again.Memberships(ctx)
	if err != nil || len(orgs) == 0 {
		return tokenRefused
	}
	var all []string
	for _, o := range orgs {
		all = append(all, fmt.Sprintf("ENHANCE_ORG_ID=%s (%s)", o.ID, o.Name))
	}
	return "the token belongs to another organisation than the one in ENHANCE_ORG_ID: set " + strings.Join(all, " or ")
}

package planner

import (
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// options are those of the mapping of an item; the zero value if it is not mapped.
func (c *Catalog) options(it *reconcile.Item) reconcile.MappingOptions {
	if it == nil {
		return reconcile.MappingOptions{}
	}
	t, _ := c.match(it)
	return t.options
}

// policyFor is the policy with the grace period of a subscription: the longest of those
// that the mappings of its items have.
func (c *Catalog) policyFor(s *reconcile.Subscription, p reconcile.Policy) reconcile.Policy {
	longest, mapped := time.Duration(0), false
	for i := range s.Items {
		t, ok := c.match(&s.Items[i])
		if !ok && c.featuresUnknown(&s.Items[i]) {
			longest, mapped = max(longest, c.longestGrace(p.Grace)), true
			continue
		}
		if !ok || t.none {
			continue
		}
		grace := p.Grace
		if t.options.OwnGrace {
			grace = t.options.Grace
		}
		if t.problem == reconcile.HoldFeatures {
			grace = max(grace, p.Grace) // the mapping that counts may have none of its own
		}
		longest, mapped = max(longest, grace), true
	}
	if mapped {
		p.Grace = longest
	}
	return p
}

// wantsWebsite reports whether a website is made for an item.
func (pl *planner) wantsWebsite(s *assessed, item string) bool {
	switch pl.cat.options(s.item(item)).Websites {
	case reconcile.WebsitesNone:
		return false
	case reconcile.WebsitesOrder:
		return true
	}
	return pl.policy.CreateWebsites
}

// onboarding is how the owner of the org gets into it: by the mapping of the subscription
// that is provisioned first.
func (pl *planner) onboarding() reconcile.Onboarding {
	for i := range pl.subs {
		s := &pl.subs[i]
		if s.desired != desiredActive || pl.assignmentsOf(i) == 0 && !s.mapped {
			continue
		}
		for j := range s.items {
			if t, ok := pl.cat.match(&s.items[j]); ok && !t.none {
				if t.options.Onboarding != 0 {
					return t.options.Onboarding
				}
				break
			}
		}
		break
	}
	return pl.policy.Onboarding
}

// site is how the website of an item is made on a plan, or the problem that keeps it from
// being made: then the panel is not asked.
func (pl *planner) site(s *assessed, item string, plan int) (site reconcile.SiteOptions, problem string) {
	o := pl.cat.options(s.item(item))
	site = reconcile.SiteOptions{ServerGroup: o.ServerGroup, PHP: o.PHP, App: o.App}
	if o.ByOrder && s.ServerGroup != "" {
		group, unread := reconcile.ParseOrgID(s.ServerGroup)
		if unread != "" {
			return site, orderedGroupUnreadable(s)
		}
		site.ServerGroup = group
	}
	return site, siteProblem(site, pl.cat.plans[plan])
}

// siteProblem is a sentence about the first option that a plan does not allow; "": none.
func siteProblem(o reconcile.SiteOptions, p reconcile.EnhancePlan) string {
	switch {
	case o.PHP != "" && p.Sites.PHP != nil && !slices.Contains(p.Sites.PHP, o.PHP):
		return phpNotAllowed(o.PHP, p)
	case o.ServerGroup != "" && p.Sites.ServerGroups != nil && !slices.Contains(p.Sites.ServerGroups, o.ServerGroup):
		return groupNotAllowed(o.ServerGroup, p)
	}
	return ""
}

// OptionProblems lists, as sentences, the mappings whose options the panel cannot fulfil.
func OptionProblems(mappings []reconcile.Mapping, plans []reconcile.EnhancePlan) (problems []string) {
	c := NewCatalog(mappings, plans)
	for _, m := range mappings {
		t := c.targets[m.BillingID]
		o := m.MappingOptions
		switch {
		case t.none, t.problem != "":
		default:
			if problem := siteProblem(reconcile.SiteOptions{ServerGroup: o.ServerGroup, PHP: o.PHP}, t.plan); problem != "" {
				problems = append(problems, optionOf(m, problem))
			}
		}
	}
	return problems
}

// SendsPasswords reports whether any order is onboarded with a password, by a mapping or by
// the setting.
func (c *Catalog) SendsPasswords(setting reconcile.Onboarding) bool {
	for _, t := range c.targets {
		if t.options.Onboarding == reconcile.Password {
			return true
		}
	}
	return setting == reconcile.Password
}

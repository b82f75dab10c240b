package reconcile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mapping is the plan that a price buys.
type Mapping struct {
	// BillingID is a price id, a price's lookup key, a product id, or the lookup key of a
	// feature that the product has.
	BillingID string
	// Plan is Enhance's integer id in decimal, or the exact plan name.
	Plan string
	MappingOptions
}

// MappingOptions is how a mapping differs from the settings. The zero value is no
// difference.
type MappingOptions struct {
	// Websites is whether a website is made for such an order; "": as CREATE_WEBSITES.
	Websites Websites
	// ServerGroup is the UUID of the server group that the website is made in; "": the panel
	// chooses.
	ServerGroup string
	// ByOrder lets the metadata server_group of a subscription name another one.
	ByOrder bool
	// PHP is the PHP version of the website, such as php83; "": that of the plan.
	PHP string
	// App is installed on the website when it is made; "": nothing is.
	App App
	// Onboarding is how the owner of a new org gets into it; 0: as ONBOARDING.
	Onboarding Onboarding
	// Grace is its grace period if OwnGrace is set, else GRACE_PERIOD counts.
	OwnGrace bool
	Grace    time.Duration
}

// Websites is whether a website is made with the first hosting of an order.
type Websites string

const (
	// WebsitesNone: none is made.
	WebsitesNone Websites = "none"
	// WebsitesOrder: one is made for the domain that was ordered.
	WebsitesOrder Websites = "order"
)

// SiteOptions is how a website is to be made.
type SiteOptions struct {
	ServerGroup string // UUID; "": the panel chooses
	PHP         string // "": that of the plan
	App         App    // "": none
}

// EnhancePlan is an Enhance plan (package) as last read.
type EnhancePlan struct {
	ID   int
	Name string
	// Limits maps a resource to its total; a resource that is absent is unlimited.
	Limits map[string]int64
	Sites  PlanSites
}

// PlanSites is what a plan allows for websites. nil: the panel has not shown it.
type PlanSites struct {
	// PHP has the versions that a website may have.
	PHP []string
	// ServerGroups has the server groups among which a website may choose; empty: it may
	// choose none.
	ServerGroups []string
}

// NotHosting is the plan in the mapping of a price that buys no hosting. A plan with this
// name at the panel is mapped by its number.
const NotHosting = "none"

// GivenOptions are options of a mapping as people write them. nil: not given, so the option
// stays as it stands. "" and "default": as in the settings.
type GivenOptions struct {
	Websites, ServerGroup, ByOrder, PHP, App, Onboarding, Grace *string
}

// Over returns the options o of a mapping to plan with those that are given. A mapping to
// none loses all options.
func (g GivenOptions) Over(o MappingOptions, plan string) (MappingOptions, error) {
	if plan == NotHosting {
		o = MappingOptions{}
	}
	for _, given := range [...]struct {
		name string
		text *string
		read func(*MappingOptions, string) error
	}{
		{"websites", g.Websites, readWebsites},
		{"server_group", g.ServerGroup, readServerGroup},
		{"server_group_by_order", g.ByOrder, readByOrder},
		{"php_version", g.PHP, readPHP},
		{"app", g.App, readApp},
		{"onboarding", g.Onboarding, readOnboarding},
		{"grace_period", g.Grace, readGrace},
	} {
		if given.text == nil {
			continue
		}
		text := strings.TrimSpace(*given.text)
		if text == "default" {
			text = ""
		}
		if err := given.read(&o, text); err != nil {
			return o, fmt.Errorf("%s: %w", given.name, err)
		}
	}
	if plan == NotHosting && o != (MappingOptions{}) {
		return o, fmt.Errorf("a price that is mapped to %s has no options", NotHosting)
	}
	return o, nil
}

func readWebsites(o *MappingOptions, text string) error {
	switch w := Websites(text); w {
	case "", WebsitesNone, WebsitesOrder:
		o.Websites = w
		return nil
	}
	return fmt.Errorf("%q is neither none nor order", text)
}

func readServerGroup(o *MappingOptions, text string) error {
	id, unread := ParseOrgID(text)
	if unread != "" {
		return fmt.Errorf("%q is not the UUID of a server group", text)
	}
	o.ServerGroup = id
	return nil
}

func readByOrder(o *MappingOptions, text string) error {
	if text == "" {
		text = "false"
	}
	allowed, err := strconv.ParseBool(text)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	o.ByOrder = allowed
	return nil
}

// readPHP takes Enhance's word, such as php83, and the number that people know, 8.3.
func readPHP(o *MappingOptions, text string) error {
	number := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(text), "php"), ".", "")
	switch {
	case text == "":
		o.PHP = ""
	case len(number) < 2 || len(number) > 3 || !digits(number):
		return fmt.Errorf("%q is not a PHP version such as 8.3", text)
	default:
		o.PHP = "php" + number
	}
	return nil
}

// readApp: "none" and no application at all are one.
func readApp(o *MappingOptions, text string) error {
	switch a := App(strings.ToLower(text)); a {
	case "", "none":
		o.App = ""
		return nil
	case AppWordPress:
		o.App = a
		return nil
	}
	return fmt.Errorf("%q is neither none nor wordpress", text)
}

func readOnboarding(o *MappingOptions, text string) error {
	o.Onboarding = ParseOnboarding(text)
	if o.Onboarding == 0 && text != "" {
		return fmt.Errorf("%q is none of invite, password and none", text)
	}
	return nil
}

// readGrace: "0" is a grace period, of no length.
func readGrace(o *MappingOptions, text string) error {
	o.OwnGrace, o.Grace = text != "", 0
	if !o.OwnGrace {
		return nil
	}
	grace, err := ParseDuration(text)
	o.Grace = grace
	return err
}

// GraceText is the grace period as people write it; "": as GRACE_PERIOD.
func (o MappingOptions) GraceText() string {
	switch {
	case !o.OwnGrace:
		return ""
	case o.Grace == 0:
		return "0"
	}
	return FormatDuration(o.Grace)
}

// OnboardingText is the word for the onboarding; "": as ONBOARDING.
func (o MappingOptions) OnboardingText() string {
	if o.Onboarding == 0 {
		return ""
	}
	return o.Onboarding.String()
}

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const optionsLong = `The options are what differs for this price from the settings. An option that is not
given stays as it is, and "default" removes it. --server-group is the UUID of a server
group that the plan offers; with --server-group-by-order the metadata server_group of a
subscription names another one. An option that the plan does not allow is refused.`

// optionFlags are the options of a mapping on the command line.
type optionFlags struct{ websites, group, byOrder, php, app, onboarding, grace string }

func (o *optionFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.websites, "websites", "", "`none`: no website is made; order: one for the ordered domain; default: as CREATE_WEBSITES")
	f.StringVar(&o.group, "server-group", "", "`UUID` of the server group that the website is made in")
	f.StringVar(&o.byOrder, "server-group-by-order", "", "`true`: the order may name another server group, by its metadata server_group")
	f.StringVar(&o.php, "php", "", "PHP `version` of the website, such as 8.3")
	f.StringVar(&o.app, "app", "", "`wordpress`: installed on the website when it is made; none or default: nothing is")
	f.StringVar(&o.onboarding, "owner", "", "`invite`, password or none; default: as ONBOARDING")
	f.StringVar(&o.grace, "grace", "", "grace `period` of this price, such as 24h or 7d; default: as GRACE_PERIOD")
}

// given are the options whose flags are on the command line.
func (o *optionFlags) given(c *cobra.Command) reconcile.GivenOptions {
	text := func(flag string, value *string) *string {
		if !c.Flags().Changed(flag) {
			return nil
		}
		return value
	}
	return reconcile.GivenOptions{
		Websites: text("websites", &o.websites), ServerGroup: text("server-group", &o.group), ByOrder: text("server-group-by-order", &o.byOrder),
		PHP: text("php", &o.php), App: text("app", &o.app), Onboarding: text("owner", &o.onboarding), Grace: text("grace", &o.grace),
	}
}

// optionsText lists the options of a mapping for people; "" if it has none.
func optionsText(m reconcile.Mapping) string {
	t := mapping.Table([]mapping.Row{mapping.RowOf(m)})
	var all []string
	for i := 3; i < len(t.Head); i++ {
		all = append(all, t.Head[i]+" "+report.Plain(t.Rows[0][i]))
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

package adoption

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
)

// checker compares the rows of a file with the present facts, and with each other.
type checker struct {
	pic     *picture
	linked  map[int64]int     // hosting → the line that links it
	named   map[int64]int     // hosting → the line that names it
	links   map[string]int    // subscription and plan → how many links
	orgs    map[string]string // customer → the org to which it is linked
	decided map[string]Row    // subscription → the first row with a decision of its own
}

func newChecker(pic *picture) *checker {
	return &checker{pic: pic, linked: map[int64]int{}, named: map[int64]int{}, links: map[string]int{}, orgs: map[string]string{}, decided: map[string]Row{}}
}

// check returns whether a row is still to be carried out, or why it cannot be.
func (c *checker) check(r Row) (todo bool, why string) {
	if r.Hosting != 0 {
		if line := c.named[r.Hosting]; line != 0 {
			return false, fmt.Sprintf("hosting %d is in line %d already", r.Hosting, line)
		}
		c.named[r.Hosting] = r.Line
	}
	if why := c.contradicts(r); why != "" {
		return false, why
	}
	switch r.Decision {
	case adopt.Link:
		return c.link(r)
	case adopt.New:
		return c.isNew(r)
	case adopt.Ignore:
		return c.ignore(r)
	case adopt.Review:
	}
	return c.pic.hostings[r.Hosting].Ignored != "", "" // a decision that is taken back
}

// contradicts is why two rows about one subscription do not go together.
func (c *checker) contradicts(r Row) string {
	if r.Subscription == "" || r.Decision == adopt.Review {
		return ""
	}
	first, twice := c.decided[r.Subscription]
	if !twice {
		c.decided[r.Subscription] = r
		return ""
	}
	if first.Decision != r.Decision {
		return fmt.Sprintf("%s is %q in line %d, and %q here", r.Subscription, first.Decision, first.Line, r.Decision)
	}
	return ""
}

// subscription compares a row with its subscription.
func (c *checker) subscription(r Row) (*known, string) {
	k := c.pic.subs[r.Subscription]
	switch {
	case k == nil:
		return nil, r.Subscription + " is not known at Stripe"
	case r.Customer != "" && r.Customer != k.customer:
		return nil, fmt.Sprintf("%s belongs to %s, and the file has %s", r.Subscription, k.customer, r.Customer)
	case k.gone || k.status.Ended():
		return nil, fmt.Sprintf("%s has ended since the file was made", r.Subscription)
	}
	return k, ""
}

// hosting compares a row with its hosting.
func (c *checker) hosting(r Row) string {
	h, ok := c.pic.hostings[r.Hosting]
	switch by := c.pic.bound[r.Hosting]; {
	case by != "":
		return fmt.Sprintf("hosting %d is bound to %s", r.Hosting, by)
	case !ok:
		return fmt.Sprintf("hosting %d is not at the panel, or not any more, or its name shows whose it is", r.Hosting)
	case r.Org != "" && r.Org != h.Org:
		return fmt.Sprintf("hosting %d is in org %s, and the file has %s", r.Hosting, h.Org, r.Org)
	case r.Plan != 0 && r.Plan != h.Plan:
		return fmt.Sprintf("hosting %d is on plan %d, and the file has %d: look at it again", r.Hosting, h.Plan, r.Plan)
	}
	return ""
}

func (c *checker) link(r Row) (bool, string) {
	k, why := c.subscription(r)
	if why != "" {
		return false, why
	}
	if slices.Contains(k.bound, r.Hosting) {
		return false, ""
	}
	if why := c.hosting(r); why != "" {
		return false, why
	}
	c.links[r.Subscription]++
	free := 0
	for _, n := range k.free {
		free += n
	}
	org := c.pic.hostings[r.Hosting].Org
	other, some := c.orgs[k.customer]
	c.orgs[k.customer] = org
	switch {
	case k.isNew:
		return false, r.Subscription + " was decided to be new"
	case k.ignored != "":
		return false, fmt.Sprintf("%s is ignored (%s): remove that hold first, see `stripe-enhance holds list`", r.Subscription, k.ignored)
	case free == 0:
		return false, fmt.Sprintf("%s pays for no hosting that it does not have", r.Subscription)
	case c.links[r.Subscription] > free:
		return false, fmt.Sprintf("%s would have %d hostings more, and pays for %d", r.Subscription, c.links[r.Subscription], free)
	case some && other != org:
		return false, fmt.Sprintf("another row links %s to org %s: the hostings of one customer are in one org; see `stripe-enhance customers bind --help`, --other-org", k.customer, other)
	}
	return true, ""
}

func (c *checker) isNew(r Row) (bool, string) {
	k, why := c.subscription(r)
	switch {
	case why != "":
		return false, why
	case k.isNew:
		return false, ""
	case len(k.free) == 0:
		return false, fmt.Sprintf("%s pays for no hosting that it does not have", r.Subscription)
	}
	return true, ""
}

func (c *checker) ignore(r Row) (bool, string) {
	todo := false
	if r.Subscription != "" {
		k, why := c.subscription(r)
		if why != "" {
			return false, why
		}
		todo = k.ignored == ""
	}
	if r.Hosting != 0 {
		if why := c.hosting(r); why != "" {
			return false, why
		}
		todo = todo || c.pic.hostings[r.Hosting].Ignored == ""
	}
	return todo, ""
}

// why is the reason of a row, for the journal.
func why(r adopt.Pair) string {
	return strings.TrimSuffix("adopt: "+strings.TrimSpace(r.Reason), ": ")
}

// instruction is a row as what a person instructs.
func instruction(r adopt.Pair, h reconcile.Hosting) reconcile.Instruction {
	w := reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: r.Subscription, Hosting: h, Reason: why(r)}
	if r.Decision == adopt.New {
		w.Kind, w.Hosting = reconcile.InstructNew, reconcile.Hosting{}
	}
	return w
}

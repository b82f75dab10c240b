package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// tooManyInRun is for more changes than one run may make.
func tooManyInRun(l BrakeLoad, limit int) string {
	return fmt.Sprintf("%d × %s in one run, more than the limit of %d (%d bound)",
		l.Planned+l.AtWork, l.Kind.Brake(), limit, l.Bound)
}

// tooManyInDay is for more changes than 24 hours may have.
func tooManyInDay(l BrakeLoad, day int) string {
	return fmt.Sprintf("%d × %s planned and %d done in the last 24 hours, more than the limit of %d (%d bound)",
		l.Planned+l.AtWork, l.Kind.Brake(), l.Performed, day, l.Bound)
}

// Reason is why the order of a customer is held by itself, as a sentence.
func (v OrdersVerdict) Reason(customer string, o Order) string {
	n := o.Held + o.New
	what := fmt.Sprintf("%d × %s for %s", n, reconcile.CreateSubscription, customer)
	switch {
	case o.Alone:
		return fmt.Sprintf("%s, with which the fleet is over its limit of %d in one run", what, v.Limit)
	case n > v.Most:
		return fmt.Sprintf("%s in one run, more than the %d that one customer plausibly orders", what, v.Most)
	}
	return fmt.Sprintf("%s planned and %d done in the last 24 hours, more than the %d that one customer plausibly orders",
		what, o.Done, int(float64(v.Most)*dayFactor))
}

// newAfterNotSet is for an order that may be old, while the setting that decides it is empty.
func (pl *planner) newAfterNotSet(s *assessed) string {
	return fmt.Sprintf("%s has no hosting that is known, and the panel has hostings that no subscription is bound to: "+
		"set NEW_CUSTOMERS_ONLY_AFTER to the day from which orders are new", pl.order(s))
}

// orderedBefore is for an order from before NEW_CUSTOMERS_ONLY_AFTER.
func (pl *planner) orderedBefore(s *assessed, after time.Time) string {
	return fmt.Sprintf("%s has no hosting that is known and was ordered at %s, before NEW_CUSTOMERS_ONLY_AFTER (%s), "+
		"and the panel has hostings that no subscription is bound to", pl.order(s), reconcile.FormatTime(s.Created), reconcile.FormatTime(after))
}

// order names a subscription and who pays for it.
func (pl *planner) order(s *assessed) string {
	buyer := s.StripeCustomer
	if buyer == "" {
		buyer = pl.c.ID
	}
	if pl.c.Email == "" {
		return s.ID + " of " + buyer
	}
	return fmt.Sprintf("%s of %s (%s)", s.ID, buyer, pl.c.Email)
}

// oneOfThemOrNew names the two commands that decide it.
func oneOfThemOrNew(s *assessed) string {
	return fmt.Sprintf(". If one of them is its hosting: `%s`; if the order is new: `%s`", bindCommand(s.ID, "HOSTING", "it is its hosting"), BindNewCommand(s.ID))
}

func moreAlike(n int) string {
	return fmt.Sprintf(" (and %d more that look like it)", n)
}

// looksLike is for an order that an unbound hosting looks like.
func (pl *planner) looksLike(s *assessed, l reconcile.Lookalike, more string) string {
	return fmt.Sprintf("%s may be what hosting %d%s is for, on plan %q in org %s (%q), to which no subscription is bound: %s. "+
		"If it is: `%s`; if the order is new: `%s`",
		pl.order(s), l.Hosting, more, pl.planLabel(l.Plan), l.Org, l.OrgName, pl.likeness(s, l),
		BindCommand(s.ID, l.Hosting, pl.bindFlags(s.ID, l.Org, l.Hosting)...), BindNewCommand(s.ID))
}

func (pl *planner) likeness(s *assessed, l reconcile.Lookalike) string {
	switch l.Why {
	case reconcile.LikeOrg:
		return "that is this customer's own org"
	case reconcile.LikeMetadata:
		return "the subscription's metadata names this org"
	case reconcile.LikeOwner:
		return "the owner of this org has the customer's e-mail"
	case reconcile.LikeDomain:
		return fmt.Sprintf("the domain %s, which was ordered, is in this org", s.domain)
	case reconcile.LikeName:
		return "this org has the customer's name"
	}
	return "they look alike"
}

// planLabel is a plan's name, or its number where the panel no longer sells it.
func (pl *planner) planLabel(id int) string {
	if name := pl.planName(id); name != "" {
		return name
	}
	return reconcile.FormatID(int64(id))
}

// wasUnbound is for a unit whose hosting a person has unbound.
func wasUnbound(p *reconcile.Unbinding) string {
	return fmt.Sprintf("hosting %d of org %s was unbound from %s by %s at %s (%s), and nothing is made for %s before a person gives an instruction. If an existing hosting serves it: `%s`; if the order is new: `%s`",
		p.Hosting, p.Org, reconcile.SlotID(p.Subscription, p.Slot), p.Author, reconcile.FormatTime(p.At), p.Reason, p.Subscription,
		bindCommand(p.Subscription, "HOSTING", "it is its hosting"), BindNewCommand(p.Subscription))
}

// orUnbind names the other two ways for a hosting that is paid for and gone.
func (pl *planner) orUnbind(l *assignment) string {
	return fmt.Sprintf("; or bind the hosting that serves %s in its place (`%s`), or unbind it, so that the order can become new (`%s`)",
		l.Subscription, bindCommand(pl.unit(l.Subscription, l.Slot), "HOSTING", "it is its hosting"), UnbindCommand(l.Subscription, l.Hosting))
}

// isDisputed is the reason of a suspension because of a dispute.
func isDisputed(v entitlement, s *reconcile.Subscription) string {
	return fmt.Sprintf("%s is %s, and %s (DISPUTE=suspend). If the customer is to be trusted: `%s`", s.ID, v.status, v.disputed.Describe(), TrustCommand(s.ID, "trusted"))
}

// disputeWithholds is why something new waits because of a dispute or a refund.
func disputeWithholds(d *reconcile.Dispute, a reconcile.Action) string {
	waits := fmt.Sprintf("%s gets no new hosting", a.Subscription)
	if a.Kind == reconcile.ChangePlan {
		waits = fmt.Sprintf("hosting %d keeps its plan", a.Hosting)
	}
	return fmt.Sprintf("%s: %s before that is over. If the customer is to be trusted: `%s`", d.Describe(), waits, TrustCommand(a.Subscription, "trusted"))
}

// disputeNotRead is for a subscription with a dispute that cannot be read again.
func disputeNotRead(s *assessed) string {
	return fmt.Sprintf("%s has a dispute that was read last at %s and cannot be read again: %s; its hostings stay as they are",
		s.ID, reconcile.FormatTime(s.disputed.ReadAt), s.disputed.Describe())
}

// whichDispute is a dispute with its consequence.
func (e *explainer) whichDispute(d *reconcile.Dispute) string {
	pl := planner{c: e.c, policy: e.policy, now: e.now}
	follows := "no new hosting and no larger plan before that is over (DISPUTE=hold)"
	switch {
	case d.Settled() && d.PaymentUnread:
		follows = "nothing follows from it, because the key may not read whether a later invoice was paid"
	case d.Settled():
		follows = "nothing follows from it, because a later invoice was paid at " + reconcile.FormatTime(d.PaidAt)
	case e.policy.Dispute == reconcile.TellDisputes:
		follows = "nothing follows from it (DISPUTE=tell)"
	case pl.trusted(d.Subscription):
		follows = "nothing follows from it, because a person trusts the customer (no-suspend)"
	case e.policy.Dispute == reconcile.SuspendDisputes && d.Subscription != "" && !d.Refund():
		follows = "its hostings are suspended before that is over (DISPUTE=suspend)"
	case e.policy.Dispute == reconcile.SuspendDisputes:
		follows = "no new hosting and no larger plan before that is over (DISPUTE=suspend)"
	}
	return d.Describe() + ": " + follows
}

// featuresDiffer is for a product with features that are mapped to different plans, or with
// different options.
func (c *Catalog) featuresDiffer(f reconcile.ProductFeatures, mapped []string) string {
	var ways []string
	for _, key := range mapped {
		if way := "`" + MapCommand(f.Product, c.targets[key].name()) + "`"; !c.targets[key].none && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return fmt.Sprintf("product %s has the features %s, whose mappings differ: which plan it is for is not known, and its hostings stay as they are; map its price, or the product itself: %s",
		f.Product, strings.Join(mapped, ", "), strings.Join(ways, ", or "))
}

// name is the plan as a command names it.
func (t target) name() string {
	if t.plan.ID == 0 {
		return "PLAN"
	}
	return reconcile.FormatID(int64(t.plan.ID))
}

// featuresGone is for a product that had a mapped feature, and of which Stripe shows none
// any more.
func featuresGone(f reconcile.ProductFeatures, mapped []string, t target) string {
	return fmt.Sprintf("product %s had the feature %s, and Stripe shows no feature of it any more: nothing new is made for it, and its hostings stay as they are; add the feature again at Stripe, or map the product: `%s`",
		f.Product, strings.Join(mapped, ", "), MapCommand(f.Product, t.name()))
}

// featuresUnread is for a product whose features could not be read again, or never.
func featuresUnread(f reconcile.ProductFeatures, known bool) string {
	if !known {
		return fmt.Sprintf("the features of product %s cannot be read (%s): a mapping of a feature does not count for it; allow the key to read Entitlements and Products at Stripe, or map the product: `%s`",
			f.Product, reconcile.Truncate(f.Unread), MapCommand(f.Product, "PLAN"))
	}
	return fmt.Sprintf("the features of product %s cannot be read again (%s): those of %s stand, and nothing is made smaller because of them",
		f.Product, reconcile.Truncate(f.Unread), reconcile.FormatTime(f.ReadAt))
}

// smallerByOldFeatures is for a change to a smaller plan that rests on features which could
// not be read again.
func (pl *planner) smallerByOldFeatures(cl demand, h *reconcile.Hosting) string {
	return fmt.Sprintf("%s is for the smaller plan %s by the features of its product, which could not be read again: hosting %d keeps plan %s until they are",
		cl.lead.Subscription, pl.planRef(cl.plan.ID), h.ID, pl.planRef(h.Plan))
}

// unreadFeatures goes on about items without a mapping of whose products the features cannot
// be read; "": they can.
func (c *Catalog) unreadFeatures(items []reconcile.Item) string {
	for i := range items {
		if f := c.features[items[i].Product]; f.Unread != "" && c.featuresUnknown(&items[i]) {
			return fmt.Sprintf(". The features of product %s, by which it may be mapped, cannot be read (%s)", f.Product, reconcile.Truncate(f.Unread))
		}
	}
	return ""
}

// SplitCommand gives a guest an org of its own.
func SplitCommand(customer string) string {
	return "stripe-enhance customers split " + customer + " --reason 'it has an organisation of its own'"
}

// MergeCommand makes a customer a guest in the org of another one.
func MergeCommand(customer, into string) string {
	return "stripe-enhance customers merge " + customer + " " + into + " --reason 'they share an organisation'"
}

func customerNotKnown(id string) string {
	return fmt.Sprintf("the database has no customer %s; a full run reads all of them: stripe-enhance reconcile --full", id)
}

func sameCustomer(c *reconcile.Customer) string {
	return fmt.Sprintf("%s is one customer: name the one whose organisation it is to be as well", c.ID)
}

func hasNoOrgYet(into *reconcile.Customer) string {
	return fmt.Sprintf("customer %s has no organisation at Enhance yet: the first run after its order makes one, or binds the one that is there: `stripe-enhance reconcile --full`, and repeat this", into.ID)
}

func orgOfIsDeleted(into *reconcile.Customer) string {
	return fmt.Sprintf("org %s of %s was deleted in the panel: restore it there first", into.Org.ID, into.ID)
}

func orgOfIsSuspended(into *reconcile.Customer) string {
	return fmt.Sprintf("org %s of %s is suspended in the panel, and nothing can be made in it: lift that there first", into.Org.ID, into.ID)
}

// hasGuests is for a customer whose org others use, which has to stay theirs.
func hasGuests(c *reconcile.Customer, guests []string, into *reconcile.Customer) string {
	return fmt.Sprintf("org %s of %s is also that of %s, and would be left without its first customer: give them another one before this, with `%s` or `%s`",
		c.Org.ID, c.ID, strings.Join(guests, ", "), MergeCommand(guests[0], into.ID), SplitCommand(guests[0]))
}

func hasNoOrg(c *reconcile.Customer) string {
	return fmt.Sprintf("customer %s has no organisation at Enhance that it could be split from", c.ID)
}

func isNoGuest(c *reconcile.Customer, guests []string) string {
	text := fmt.Sprintf("org %s is that of %s itself, and not another customer's", c.Org.ID, c.ID)
	if len(guests) == 0 {
		return text + ": it shares it with no other one"
	}
	return fmt.Sprintf("%s: its guests are %s. To split one of them: `%s`", text, strings.Join(guests, ", "), SplitCommand(guests[0]))
}

// namesApart is for metadata that names an org which a person has declared to be another's.
func (pl *planner) namesApart(s *assessed, o *reconcile.ApartOrg) string {
	return fmt.Sprintf("the metadata of %s names org %s, and at %s the customer was split from it by %s. Take it out of the metadata: `%s`; or, if it is the right one: `%s`",
		s.ID, o.Org, reconcile.FormatTime(o.At), o.Why, MetadataCommand(s.ID, "enhance_org_id", ""), "stripe-enhance customers merge "+pl.c.ID+" CUSTOMER")
}

// inApartOrg is for a hosting in an org from which its customer was split.
func inApartOrg(w *reconcile.Instruction, h *reconcile.Hosting, o *reconcile.ApartOrg) string {
	return fmt.Sprintf("hosting %d is in org %s, and the customer of %s was split from it by %s: add --other-org if it is to serve it there; what is new is still made in another org",
		h.ID, h.Org, w.Subscription, o.Why)
}

const (
	siteWasThere = "it is not certain that the website is of our making, and empty"
	noAppEmail   = "the customer has no e-mail at Stripe, which the application needs for its administrator"
)

func orderedApp(app *reconcile.SiteApp) string {
	return fmt.Sprintf("the mapping asks for %s on a new website, and %s was made at %s", app.App, app.Domain, reconcile.FormatTime(app.MadeAt))
}

// appWaits is for an application that is not installed.
func appWaits(s *assessed, h *reconcile.Hosting, mapped target, problem string) string {
	return fmt.Sprintf("%s is not installed on the website %s of %s: %s. The hosting and the website are up; install it in the panel, or take it out of the mapping with `%s --app none`",
		h.App.App, h.App.Domain, s.ID, problem, MapCommand(mapped.billing, reconcile.FormatID(int64(mapped.plan.ID))))
}

func siteHasDatabases(app *reconcile.SiteApp) string {
	return fmt.Sprintf("the website has no application, and databases (%d), so something is on it", app.Databases)
}

func siteIsOld(app *reconcile.SiteApp) string {
	text := fmt.Sprintf("it was made at %s, more than %s ago, and may have content by now", reconcile.FormatTime(app.MadeAt), reconcile.FormatDuration(appWithin))
	if app.Refused != "" {
		text += "; the panel refused before: " + app.Refused
	}
	return text
}

func appRefused(app *reconcile.SiteApp) string {
	return fmt.Sprintf("the panel refuses (%s), and is asked again after %s", app.Refused, reconcile.FormatTime(app.RefusedAt.Add(recheckAfter)))
}

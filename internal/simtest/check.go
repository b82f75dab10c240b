package simtest

import (
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// Invariant is the name of a promise.
type Invariant string

// The promises. The map promises has the sentence of each.
const (
	PaidStaysUp       Invariant = "a paid hosting stays up"
	BoughtPlan        Invariant = "a plan is one that was bought"
	OneHosting        Invariant = "one hosting for each unit"
	OneOrg            Invariant = "one org for each customer"
	OwnOwner          Invariant = "an org is its owner's"
	KeepContent       Invariant = "a hosting in use is kept"
	NothingForced     Invariant = "nothing forced"
	StaffStands       Invariant = "staff's changes stand"
	OursOnly          Invariant = "only ours is changed"
	HoldsHold         Invariant = "manual holds are respected"
	BadEvidence       Invariant = "bad evidence takes nothing"
	BrakeHolds        Invariant = "the brake holds"
	HeldWaits         Invariant = "a held plan waits for its approval"
	ModeHolds         Invariant = "the mode holds"
	DryIsDry          Invariant = "a dry run changes nothing"
	LastResort        Invariant = "deletion is the last resort"
	NoPanic           Invariant = "no panic"
	Converges         Invariant = "every paid unit gets its hosting"
	Quiet             Invariant = "then nothing more is done"
	DownIsReported    Invariant = "no customer is down without a hold"
	TwinsReported     Invariant = "two installations report each other and stop"
	AsksFirst         Invariant = "nothing is made beside a hosting that may serve the order"
	Foretold          Invariant = "a run does what the dry run shows"
	InstructionStands Invariant = "a person's instruction stands"
	StatementStands   Invariant = "a person's statement about an org stands"
	OneMail           Invariant = "one mail about each matter"
	OneTrial          Invariant = "one trial for each customer"
	UpgradePaid       Invariant = "an upgrade is paid"
	MailHolds         Invariant = "a mail is true and allowed"
	AppOnNothing      Invariant = "an application is put on nothing"
)

var promises = map[Invariant]string{
	PaidStaysUp:       "No hosting is suspended or deleted while a subscription that it serves entitles to it, unless that changed in the last minute.",
	BoughtPlan:        "The plan of a hosting only becomes one that a subscription pays for which the hosting serves.",
	OneHosting:        "No two hostings that exist carry one marker, and no subscription gets more hostings than it has units; a hosting that staff deleted is not made again.",
	OneOrg:            "No customer gets two orgs.",
	OwnOwner:          "Only the address of the Stripe customer that an org was made for is invited as its owner, and a customer only gets hosting in another's org if it has the owner's address.",
	KeepContent:       "If a customer pays for fewer units, no hosting with websites is suspended or deleted while an empty one of the same Stripe customer stays.",
	NothingForced:     "Nothing is forced, no org is deleted or suspended, no idempotency key is sent, and our clients send only the writes that they document.",
	StaffStands:       "A suspension by staff is never lifted, and a hosting that staff deleted is never restored.",
	OursOnly:          "Hostings and orgs that others made are not changed; a hosting is only added to an org whose owner is the customer.",
	HoldsHold:         "A manual hold is respected.",
	BadEvidence:       "While a clock is wrong nothing is taken away, and with another company's key nothing is done at all.",
	BrakeHolds:        "Not more of one kind is done in a run, and in a day, than the brake allows or a person approved.",
	HeldWaits:         "A change in a held plan is never made without an approval of a version of the plan that shows it, and one plan of a kind waits at a time.",
	ModeHolds:         "Mode observe changes nothing, mode provision takes nothing away.",
	DryIsDry:          "A dry run changes nothing at Stripe or Enhance.",
	LastResort:        "A hosting is deleted only where retention is on, for an ended subscription, after a suspension of ours that is as old as the retention period.",
	NoPanic:           "No customer makes the program panic.",
	Converges:         "Some time after the faults have stopped, every paid unit has its hosting on its plan, and nothing else of ours is up.",
	DownIsReported:    "If a customer pays and its hosting is suspended, then the hosting is up in the end, also if the database was lost or put back, or a hold gives the reason.",
	TwinsReported:     "If two installations have made something twice, each of them reports it, and neither creates anything more until it is gone.",
	AsksFirst:         "Nothing is made for an order while staff's hosting for the same customer is unbound, nor for an order without a hosting on a panel that was in use before, until a person decides that the order is new.",
	Foretold:          "If nothing disturbs it, a run makes the changes that the dry run right before it shows, and no others.",
	InstructionStands: "A hosting that a person has unbound is not changed, and nothing is made in its place, until a person decides what serves the subscription.",
	StatementStands:   "A customer that a person has merged gets new hostings in that org alone, and one that was split gets none in the org that it left.",
	OneMail:           "The mail server takes no two mails about one matter, whatever died or was lost, unless the database was put back.",
	MailHolds:         "No customer is warned of a suspension without being past_due, no mail is sent in mode observe or by a dry run, and no warning in mode provision.",
	OneTrial:          "With TRIALS=one nothing is made for a second trial, unless a person decides that the order is new.",
	UpgradePaid:       "With UNPAID_UPGRADE=hold no hosting comes to a larger plan while its subscription is past_due.",
	AppOnNothing:      "An application is only installed on a website that we have made, on which there is no application and no database.",
	Quiet:             "One more full run then changes nothing.",
}

// checkNew checks the effects since its last call. The process p caused them (nil: they
// took effect later by themselves); its call left at sent.
func (y *play) checkNew(p *process, sent time.Time) {
	if v := y.world.Violations(); len(v) > y.violent {
		y.violent = len(v)
		if last := v[len(v)-1]; last.Kind != "foreign-resume" { // see staffStands
			y.violated(NothingForced, "%s: %s", last.Kind, last.Call)
		}
	}
	all := y.world.Effects()
	for ; y.seen < len(all); y.seen++ {
		e := all[y.seen]
		y.logf("  EFFECT %s %s hosting %d org %s %s → %s late %v staff %v", e.Side, e.Kind, e.Hosting, e.Org, state(e.Before), state(e.After), e.Late, e.Staff)
		if !e.Staff {
			y.staffStands(e, sent)
		}
		y.record(p, e)
		y.madeBy(p, e)
		y.touch(e)
		if !e.Staff {
			y.checkEffect(p, e, sent)
		}
	}
}

// record keeps the facts that later checks need.
func (y *play) record(p *process, e simulator.Effect) {
	if e.Hosting != 0 && (e.Staff || p != nil && p.number == second) {
		y.others[e.Hosting] = e.At
	}
	o := y.origin[e.Hosting]
	if e.Staff {
		y.emptied[e.Org] = y.emptied[e.Org] || e.Kind == "delete_subscription" || e.Kind == "rename_subscription"
	}
	switch e.Kind {
	case "create_subscription":
		o = origin{staff: e.Staff, made: e.At, late: e.Late, subscription: e.Subscription, org: e.Org}
	case "delete_subscription":
		if e.Staff {
			o.gone = e.At
		}
	case "suspend":
		o.suspended, o.byStaff = e.At, time.Time{}
		if e.Staff {
			o.suspended, o.byStaff = time.Time{}, e.At
		}
	case "create_org":
		if e.Staff {
			y.orgs[e.Org] = "" // the program made it for no customer
		}
		return
	}
	if e.Hosting != 0 {
		y.origin[e.Hosting] = o
	}
	if y.suspension.at.IsZero() && !e.Staff && reconcile.SuspensionMarked(e.After.Name, y.Company.Policy.Instance) {
		y.suspension = firstSuspension{hosting: e.Hosting, at: e.At}
	}
}

// staffStands lets only a suspension by staff be lifted that the program could
// not know of, or not tell from its first one of all, because they came in one moment.
func (y *play) staffStands(e simulator.Effect, sent time.Time) {
	at := y.origin[e.Hosting].byStaff
	if first := y.suspension; e.Hosting == first.hosting && at.Sub(first.at).Abs() < tolerance {
		return
	}
	if e.Kind == "resume" && e.Before.SuspendedBy != y.world.OrgID() && sent.Sub(at) > tolerance && !e.Late {
		y.violated(StaffStands, "hosting %d was suspended by staff at %s and is resumed", e.Hosting, at)
	}
}

// checkEffect holds one thing that the program did against the promises.
func (y *play) checkEffect(p *process, e simulator.Effect, sent time.Time) {
	y.acting = p
	y.circumstances(p, e)
	y.instructionStands(p, e, sent)
	switch e.Kind {
	case "create_org":
		y.oneOrg(p, e)
	case "create_subscription":
		y.oneHosting(p, e)
		y.oneTrial(e, sent)
		y.beside(p, e)
	case "suspend", "delete_subscription", "change_plan", "resume", "rename_subscription", "undelete_subscription":
		if o := y.origin[e.Hosting]; o.staff {
			y.violated(OursOnly, "%s of hosting %d, which staff made", e.Kind, e.Hosting)
			return
		}
		// A name that comes late was right when it was sent.
		if e.Kind == "rename_subscription" && (e.Late || marks(e, y.Company.Policy.Instance) || y.followsPlan(e) || y.showsBinding(e)) {
			return
		}
		if e.Kind == "undelete_subscription" || e.Kind == "rename_subscription" {
			y.violated(NothingForced, "%s of hosting %d", e.Kind, e.Hosting)
		}
		if !e.Late {
			y.justify(e, sent)
			y.upgradePaid(e, sent)
		}
	case "install_app":
		y.ontoNothing(e)
	case "suspend_org", "resume_org", "delete_org":
		y.violated(NothingForced, "%s of %s", e.Kind, e.Org)
	case "rename_org", "invite_owner", "add_member", "set_owner":
		if customer, ok := y.orgs[e.Org]; ok && customer == "" {
			y.violated(OursOnly, "%s of org %s, which staff made", e.Kind, e.Org)
		}
		if e.Kind != "rename_org" {
			y.onlyItsOwner(e)
		}
	}
	y.brakes(p, e)
	y.heldWaits(p, e)
}

// takes reports whether an effect takes something away.
func (y *play) takes(e simulator.Effect) bool {
	return e.Kind == "suspend" || e.Kind == "delete_subscription" || e.Kind == "change_plan" && e.After.Plan < e.Before.Plan // the offer grows with the id
}

// circumstances checks the rules that hold for every effect: the mode, a dry run, a
// wrong key, a wrong clock, and the holds that a person set.
func (y *play) circumstances(p *process, e simulator.Effect) {
	mode := y.Company.Policy.Mode
	if mode == reconcile.Observe || mode == reconcile.Provision && y.takes(e) {
		y.violated(ModeHolds, "%s in mode %s", e.Kind, mode)
	}
	if p != nil {
		y.trustworthy(p, e)
	}
	y.manualHolds(e)
}

// trustworthy checks that a process which could not trust its evidence, or only
// rehearsed, did not do this.
func (y *play) trustworthy(p *process, e simulator.Effect) {
	if p.dry {
		y.violated(DryIsDry, "%s in a dry run", e.Kind)
	}
	if p.foreign {
		y.violated(BadEvidence, "%s with another company's key", e.Kind)
	}
	if skew := y.skew[p.number]; !e.Late && skew.Abs() > 2*time.Minute && y.takes(e) {
		y.violated(BadEvidence, "%s of hosting %d with a clock that is off by %s", e.Kind, e.Hosting, skew)
	}
}

// manualHolds checks that no manual hold forbids this effect on a hosting.
func (y *play) manualHolds(e simulator.Effect) {
	b := y.bill(y.origin[e.Hosting].subscription)
	if e.Hosting == 0 || b == nil || e.Late {
		return
	}
	for _, h := range y.manual {
		if h.covers(b, e) && y.forbids(h.kind, e) {
			y.violated(HoldsHold, "%s of hosting %d (%s) under a hold %q", e.Kind, e.Hosting, b.id, h.kind)
		}
	}
}

// covers reports whether a manual hold was in force for the subscription of a hosting
// when an effect happened.
func (h manual) covers(b *bill, e simulator.Effect) bool {
	if h.customer != b.customer || e.At.Before(h.since.Add(tolerance)) {
		return false
	}
	// If another subscription took a hosting over, only its marker links it to this one.
	unmarked := b.entitlement == ended && !bears(e.After.Name)
	return h.subscription == "" || h.subscription == b.id && !unmarked
}

// forbids reports whether a kind of manual hold forbids an effect.
func (y *play) forbids(kind reconcile.ManualKind, e simulator.Effect) bool {
	switch kind {
	case reconcile.Ignore:
		return true
	case reconcile.NoSuspend:
		return y.takes(e)
	case reconcile.KeepSuspended:
		return e.Kind == "resume"
	default:
		return false
	}
}

// justify looks for an instant, among those on which the program may have acted, that
// justifies an effect on a hosting.
func (y *play) justify(e simulator.Effect, sent time.Time) {
	if e.Kind == "resume" {
		return // it gives
	}
	sub := y.origin[e.Hosting].subscription
	which, why := PaidStaysUp, ""
	for _, s := range y.since(sent.Add(-tolerance)) {
		b := s.bills[sub]
		switch {
		case b == nil:
			why = "no subscription paid for it"
		case e.Kind == "change_plan":
			which, why = BoughtPlan, y.bought(e, s, b)
		default:
			why = y.needed(e, s, b)
		}
		if why == "" {
			break
		}
	}
	if which == BoughtPlan && why != "" && y.boughtOfLate(e, sent, sub) {
		why = ""
	}
	if why != "" {
		y.violated(which, "%s of hosting %d (%s): %s", e.Kind, e.Hosting, sub, why)
	}
	if e.Kind == "delete_subscription" {
		y.lastResort(e)
	}
	if e.Kind == "suspend" || e.Kind == "delete_subscription" {
		y.keepsContent(e, sent)
	}
}

// boughtOfLate reports whether the program could believe that a plan was bought. If the
// operator has just changed a mapping, or a subscription has just ended, the two facts may
// never have been true at one instant. A larger plan may rest on readings of the run that
// are some minutes old.
func (y *play) boughtOfLate(e simulator.Effect, sent time.Time, sub string) bool {
	back := tolerance
	if e.After.Plan > e.Before.Plan { // the offer rises with its numbers: this gives
		back = window
	}
	wasUp, led := map[string]bool{}, map[string]bool{}
	for _, s := range y.since(sent.Add(-back)) {
		for id, other := range s.bills {
			if s.bills[sub].servedBy(other) {
				wasUp[id] = wasUp[id] || other.entitlement == up || other.entitlement == either
				led[id] = led[id] || slices.Contains(other.plans, e.After.Plan)
			}
		}
	}
	for id := range wasUp {
		if wasUp[id] && led[id] {
			return true
		}
	}
	return false
}

// servedBy reports whether the hosting that was made for a bill may serve another one: the
// bill itself or, if it has ended, any bill of the same customer.
func (b *bill) servedBy(other *bill) bool {
	return b != nil && (other == b || b.entitlement == ended && other.customer == b.customer)
}

func (y *play) bought(e simulator.Effect, s shot, b *bill) string {
	for _, other := range s.bills {
		if (other.entitlement == up || other.entitlement == either) && slices.Contains(other.plans, e.After.Plan) && b.servedBy(other) {
			return ""
		}
	}
	return "no subscription that it serves pays for that plan"
}

// needed returns why a hosting may not be taken away at one instant. "": it may.
func (y *play) needed(e simulator.Effect, s shot, b *bill) string {
	switch b.entitlement {
	case keep:
		return "the status is " + b.status
	case up:
		return y.neededByEntitled(e, s, b)
	case ended:
		if y.takenOver(e.Hosting, s, b) {
			return ""
		}
		units := 0
		for _, o := range s.bills {
			if o.customer == b.customer && o.entitlement == up && y.knows(o.id) && y.bill(o.id).entitlement == up && !o.perhapsTrial && !y.waitsForPerson(o.id) {
				units += min(o.units, y.bill(o.id).units)
			}
		}
		if others := y.serving(e.Hosting, s, func(_ origin, o *bill) bool { return o.customer == b.customer }); others < units {
			return "it has ended, but the customer is back and has no other"
		}
	}
	return ""
}

// neededByEntitled is needed for a hosting whose subscription is entitled.
func (y *play) neededByEntitled(e simulator.Effect, s shot, b *bill) string {
	if !b.mapped && b.none < b.items {
		return "it is " + b.status + " and nothing of it is mapped"
	}
	if others := y.serving(e.Hosting, s, func(_ origin, o *bill) bool { return o == b }); !b.mapped && others < b.turned {
		return "it is " + b.status + ", and a person decides about what is no hosting any more"
	}
	if others := y.serving(e.Hosting, s, func(_ origin, o *bill) bool { return o == b || o.customer == b.customer && o.entitlement == ended }); others < b.units {
		return "it is " + b.status + " and its units have no other"
	}
	return ""
}

// takenOver reports whether the hosting of an ended subscription may now serve one that
// must be suspended. That is so if the other subscription has fewer hostings of its own
// than units, and was entitled after this one had ended. Of those, the ones that we suspended
// meanwhile do not count: this one serves in their place. It keeps what it took over if its
// price has lost the mapping since.
func (y *play) takenOver(hosting int, s shot, b *bill) bool {
	for _, o := range s.bills {
		units := o.units
		if y.soldIn[o.id] {
			units = max(units, y.most[o.id])
		}
		replaced := y.serving(hosting, s, func(h origin, x *bill) bool { return x == o && !h.suspended.IsZero() && h.suspended.Before(y.up[o.id]) })
		if o.customer == b.customer && (o.entitlement == down || o.entitlement == either) && y.hasSeen(o.id) && y.up[o.id].After(b.ended) &&
			y.serving(hosting, s, func(_ origin, x *bill) bool { return x == o })-replaced < units {
			return true
		}
	}
	return false
}

// serving counts the hostings, but for one, that exist and serve such a bill.
func (y *play) serving(but int, s shot, such func(origin, *bill) bool) int {
	n := 0
	for _, h := range y.world.Hostings() {
		o := y.origin[h.ID]
		if b := s.bills[o.subscription]; h.ID != but && h.Status != "deleted" && b != nil && such(o, b) {
			n++
		}
	}
	return n
}

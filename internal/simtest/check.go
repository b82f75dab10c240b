package simtest

import (
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// Invariant is the name of a promise.
type Invariant string

// The promises. What each says is in promises.
const (
	PaidStaysUp   Invariant = "what is paid for stays up"
	BoughtPlan    Invariant = "a plan is one that was bought"
	OneHosting    Invariant = "one hosting for each unit"
	OneOrg        Invariant = "one org for each customer"
	OwnOwner      Invariant = "an org is its owner's"
	KeepContent   Invariant = "what is in use is kept"
	NothingForced Invariant = "nothing forced"
	StaffStands   Invariant = "what staff did stands"
	OursOnly      Invariant = "only what is ours is touched"
	HoldsHold     Invariant = "holds hold"
	BadEvidence   Invariant = "bad evidence takes nothing"
	BrakeHolds    Invariant = "the brake holds"
	HeldWaits     Invariant = "what is held waits for its approval"
	ModeHolds     Invariant = "the mode holds"
	DryIsDry      Invariant = "a dry run changes nothing"
	LastResort    Invariant = "deletion is the last resort"
	NoPanic       Invariant = "no panic"
	Converges     Invariant = "what is wanted comes to be"
	Quiet         Invariant = "then nothing more is done"
	DownIsTold    Invariant = "nobody is down in silence"
	TwinsTold     Invariant = "two installations are told and stop"
	AsksFirst     Invariant = "nothing is made beside what may be it"
	Foretold      Invariant = "the plan is what is done"
	WordStands    Invariant = "a person's word stands"
)

var promises = map[Invariant]string{
	PaidStaysUp:   "No hosting is suspended or deleted while a subscription that it serves entitles to it, but for what changed in the last minute.",
	BoughtPlan:    "The plan of a hosting is only changed to one that a subscription which it serves pays for.",
	OneHosting:    "No two hostings that exist carry one marker, and no subscription gets more hostings than it has units; what staff deleted is not made again.",
	OneOrg:        "No customer gets two orgs.",
	OwnOwner:      "Only the address of the Stripe customer for whom an org was made is invited as its owner, and only who has the owner's address gets hosting in the org of another.",
	KeepContent:   "No hosting with websites is suspended or deleted for want of a unit while an empty one of the same Stripe customer stays.",
	NothingForced: "Nothing is forced, no org is deleted or suspended, no idempotency key is sent, and nothing is written that no client of ours writes.",
	StaffStands:   "A suspension by staff is never lifted, and what staff deleted is never restored.",
	OursOnly:      "Hostings and orgs that others made are not changed; a hosting is only added to an org whose owner is the customer.",
	HoldsHold:     "What a person said not to do is not done.",
	BadEvidence:   "While a clock is wrong nothing is taken away, and with another company's key nothing is done at all.",
	BrakeHolds:    "Not more of one kind is done in a run, and in a day, than the brake allows or somebody approved.",
	HeldWaits:     "What a plan showed as held is never done without an approval of a version of the plan that showed it, and one plan of a kind waits at a time.",
	ModeHolds:     "Mode observe changes nothing, mode provision takes nothing away.",
	DryIsDry:      "A dry run changes nothing at Stripe or Enhance.",
	LastResort:    "A hosting is deleted only where retention is on, for an ended subscription, after a suspension of ours that is as old as the retention period.",
	NoPanic:       "No customer makes the program panic.",
	Converges:     "Some time after the faults have stopped, every paid unit has its hosting on its plan, and nothing else of ours is up.",
	DownIsTold:    "Who pays and has a hosting that is suspended is up in the end, also when the database was lost or put back, or a hold says why not.",
	TwinsTold:     "What two installations have made twice is told by each of them, and neither creates anything more until it is gone.",
	AsksFirst:     "Nothing is made for an order while staff's hosting for the same customer is bound to nobody, nor on a panel that was in use before, until a person has said that it is new.",
	Foretold:      "When nothing disturbs it, a run does what the plan right before it shows, and nothing else.",
	WordStands:    "What a person has unbound is not touched, and nothing is made in its place, until a person says what serves the subscription.",
	Quiet:         "One more full run then changes nothing.",
}

// look judges what was done since it last looked. p did it (nil: time did); sent
// is when the call left.
func (y *play) look(p *process, sent time.Time) {
	if v := y.world.Violations(); len(v) > y.violent {
		y.violent = len(v)
		if last := v[len(v)-1]; last.Kind != "foreign-resume" { // see staffStands
			y.violated(NothingForced, "%s: %s", last.Kind, last.Call)
		}
	}
	all := y.world.Effects()
	for ; y.seen < len(all); y.seen++ {
		e := all[y.seen]
		y.tell("  EFFECT %s %s hosting %d org %s %s → %s late %v staff %v", e.Side, e.Kind, e.Hosting, e.Org, state(e.Before), state(e.After), e.Late, e.Staff)
		if !e.Staff {
			y.staffStands(e, sent)
		}
		y.note(p, e)
		y.madeBy(p, e)
		y.touch(e)
		if !e.Staff {
			y.judgeEffect(p, e, sent)
		}
	}
}

func state(s simulator.State) string {
	text := s.Name + " " + s.Status
	if s.SuspendedBy != "" {
		text += " suspended"
	}
	return text
}

// note keeps what later judgements need.
func (y *play) note(p *process, e simulator.Effect) {
	if e.Hosting != 0 && (e.Staff || p != nil && p.number == second) {
		y.others[e.Hosting] = e.At
	}
	o := y.origin[e.Hosting]
	if e.Staff {
		y.emptied[e.Org] = y.emptied[e.Org] || e.Kind == "delete_subscription" || e.Kind == "rename_subscription"
	}
	switch e.Kind {
	case "create_subscription":
		o = origin{staff: e.Staff, made: e.At, subscription: e.Subscription, org: e.Org}
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
			y.orgs[e.Org] = "" // nobody's, as far as we go
		}
		return
	}
	if e.Hosting != 0 {
		y.origin[e.Hosting] = o
	}
}

// staffStands lets only a suspension by staff be lifted that the program could
// not know of.
func (y *play) staffStands(e simulator.Effect, sent time.Time) {
	if at := y.origin[e.Hosting].byStaff; e.Kind == "resume" && e.Before.SuspendedBy != y.world.OrgID() && sent.Sub(at) > tolerance && !e.Late {
		y.violated(StaffStands, "hosting %d was suspended by staff at %s and is resumed", e.Hosting, at)
	}
}

// judgeEffect holds one thing that the program did against the promises.
func (y *play) judgeEffect(p *process, e simulator.Effect, sent time.Time) {
	y.circumstances(p, e)
	y.wordStands(p, e, sent)
	switch e.Kind {
	case "create_org":
		y.oneOrg(p, e)
	case "create_subscription":
		y.oneHosting(p, e)
		y.beside(p, e)
	case "suspend", "delete_subscription", "change_plan", "resume", "rename_subscription", "undelete_subscription":
		if o := y.origin[e.Hosting]; o.staff {
			y.violated(OursOnly, "%s of hosting %d, which staff made", e.Kind, e.Hosting)
			return
		}
		if e.Kind == "rename_subscription" && (marks(e, y.Company.Policy.Instance) || y.followsPlan(e)) {
			return
		}
		if e.Kind == "undelete_subscription" || e.Kind == "rename_subscription" {
			y.violated(NothingForced, "%s of hosting %d", e.Kind, e.Hosting)
		}
		if !e.Late {
			y.justify(e, sent)
		}
	case "suspend_org", "resume_org", "delete_org":
		y.violated(NothingForced, "%s of %s", e.Kind, e.Org)
	case "rename_org", "invite_owner", "add_member", "set_owner":
		if party, ok := y.orgs[e.Org]; ok && party == "" {
			y.violated(OursOnly, "%s of org %s, which staff made", e.Kind, e.Org)
		}
		if e.Kind != "rename_org" {
			y.onlyItsOwner(e)
		}
	}
	y.brakes(p, e)
	y.heldWaits(p, e)
}

// marks tells that a name got the mark of our suspension, or lost it, and is otherwise
// what it was. The suspension, or its end, is in the same call.
func marks(e simulator.Effect, word string) bool {
	before, after := e.Before.Name, e.After.Name
	return after == reconcile.SuspendedName(before, word) || after == reconcile.ResumedName(before, word)
}

// takes tells effects that take something away.
func (y *play) takes(e simulator.Effect) bool {
	return e.Kind == "suspend" || e.Kind == "delete_subscription" || e.Kind == "change_plan" && e.After.Plan < e.Before.Plan // the offer grows with the id
}

// circumstances are what holds whatever the effect is: the mode, the hold of a
// person, a dry run, a key or a clock that is wrong.
func (y *play) circumstances(p *process, e simulator.Effect) {
	mode := y.Company.Policy.Mode
	if mode == reconcile.Observe || mode == reconcile.Provision && y.takes(e) {
		y.violated(ModeHolds, "%s in mode %s", e.Kind, mode)
	}
	if p != nil && p.dry {
		y.violated(DryIsDry, "%s in a dry run", e.Kind)
	}
	if p != nil && p.foreign {
		y.violated(BadEvidence, "%s with another company's key", e.Kind)
	}
	if p != nil && !e.Late && y.skew[p.number].Abs() > 2*time.Minute && y.takes(e) {
		y.violated(BadEvidence, "%s of hosting %d with a clock that is off by %s", e.Kind, e.Hosting, y.skew[p.number])
	}
	b := y.bill(y.origin[e.Hosting].subscription)
	if e.Hosting == 0 || b == nil || e.Late {
		return
	}
	for _, h := range y.manual {
		// What was taken over by another subscription is known by its marker alone.
		unmarked := h.subscription != "" && b.stance == ended && !bears(e.After.Name)
		if h.party != b.party || h.subscription != "" && h.subscription != b.id || e.At.Before(h.since.Add(tolerance)) || unmarked {
			continue
		}
		if h.kind == reconcile.Ignore || h.kind == reconcile.NoSuspend && y.takes(e) || h.kind == reconcile.KeepSuspended && e.Kind == "resume" {
			y.violated(HoldsHold, "%s of hosting %d (%s) under a hold %q", e.Kind, e.Hosting, b.id, h.kind)
		}
	}
}

// justify looks for an instant in what the program may have acted on that
// justifies what it did to a hosting.
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
			why = "nobody paid for it"
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

// boughtOfLate tells that a plan was bought as far as the program could know: a
// mapping that the operator has just changed, and a subscription that has just
// ended, may never have been true at one instant. A larger plan is given by what
// the run has read, which may be some minutes old by the time.
func (y *play) boughtOfLate(e simulator.Effect, sent time.Time, sub string) bool {
	back := tolerance
	if e.After.Plan > e.Before.Plan { // the offer rises with its numbers: this gives
		back = window
	}
	wasUp, led := map[string]bool{}, map[string]bool{}
	for _, s := range y.since(sent.Add(-back)) {
		for id, other := range s.bills {
			if s.bills[sub].servedBy(other) {
				wasUp[id] = wasUp[id] || other.stance == up || other.stance == either
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

// servedBy tells that the hosting which was made for a bill may serve another one:
// the bill itself, or, once it has ended, any of the same customer.
func (b *bill) servedBy(other *bill) bool {
	return b != nil && (other == b || b.stance == ended && other.party == b.party)
}

func (y *play) bought(e simulator.Effect, s shot, b *bill) string {
	for _, other := range s.bills {
		if (other.stance == up || other.stance == either) && slices.Contains(other.plans, e.After.Plan) && b.servedBy(other) {
			return ""
		}
	}
	return "nobody whom it serves pays for that plan"
}

// needed says why a hosting may not be taken away as things stood; "" when it may.
func (y *play) needed(e simulator.Effect, s shot, b *bill) string {
	switch b.stance {
	case keep:
		return "the status is " + b.status
	case up:
		if !b.mapped && (b.none < b.items || b.turned) {
			return "it is " + b.status + " and nothing of it is mapped"
		}
		if others := y.serving(e.Hosting, s, func(o *bill) bool { return o == b || o.party == b.party && o.stance == ended }); others < b.units {
			return "it is " + b.status + " and its units have no other"
		}
	case ended:
		if y.takenOver(e.Hosting, s, b) {
			return ""
		}
		units := 0
		for _, o := range s.bills {
			if o.party == b.party && o.stance == up && y.known[o.id] && y.bill(o.id).stance == up {
				units += min(o.units, y.bill(o.id).units)
			}
		}
		if others := y.serving(e.Hosting, s, func(o *bill) bool { return o.party == b.party }); others < units {
			return "it has ended, but the customer is back and has no other"
		}
	}
	return ""
}

// takenOver tells that the hosting of an ended subscription may serve one by now
// that is to be suspended: one which has fewer of its own than it has units, and was
// up after the other had ended.
func (y *play) takenOver(hosting int, s shot, b *bill) bool {
	for _, o := range s.bills {
		if o.party == b.party && (o.stance == down || o.stance == either) && y.known[o.id] && y.up[o.id].After(b.ended) && y.serving(hosting, s, func(x *bill) bool { return x == o }) < o.units {
			return true
		}
	}
	return false
}

// serving counts the hostings, but for one, that exist and serve such a bill.
func (y *play) serving(but int, s shot, such func(*bill) bool) int {
	n := 0
	for _, h := range y.world.Hostings() {
		o := y.origin[h.ID]
		if b := s.bills[o.subscription]; h.ID != but && h.Status != "deleted" && b != nil && such(b) {
			n++
		}
	}
	return n
}

package reconcile

import (
	"strconv"
	"time"
)

// Kind is the kind of one change. The order of the constants is the order in
// which a customer's actions are applied: what gives service comes before what
// takes it away, and a hosting is resumed before its plan is changed.
type Kind uint8

const (
	// Link records a binding in our own database; nothing is sent to Enhance.
	Link Kind = iota + 1
	Resume
	CreateOrg
	// CreateSubscription comes before RenameOrg, because an org without its marker
	// is recognised by the markers of its hostings and by nothing else; the owner
	// is invited to what is there.
	CreateSubscription
	RenameOrg
	InviteOwner
	CreateWebsite
	ChangePlan
	WriteMetadata
	Suspend
	Terminate
)

var kindNames = [...]string{
	Link: "link", Resume: "resume", CreateOrg: "create_org", RenameOrg: "rename_org",
	InviteOwner: "invite_owner", CreateSubscription: "create_subscription",
	CreateWebsite: "create_website", ChangePlan: "change_plan",
	WriteMetadata: "write_metadata", Suspend: "suspend", Terminate: "terminate",
}

// String is the word used in JSON, SQL and logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

// ParseKind is the inverse of String; 0 for anything else.
func ParseKind(word string) Kind {
	for k, name := range kindNames {
		if name == word && name != "" {
			return Kind(k)
		}
	}
	return 0
}

// Kinds lists every kind in order.
func Kinds() []Kind {
	all := make([]Kind, 0, len(kindNames)-1)
	for k := Link; k <= Terminate; k++ {
		all = append(all, k)
	}
	return all
}

// Action is one change, as data.
type Action struct {
	// ID depends on what changes, not on when or why:
	// "suspend:sub_1Nq/1:42", "change_plan:sub_1Nq/1:42:2>3". The same change
	// planned again has the same ID; it is what a held plan lists and what an
	// approval is of.
	ID           string
	Kind         Kind
	Customer     string // Customer.ID
	Subscription string // sub_… it is done for; "" for what concerns the org alone
	Item         string
	Slot         int
	Email        string
	Org          string // "" until the org exists
	Hosting      int64  // 0 until the hosting exists
	Plan         int    // the plan it shall have
	PlanName     string
	FromPlan     int    // ChangePlan: the plan it has
	Name         string // CreateOrg, RenameOrg: the name without marker; ChangePlan: the friendly name that goes with the plan, "": it stays
	Domain       string // CreateWebsite
	How          BindKind
	Reason       string // a sentence for people
	// Words is Customer.Words of what this was decided from: an action from before a
	// person's last word is not sent.
	Words int64
}

// Subject names the thing that an action is done to, and what is done to it. Two actions
// with one subject and different ids are two versions of one change, of which only
// one can be wanted: an order whose plan has changed, an invitation to another address.
func (a Action) Subject() string {
	of := a.Kind.String() + ":" + a.Customer + ":"
	switch a.Kind {
	case ChangePlan, Suspend, Terminate: // for whichever subscription it is
		return of + strconv.FormatInt(a.Hosting, 10)
	case Link, Resume, CreateOrg, CreateSubscription, RenameOrg, InviteOwner, CreateWebsite, WriteMetadata: // the hosting may not exist yet
	}
	return of + a.Subscription + "/" + strconv.Itoa(a.Slot)
}

// HoldKind is why something was withheld. Values are part of the JSON contract.
type HoldKind string

const (
	HoldBrake    HoldKind = "brake"
	HoldGrace    HoldKind = "grace"
	HoldUnmapped HoldKind = "unmapped"
	// HoldNotHosting: a hosting was made for what a person says is no hosting.
	HoldNotHosting        HoldKind = "not_hosting"
	HoldPlanMissing       HoldKind = "plan_missing"
	HoldPlanAmbiguous     HoldKind = "plan_ambiguous"
	HoldAmbiguous         HoldKind = "ambiguous"
	HoldParked            HoldKind = "parked"
	HoldManual            HoldKind = "manual"
	HoldUnknownStatus     HoldKind = "unknown_status"
	HoldForeignSuspension HoldKind = "foreign_suspension"
	// HoldPerhapsOurs: it is suspended with our mark, and the journal does not know.
	HoldPerhapsOurs HoldKind = "perhaps_ours"
	HoldMissing     HoldKind = "missing"
	HoldDeleted     HoldKind = "deleted"
	HoldDuplicate   HoldKind = "duplicate"
	HoldAdopt       HoldKind = "adopt"
	HoldNoEmail     HoldKind = "no_email"
	HoldDowngrade   HoldKind = "downgrade"
	HoldConflict    HoldKind = "conflict"
	HoldQuantity    HoldKind = "quantity"
	HoldMode        HoldKind = "mode"
	HoldEvidence    HoldKind = "evidence"
	HoldDomainTaken HoldKind = "domain_taken"
	// HoldUnreadable: what somebody typed at Stripe means something and cannot be read.
	HoldUnreadable HoldKind = "unreadable"
	HoldRetry      HoldKind = "retry"
	HoldGone       HoldKind = "gone"
	// HoldContent: of several hostings of a customer it is not certain which one goes,
	// because of what is on them.
	HoldContent HoldKind = "content"
)

// Hold is something withheld, with its reason.
type Hold struct {
	Kind         HoldKind
	Customer     string // Customer.ID
	Subscription string
	Email        string // of who has the subscription, else of the customer; "": none is known
	Org          string // of the hosting, else of the customer; "": none is known
	Hosting      int64
	ActionID     string // the action withheld, where there is one
	Reason       string // a sentence for people: what, to whom, what to do
	Until        time.Time
	// Manual is what the person said by whose hold this is withheld; 0: nobody did.
	Manual ManualKind
	// Order tells that Subscription gives hosting that is not there, and that a person
	// has to do something before it is.
	Order bool
}

// Withheld is the hold of an action.
func (a Action) Withheld(kind HoldKind, reason string) Hold {
	return Hold{Kind: kind, Customer: a.Customer, Subscription: a.Subscription, Email: a.Email, Org: a.Org, Hosting: a.Hosting, ActionID: a.ID, Reason: reason}
}

// Settled tells that a person has decided that it is to be so: nothing waits for anybody.
func (h Hold) Settled() bool { return h.Manual == Ignore }

// NeedKind is something the planner wants read before it decides.
type NeedKind uint8

const (
	// NeedHosting: the hosting ID in Org was never read, or too long ago.
	NeedHosting NeedKind = iota + 1
	// NeedOrgHostings: the complete list of the hostings of Org.
	NeedOrgHostings
	// NeedOrg: the org itself.
	NeedOrg
	// NeedDomain: the Checkout Session of Subscription.
	NeedDomain
	// NeedSubscription: Subscription read by id, with its oldest unpaid invoice.
	NeedSubscription
	// NeedSite: where at the panel the Domain that Subscription ordered is.
	NeedSite
	// NeedOwners: the members of Org with the role Owner.
	NeedOwners
	// NeedContent: the websites of Org. The only need that the panel may refuse for
	// good: that is a fact, and makes what is on the hostings of the org unreadable.
	NeedContent
)

// Need is one read that the planner asks for. The engine reads it and plans
// again; a need that cannot be read is an error of the run for that customer,
// never "not there".
type Need struct {
	Kind         NeedKind
	Org          string
	Hosting      int64
	Subscription string
	Domain       string
}

// Decision is what Decide says about one customer.
type Decision struct {
	Actions []Action // in the order in which they are to be applied
	Holds   []Hold
	// Needs, when not empty, makes the rest provisional: read these, plan again.
	Needs []Need
	// Contents are the orgs of which it mattered what is on their hostings. What takes
	// something away rests on that, and it is read again right before.
	Contents []string
	// Ahead is what comes on a day if nothing changes until then, by time.
	Ahead []Ahead
	// Next is when the decision changes by the mere passing of time (grace,
	// retention, a hold that expires). Zero: never.
	Next time.Time
}

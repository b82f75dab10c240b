package reconcile

import (
	"strconv"
	"strings"
	"time"
)

// ActionKind is the kind of one change. The order of the constants is the order in
// which a customer's actions are applied: what gives service comes before what
// takes it away, and a hosting is resumed before its plan is changed.
type ActionKind uint8

const (
	// Link records a binding in our own database; nothing is sent to Enhance.
	Link ActionKind = iota + 1
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
func (k ActionKind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

// ParseActionKind is the inverse of String; 0 for anything else.
func ParseActionKind(word string) ActionKind {
	for k, name := range kindNames {
		if name == word && name != "" {
			return ActionKind(k)
		}
	}
	return 0
}

// ActionKinds lists every kind in order.
func ActionKinds() []ActionKind {
	all := make([]ActionKind, 0, len(kindNames)-1)
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
	Kind         ActionKind
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
	// Instructions is Customer.Instructions of what this was decided from: an action from before a
	// person's last word is not sent.
	Instructions int64
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

// PerhapsOursSuffix ends the id of a resume that a person has to release.
const PerhapsOursSuffix = ":perhaps_ours"

// NeedsConfirmation tells that an action undoes what is perhaps not ours: it waits for a person,
// whatever the number of such.
func (a Action) NeedsConfirmation() bool {
	return a.Kind == Resume && strings.HasSuffix(a.ID, PerhapsOursSuffix)
}

// BrakeOf names the brake of an action: that of its kind, or Resume for one that a person
// has to release.
func BrakeOf(a Action) ActionKind {
	if a.NeedsConfirmation() {
		return Resume
	}
	return BrakeKind(a.Kind)
}

// BrakeWindow is the longer of the two windows.
const BrakeWindow = 24 * time.Hour

// BrakeKind names the brake that an action falls under by the kind it is counted
// as; 0 for actions that no brake ever holds. The whole chain of a new hosting
// (org, name, invitation, website) is held with the creation it belongs to.
func BrakeKind(k ActionKind) ActionKind {
	switch k {
	case CreateOrg, RenameOrg, InviteOwner, CreateSubscription, CreateWebsite:
		return CreateSubscription
	case ChangePlan, Suspend, Terminate:
		return k
	case Link, Resume, WriteMetadata:
		return 0
	}
	return 0
}

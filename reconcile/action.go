package reconcile

import (
	"fmt"
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
	// CreateSubscription comes before RenameOrg, because an org without its marker is
	// recognised by the markers of its hostings and by nothing else; the owner is invited
	// once the hosting is there.
	CreateSubscription
	RenameOrg
	InviteOwner
	CreateWebsite
	ChangePlan
	// MarkHosting writes our marker into the name of a hosting that a person has bound.
	MarkHosting
	WriteMetadata
	// InstallApp comes after everything else that gives, because it is slow and nothing else
	// waits for it.
	InstallApp
	Suspend
	// Backup comes before Terminate: a hosting is deleted once each of its websites has one.
	Backup
	Terminate
	// SendMail is the last, because no mail delays anything else.
	SendMail
)

// actionKinds has a row for each kind. A new kind is a constant above, a row here, a row
// in the engine's effects, and a place in the planner that adds such actions.
var actionKinds = [...]actionKind{
	Link:               {name: "link"},
	Resume:             {name: "resume", gives: true},
	CreateOrg:          {name: "create_org", gives: true, brake: CreateSubscription},
	CreateSubscription: {name: "create_subscription", gives: true, brake: CreateSubscription},
	RenameOrg:          {name: "rename_org", brake: CreateSubscription},
	InviteOwner:        {name: "invite_owner", gives: true, brake: CreateSubscription},
	CreateWebsite:      {name: "create_website", gives: true, brake: CreateSubscription},
	ChangePlan:         {name: "change_plan", brake: ChangePlan, takes: TakesIfSmaller, ofHosting: true},
	MarkHosting:        {name: "mark_hosting"},
	WriteMetadata:      {name: "write_metadata"},
	InstallApp:         {name: "install_app", gives: true, brake: CreateSubscription},
	Suspend:            {name: "suspend", brake: Suspend, takes: TakesAlways, ofHosting: true},
	// Backup takes nothing, but all that keeps a hosting from being deleted keeps it from
	// being saved for that too.
	Backup:    {name: "backup", takes: TakesAlways, ofHosting: true},
	Terminate: {name: "terminate", brake: Terminate, takes: TakesAlways, ofHosting: true},
	SendMail:  {name: "mail", brake: SendMail},
}

// actionKind is the row of one kind.
type actionKind struct {
	name  string // the word in JSON, SQL and logs
	gives bool   // the customer has more after it
	takes Taking // the customer has less after it
	// brake is the kind as which the brake counts it; 0: no brake. The whole chain of a
	// new hosting (org, name, invitation, website) is held with the creation of the hosting.
	brake ActionKind
	// ofHosting means that two actions of the kind on one hosting are two versions of one
	// change, whichever subscription each is for.
	ofHosting bool
}

// Taking is whether a kind of action takes something away from a customer.
type Taking uint8

const (
	TakesNever     Taking = iota
	TakesIfSmaller        // it does if the new plan has less of anything
	TakesAlways
)

// row is the row of a kind; the zero row if the kind is not known.
func (k ActionKind) row() actionKind {
	if int(k) < len(actionKinds) {
		return actionKinds[k]
	}
	return actionKind{}
}

// String is the word used in JSON, SQL and logs; "unknown" if the kind is not known.
func (k ActionKind) String() string {
	if name := k.row().name; name != "" {
		return name
	}
	return "unknown"
}

// Gives reports whether the customer has more after an action of the kind.
func (k ActionKind) Gives() bool { return k.row().gives }

// Takes reports whether the customer has less after an action of the kind. A kind that is
// not known takes always.
func (k ActionKind) Takes() Taking {
	if k.row().name == "" {
		return TakesAlways
	}
	return k.row().takes
}

// Brake is the kind as which the brake counts actions of this kind; 0 if no brake holds
// them.
func (k ActionKind) Brake() ActionKind { return k.row().brake }

// ParseActionKind is the inverse of String; 0 for anything else.
func ParseActionKind(word string) ActionKind {
	for _, k := range ActionKinds() {
		if k.row().name == word {
			return k
		}
	}
	return 0
}

// ActionKinds lists every kind in order.
func ActionKinds() []ActionKind {
	all := make([]ActionKind, 0, len(actionKinds)-1)
	for k := range actionKinds[1:] {
		all = append(all, ActionKind(k+1))
	}
	return all
}

// BrakeKinds lists the kinds as which the brake counts, in order. Resume is one of them for
// actions that need a confirmation.
func BrakeKinds() []ActionKind {
	var all []ActionKind
	for _, k := range ActionKinds() {
		if k == Resume || k.Brake() == k {
			all = append(all, k)
		}
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
	Name         string // CreateOrg, RenameOrg: the name without marker; ChangePlan: the friendly name that goes with the plan, "": it stays; MarkHosting: the friendly name
	Domain       string // CreateWebsite, InstallApp, Backup
	// Site is how CreateWebsite makes it and what InstallApp installs, Onboarding how
	// InviteOwner does. Neither is stored: an action is planned again right before it is done.
	Site       SiteOptions
	Onboarding Onboarding
	// Instead is the address of the invitation that InviteOwner takes back; "": of none. It is
	// not stored either.
	Instead string
	How     BindKind
	Reason  string // a sentence for people
	// Evidence has the facts on which the action rests, if it takes something away and was
	// sent; else nil.
	Evidence *Evidence
	// Mail is the content of SendMail. The journal keeps the keys of its topics and no more,
	// because a mail is decided again right before it is sent; nil there.
	Mail *Mail
	// Instructions is Customer.Instructions of the customer that this was decided from: an
	// action that was decided before a person's last instruction is not sent.
	Instructions int64
}

// Subject names the object of an action, and its kind. If two actions have one subject and
// different ids, they are two versions of one change, and only one of them can be wanted:
// an order whose plan has changed, an invitation to another address.
func (a Action) Subject() string {
	of := a.Kind.String() + ":" + a.Customer + ":"
	if a.Kind == SendMail {
		return of + a.ID // each is a matter of its own
	}
	if a.Kind.row().ofHosting {
		return of + strconv.FormatInt(a.Hosting, 10)
	}
	return of + a.Subscription + "/" + strconv.Itoa(a.Slot)
}

// PerhapsOursSuffix ends the id of a resume that a person has to release.
const PerhapsOursSuffix = ":perhaps_ours"

// NeedsConfirmation reports whether an action undoes a suspension that is perhaps not
// ours: then it waits for a person, even if it is the only one.
func (a Action) NeedsConfirmation() bool {
	return a.Kind == Resume && strings.HasSuffix(a.ID, PerhapsOursSuffix)
}

// Brake is the kind as which the brake counts the action: that of its kind, or Resume if
// the action needs a confirmation. 0: no brake holds it.
func (a Action) Brake() ActionKind {
	if a.NeedsConfirmation() {
		return Resume
	}
	return a.Kind.Brake()
}

// BrakeWindow is the longer of the two windows.
const BrakeWindow = 24 * time.Hour

// DescribeSubscription describes the status of a subscription, without its id: " is
// active". It claims no payment that is not known.
func DescribeSubscription(s *Subscription) (text string) {
	switch s.Status {
	case StatusTrialing:
		text += " is in trial"
		if !s.CurrentPeriodEnd.IsZero() {
			text += " until " + FormatTime(s.CurrentPeriodEnd)
		}
	case StatusPastDue:
		text += " is past_due"
		if since := s.Lapse.Begun(); !since.IsZero() {
			text += " since " + FormatTime(since)
		}
	case StatusIncomplete:
		text += " is incomplete (its first payment is open)"
	case StatusCanceled, StatusIncompleteExpired:
		text += " is " + s.Status.String()
		if !s.EndedAt.IsZero() {
			text += " since " + FormatTime(s.EndedAt)
		}
	case StatusUnknown:
		text += fmt.Sprintf(" has the status %q", s.StatusText)
	case StatusUnpaid:
		if text += " is unpaid"; s.Lapse.Seen.After(s.StatusSince) && !s.StatusSince.IsZero() { // only a payment begins it anew
			text += ", though an invoice of it was paid since"
		}
	case StatusActive, StatusPaused:
		text += " is " + s.Status.String()
	}
	switch {
	case s.CollectionPaused:
		text += " (its collection is paused)"
	case s.SendInvoice && s.Status == StatusActive:
		text += " (it is sent invoices)"
	}
	return text
}

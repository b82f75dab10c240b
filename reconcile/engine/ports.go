package engine

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Billing is Stripe. Every method either returns the complete answer or an error
// classified by package fault; a shorter answer is never a result. Safe for
// concurrent use.
type Billing interface {
	// Sweep lists every subscription of the account, ended ones included. Pages
	// are handed to stage one at a time, in no order, as they come; the staged pages
	// count for nothing until Sweep returns without an error.
	Sweep(ctx context.Context, stage func([]reconcile.SubscriptionFacts) error) (reconcile.Listing, error)
	// Events lists the events created at or after since.
	Events(ctx context.Context, since time.Time) (reconcile.Events, error)
	// Subscription reads one subscription by id: all items, buyer, and the due
	// date of the oldest unpaid invoice where the key may read it. fault.NotFound
	// only if Stripe answers that this subscription does not exist.
	Subscription(ctx context.Context, id string) (reconcile.SubscriptionFacts, error)
	// CheckoutDomain is the custom field "domain" of the Checkout Session that
	// made the subscription; "" when there is none.
	CheckoutDomain(ctx context.Context, subscription string) (string, error)
	// WriteMetadata sets metadata keys of a subscription.
	WriteMetadata(ctx context.Context, subscription string, values map[string]string) error
}

// Account answers whether this is the account we think it is. Split from Billing
// because only the gates ask.
type Account interface {
	// Fingerprint identifies mode, key and address without disclosing the key,
	// "live key 1f3a at https://api.stripe.com".
	Fingerprint() string
	// Known reports whether a price, product or lookup key exists in this account.
	Known(ctx context.Context, billingID string) (bool, error)
	// ServerTime is Stripe's clock, from the Date header of the last answer, and ours
	// then; both are zero before the first one.
	ServerTime() (stripe, local time.Time)
	// Requests is how many requests were sent, retries included, since the start.
	Requests() int
}

// Panel reads Enhance. Complete or an error; fault.NotFound only for Enhance's
// own 404 {"code":"not_found"} of exactly that object. Safe for concurrent use.
type Panel interface {
	Plans(ctx context.Context) ([]reconcile.EnhancePlan, error)
	// Orgs lists customer orgs, newest first, back to those created before since
	// (zero: all of them, complete by Enhance's own total).
	Orgs(ctx context.Context, since time.Time) ([]reconcile.Org, error)
	Org(ctx context.Context, id string) (reconcile.Org, error)
	// Hostings lists all subscriptions of a customer org, deleted ones included.
	Hostings(ctx context.Context, org string) ([]reconcile.Hosting, error)
	Hosting(ctx context.Context, org string, id int64) (reconcile.Hosting, error)
}

// OrgLister counts the whole panel. Split from Panel because only a run that looks at
// everything asks.
type OrgLister interface {
	// EveryOrg hands over all customer orgs, deleted ones included, page by page
	// and complete by Enhance's own total once it returns without an error. An org
	// may come more than once; the latest is the truth. Not more than one page is
	// handed over at a time.
	EveryOrg(ctx context.Context, use func([]reconcile.Org) error) error
	// OrgPage is what EveryOrg has found out about the largest page of the panel, to be
	// kept for UseOrgPage in a later run; "" if nothing.
	OrgPage() string
	UseOrgPage(kept string)
}

// Owners are the people who may sign in to an org.
type Owners interface {
	// OwnerEmails lists the e-mails of the org's members with the role Owner,
	// pending ones included.
	OwnerEmails(ctx context.Context, org string) ([]string, error)
	// Invite mails an invitation; repeating it re-sends and nothing more. Already
	// being a member is success.
	Invite(ctx context.Context, org, email, name string) error
	// InviteInstead invites at another address and takes the invitation of the address
	// instead back. fault.Conflict if that was accepted: then that owner stays.
	InviteInstead(ctx context.Context, org, instead, email, name string) error
	// CreateLogin is the onboarding "password": login, membership as Owner and a
	// password-recovery mail. An existing login is invited instead.
	CreateLogin(ctx context.Context, org, email, name string) error
	// Requests is how many requests were sent to Enhance since the start.
	Requests() int
	// Fingerprint identifies the panel and the selling org, "https://host/api org-uuid".
	Fingerprint() string
	// Credential identifies the token without disclosing it.
	Credential() string
}

// Provisioner writes to Enhance. Each call is sent exactly once: no retries, no
// redirects. An error that is fault.Ambiguous means that it may have been done.
type Provisioner interface {
	CreateOrg(ctx context.Context, name string) (id string, err error)
	RenameOrg(ctx context.Context, org, name string) error
	CreateHosting(ctx context.Context, org string, plan int, friendlyName string) (id int64, err error)
	// Change sets suspension or plan of a hosting, exactly one of them per call, or its
	// name alone.
	Change(ctx context.Context, org string, hosting int64, change reconcile.HostingChange) error
}

// Terminator is split off so that a program without a retention period can be
// wired without any way to delete.
type Terminator interface {
	// Delete is the soft deletion; the data stays until the panel's own purge.
	Delete(ctx context.Context, org string, hosting int64) error
}

// Backups are those of the websites of a hosting.
type Backups interface {
	// Backups looks for a website of a hosting without a backup that began since an instant
	// and succeeded, mailboxes included.
	Backups(ctx context.Context, org string, hosting int64, since time.Time) (reconcile.Backups, error)
	// StartBackup makes one of a website. The panel answers when it is done, which may take
	// longer than any call: then the error is fault.Ambiguous, and it is under way.
	StartBackup(ctx context.Context, org string, hosting int64, domain string) error
}

// Mirror is the stored picture of Stripe. All writes are fenced by the token and
// durable when the method returns. Setting a customer due happens in the same
// transaction as the change that made it so.
type Mirror interface {
	// BeginSweep empties the staging area.
	BeginSweep(ctx context.Context, tok reconcile.Token) error
	// Stage keeps the facts that differ from the mirror; a subscription staged
	// twice in one sweep is an error (fault.Malformed).
	Stage(ctx context.Context, tok reconcile.Token, facts []reconcile.SubscriptionFacts) error
	// MergeSweep moves the staging area into the mirror and makes the customers
	// of changed rows due at now. It returns how many rows changed.
	MergeSweep(ctx context.Context, tok reconcile.Token, now time.Time) (changed int, err error)
	// SaveFacts stores facts read by id; always refreshes ReadAt, and makes the
	// customer due when the content changed or force is set.
	SaveFacts(ctx context.Context, tok reconcile.Token, facts []reconcile.SubscriptionFacts, force bool, now time.Time) error
	// MarkGone records that a read by id answered "no such subscription".
	MarkGone(ctx context.Context, tok reconcile.Token, subscription string, now time.Time) error
	// Unknown returns those of the ids that the mirror does not have.
	Unknown(ctx context.Context, subscriptions []string) ([]string, error)
}

// Cursors are named instants and words, and the event ids already followed.
type Cursors interface {
	Cursor(ctx context.Context, name string) (string, error) // "" when absent
	// AllCursors returns every value by its name. Only the process with the lease
	// changes them.
	AllCursors(ctx context.Context) (map[string]string, error)
	SetCursor(ctx context.Context, tok reconcile.Token, name, value string) error
	// UnseenEvents returns those of the ids that were not recorded as seen.
	UnseenEvents(ctx context.Context, ids []string) ([]string, error)
	// SawEvents records ids with their created time and forgets those created
	// before forget, in one transaction with moving the cursor "events".
	SawEvents(ctx context.Context, tok reconcile.Token, events []reconcile.Event, cursor string, forget time.Time) error
	// SubscriptionsOf lists the mirrored subscriptions of Stripe customers.
	SubscriptionsOf(ctx context.Context, stripeCustomers []string) ([]string, error)
}

// Queue is the durable queue of customers that are due.
type Queue interface {
	// Due returns up to limit complete customers due at or before now, ordered by
	// (due_at, id), after the given position ("" to begin), and the position to
	// go on from ("" at the end).
	Due(ctx context.Context, now time.Time, after string, limit int) ([]reconcile.Customer, string, error)
	// Customers returns complete customers by their ids; unknown ids are left out.
	Customers(ctx context.Context, ids []string) ([]reconcile.Customer, error)
	// Versions returns Customer.Version of these customers as it is now; unknown ids are
	// left out. It is raised by everything that people and other processes change.
	Versions(ctx context.Context, ids []string) (map[string]int64, error)
	// CustomersOf maps subscriptions to the ids of their customers.
	CustomersOf(ctx context.Context, subscriptions []string) ([]string, error)
	// SavePlanned stores the plan of each customer: holds, next due
	// time, journal rows (state planned); open rows of the customer that are not
	// in the new plan and were never sent become superseded.
	SavePlanned(ctx context.Context, tok reconcile.Token, run string, planned []reconcile.Planned, now time.Time) error
}

// Timetable moves customers within the queue.
type Timetable interface {
	// Postpone records a customer's failure and when it is due again; success
	// (Error "") clears failures and parking.
	Postpone(ctx context.Context, tok reconcile.Token, b reconcile.Backoff, now time.Time) error
	// MakeDue makes customers due at now: these, or every one that has a
	// subscription when ids is nil. A customer already due earlier stays so.
	MakeDue(ctx context.Context, tok reconcile.Token, ids []string, now time.Time) error
	// LookAgain makes bound hostings due to be compared with the panel: those of these
	// subscriptions, all when it is nil. The customers are due when something has changed.
	LookAgain(ctx context.Context, tok reconcile.Token, subscriptions []string) error
	// DueCount is how many are due at now.
	DueCount(ctx context.Context, now time.Time) (int, error)
}

// Journal is intent and outcome.
type Journal interface {
	// RecordIntent makes the intent durable (state sent) before anything is sent. It
	// fails when an action of that customer is already sent and not settled.
	RecordIntent(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, planID string, now time.Time) error
	// RecordOutcome stores an outcome and all facts that came with it, in one transaction.
	RecordOutcome(ctx context.Context, tok reconcile.Token, o reconcile.Outcome) error
	// CountDone counts the actions of a kind applied, adopted or ambiguous since,
	// without those that an approval released.
	CountDone(ctx context.Context, kind reconcile.ActionKind, since time.Time) (int, error)
	// CountDoneByCustomer is CountDone by customer; customers without any are left out.
	CountDoneByCustomer(ctx context.Context, kind reconcile.ActionKind, since time.Time) (map[string]int, error)
}

// HeldPlans are what the brakes hold. Of each kind at most one waits for approval.
type HeldPlans interface {
	// LastPlans returns of each kind the plan that waits, or is being stored, or else
	// the newest one; without actions.
	LastPlans(ctx context.Context) (map[reconcile.ActionKind]reconcile.HeldPlan, error)
	// Waiting returns the plans that can be approved, newest first, with how many actions
	// each has and without the actions.
	Waiting(ctx context.Context) ([]reconcile.HeldPlan, error)
	// Standing hands over the actions that stand in plans: those that wait, those that an
	// approval releases at now, and actions that were released and not done in time, which
	// are held again. Actions that were done, or that SavePlanned finds to be no longer
	// wanted, stand no more.
	Standing(ctx context.Context, now time.Time, use func(reconcile.HeldAction) error) error
	// StandingOf is Standing for the actions of some customers.
	StandingOf(ctx context.Context, customers []string, now time.Time, use func(reconcile.HeldAction) error) error
	// Hold moves the run's planned actions of these ids to held under the plan of the
	// kind that waits, or under p.ID, and returns that plan. It may be given one part at
	// a time.
	Hold(ctx context.Context, tok reconcile.Token, run string, p reconcile.HeldPlan) (reconcile.HeldPlan, error)
	// Approved returns the approved plans whose approval has not ended at now.
	Approved(ctx context.Context, now time.Time) ([]reconcile.HeldPlan, error)
}

// Inventory is the stored picture of Enhance.
type Inventory interface {
	// SaveOrgs stores orgs as read; complete means that these are all of them.
	SaveOrgs(ctx context.Context, tok reconcile.Token, orgs []reconcile.Org, complete bool, now time.Time) error
	// SaveOwners stores the owners of an org, as read by its id.
	SaveOwners(ctx context.Context, tok reconcile.Token, org string, emails []string, now time.Time) error
	// SaveHostings stores the complete list of an org's hostings.
	SaveHostings(ctx context.Context, tok reconcile.Token, org string, hostings []reconcile.Hosting, now time.Time) error
	// SaveHosting stores one hosting as read by id. The customers bound to it are
	// made due when its state, plan or suspension changed.
	SaveHosting(ctx context.Context, tok reconcile.Token, h reconcile.Hosting, now time.Time) error
	// DriftDue returns up to limit bound hostings that were never observed, or were
	// before the one instant, oldest first; then those that seem to have been after
	// the other, by a clock that was wrong.
	DriftDue(ctx context.Context, before, after time.Time, limit int) ([]reconcile.Hosting, error)
	// SeenLast returns up to limit bound hostings, those that were observed last first.
	SeenLast(ctx context.Context, limit int) ([]reconcile.Hosting, error)
	// NewestOrg is when the newest org of the index was created, by the panel's
	// clock; zero when there is none.
	NewestOrg(ctx context.Context) (time.Time, error)
	// UnknownMarkers returns up to limit ids of subscriptions that hostings are
	// marked with and the mirror does not have, without those of markers with
	// another word than instance.
	UnknownMarkers(ctx context.Context, instance string, limit int) ([]string, error)
	// ListAgain makes UnreadOrgs return the orgs with a hosting that carries the marker of a
	// subscription.
	ListAgain(ctx context.Context, tok reconcile.Token, subscription string) error
	// UnreadOrgs returns, by id and after the given one ("" to begin), up to limit
	// orgs whose hostings were never listed, or are to be listed again: what a recovery still
	// has to look at.
	UnreadOrgs(ctx context.Context, after string, limit int) ([]reconcile.Org, error)
}

// PlanStore is what prices buy and what the panel sells.
type PlanStore interface {
	Mappings(ctx context.Context) ([]reconcile.Mapping, error)
	Plans(ctx context.Context) (plans []reconcile.EnhancePlan, readAt time.Time, err error)
	SavePlans(ctx context.Context, tok reconcile.Token, plans []reconcile.EnhancePlan, now time.Time) error
	// BoundPlans returns the ids of the plans that bound hostings are on, as last seen.
	BoundPlans(ctx context.Context) ([]int, error)
	// DomainChecked stores the outcome of looking up a Checkout Session.
	DomainChecked(ctx context.Context, tok reconcile.Token, subscription, domain string) error
}

// Evidence is what the gates compare the readings of a run with.
type Evidence interface {
	// KnownSubscriptions returns up to n ids of subscriptions that must exist in the right
	// account: bound ones, the oldest first; any, where nothing is bound.
	KnownSubscriptions(ctx context.Context, n int) ([]string, error)
	// Unlisted compares the sweep under way with the mirror: up to limit ids of
	// subscriptions, not gone and created before the instant, that were not
	// staged, and how many there are in all.
	Unlisted(ctx context.Context, before time.Time, limit int) (ids []string, total int, err error)
	// Gone counts the subscriptions that Stripe began to deny after the instant
	// and has not shown again, the sweep under way included.
	Gone(ctx context.Context, since time.Time) (int, error)
	// LastListed is the last listing that was believed; zero when there is none.
	LastListed(ctx context.Context) (reconcile.ListedState, error)
	// ClockSkew is how far the clock of the database's machine is ahead of the
	// clock of this one; zero where they are the same.
	ClockSkew(ctx context.Context) (time.Duration, error)
}

// History is the runs.
type History interface {
	BeginRun(ctx context.Context, tok reconcile.Token, r reconcile.RunRecord) error
	EndRun(ctx context.Context, tok reconcile.Token, r reconcile.RunRecord, l *reconcile.ListedState) error
	Counts(ctx context.Context) (reconcile.Counts, error)
	// RunActions streams the journal rows a run touched, in planned order.
	RunActions(ctx context.Context, run string, yield func(reconcile.ActionRecord) error) error
}

// Archive is the history: journal, runs, webhooks. It may be missing; then it grows.
type Archive interface {
	// Prune looks at up to limit rows of a table behind a position, and deletes those that are
	// older than before and that nothing rests on. It returns the last row that it looked at,
	// how many it deleted, and whether the table has no more of them.
	Prune(ctx context.Context, tok reconcile.Token, table reconcile.OldRows, after reconcile.RowPosition, before time.Time, limit int) (last reconcile.RowPosition, gone int, ended bool, err error)
}

// Withheld is the current holds.
type Withheld interface {
	// FirstHolds counts the holds of the last plan of every customer, and returns of each
	// kind the first, at most so many, by customer; without leaves out customers from the
	// list alone, and nil none. The holds that it returns may not be changed.
	FirstHolds(ctx context.Context, most int, without func(customer string) bool) ([]reconcile.Hold, reconcile.HoldCounts, error)
	// HoldCounts is the counts alone.
	HoldCounts(ctx context.Context) (reconcile.HoldCounts, error)
	// HoldsOf returns the holds of the last plan of these customers, by customer.
	HoldsOf(ctx context.Context, customers []string) ([]reconcile.Hold, error)
}

// Leases make one process the writer.
type Leases interface {
	// Acquire takes the lease for owner until now+ttl, or reports who holds it and
	// until when. A token is larger than every earlier one when the owner changed.
	Acquire(ctx context.Context, owner string, now time.Time, ttl time.Duration) (tok reconcile.Token, heldBy string, until time.Time, err error)
	Release(ctx context.Context, tok reconcile.Token) error
	// Nudge asks the writing process to look at these subscriptions (none: at the
	// customers that are due; reconcile.NudgeAll: in a full run). It needs no token.
	Nudge(ctx context.Context, subscriptions []string, why string, now time.Time) error
	// TakeNudges returns the stored nudges, but for those that TakeNamed has taken under
	// this token and that were not left since, and for those that it may still take: of
	// webhooks that came at before or later; zero: all. They stay stored until
	// ForgetNudges, so that those of a run that dies are taken by the next one.
	TakeNudges(ctx context.Context, tok reconcile.Token, before time.Time) ([]string, error)
	// TakeNamed takes up to limit nudges of webhooks that name a subscription and that
	// nothing follows: those of subscriptions that the mirror does not have first, then
	// the newest.
	TakeNamed(ctx context.Context, tok reconcile.Token, limit int) ([]string, error)
	// ForgetNamed removes nudges that TakeNamed has taken and that were followed, but for
	// those that came again meanwhile: these wait.
	ForgetNamed(ctx context.Context, tok reconcile.Token, ids []string) error
	// LeaveNudges leaves nudges that TakeNamed has taken to the next TakeNudges.
	LeaveNudges(ctx context.Context, tok reconcile.Token, ids []string) error
	// LeaveCrowd leaves nudges that TakeNamed could take to the next TakeNudges, if there are
	// more than most: all but those of subscriptions that the mirror does not have. It
	// reports whether there are.
	LeaveCrowd(ctx context.Context, tok reconcile.Token, most int) (bool, error)
	// ForgetNudges removes nudges that were taken and followed, but for those that
	// came again meanwhile.
	ForgetNudges(ctx context.Context, tok reconcile.Token, ids []string) error
	// FullNudged reports whether a nudge for everything is stored.
	FullNudged(ctx context.Context) (bool, error)
}

// Contents reads what customers have on their hostings. Split from Panel because it is
// asked only when one of several hostings of a customer is to go.
type Contents interface {
	// Websites lists every website of an org that is not deleted, with the hosting it
	// is on: complete, or an error. fault.Denied, fault.Permanent and fault.Malformed
	// when this panel or token does not allow it. Safe for concurrent use.
	Websites(ctx context.Context, org string) ([]reconcile.Website, error)
}

// ContentStore keeps the websites of hostings as they were read.
type ContentStore interface {
	// SaveContent stores the complete list of an org's websites, or why the panel
	// refuses it, for every hosting of that org that is known.
	SaveContent(ctx context.Context, tok reconcile.Token, org string, sites []reconcile.Website, unread string, now time.Time) error
	// SaveDomainUse stores where the panel has the domain that was ordered for a hosting.
	SaveDomainUse(ctx context.Context, tok reconcile.Token, hosting int64, use reconcile.DomainUse) error
	// SaveSiteApp stores how far the application on the website of a hosting has come.
	SaveSiteApp(ctx context.Context, tok reconcile.Token, hosting int64, app reconcile.SiteApp) error
}

// BackupStore keeps what the panel shows of the backups of a hosting.
type BackupStore interface {
	SaveBackups(ctx context.Context, tok reconcile.Token, hosting int64, b reconcile.Backups) error
}

// Websites are split from Provisioner because they are made only where a domain
// was ordered.
type Websites interface {
	// CreateWebsite is fault.Conflict when the domain is taken elsewhere, and
	// succeeds when this very hosting has it already: that website is returned as found.
	CreateWebsite(ctx context.Context, org string, hosting int64, domain string, o reconcile.SiteOptions) (reconcile.FoundSite, error)
	// SiteApps reads the applications on the website of a hosting: complete, or an error.
	SiteApps(ctx context.Context, org string, hosting int64, domain string) (reconcile.SiteApps, error)
	// InstallApp installs an application, with an administrator who has that e-mail.
	InstallApp(ctx context.Context, org string, hosting int64, domain, app, email string) error
	// DomainUse is whether a website of the org may have the domain.
	DomainUse(ctx context.Context, org, domain string) (reconcile.DomainUse, error)
	// FindWebsite is where the panel has a domain, in any customer org; complete.
	FindWebsite(ctx context.Context, domain string) ([]reconcile.WebsiteLocation, error)
}

// Existing is the objects of others at the panel, as far as they are stored.
type Existing interface {
	// Unbound counts the living hostings that no subscription is bound to and no
	// marker names.
	Unbound(ctx context.Context) (reconcile.Unbound, error)
	// AskAboutUnbound notes that it is undecided which orders are new when there are
	// some and nothing was ever bound, and that it is decided once none is left.
	AskAboutUnbound(ctx context.Context, tok reconcile.Token, now time.Time) (reconcile.Unbound, error)
	// NoteHidden notes since when some orgs could not be listed that were there when we
	// knew nothing of the panel; zero: all were listed since. See [reconcile.Unbound].
	NoteHidden(ctx context.Context, tok reconcile.Token, since time.Time) error
	// SaveSites stores the answer of FindWebsite.
	SaveSites(ctx context.Context, tok reconcile.Token, domain string, sites []reconcile.WebsiteLocation, now time.Time) error
	// Duplicates returns up to limit objects that were made a second time for subscriptions
	// served here, and not by this journal, without those whose marker
	// has another word than instance.
	Duplicates(ctx context.Context, instance string, limit int) ([]reconcile.Duplicate, error)
}

// Features reads which features Stripe Entitlements gives to a product. Split from Billing
// because it is asked only where a mapping may be of a feature.
type Features interface {
	// ProductFeatures lists the lookup keys of the active features of a product, sorted:
	// complete, or an error. fault.Denied, fault.NotFound and fault.Permanent when this key
	// or account does not allow it. Safe for concurrent use.
	ProductFeatures(ctx context.Context, product string) ([]string, error)
}

// FeatureStore keeps the features of products as they were read.
type FeatureStore interface {
	Features(ctx context.Context) ([]reconcile.ProductFeatures, error)
	SaveFeatures(ctx context.Context, tok reconcile.Token, f reconcile.ProductFeatures) error
}

// Disputes reads the charges that customers dispute, and those that were refunded in full.
// Split from Billing because their place is not among the facts of a subscription.
type Disputes interface {
	// Disputes lists those since an instant that count: complete, or an error. fault.Denied
	// when the key may not read them. Safe for concurrent use.
	Disputes(ctx context.Context, since time.Time) ([]reconcile.Dispute, error)
	// Dispute reads one; counts is false when it was won.
	Dispute(ctx context.Context, id string) (d reconcile.Dispute, counts bool, err error)
}

// DisputeStore keeps disputes as they were read.
type DisputeStore interface {
	Disputes(ctx context.Context) ([]reconcile.Dispute, error)
	// SaveDisputes replaces all by a complete list, and SaveDispute one as it was read by id.
	// The customers of those that differ are made due.
	SaveDisputes(ctx context.Context, tok reconcile.Token, all []reconcile.Dispute, now time.Time) error
	SaveDispute(ctx context.Context, tok reconcile.Token, d reconcile.Dispute, counts bool, now time.Time) error
}

// Mailer sends mails to customers. nil: none are sent.
type Mailer interface {
	// Open connects to the mail server and logs in. It sends nothing.
	Open(ctx context.Context) (MailSession, error)
}

// MailSession is a connection to the mail server, for one goroutine.
type MailSession interface {
	// Send hands a mail to the server, once. The kind of the error shows whether the server
	// can have taken it: fault.Permanent, no, and it never will; fault.Transient, no, but
	// perhaps later; fault.Denied, no, and it takes no other either; any other kind, it may.
	Send(ctx context.Context, l reconcile.Letter) error
	// Usable reports whether another mail may be sent on this connection.
	Usable() bool
	Close()
}

// Addressees is Stripe, as far as a mail needs it. Safe for concurrent use.
type Addressees interface {
	// Addressee reads a customer by id. One that was deleted has no e-mail. fault.NotFound
	// only if Stripe answers that this customer does not exist.
	Addressee(ctx context.Context, customer string) (reconcile.Addressee, error)
	// OpenInvoices reads the invoices of a subscription that are still to be paid, the one
	// that is due first before the others; none if the key may not read invoices.
	OpenInvoices(ctx context.Context, subscription string) ([]reconcile.Invoice, error)
}

// MailJournal is the part of the journal that is about mails alone. Intents and outcomes
// of mails are recorded by Journal, as those of other actions.
type MailJournal interface {
	// SkipMail stores that a mail is not sent, and why; its topics are settled by that.
	SkipMail(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, why string, now time.Time) error
	// LoseMails ends the mails of other runs that have an intent and no outcome, and
	// returns their ids.
	LoseMails(ctx context.Context, tok reconcile.Token, run string, now time.Time) ([]string, error)
}

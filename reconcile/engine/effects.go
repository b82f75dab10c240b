package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// callLimit bounds one effect with its reading back, from the outside in: it is
// longer than the time-outs of the clients, so that those decide.
const callLimit = 3 * time.Minute

// effect is how one kind of action is done. A new kind of action needs one row in
// effects and nothing else in this package.
type effect struct {
	// do makes the call, and reads the changed object back. Once the call itself has
	// succeeded, a failing read makes the outcome ambiguous, never failed.
	do func(*run, context.Context, *reconcile.Customer, reconcile.Action, *reconcile.Outcome) error
	// find looks for the effect of a call that was not answered. The look is complete
	// or an error. nil: nothing shows it, and the outcome is "not done" after the
	// settling time.
	find func(*run, context.Context, *reconcile.Customer, reconcile.Pending, *reconcile.Outcome) (bool, error)
	// repeatable means that doing it a second time changes nothing.
	repeatable bool
	// twoLooks means that two complete looks must find nothing before it is sent again.
	twoLooks bool
	// lookFirst looks for the effect before the action is done; first means that the run has not
	// looked for this action yet. If it reports that it has read something, the
	// customer is planned again. nil: nothing to look for.
	lookFirst func(r *run, ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (read bool, err error)
	// premise means that the facts on which the action rests are read again before it,
	// because it takes something away or undoes another change.
	premise bool
	// aside means that nothing else of the customer waits for it: if it fails, or a look for
	// it does, the run goes on with the other actions.
	aside bool
	// learn changes the customer as the database has it after the outcome; false, or no
	// function: the customer is loaded again.
	learn func(next *reconcile.Customer, o reconcile.Outcome) bool
}

// effects are the rows, by kind. A website that was made shows when it is made again:
// the domain is then taken by this very hosting.
var effects = [...]effect{
	reconcile.Link:               {do: (*run).link, repeatable: true, lookFirst: (*run).lookForMarked},
	reconcile.CreateOrg:          {do: (*run).createOrg, find: (*run).findOrg, twoLooks: true, lookFirst: (*run).lookForOrg, learn: learnOrg},
	reconcile.RenameOrg:          {do: (*run).renameOrg, find: (*run).findName, repeatable: true, learn: learnName},
	reconcile.InviteOwner:        {do: (*run).invite, find: (*run).findInvitation, repeatable: true, lookFirst: (*run).lookAtBuyer, learn: learnInvitation},
	reconcile.CreateSubscription: {do: (*run).createHosting, find: (*run).findHosting, twoLooks: true, lookFirst: (*run).lookForHosting, learn: learnHosting},
	reconcile.CreateWebsite:      {do: (*run).createWebsite, lookFirst: (*run).lookForDomain},
	reconcile.WriteMetadata:      {do: (*run).writeMetadata, repeatable: true},
	reconcile.InstallApp:         {do: (*run).installApp, find: (*run).findApp, twoLooks: true, lookFirst: (*run).lookForApp, aside: true},
	reconcile.Resume:             {do: (*run).resume, find: (*run).findResumption, lookFirst: (*run).lookAtHosting},
	reconcile.Suspend:            {do: (*run).suspend, find: (*run).findSuspension, premise: true, learn: learnSuspension},
	reconcile.ChangePlan:         {do: (*run).changePlan, find: (*run).findPlanChange, premise: true},
	reconcile.Backup:             {do: (*run).backup, find: (*run).findBackup, repeatable: true, premise: true},
	reconcile.MarkHosting:        {do: (*run).markHosting, find: (*run).findMark, repeatable: true},
	reconcile.Terminate:          {do: (*run).terminate, find: (*run).findTermination, premise: true},
	reconcile.SendMail:           {do: (*run).sendMail},
}

// effectOf is the row of a kind. That there is one for each is held by a test; the
// journal may have kinds that an older or newer program wrote.
func effectOf(kind reconcile.ActionKind) (effect, error) {
	if int(kind) >= len(effects) || effects[kind].do == nil {
		return effect{}, fault.Errorf(fault.Permanent, "no way to do a %s: this program does not know it", kind)
	}
	return effects[kind], nil
}

// perform does one action: intent durable, the call, read back, outcome durable.
func (r *run) perform(ctx context.Context, c *reconcile.Customer, a reconcile.Action) error {
	out, err := r.send(ctx, c, a)
	switch {
	case out.State == 0: // nothing was sent, or the outcome is not recorded
		return err
	case err == nil:
		r.outages.succeeded()
		return nil
	case out.State == reconcile.ActionAmbiguous:
		ctx, cancel := r.callContext(ctx)
		defer cancel()
		return r.lookForAnswer(ctx, a, err)
	case a.Kind == reconcile.CreateWebsite && errors.Is(err, fault.Conflict):
		return nil // recorded with the hosting; the rest of the order goes on
	case a.Kind == reconcile.WriteMetadata && errors.Is(err, fault.Denied):
		r.metadataDenied()
		return nil // a convenience that no customer waits for
	}
	return err
}

// callContext is for a call and what belongs to it. A run that is being stopped finishes
// the action in hand and records it: that is why it is cut off from cancellation.
func (r *run) callContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(fence.Around(context.WithoutCancel(ctx), r.checkLease), callLimit)
}

// send sends the call of an action, between its intent and its outcome. The state of the
// outcome is 0 if nothing was sent, or if the outcome could not be recorded. Meanwhile no
// other run of this process reads or writes the org of the action.
func (r *run) send(ctx context.Context, c *reconcile.Customer, a reconcile.Action) (reconcile.Outcome, error) {
	e, err := effectOf(a.Kind)
	if err == nil {
		err = r.checkLease()
	}
	if err == nil {
		err = r.stillTrusted()
	}
	if err != nil {
		return reconcile.Outcome{}, err
	}
	if a.Org != "" {
		done, err := r.together.turns.take(ctx, orgKey(a.Org), true)
		if err != nil {
			return reconcile.Outcome{}, fault.Wrap(fault.Canceled, err)
		}
		defer done()
	}
	ctx, cancel := r.callContext(ctx)
	defer cancel()
	if e.premise {
		a.Evidence = reconcile.EvidenceFor(c, a.Hosting, r.findings.request)
	}
	// Crash here → nothing was sent or recorded; the customer is still due.
	r.Failpoint("before-intent", a.Kind.String())
	sent, learn := r.clock(), r.known.learner(c, a.ID)
	if err := r.Journal.RecordIntent(ctx, r.tok, r.rec.ID, a, r.brake.approved[a.ID], sent); err != nil {
		return reconcile.Outcome{}, fmt.Errorf("recording the intent: %w", err)
	}
	// Crash here → the journal has an intent without an outcome. The next run looks for
	// its effect, finds nothing, and sends it again after the settling time.
	r.Failpoint("after-intent", a.Kind.String())
	out := reconcile.Outcome{Action: a, Run: r.rec.ID, State: reconcile.ActionApplied}
	err = r.checkLease() // the intent may have taken long to write
	if err == nil {
		err = e.do(r, ctx, c, a, &out)
	}
	// Crash here → the call may have been done, and the journal does not know. The next
	// run looks for its effect, finds it and adopts it.
	r.Failpoint("after-call", a.Kind.String())
	out.At = r.clock()
	r.setState(&out, err)
	if saveErr := r.Journal.RecordOutcome(ctx, r.tok, out); saveErr != nil {
		r.log.WithFields(logrus.Fields{"action": a.ID, "customer": a.Customer, "state": out.State.String()}).WithError(saveErr).Error("outcome not recorded")
		return reconcile.Outcome{}, fmt.Errorf("recording the outcome (%s): %w", out.State, saveErr)
	}
	// Crash here → the outcome is known; the next run plans the customer's next action.
	r.Failpoint("after-record", a.Kind.String())
	if out.State == reconcile.ActionFailed {
		r.work.addFailed(a.ID)
	}
	r.logOutcome(a, out, err)
	if a.Kind == reconcile.CreateSubscription {
		r.together.orders.done(r.rec.ID)
	}
	if err == nil {
		learn(out)
	}
	return out, err
}

// setState turns the error of a call into a state of the journal.
func (r *run) setState(out *reconcile.Outcome, err error) {
	if err == nil {
		return
	}
	out.Error = err.Error()
	if out.Action.Kind == reconcile.SendMail {
		mailState(out)
		return
	}
	switch fault.Of(err) {
	case fault.Ambiguous, fault.Malformed, fault.Unknown, fault.Canceled:
		out.State, out.SettleUntil = reconcile.ActionAmbiguous, out.At.Add(r.Settle)
	case fault.Transient, fault.Throttled, fault.Conflict, fault.Permanent, fault.Denied, fault.NotFound, fault.Fenced:
		out.State = reconcile.ActionFailed
	}
}

func (r *run) logOutcome(a reconcile.Action, out reconcile.Outcome, err error) {
	entry := r.log.WithFields(logrus.Fields{"action": a.ID, "kind": a.Kind.String(), "customer": a.Customer,
		"subscription": a.Subscription, "org": a.Org, "hosting": a.Hosting, "reason": a.Reason})
	switch {
	case out.State == reconcile.ActionApplied:
		entry.Info("applied")
	case out.State == reconcile.ActionAmbiguous:
		entry.WithError(err).Warn("no answer, looking for it")
	default:
		entry.WithError(err).Warn("not applied")
	}
}

// lookForAnswer looks right after a write that was not answered: most were done, and
// then no customer has to wait. If nothing is found yet, that proves nothing, and a
// repeatable write is repeated after a pause, not right away.
func (r *run) lookForAnswer(ctx context.Context, a reconcile.Action, callErr error) error {
	c, err := r.load(ctx, a.Customer)
	if err != nil {
		return err
	}
	if c, err = r.findLostWrites(ctx, c); err != nil {
		return fmt.Errorf("%w; looking for it: %w", fault.Wrap(fault.Ambiguous, callErr), err)
	}
	still := func(b reconcile.Action) bool { return b.ID == a.ID }
	d, err := r.bareDecision(c)
	if err != nil {
		return fmt.Errorf("%w; planning again: %w", fault.Wrap(fault.Of(err), callErr), err)
	}
	if len(c.Pending) > 0 || slices.ContainsFunc(d.Actions, still) {
		return callErr
	}
	return nil
}

// link binds in our database only. An org that was there before us is bound only
// when its single owner is this customer.
func (r *run) link(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if a.Hosting != 0 {
		out.Binding = &reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: a.Org, Hosting: a.Hosting, How: a.How, At: r.clock()}
		return nil
	}
	o, err := r.Panel.Org(ctx, a.Org)
	if err != nil {
		return err
	}
	if o.Deleted {
		return fault.Errorf(fault.Conflict, "org %s was deleted in the panel", o.ID)
	}
	if a.How == reconcile.BoundByAdopt {
		if err := r.checkOwner(ctx, c, a); err != nil {
			return err
		}
	}
	o.ObservedAt = r.clock()
	r.index.addFound(a.Org)
	out.Org, out.OrgNamed = &o, !r.marked(o)
	return nil
}

// checkOwner fails unless the customer is the only owner of an org, or the only one who
// was invited to it.
func (r *run) checkOwner(ctx context.Context, c *reconcile.Customer, a reconcile.Action) error {
	emails, err := r.Owners.OwnerEmails(ctx, a.Org)
	if err != nil {
		return err
	}
	invited := len(emails) == 0 && slices.ContainsFunc(c.Kin, func(k reconcile.Kin) bool {
		return k.Org.ID == a.Org && k.InvitedEmail != "" && k.InvitedEmail == reconcile.EmailKey(c.Email)
	})
	if !invited && (len(emails) != 1 || reconcile.EmailKey(emails[0]) != reconcile.EmailKey(c.Email)) {
		return fault.Errorf(fault.Conflict, "org %s has %d owners, not just the customer: name the right org in the metadata enhance_org_id of the subscription", a.Org, len(emails))
	}
	return nil
}

func (r *run) createOrg(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	marker := reconcile.Marker{StripeID: a.Customer, Instance: r.Policy.Instance}
	name := a.Name + " " + marker.String()
	id, err := r.Provisioner.CreateOrg(ctx, name)
	if err != nil {
		return err
	}
	now := r.clock()
	r.index.addMade(id)
	out.Org = &reconcile.Org{ID: id, Name: name, ObservedAt: now, HostingsRead: now}
	return nil
}

func (r *run) renameOrg(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if err := r.Provisioner.RenameOrg(ctx, a.Org, a.Name); err != nil {
		return err
	}
	o, err := r.Panel.Org(ctx, a.Org)
	if err != nil {
		return notReadBack(err)
	}
	if o.Name != a.Name {
		return fault.Errorf(fault.Ambiguous, "org %s was renamed and still has its old name", a.Org)
	}
	o.ObservedAt = r.clock()
	out.Org, out.OrgNamed = &o, true
	return nil
}

func (r *run) invite(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if a.Instead != "" {
		return r.inviteElsewhere(ctx, a, out)
	}
	invited, err := r.invitedBefore(ctx, a)
	if err != nil {
		return err
	}
	if invited {
		out.Invited, out.InvitedEmail = r.clock(), reconcile.EmailKey(a.Email)
		return nil
	}
	call := r.Owners.Invite
	if r.onboarding(a) == reconcile.Password {
		call = r.Owners.CreateLogin
	}
	if err := call(ctx, a.Org, a.Email, a.Name); err != nil {
		return err
	}
	out.Invited, out.InvitedEmail = r.clock(), reconcile.EmailKey(a.Email)
	return nil
}

// inviteElsewhere invites at another address, and then takes the open invitation back: a
// process that dies between the two does both again. If the owner has accepted it by now, the
// org is read, so that it is not tried again.
func (r *run) inviteElsewhere(ctx context.Context, a reconcile.Action, out *reconcile.Outcome) error {
	err := r.Owners.InviteInstead(ctx, a.Org, a.Instead, a.Email, a.Name)
	if errors.Is(err, fault.Conflict) {
		if o, read := r.Panel.Org(ctx, a.Org); read == nil {
			o.ObservedAt = r.clock()
			out.Org = &o
		}
	}
	if err == nil {
		out.Invited, out.InvitedEmail = r.clock(), reconcile.EmailKey(a.Email)
	}
	return err
}

// onboarding is how the planner wants the owner to be invited.
func (r *run) onboarding(a reconcile.Action) reconcile.Onboarding {
	return cmp.Or(a.Onboarding, r.Policy.Onboarding)
}

// invitedBefore looks whether the customer is a member of an org that was there
// before this run: after a database was lost, customers must not get a second mail. With a
// login of our making, membership is only the middle of it: it counts where the org
// was found in this run, and not where an earlier run was cut short.
func (r *run) invitedBefore(ctx context.Context, a reconcile.Action) (bool, error) {
	if r.index.isMade(a.Org) || r.onboarding(a) == reconcile.Password && !r.index.isFound(a.Org) {
		return false, nil
	}
	emails, err := r.Owners.OwnerEmails(ctx, a.Org)
	return slices.ContainsFunc(emails, func(e string) bool { return reconcile.EmailKey(e) == reconcile.EmailKey(a.Email) }), err
}

// writeMetadata writes the ids of the org and the hosting to Stripe, for people to see.
func (r *run) writeMetadata(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	err := r.Billing.WriteMetadata(ctx, a.Subscription, map[string]string{
		"enhance_org_id": a.Org, "enhance_subscription_id": strconv.FormatInt(a.Hosting, 10)})
	out.MetadataOK = err == nil
	return err
}

func (r *run) createHosting(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	marker := reconcile.Marker{StripeID: a.Subscription, Slot: a.Slot, Instance: r.Policy.Instance}
	id, err := r.Provisioner.CreateHosting(ctx, a.Org, a.Plan, a.PlanName+" "+marker.String())
	if err != nil {
		return err
	}
	h, err := r.readBack(ctx, a.Org, id)
	if err != nil {
		return err
	}
	if h.Marker() != marker {
		return fault.Errorf(fault.Ambiguous, "hosting %d was created as %s and reads as %q", id, marker, h.FriendlyName)
	}
	out.Hosting = &h
	out.Binding = &reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: a.Org, Hosting: id, How: reconcile.BoundByCreate, At: r.clock()}
	return nil
}

// createWebsite makes the site that was ordered. A domain that is taken, or that the
// panel does not accept, is a fact to record: the next hours it answers the same.
func (r *run) createWebsite(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	h := hostingOf(c, a.Hosting)
	if h == nil {
		return fault.Errorf(fault.Conflict, "hosting %d is not known yet", a.Hosting)
	}
	site := *h
	found, err := r.Websites.CreateWebsite(ctx, a.Org, a.Hosting, a.Domain, a.Site)
	switch {
	case err == nil:
		site.Website = a.Domain
		if a.Site.App != "" {
			site.App = reconcile.SiteApp{App: a.Site.App, Domain: a.Domain}
			if !found.Found || found.MadeByUs(h.DomainUse) {
				site.App.MadeAt = r.clock()
			}
		}
	case errors.Is(err, fault.Conflict), errors.Is(err, fault.Permanent):
		site.WebsiteTaken = a.Domain
		site.DomainUse = reconcile.DomainUse{Domain: a.Domain, Status: reconcile.DomainUnknown, Refused: err.Error(), ReadAt: r.clock()}
		err = fault.Wrap(fault.Conflict, err)
	default:
		return err
	}
	out.Hosting = &site
	return err
}

func hostingOf(c *reconcile.Customer, id int64) *reconcile.Hosting {
	for i := range c.Hostings {
		if c.Hostings[i].ID == id {
			return &c.Hostings[i]
		}
	}
	return nil
}

// changePlan moves a hosting to the plan that is paid for.
func (r *run) changePlan(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	change := reconcile.HostingChange{Plan: a.Plan}
	if a.Name != "" {
		change.Name = &a.Name
	}
	h, err := r.changeHosting(ctx, a, change)
	if err != nil {
		return err
	}
	if h.Plan != a.Plan {
		return fault.Errorf(fault.Ambiguous, "hosting %d was to have plan %d and reads as plan %d", a.Hosting, a.Plan, h.Plan)
	}
	out.Hosting = &h
	return nil
}

// markHosting writes a name with our marker.
func (r *run) markHosting(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if err := r.Provisioner.Change(ctx, a.Org, a.Hosting, reconcile.HostingChange{Name: &a.Name}); err != nil {
		return err
	}
	h, err := r.readBack(ctx, a.Org, a.Hosting)
	if err != nil {
		return err
	}
	if want, _ := reconcile.MarkerOf(a.Name); h.Marker() != want {
		return fault.Errorf(fault.Ambiguous, "hosting %d was to carry the marker %s and reads as %q", a.Hosting, want, h.FriendlyName)
	}
	out.Hosting = &h
	return nil
}

// suspend suspends a hosting, and adds our mark to its name with the same call.
func (r *run) suspend(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	h, err := r.setSuspended(ctx, c, a, true)
	if err != nil {
		return err
	}
	ours, err := r.isOurs(ctx, h, true)
	if err != nil {
		return notReadBack(err)
	}
	if ours {
		h.SuspendedByUs = r.clock()
	}
	out.Hosting = &h
	return nil
}

// resume lifts our suspension, and takes our mark out of the name with the same call.
func (r *run) resume(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	h, err := r.setSuspended(ctx, c, a, false)
	if err != nil {
		return err
	}
	out.Hosting, out.Unsuspend = &h, true
	return nil
}

// setSuspended suspends or resumes a hosting. Its name was read right before.
func (r *run) setSuspended(ctx context.Context, c *reconcile.Customer, a reconcile.Action, suspended bool) (reconcile.Hosting, error) {
	change, want, rename := reconcile.HostingChange{Suspended: &suspended}, reconcile.HostingActive, reconcile.ResumedName
	if suspended {
		want, rename = reconcile.HostingSuspended, reconcile.SuspendedName
	}
	if h := hostingOf(c, a.Hosting); h != nil {
		if name := rename(h.FriendlyName, r.Policy.Instance); name != h.FriendlyName {
			change.Name = &name
		}
	}
	h, err := r.changeHosting(ctx, a, change)
	if err == nil && h.State != want {
		err = fault.Errorf(fault.Ambiguous, "hosting %d was to be %s and reads as %s", a.Hosting, want, h.State)
	}
	return h, err
}

// changeHosting sends a change and reads the hosting back. If the panel refuses the
// change, it is sent again without the name: the panel may refuse only the name, and
// the customer must get the plan or the service that was paid for.
func (r *run) changeHosting(ctx context.Context, a reconcile.Action, change reconcile.HostingChange) (reconcile.Hosting, error) {
	err := r.Provisioner.Change(ctx, a.Org, a.Hosting, change)
	if change.Name != nil && errors.Is(err, fault.Permanent) {
		change.Name = nil
		err = r.Provisioner.Change(ctx, a.Org, a.Hosting, change)
	}
	if err != nil {
		return reconcile.Hosting{}, err
	}
	return r.readBack(ctx, a.Org, a.Hosting)
}

func (r *run) terminate(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if r.Terminator == nil {
		return fault.Errorf(fault.Permanent, "this program was started without any way to delete")
	}
	if err := r.Terminator.Delete(ctx, a.Org, a.Hosting); err != nil {
		return err
	}
	h, err := r.Panel.Hosting(ctx, a.Org, a.Hosting)
	if errors.Is(err, fault.NotFound) {
		h, err = reconcile.Hosting{ID: a.Hosting, Org: a.Org, State: reconcile.HostingMissing}, nil
	}
	if err != nil {
		return notReadBack(err)
	}
	if h.State != reconcile.HostingDeleted && h.State != reconcile.HostingMissing {
		return fault.Errorf(fault.Ambiguous, "hosting %d was deleted and reads as %s", a.Hosting, h.State)
	}
	h.ObservedAt, h.TerminatedByUs = r.clock(), r.clock()
	out.Hosting = &h
	return nil
}

// readBack reads what a write has changed.
func (r *run) readBack(ctx context.Context, org string, id int64) (reconcile.Hosting, error) {
	h, err := r.Panel.Hosting(ctx, org, id)
	if err != nil {
		return h, notReadBack(err)
	}
	h.ObservedAt = r.clock()
	return h, nil
}

// notReadBack makes any failure of reading back ambiguous: the write itself was
// accepted, so it must be looked for and not be sent again.
func notReadBack(err error) error {
	return fault.Wrap(fault.Ambiguous, fmt.Errorf("done, but reading it back: %w", err))
}

// lookForDomain asks the panel whether the website can have its domain, before the website
// is made. The hosting of a dry run that is not there yet cannot be asked about.
func (r *run) lookForDomain(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first || a.Hosting <= 0 {
		return false, nil
	}
	return true, r.readDomainUse(ctx, a.Org, a.Hosting, a.Domain, hostingOf(c, a.Hosting))
}

// readDomainUse stores where the panel has a domain. A panel or a token that does not
// answer the question is a fact and not a failure: then the website is made without it.
// before is the hosting on which the website is about to be made; nil: on none.
func (r *run) readDomainUse(ctx context.Context, org string, hosting int64, domain string, before *reconcile.Hosting) error {
	use, err := r.domainUse(ctx, org, domain)
	if err != nil {
		return err
	}
	switch {
	case before == nil:
	case use.Status == reconcile.DomainFree:
		use.FreeAt = use.ReadAt
	case use.Status == reconcile.DomainOwnOrg && use.Hosting == hosting && before.DomainUse.Domain == domain:
		use.FreeAt = before.DomainUse.FreeAt
	}
	return r.ContentStore.SaveDomainUse(ctx, r.tok, hosting, use)
}

// domainUse asks the panel where it has a domain.
func (r *run) domainUse(ctx context.Context, org, domain string) (reconcile.DomainUse, error) {
	use, err := r.Websites.DomainUse(ctx, org, domain)
	if use, err = answered(use, err); err != nil {
		return use, fmt.Errorf("asking for the domain %s: %w", domain, err)
	}
	use.Domain, use.ReadAt = domain, r.clock()
	return use, nil
}

// answered is the panel's answer about a domain; unknown, if it or the token does not
// answer such questions.
func answered(use reconcile.DomainUse, err error) (reconcile.DomainUse, error) {
	switch {
	case err == nil:
		return use, nil
	case errors.Is(err, fault.LeftAlone):
		return use, err // nothing was asked
	}
	switch fault.Of(err) {
	case fault.Denied, fault.Permanent, fault.Malformed, fault.NotFound:
		return reconcile.DomainUse{Status: reconcile.DomainUnknown}, nil
	case fault.Transient, fault.Throttled, fault.Conflict, fault.Ambiguous, fault.Unknown, fault.Canceled, fault.Fenced:
	}
	return use, err
}

// domainForeseen asks where the panel has the domain of a website whose hosting is there only
// in thought. As long as the org is not there either, the panel can only be asked in which
// org it has the domain.
func (r *run) domainForeseen(ctx context.Context, a reconcile.Action) (reconcile.DomainUse, error) {
	if a.Org != planner.ForeseenOrg {
		return r.domainUse(ctx, a.Org, a.Domain)
	}
	use := reconcile.DomainUse{Domain: a.Domain, Status: reconcile.DomainFree, ReadAt: r.clock()}
	places, err := r.Websites.FindWebsite(ctx, a.Domain)
	if len(places) > 0 {
		use.Status, use.Org, use.Hosting = reconcile.DomainOtherOrg, places[0].Org, places[0].Hosting
	}
	if use, err = answered(use, err); err != nil {
		return use, fmt.Errorf("looking for the domain %s: %w", a.Domain, err)
	}
	return use, nil
}

// secondsShown is how many of the duplicates are looked up for a sentence.
const secondsShown = 3

// existing asks before customers are planned what the panel has that is not ours, and
// whether another installation makes hostings for the same subscriptions.
func (r *run) existing(ctx context.Context) error {
	unbound, err := r.Existing.AskAboutUnbound(ctx, r.tok, r.now)
	if err == nil && unbound.Hidden && r.index.allListed() {
		err = r.Existing.NoteHidden(ctx, r.tok, time.Time{})
	}
	if err != nil {
		return err
	}
	return r.lookBeside(ctx, unbound)
}

// lookAround is existing without its write.
func (r *run) lookAround(ctx context.Context) error {
	unbound, err := r.Existing.Unbound(ctx)
	if err != nil {
		return err
	}
	return r.lookBeside(ctx, unbound)
}

// lookBeside keeps everything from being created if it is not decided which orders are new,
// or if another installation works for the same subscriptions.
func (r *run) lookBeside(ctx context.Context, unbound reconcile.Unbound) error {
	if unbound.Undecided && r.Policy.NewAfter.IsZero() {
		r.waitForPerson(fmt.Sprintf("the panel has %s that no subscription is bound to, and it is not decided which orders are new: nothing is created for an order without a hosting. "+
			"Either set NEW_CUSTOMERS_ONLY_AFTER to a day (orders from then on are new customers', older ones wait as holds \"adopt\" with the command for each), "+
			"or take them over with `stripe-enhance adopt`", inOrgs(unbound)))
	}
	return r.noticeSeconds(ctx)
}

func inOrgs(u reconcile.Unbound) string {
	plural := func(n int, noun string) string {
		if n == 1 {
			return "1 " + noun
		}
		return fmt.Sprintf("%d %ss", n, noun)
	}
	return plural(u.Hostings, "hosting") + " in " + plural(u.Orgs, "org")
}

// noticeSeconds looks for what another installation of this program has made for
// subscriptions that are served here. As long as there is any, nothing is created: two
// that work for the same customers make everything twice.
func (r *run) noticeSeconds(ctx context.Context) error {
	if r.evidence.createsAreBlocked() {
		return nil
	}
	seconds, err := r.Existing.Duplicates(ctx, r.Policy.Instance, secondsShown)
	if err != nil || len(seconds) == 0 {
		return err
	}
	text := ""
	for i, s := range seconds {
		if i > 0 {
			text += "; "
		}
		if s.Hosting == 0 {
			text += fmt.Sprintf("org %s carries the marker %s beside org %s", s.Org, s.Marker, s.FirstOrg)
			continue
		}
		text += fmt.Sprintf("hosting %d in org %s carries the marker %s of hosting %d", s.Hosting, s.Org, s.Marker, s.First)
	}
	reason := fmt.Sprintf("another installation makes hostings for the subscriptions that are served here (%s): nothing is created. "+
		"Stop one of the two, or, where each has customers of its own, set INSTANCE to another word in each. "+
		"Then delete the unused duplicates in the panel, and run `stripe-enhance reconcile --full`", text)
	if r.evidence.blockCreates(reason) {
		r.waitForPerson(reason)
	}
	return nil
}

// createHeld reports whether a create is withheld because of another installation.
func createHeld(h reconcile.Hold) bool {
	return h.Kind == reconcile.HoldDuplicate && strings.HasPrefix(h.ActionID, "create_")
}

// findSite asks the panel where an ordered domain is, and reads the hosting that it is
// on: one that was not listed yet may be the customer's.
func (r *run) findSite(ctx context.Context, n planner.Need) error {
	sites, err := r.Websites.FindWebsite(ctx, reconcile.DomainKey(n.Domain))
	if err != nil {
		return fmt.Errorf("looking for the domain %s: %w", n.Domain, err)
	}
	for _, s := range sites {
		if s.Hosting == 0 {
			continue
		}
		if err := r.lookAt(ctx, s.Org, s.Hosting); err != nil {
			return err
		}
	}
	return r.Existing.SaveSites(ctx, r.tok, n.Domain, sites, r.clock())
}

// readOrgByID reads an org again. One that is gone is like one that was deleted.
func (r *run) readOrgByID(ctx context.Context, id string) error {
	o, err := r.Panel.Org(ctx, id)
	if errors.Is(err, fault.NotFound) {
		o, err = reconcile.Org{ID: id, Deleted: true}, nil
	}
	if err != nil {
		return err
	}
	return r.Inventory.SaveOrgs(ctx, r.tok, []reconcile.Org{o}, false, r.now)
}

// marked reports whether an org still carries a marker of ours in its name. That of another
// installation stays where it is.
func (r *run) marked(o reconcile.Org) bool {
	m, _ := reconcile.MarkerOf(o.Name)
	return m.Of(r.Policy.Instance) != reconcile.Marker{}
}

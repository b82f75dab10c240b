package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
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
	reconcile.Link:               {do: (*run).link, repeatable: true},
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
	sent, learn := r.clock(), r.known.learner(c)
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

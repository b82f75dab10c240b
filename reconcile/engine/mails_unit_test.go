package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// runOver is a run at noon with these ports and no others: a call of another one would be a
// panic.
func runOver(p Ports) *run {
	log := logrus.New()
	log.SetOutput(io.Discard)
	e := &Engine{Options: Options{Trace: noTrace{}, Now: func() time.Time { return noon }, Concurrency: 1}, Ports: p, changes: &changes{}, together: newTogether()}
	return &run{Engine: e, Cursors: p.Cursors, now: noon, evidence: newEvidence(), known: newKnown(e.changes), features: newFeatures(), work: newWork(),
		brake: newBrake(planner.DefaultBrakes(), takesAway), findings: &findings{log: logrus.NewEntry(log)}, progress: &progress{call: func(reconcile.Progress) {}},
		catalog: planner.NewCatalog(nil, nil), log: logrus.NewEntry(log)}
}

// warnings is a journal in which n customers are to be warned.
type warnings struct {
	History
	n int
}

func (w warnings) Counts(context.Context) (reconcile.Counts, error) {
	return reconcile.Counts{Bound: w.n}, nil
}

func (w warnings) RunActions(_ context.Context, _ string, use func(reconcile.ActionRecord) error) error {
	for i := range w.n {
		a := reconcile.Action{ID: fmt.Sprintf("mail:%d", i), Kind: reconcile.SendMail, Customer: fmt.Sprintf("cus_%d", i), Mail: &reconcile.Mail{}}
		if err := use(reconcile.ActionRecord{Action: a, State: reconcile.ActionPlanned}); err != nil {
			return err
		}
	}
	return nil
}

// neverDone is a journal in which nothing was done before.
type neverDone struct{ Journal }

func (neverDone) CountDone(context.Context, reconcile.ActionKind, time.Time) (int, error) {
	return 0, nil
}

// unheld is a database that cannot store a held plan.
type unheld struct{ HeldPlans }

func (unheld) Hold(context.Context, reconcile.Token, string, reconcile.HeldPlan) (reconcile.HeldPlan, error) {
	return reconcile.HeldPlan{}, errOut
}

// allKnown is a journal in which no mail lacks its outcome.
type allKnown struct{ MailJournal }

func (allKnown) LoseMails(context.Context, reconcile.Token, string, time.Time) ([]string, error) {
	return nil, nil
}

// An operator has to see the mails that wait for approval, so a run that could not store
// them fails.
func TestHeldMailsThatAreNotStoredFailTheRun(t *testing.T) {
	r := runOver(Ports{History: warnings{n: 26}, Journal: neverDone{}, Plans: unheld{}})
	if customers, err := r.judgeMails(t.Context()); !errors.Is(err, errOut) || len(customers) > 0 {
		t.Errorf("mails for %d customers, %v", len(customers), err)
	}
	r = runOver(Ports{History: warnings{n: 25}, Journal: neverDone{}, Plans: unheld{}})
	if customers, err := r.judgeMails(t.Context()); err != nil || len(customers) != 25 {
		t.Errorf("mails for %d customers, %v, though they are not too many", len(customers), err)
	}
}

// Most runs have no mail: they count nothing for the brake.
func TestARunWithoutAMailAsksTheDatabaseNothingForTheBrake(t *testing.T) {
	if held, err := runOver(Ports{}).brakeMails(t.Context()); held || err != nil {
		t.Errorf("held: %v, %v", held, err)
	}
}

// A run that was stopped looks at no customer for a mail: there is no database to load one.
func TestARunThatIsStoppedSendsNoMail(t *testing.T) {
	r := runOver(Ports{History: warnings{n: 2}, Journal: neverDone{}, MailJournal: allKnown{}, Mailer: &oneAnswer{}})
	r.Policy.Mail.On = true
	r.outages.stop(errOut)
	if err := r.sendMails(t.Context()); err != nil || len(r.findings.notes) > 0 {
		t.Errorf("%v, notes %q", err, r.findings.notes)
	}
}

// A run that is ended while it waits for another run of the process does nothing for the
// customer, and releases no claim of the other.
func TestARunThatEndsWhileItWaitsForACustomerSendsNoMail(t *testing.T) {
	r := runOver(Ports{})
	r.together.claims.try("cus_1")
	ctx, end := context.WithCancel(t.Context())
	end()
	r.mailCustomer(ctx, &post{}, "cus_1")
	if r.together.claims.try("cus_1") || len(r.findings.notes) > 0 {
		t.Errorf("the claim of the other run is gone, or notes %q", r.findings.notes)
	}
}

// unloaded is a queue whose customers cannot be loaded.
type unloaded struct {
	Queue
	err error
}

func (u unloaded) Customers(context.Context, []string) ([]reconcile.Customer, error) {
	return nil, u.err
}

// A run that is stopped has no failure of the customer to note, and one that has lost the
// lease sends no more mails.
func TestOnlyAFailureOfTheMailsOfACustomerIsNoted(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		notes  int
		unsent int
	}{
		"a run that is stopped": {fault.Wrap(fault.Canceled, context.Canceled), 0, 0},
		"a lease that is lost":  {fault.Errorf(fault.Fenced, "lost."), 0, 1},
		"an outage":             {errOut, 1, 0},
		"any other error":       {errors.New("disk full"), 1, 0},
	} {
		r, p := runOver(Ports{Queue: unloaded{err: c.err}}), &post{}
		r.mailCustomer(t.Context(), p, "cus_1")
		if len(r.findings.notes) != c.notes || p.unsent != c.unsent || (p.stopped == "lost") != (c.unsent > 0) {
			t.Errorf("%s: notes %q, %d unsent, stopped because of %q", name, r.findings.notes, p.unsent, p.stopped)
		}
	}
}

// oneAnswer is a mail server that always gives the same answer.
type oneAnswer struct {
	err    error
	closed int
}

func (s *oneAnswer) Open(context.Context) (MailSession, error)    { return s, s.err }
func (s *oneAnswer) Send(context.Context, reconcile.Letter) error { return s.err }
func (s *oneAnswer) Usable() bool                                 { return s.err == nil }
func (s *oneAnswer) Close()                                       { s.closed++ }

// If this process gave up, the mail server is not to blame.
func TestOnlyAServerThatLetsUsInNotIsLeftAlone(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx   context.Context
		alone bool
	}{"no answer": {t.Context(), true}, "a process that is stopped": {ended, false}} {
		r, p := runOver(Ports{Mailer: &oneAnswer{err: errOut}}), &post{}
		if r.connect(c.ctx, p) || p.stopped == "" {
			t.Errorf("%s: connected, or no reason %q", name, p.stopped)
		}
		if got := r.mailDown.Load() > noon.UnixNano(); got != c.alone {
			t.Errorf("%s: left alone: %v", name, got)
		}
	}
}

// The state decides whether a mail is ever sent again, and the journal shows it.
func TestTheOutcomeOfAMailIsWhatTheServerCanHaveDone(t *testing.T) {
	for _, c := range []struct {
		err     error
		mail    reconcile.MailState
		state   reconcile.ActionState
		problem string
	}{
		{nil, reconcile.MailSent, reconcile.ActionApplied, ""},
		{fault.Errorf(fault.Permanent, "no such user"), reconcile.MailRefused, reconcile.ActionFailed, "no such user"},
		{fault.Errorf(fault.Transient, "greylisted"), reconcile.MailUnsent, reconcile.ActionFailed, "greylisted"},
		{fault.Errorf(fault.Denied, "relaying denied"), reconcile.MailUnsent, reconcile.ActionFailed, "relaying denied"},
		{fault.Errorf(fault.Ambiguous, "broken pipe"), reconcile.MailUnknown, reconcile.ActionFailed, "it is not known whether the mail was sent, and it is not sent again: broken pipe"},
	} {
		r := runOver(Ports{})
		r.post = &post{session: &oneAnswer{err: c.err}}
		out := reconcile.Outcome{Action: reconcile.Action{Kind: reconcile.SendMail}, State: reconcile.ActionApplied}
		r.setState(&out, r.sendMail(t.Context(), nil, out.Action, &out))
		if out.Mail != c.mail || out.State != c.state || out.Error != c.problem {
			t.Errorf("%v: mail %s, state %s, error %q", c.err, out.Mail, out.State, out.Error)
		}
	}
}

// billed is a Stripe in which each subscription has one open invoice.
type billed struct{ asked []string }

func (b *billed) Addressee(_ context.Context, customer string) (reconcile.Addressee, error) {
	b.asked = append(b.asked, customer)
	return reconcile.Addressee{Email: customer + "@example.com"}, nil
}

func (b *billed) OpenInvoices(_ context.Context, sub string) ([]reconcile.Invoice, error) {
	b.asked = append(b.asked, sub)
	return []reconcile.Invoice{{Number: "of " + sub}}, nil
}

// A mail goes to the buyer of its subscription, and shows each invoice that is to be paid
// once: the customer pays by it.
func TestALetterShowsWhatItsBuyerOwesOnce(t *testing.T) {
	stripe := &billed{}
	r := runOver(Ports{Addressees: stripe})
	c := &reconcile.Customer{ID: "cus_first", Subscriptions: []reconcile.Subscription{{ID: "sub_0", StripeCustomer: "cus_first"}, {ID: "sub_1", StripeCustomer: "cus_buyer"}}}
	a := reconcile.Action{ID: "mail:1", Kind: reconcile.SendMail, Subscription: "sub_1", Mail: &reconcile.Mail{Topics: []reconcile.MailTopic{
		{Subscription: "sub_1", Hosting: 1, Unpaid: true}, {Subscription: "sub_1", Hosting: 2, Unpaid: true}, {Subscription: "sub_2", Hosting: 3}, {Subscription: "sub_3", Unpaid: true}}}}
	l, why, err := r.letter(t.Context(), c, a)
	if err != nil || why != "" || l.To.Email != "cus_buyer@example.com" {
		t.Fatalf("to %q, %q, %v", l.To.Email, why, err)
	}
	if !slices.Equal(stripe.asked, []string{"cus_buyer", "sub_1", "sub_3"}) || len(l.Invoices) != 2 || l.Invoices[0].Number != "of sub_1" || l.Invoices[1].Number != "of sub_3" {
		t.Errorf("asked for %q, invoices %+v", stripe.asked, l.Invoices)
	}
	if to := buyerOf(c, "sub_9"); to != "cus_first" {
		t.Errorf("the buyer of a subscription that is not known is %s", to)
	}
}

package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

const warned = "warn_suspend to ada@example.com"

// A mail server that ends each connection after one use gets a few of them in a run, and
// none is left open. The customer who got no mail gets it in the next run.
func TestARunConnectsAFewTimesAndClosesEachConnection(t *testing.T) {
	m := newMailing(t, nil)
	m.late(t, "ada")
	m.late(t, "bob")
	m.server.brittle = true
	rep := m.after(24 * time.Hour)
	diff(t, "mails, connections, and how many were closed", []int{1, 3, 3}, []int{len(m.server.subjects()), m.server.opened, m.server.closed})
	diff(t, "notes", 1, notes(rep, "mails to 1 customers were not sent: the mail server broke off the connection again and again"))
	m.after(time.Minute)
	diff(t, "mails of the next run", 1, len(m.server.subjects()))
	diff(t, "connections that were closed", m.server.opened, m.server.closed)
}

// The connection breaks before the mail is handed over, and the server lets no other one in:
// no intent is recorded, so the mail is sent later. Until then the server is left alone.
func TestAConnectionThatBreaksBeforeTheMailCostsNoMail(t *testing.T) {
	m := newMailing(t, nil)
	m.late(t, "ada")
	tries := 0
	m.server.brittle = true
	m.server.opens = func() {
		if tries++; tries > 1 {
			m.server.down = fault.Errorf(fault.Transient, "too many connections.")
		}
	}
	rep := m.after(24 * time.Hour)
	diff(t, "tries and mails", []int{2, 0}, []int{tries, len(m.server.subjects())})
	diff(t, "notes", 1, notes(rep, "mails to 1 customers were not sent: too many connections. Nothing else waits"))
	m.server.opens = func() { tries++ }
	m.server.down, m.server.brittle = nil, false
	rep = m.after(time.Minute)
	diff(t, "tries a minute later", 2, tries)
	diff(t, "notes then", 1, notes(rep, "mails to 1 customers were not sent: the mail server did not let us in a few minutes ago"))
	rep = m.after(5 * time.Minute)
	diff(t, "sent after the pause", []string{warned}, m.server.subjects())
	diff(t, "notes after that", []string(nil), rep.Notes)
}

// A server that takes no mail at all is not asked for each customer, and each of them is
// counted.
func TestAServerThatTakesNoMailEndsTheMailsOfARun(t *testing.T) {
	m := newMailing(t, nil)
	m.late(t, "ada")
	m.late(t, "bob")
	m.server.failure = fault.Errorf(fault.Denied, "sender rejected")
	rep := m.after(24 * time.Hour)
	diff(t, "notes", 1, notes(rep, "mails to 2 customers were not sent: "))
	diff(t, "intents", []string{"mail failed", "mail planned"}, kinds(rep))
}

// addressed is Stripe with other answers about the addressee and the open invoices.
type addressed struct {
	engine.Addressees
	email    *string // nil: that of Stripe
	err      error   // of the customer
	invoices error
	asked    int
}

func (a *addressed) Addressee(ctx context.Context, customer string) (reconcile.Addressee, error) {
	a.asked++
	if a.err != nil {
		return reconcile.Addressee{}, a.err
	}
	to, err := a.Addressees.Addressee(ctx, customer)
	if a.email != nil {
		to.Email = *a.email
	}
	return to, err
}

func (a *addressed) OpenInvoices(ctx context.Context, sub string) ([]reconcile.Invoice, error) {
	if a.invoices != nil {
		return nil, a.invoices
	}
	return a.Addressees.OpenInvoices(ctx, sub)
}

// address makes Stripe give other answers.
func (m *mailing) address(t *testing.T, a *addressed) {
	t.Helper()
	p := m.ports()
	a.Addressees, p.Addressees = p.Addressees, a
	m.restart(t, p)
}

// A customer without an address costs no connection. The journal has the reason, and the
// mail is not tried again, because each try would be noted.
func TestACustomerWithoutAnAddressGetsNoMail(t *testing.T) {
	const none = "the customer has no e-mail at Stripe to which a mail can be sent"
	two, empty := "ada@example.com, bob@example.com", ""
	for name, c := range map[string]struct {
		stripe addressed
		why    string
	}{
		"no e-mail":           {addressed{email: &empty}, none},
		"two addresses":       {addressed{email: &two}, none},
		"an unknown customer": {addressed{err: fault.Errorf(fault.NotFound, "no such customer")}, "Stripe does not know the customer any more"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMailing(t, nil)
			m.late(t, "ada")
			m.address(t, &c.stripe)
			rep := m.after(24 * time.Hour)
			diff(t, "notes", 1, notes(rep, c.why+", so that no mail was sent"))
			rows, err := m.Store.Actions(t.Context(), reconcile.ActionFilter{Limit: 1})
			must(t, err)
			diff(t, "journal", []string{"mail", "superseded", c.why + ": no mail was sent"}, []string{rows[0].Kind.String(), rows[0].State.String(), rows[0].Error})
			m.after(2 * time.Hour)
			diff(t, "mails, connections and questions", []int{0, 0, 1}, []int{len(m.server.subjects()), m.server.opened, c.stripe.asked})
		})
	}
}

// Without the answer of Stripe no mail is sent: it would go nowhere, or lack the invoice. An
// outage ends the mails of the run, and a refusal those of the customer; both leave the mail
// to the next run.
func TestAMailWaitsForTheAnswersOfStripe(t *testing.T) {
	outage, refusal := fault.Errorf(fault.Transient, "no answer"), fault.Errorf(fault.Permanent, "bad request")
	for name, c := range map[string]struct {
		stripe addressed
		note   string
	}{
		"no answer about the customer": {addressed{err: outage}, "mails to 1 customers were not sent: no answer"},
		"a refusal about the customer": {addressed{err: refusal}, "a mail was not sent: bad request"},
		"no answer about the invoices": {addressed{invoices: outage}, "mails to 1 customers were not sent: no answer"},
		"a refusal about the invoices": {addressed{invoices: refusal}, "a mail was not sent: bad request"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMailing(t, nil)
			m.late(t, "ada")
			m.address(t, &c.stripe)
			rep := m.after(24 * time.Hour)
			diff(t, "mails and connections", []int{0, 0}, []int{len(m.server.taken), m.server.opened})
			diff(t, "notes", 1, notes(rep, c.note))
			c.stripe.err, c.stripe.invoices = nil, nil
			m.after(time.Minute)
			if len(m.server.taken) == 1 && len(m.server.taken[0].Invoices) != 1 {
				t.Errorf("invoices: %+v", m.server.taken[0].Invoices)
			}
			diff(t, "sent in the next run", []string{warned}, m.server.subjects())
		})
	}
}

// unlost is a journal that cannot be searched for mails without an outcome.
type unlost struct{ engine.MailJournal }

func (unlost) LoseMails(context.Context, reconcile.Token, string, time.Time) ([]string, error) {
	return nil, errStumble
}

// If it is not known whether a mail is under way, a run must not send any.
func TestNoMailIsSentWhileOthersMayLackTheirOutcome(t *testing.T) {
	m := newMailing(t, nil)
	m.late(t, "ada")
	p := m.ports()
	p.MailJournal = unlost{p.MailJournal}
	m.restart(t, p)
	m.World.Advance(24 * time.Hour)
	if _, err := m.Try(engine.Request{}); !errors.Is(err, errStumble) || !strings.Contains(err.Error(), "looking for mails without an outcome") {
		t.Errorf("the run ends with %v", err)
	}
	diff(t, "sent", []string(nil), m.server.subjects())
}

// forgetful is a journal that cannot store the outcome of a mail, nor that there is none.
type forgetful struct {
	engine.Journal
	engine.MailJournal
	err error
}

func (f forgetful) RecordOutcome(ctx context.Context, tok reconcile.Token, o reconcile.Outcome) error {
	if o.Action.Kind == reconcile.SendMail {
		return f.err
	}
	return f.Journal.RecordOutcome(ctx, tok, o)
}

func (f forgetful) SkipMail(context.Context, reconcile.Token, string, reconcile.Action, string, time.Time) error {
	return f.err
}

// vanishing is a queue that goes away.
type vanishing struct {
	engine.Queue
	left bool
}

func (l *vanishing) Customers(ctx context.Context, ids []string) ([]reconcile.Customer, error) {
	if l.left {
		return nil, errStumble
	}
	return l.Queue.Customers(ctx, ids)
}

// An operator who reads that a mail was not sent may send it by hand: so that is noted only
// if the server has not taken it, whatever kind of error ended the mails of the customer.
func TestANoteShowsWhetherTheServerCanHaveTheMail(t *testing.T) {
	outage, empty := fault.Errorf(fault.Transient, "the database is out"), ""
	for name, c := range map[string]struct {
		stripe  addressed
		journal error // nil: it works
		panics  bool
		queue   bool // no customer can be loaded from then on
		known   bool
	}{
		"an outcome that is not stored, because of an outage": {journal: outage},
		"an outcome that is not stored":                       {journal: errStumble},
		"a panic while it is handed over":                     {panics: true},
		"a mail without an address":                           {stripe: addressed{email: &empty}, journal: errStumble, known: true},
		"a customer who is not loaded after a mail":           {queue: true, known: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMailing(t, nil)
			m.late(t, "ada")
			p := m.ports()
			if c.journal != nil {
				f := forgetful{p.Journal, p.MailJournal, c.journal}
				p.Journal, p.MailJournal = f, f
			}
			queue := &vanishing{Queue: p.Queue}
			p.Queue = queue
			c.stripe.Addressees, p.Addressees = p.Addressees, &c.stripe
			m.restart(t, p)
			m.server.takes = func() {
				queue.left = c.queue
				if c.panics {
					panic("CANARY")
				}
			}
			rep := m.after(24 * time.Hour)
			want := map[bool][]int{false: {1, 0}, true: {0, 1}}[c.known]
			diff(t, "not known, and known not to be sent", want, []int{notes(rep, ": it is not known whether a mail was sent"), notes(rep, ": a mail was not sent")})
		})
	}
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// mailServer is a mail server for one test.
type mailServer struct {
	opened  int
	closed  int
	brittle bool // no connection can be used twice
	down    error
	failure error // of the next mails; an ambiguous one takes them
	taken   []reconcile.Letter
	opens   func() // before a connection is made
	takes   func() // before a mail is taken
}

func (m *mailServer) Open(context.Context) (engine.MailSession, error) {
	if m.opens != nil {
		m.opens()
	}
	if m.down != nil {
		return nil, m.down
	}
	m.opened++
	return &mailSession{m}, nil
}

type mailSession struct{ *mailServer }

func (m *mailSession) Send(_ context.Context, l reconcile.Letter) error {
	if m.takes != nil {
		m.takes()
	}
	if m.failure == nil || errors.Is(m.failure, fault.Ambiguous) {
		m.taken = append(m.taken, l)
	}
	return m.failure
}

func (m *mailSession) Usable() bool { return !m.brittle }
func (m *mailSession) Close()       { m.closed++ }

// subjects are the kinds of the mails taken since the last call, with their addresses.
func (m *mailServer) subjects() (all []string) {
	for _, l := range m.taken {
		all = append(all, l.Kind.String()+" to "+l.To.Email)
	}
	m.taken = nil
	return all
}

// mailing is a company whose customers get mails: grace of 72 hours, warnings 48 and 24
// hours before.
type mailing struct {
	*testenv.Env
	server  *mailServer
	options engine.Options
	ports   func() engine.Ports
}

func newMailing(t *testing.T, change func(*engine.Options)) *mailing {
	t.Helper()
	m := &mailing{server: &mailServer{}}
	m.Env = testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
		o.Policy.Grace = 72 * time.Hour
		o.Policy.Mail = reconcile.MailPolicy{On: true, WarnBefore: [reconcile.MaxWarnings]time.Duration{48 * time.Hour, 24 * time.Hour}}
		if change != nil {
			change(o)
		}
		m.options = *o
	}})
	m.ports = func() engine.Ports {
		p := m.Ports()
		p.Mailer, p.Addressees, p.MailJournal = m.server, m.Stripe, m.Store
		return p
	}
	m.restart(t, m.ports())
	return m
}

// restart is another process on the same database.
func (m *mailing) restart(t *testing.T, p engine.Ports) {
	t.Helper()
	var err error
	m.Engine, err = engine.New(m.options, p)
	must(t, err)
}

// late is a customer whose payment failed an hour ago, without a warning yet.
func (m *mailing) late(t *testing.T, name string) simulator.SignedUp {
	t.Helper()
	s := signUp(t, m.Env, simulator.SignUp{Email: name + "@example.com", Price: priceFor(t, m.Env, plans(m.Env)[0])})
	m.Run(engine.Request{})
	must(t, m.World.FailPayment(s.Subscription))
	m.World.Advance(2 * time.Minute)
	m.Run(engine.Request{})
	return s
}

func (m *mailing) after(d time.Duration) reconcile.Report {
	m.World.Advance(d)
	return m.Run(engine.Request{})
}

// TestACustomerIsWarnedThenNoticedThenNoticedAgain: one mail at each step, however many
// runs there are.
func TestACustomerIsWarnedThenNoticedThenNoticedAgain(t *testing.T) {
	m := newMailing(t, nil)
	s := m.late(t, "ada")
	var got []string
	hours := func(n int) {
		for range n {
			m.after(time.Hour)
			got = append(got, m.server.subjects()...)
		}
	}
	hours(23)
	diff(t, "before the first step", []string(nil), got)
	hours(57)
	diff(t, "until it is suspended", []string{"warn_suspend to ada@example.com", "warn_suspend to ada@example.com", "suspended to ada@example.com"}, got)
	must(t, m.World.Pay(s.Subscription))
	got = nil
	hours(30)
	diff(t, "when it is paid", []string{"resumed to ada@example.com"}, got)
}

// TestNoOutcomeIsNoReasonToSendItAgain: the process dies after the mail was taken.
func TestNoOutcomeIsNoReasonToSendItAgain(t *testing.T) {
	m := newMailing(t, nil)
	m.late(t, "ada")
	p := m.ports()
	p.Journal = dying{p.Journal}
	m.restart(t, p)
	m.World.Advance(24 * time.Hour)
	_, _ = m.Try(engine.Request{})
	diff(t, "taken by the mail server", []string{"warn_suspend to ada@example.com"}, m.server.subjects())
	m.restart(t, m.ports())
	rep := m.after(time.Minute)
	if !strings.Contains(strings.Join(rep.Notes, "\n"), "they may have arrived, and are not sent again") {
		t.Errorf("notes: %q", rep.Notes)
	}
	for range 3 {
		if rep := m.after(time.Hour); len(rep.Notes) > 0 {
			t.Errorf("noted again: %q", rep.Notes)
		}
	}
	diff(t, "taken after that", []string(nil), m.server.subjects())
	rows, err := m.Store.Actions(t.Context(), reconcile.ActionFilter{Limit: 10})
	must(t, err)
	if rows[0].Kind != reconcile.SendMail || rows[0].State != reconcile.ActionFailed || !strings.Contains(rows[0].Error, "may have arrived") {
		t.Errorf("the journal: %+v", rows[0])
	}
}

// dying is a journal of a process that dies before it records the outcome of a mail.
type dying struct{ engine.Journal }

func (d dying) RecordOutcome(ctx context.Context, tok reconcile.Token, o reconcile.Outcome) error {
	if o.Action.Kind == reconcile.SendMail {
		return errors.New("killed")
	}
	return d.Journal.RecordOutcome(ctx, tok, o)
}

// TestWhatAFailureLeadsTo: a mail that may have been taken is never sent again, one that
// was refused neither, and one that was not taken is tried an hour later.
func TestWhatAFailureLeadsTo(t *testing.T) {
	for _, c := range []struct {
		kind  fault.Kind
		first int // taken at first
		later int // taken in the hours after that, when the server works again
		note  string
	}{
		{fault.Ambiguous, 1, 0, "it is not known whether a mail was sent, and it is not sent again"},
		{fault.Permanent, 0, 0, "a mail was not sent"},
		{fault.Transient, 0, 1, "a mail was not sent"},
		{fault.Denied, 0, 1, "mails to 1 customers were not sent"},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			m := newMailing(t, nil)
			m.late(t, "ada")
			m.server.failure = fault.Errorf(c.kind, "the mail server failed")
			rep := m.after(24 * time.Hour)
			diff(t, "taken at first", c.first, len(m.server.subjects()))
			if !strings.Contains(strings.Join(rep.Notes, "\n"), c.note) {
				t.Errorf("notes: %q", rep.Notes)
			}
			m.server.failure = nil
			m.after(time.Minute)
			diff(t, "taken a minute later", 0, len(m.server.subjects()))
			for range 4 {
				m.after(30 * time.Minute)
			}
			diff(t, "taken later", c.later, len(m.server.subjects()))
			of, err := m.Store.Customers(t.Context(), []string{rep.Actions[0].Customer})
			must(t, err)
			if of[0].Failures != 0 || !of[0].RetryAfter.IsZero() || of[0].LastError != "" {
				t.Errorf("the customer has a back-off: %+v", of[0])
			}
		})
	}
}

// TestAMailServerThatIsDownDelaysNothing, and a warning whose time has passed is dropped.
func TestAMailServerThatIsDownDelaysNothing(t *testing.T) {
	m := newMailing(t, nil)
	s := m.late(t, "ada")
	m.server.down = fault.Errorf(fault.Transient, "connection refused")
	rep := m.after(24 * time.Hour)
	if !strings.Contains(strings.Join(rep.Notes, "\n"), "connection refused") || rep.Converged() {
		t.Errorf("notes: %q, converged: %v", rep.Notes, rep.Converged())
	}
	m.after(48 * time.Hour)
	diff(t, "hostings that are up", 0, len(live(m.Env)))
	m.server.down = nil
	m.World.Advance(25 * time.Hour)
	m.Run(engine.Request{})
	diff(t, "sent a day later", []string(nil), m.server.subjects())
	must(t, m.World.Pay(s.Subscription))
	m.server.down = fault.Errorf(fault.Transient, "connection refused")
	m.after(2 * time.Minute)
	diff(t, "hostings that are up again", 1, len(live(m.Env)))
}

// TestWhoPaysBetweenThePlanAndTheMailGetsNoWarning: the subscription is read by id right
// before.
func TestWhoPaysBetweenThePlanAndTheMailGetsNoWarning(t *testing.T) {
	var pays func()
	m := newMailing(t, func(o *engine.Options) {
		o.Progress = func(p reconcile.Progress) {
			if p.Phase == "planning" && pays != nil {
				pays()
				pays = nil
			}
		}
	})
	s := m.late(t, "ada")
	pays = func() { must(t, m.World.Pay(s.Subscription)) }
	m.after(24 * time.Hour)
	diff(t, "taken", []string(nil), m.server.subjects())
	if pays != nil {
		t.Error("nothing was planned")
	}
}

// TestNobodyIsWarnedWhileTheEvidenceIsNotGood: nothing would be taken away then.
func TestNobodyIsWarnedWhileTheEvidenceIsNotGood(t *testing.T) {
	m := newMailing(t, nil)
	m.late(t, "ada")
	m.World.Advance(24 * time.Hour)
	m.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Side == simulator.Stripe && c.Route == "GET /v1/subscriptions" {
			return simulator.Fault{Status: http.StatusOK, Body: []byte(`{"object":"list","url":"/v1/subscriptions","has_more":false,"data":[]}`)}
		}
		return simulator.Fault{Honest: true}
	})
	rep := m.Run(engine.Request{Full: true})
	if len(rep.Run.Gates) == 0 {
		t.Fatal("no gate is closed")
	}
	diff(t, "taken", []string(nil), m.server.subjects())
	m.World.SetFault(nil)
	m.World.Advance(time.Minute)
	m.Run(engine.Request{Full: true})
	diff(t, "taken when it is good again", []string{"warn_suspend to ada@example.com"}, m.server.subjects())
}

// TestManyMailsAreHeldAsAWhole, and an approval sends them.
func TestManyMailsAreHeldAsAWhole(t *testing.T) {
	m := newMailing(t, func(o *engine.Options) { o.Brakes.Create = planner.Limit{Count: 100} })
	var subs []string
	for i := range 26 {
		s, err := m.World.SignUp(simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: priceFor(t, m.Env, plans(m.Env)[0])})
		must(t, err)
		subs = append(subs, s.Subscription)
	}
	m.after(2 * time.Minute)
	for _, s := range subs {
		must(t, m.World.FailPayment(s))
	}
	m.after(2 * time.Minute)
	rep := m.after(24 * time.Hour)
	diff(t, "taken", []string(nil), m.server.subjects())
	if len(rep.Plans) != 1 || rep.Plans[0].Kind != reconcile.SendMail || rep.Plans[0].Total != 26 {
		t.Fatalf("held plans: %+v", rep.Plans)
	}
	rep = m.after(time.Minute)
	diff(t, "taken without an approval", []string(nil), m.server.subjects())
	m.Approve(rep)
	m.after(time.Minute)
	diff(t, "taken after the approval", 26, len(m.server.subjects()))
	if rep := m.after(time.Minute); len(rep.Plans) > 0 || len(m.server.subjects()) > 0 {
		t.Errorf("afterwards: %+v", rep.Plans)
	}
}

// TestADryRunSendsNoMail, and shows the one that the run then sends.
func TestADryRunSendsNoMail(t *testing.T) {
	m := newMailing(t, nil)
	m.late(t, "ada")
	m.World.Advance(24 * time.Hour)
	rep := m.Run(engine.Request{Dry: true})
	diff(t, "planned", []string{"mail planned"}, kinds(rep))
	diff(t, "connections", 0, m.server.opened)
	diff(t, "done", []string{"mail applied"}, kinds(m.Run(engine.Request{})))
	diff(t, "taken", []string{"warn_suspend to ada@example.com"}, m.server.subjects())
}

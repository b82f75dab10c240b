package simtest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// mails switches mails to customers on in two of three companies. It has random numbers of
// its own, so that the rest of a seed's history is the same with and without it.
func mails(s *Scenario) {
	dice := rand.New(rand.NewPCG(s.Seed, 0x3a115))
	if dice.IntN(3) == 0 {
		return
	}
	s.Company.Policy.Mail = reconcile.MailPolicy{On: true, WarnBefore: [reconcile.MaxWarnings]time.Duration{48 * time.Hour, 24 * time.Hour}}
	s.Company.MailFaults = dice.IntN(2) * dice.IntN(60)
}

// letters is the checker's knowledge of mails: the matters of which the mail server has
// taken one, and when, by installation.
type letters struct {
	taken map[bool]map[string]time.Time
	mails int // how many were taken
}

func newLetters() letters {
	return letters{taken: map[bool]map[string]time.Time{false: {}, true: {}}}
}

// postman is the mail server as a process meets it. Some mails it refuses for now or for
// good, and after some it breaks the connection, whether it has taken them or not.
type postman struct {
	*process
	usable bool
}

func (m *postman) fails() bool {
	y := m.play
	return !y.calm && y.dice("mail")%100 < uint64(y.Company.MailFaults)
}

// Open implements engine.Mailer.
func (m *postman) Open(context.Context) (engine.MailSession, error) {
	m.interrupt("call")
	switch {
	case m.dead:
		return nil, errDead
	case m.fails():
		return nil, fault.Errorf(fault.Transient, "connection refused")
	}
	return &postman{m.process, true}, nil
}

// Send implements engine.MailSession.
func (m *postman) Send(_ context.Context, l reconcile.Letter) error {
	if m.dead {
		return errDead
	}
	if !m.fails() {
		m.play.posted(m.process, l)
		m.interrupt("answer")
		if m.dead {
			return errDead
		}
		return nil
	}
	switch m.play.dice("mail failure") % 5 {
	case 0:
		return fault.Errorf(fault.Permanent, "550 no such user")
	case 1:
		return fault.Errorf(fault.Transient, "451 greylisted")
	case 2:
		return fault.Errorf(fault.Denied, "553 not your address")
	case 3:
		m.play.posted(m.process, l)
	}
	m.usable = false
	return fault.Errorf(fault.Ambiguous, "connection reset")
}

// Usable implements engine.MailSession.
func (m *postman) Usable() bool { return m.usable }

// Close implements engine.MailSession.
func (m *postman) Close() {}

// posted checks a mail that the server has taken.
func (y *play) posted(p *process, l reconcile.Letter) {
	y.watch()
	now := y.world.Now()
	y.logf("  MAIL %s to %s by process %d", l.ID, l.To.Email, p.number)
	y.mails++
	if y.Company.Policy.Mode == reconcile.Observe || p.dry || l.Kind.Warns() && y.Company.Policy.Mode == reconcile.Provision {
		y.violated(MailHolds, "%s in mode %s, dry %v", l.ID, y.Company.Policy.Mode, p.dry)
	}
	taken := y.taken[p.number == second]
	for _, t := range l.Topics {
		if at, twice := taken[t.Key]; twice && at.After(y.lost) {
			y.violated(OneMail, "%s: a mail about %s was taken at %s", l.ID, t.Key, at)
		}
		taken[t.Key] = now
		if l.Kind == reconcile.WarnSuspend && !y.wasPastDue(t.Subscription, now) {
			y.violated(MailHolds, "%s: %s is not past_due", l.ID, t.Subscription)
		}
	}
}

// wasPastDue reports whether a subscription was past_due at any moment lately.
func (y *play) wasPastDue(subscription string, now time.Time) bool {
	for _, s := range y.since(now.Add(-2 * tolerance)) {
		if b := s.bills[subscription]; b != nil && b.status == "past_due" {
			return true
		}
	}
	return false
}

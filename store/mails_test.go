package store

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// mail is a planned mail about some matters.
func (f *fixture) mail(id string, keys ...string) reconcile.Action {
	f.Helper()
	a := action(id, reconcile.SendMail, "cus_a", "sub_a")
	a.Mail = &reconcile.Mail{Kind: reconcile.NoticeSuspended}
	for _, k := range keys {
		a.Mail.Topics = append(a.Mail.Topics, reconcile.MailTopic{Key: k})
	}
	f.plan("cus_a", a)
	return a
}

func (f *fixture) mailed(a reconcile.Action, state reconcile.MailState) {
	f.Helper()
	out := reconcile.Outcome{Action: a, Run: "run-1", State: reconcile.ActionFailed, Error: "450", At: t0, Mail: state}
	if state == reconcile.MailSent {
		out.State, out.Error = reconcile.ActionApplied, ""
	}
	f.must(f.RecordOutcome(f.Context(), f.tok, out))
}

// TestNoTwoMailsAreAboutOneMatter, whatever came of the first, unless the server has not
// taken it. A conflict about one matter records nothing of the others.
func TestNoTwoMailsAreAboutOneMatter(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		for _, c := range []struct {
			state reconcile.MailState
			again bool
		}{{reconcile.MailSent, false}, {reconcile.MailUnknown, false}, {reconcile.MailRefused, false}, {reconcile.MailUnsent, true}, {0, true}} {
			key := "suspended:" + c.state.String()
			a := f.mail("mail:"+key, key)
			f.must(f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0))
			f.mailed(a, c.state)
			b := f.mail("mail:"+key+"+1", "other:"+key, key)
			err := f.RecordIntent(t.Context(), f.tok, "run-1", b, "", t0)
			if c.again != (err == nil) || err != nil && fault.Of(err) != fault.Conflict {
				t.Errorf("%s: the second mail: %v", c.state, err)
			}
			others := 0
			for _, m := range f.customer("cus_a").Mails {
				if m.Key == "other:"+key {
					others++
				}
			}
			if c.again != (others == 1) {
				t.Errorf("%s: %d records of the other matter", c.state, others)
			}
			if c.again {
				f.mailed(b, reconcile.MailSent)
			}
		}
		a := f.mail("mail:nothing")
		if err := f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0); err == nil {
			t.Error("a mail about nothing")
		}
		a = f.mail("mail:x", "x")
		f.plan("cus_a")
		if err := f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0); fault.Of(err) != fault.Conflict {
			t.Errorf("a mail that is no longer planned: %v", err)
		}
	})
}

// TestAMailOfAProcessThatDiedHoldsUpNothing, and is ended once by the next run.
func TestAMailOfAProcessThatDiedHoldsUpNothing(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a := f.mail("mail:suspended:7:1", "suspended:7:1")
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0))
		if c := f.customer("cus_a"); len(c.Pending) != 0 || len(c.Mails) != 1 || c.Mails[0].State != reconcile.MailIntended {
			t.Errorf("pending %+v, mails %+v", c.Pending, c.Mails)
		}
		other := action("create_org:cus_a", reconcile.CreateOrg, "cus_a", "")
		f.plan("cus_a", other)
		f.must(f.RecordIntent(t.Context(), f.tok, "run-2", other, "", t0))
		if c := f.customer("cus_a"); len(c.Pending) != 1 || c.Pending[0].Kind != reconcile.CreateOrg {
			t.Errorf("pending beside the mail: %+v", c.Pending)
		}
		lost, err := f.LoseMails(t.Context(), f.tok, "run-1", t0)
		f.must(err)
		same(t, "lost, as the run sees it that sends them", []string(nil), lost)
		lost, err = f.LoseMails(t.Context(), f.tok, "run-2", t0.Add(time.Minute))
		f.must(err)
		same(t, "lost", []string{a.ID}, lost)
		lost, err = f.LoseMails(t.Context(), f.tok, "run-3", t0.Add(time.Minute))
		f.must(err)
		same(t, "lost again", []string(nil), lost)
		same(t, "the record", []reconcile.MailRecord{{Key: "suspended:7:1", State: reconcile.MailUnknown, At: t0.Add(time.Minute)}}, f.customer("cus_a").Mails)
		rows, err := f.Actions(t.Context(), reconcile.ActionFilter{Customer: "cus_a", State: reconcile.ActionFailed, Limit: 5})
		f.must(err)
		if len(rows) != 1 || !strings.Contains(rows[0].Error, "may have arrived") {
			t.Errorf("the journal: %+v", rows)
		}
	})
}

// TestAMailThatCannotBeSentIsSettled: the row of the journal has the reason.
func TestAMailThatCannotBeSentIsSettled(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a := f.mail("mail:suspended:7:1", "suspended:7:1")
		f.must(f.SkipMail(t.Context(), f.tok, "run-1", a, "no e-mail", t0))
		same(t, "the record", []reconcile.MailRecord{{Key: "suspended:7:1", State: reconcile.MailRefused, At: t0}}, f.customer("cus_a").Mails)
		rows, err := f.Actions(t.Context(), reconcile.ActionFilter{Customer: "cus_a", Limit: 5})
		f.must(err)
		if len(rows) != 1 || rows[0].State != reconcile.ActionSuperseded || rows[0].Error != "no e-mail" {
			t.Errorf("the journal: %+v", rows)
		}
	})
}

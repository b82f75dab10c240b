package planner

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// noticeWithin is how old an event may be of which the customer gets a notice: when
	// mails are switched on, nobody gets a notice of a suspension of last month.
	noticeWithin = 24 * time.Hour
	// resumedWithin is how long after the notice of a suspension the customer gets one that
	// it is over.
	resumedWithin = 90 * 24 * time.Hour
	// warnUntil is how long before the event a warning is not sent any more.
	warnUntil = time.Hour
	// mailAgain is how long a mail waits that the server has not taken.
	mailAgain = time.Hour
)

// deletion is a hosting that the retention period deletes, and when.
type deletion struct {
	sub, hosting int
	at           time.Time
}

// planMails adds the mails that are due: of each kind one, for all of its topics.
func (pl *planner) planMails() {
	if !pl.policy.Mail.On {
		return
	}
	due := map[reconcile.MailKind][]reconcile.MailTopic{}
	if pl.policy.Mode == reconcile.Enforce || pl.policy.Mode == reconcile.Observe {
		for i := range pl.subs {
			pl.warnOfSuspension(i, due)
		}
		for _, d := range pl.deletions {
			pl.warnOfDeletion(d, due)
		}
	}
	pl.notices(due)
	for _, kind := range reconcile.MailKinds() {
		if len(due[kind]) > 0 {
			pl.addMail(kind, due[kind])
		}
	}
}

// addMail adds one mail. Its id names all of its topics, so that an approval is of these.
func (pl *planner) addMail(kind reconcile.MailKind, topics []reconcile.MailTopic) {
	slices.SortFunc(topics, func(a, b reconcile.MailTopic) int { return cmp.Compare(a.Key, b.Key) })
	id := "mail:" + topics[0].Key
	if more := topics[1:]; len(more) > 0 {
		sum := sha256.New()
		for i := range more {
			sum.Write([]byte(more[i].Key + "\n"))
		}
		id += "+" + strconv.Itoa(len(more)) + ":" + hex.EncodeToString(sum.Sum(nil)[:6])
	}
	pl.addAction(reconcile.Action{ID: id, Kind: reconcile.SendMail, Subscription: topics[0].Subscription,
		Mail: &reconcile.Mail{Kind: kind, Topics: topics}, Reason: mailReason(kind, topics)})
}

// warnOfSuspension warns of the end of a grace period, if it takes down a hosting that is
// up now.
func (pl *planner) warnOfSuspension(i int, due map[reconcile.MailKind][]reconcile.MailTopic) {
	s := &pl.subs[i]
	if s.graceEnds.IsZero() || s.LapseUnknown() || s.Lapse.Seen.IsZero() {
		return
	}
	if m := pl.forbids(reconcile.Action{Kind: reconcile.Suspend, Subscription: s.ID}); m != nil && (m.Until.IsZero() || m.Until.After(s.graceEnds)) {
		return
	}
	for j := range pl.assignments {
		if l := &pl.assignments[j]; l.sub == i && l.hosting >= 0 && pl.c.Hostings[l.hosting].State == reconcile.HostingActive && !pl.outlives(l, s.graceEnds) {
			t := pl.topic(l.sub, &pl.c.Hostings[l.hosting], s.graceEnds)
			t.Hosting, t.Unpaid = 0, true
			pl.warn(reconcile.WarnSuspend, s.ID, s.Lapse.Seen, t, due)
			return
		}
	}
}

// outlives reports whether another subscription keeps a hosting up beyond an instant.
func (pl *planner) outlives(l *assignment, at time.Time) bool {
	return pl.keptByOther(l) || slices.ContainsFunc(pl.assignments, func(o assignment) bool {
		return o.Hosting == l.Hosting && o.sub >= 0 && o.sub != l.sub && o.desired == desiredActive && pl.subs[o.sub].graceEnds.After(at)
	})
}

// warnOfDeletion warns of the end of a retention period.
func (pl *planner) warnOfDeletion(d deletion, due map[reconcile.MailKind][]reconcile.MailTopic) {
	h := &pl.c.Hostings[d.hosting]
	if pl.forbids(reconcile.Action{Kind: reconcile.Terminate, Subscription: pl.subs[d.sub].ID, Hosting: h.ID}) != nil {
		return
	}
	t := pl.topic(d.sub, h, d.at)
	t.Ended, t.Deleted = true, d.at
	pl.warn(reconcile.WarnTerminate, reconcile.FormatID(h.ID), h.SuspendedByUs, t, due)
}

// warn adds a warning that is due, and the forecast of those that come. Of several whose
// time has passed only the one nearest to the event counts: a warning that could not be
// sent in time is never sent late.
func (pl *planner) warn(kind reconcile.MailKind, of string, spell time.Time, t reconcile.MailTopic, due map[reconcile.MailKind][]reconcile.MailTopic) {
	nearest := time.Duration(0)
	for _, before := range pl.policy.Mail.WarnBefore {
		if before == 0 {
			break
		}
		key := mailKey(kind, of, spell) + ":" + strings.TrimSuffix(before.String(), "0m0s")
		at := t.At.Add(-before)
		if at.After(pl.now) {
			pl.recheckAt(at)
			if pl.mayMail(key) && pl.policy.Mode == reconcile.Enforce {
				pl.addForecast(reconcile.ForecastEntry{At: at, Kind: reconcile.ForecastWarn, Subscription: t.Subscription, Hosting: t.Hosting, Reason: willBeWarned(kind, t)})
			}
			continue
		}
		nearest, t.Key = before, key
	}
	if nearest == 0 || t.At.Sub(pl.now) < warnUntil || !pl.mayMail(t.Key) {
		return
	}
	due[kind] = append(due[kind], t)
}

// notices adds the notices of events that this program has brought about lately.
func (pl *planner) notices(due map[reconcile.MailKind][]reconcile.MailTopic) {
	noticed := idSet{}
	for _, b := range pl.c.Bindings {
		i, j := pl.subIndex(b.Subscription), pl.hostingIndex(b.Hosting)
		if i < 0 || j < 0 || noticed[b.Hosting] || pl.servesLater(b) {
			continue
		}
		noticed[b.Hosting] = true
		h := &pl.c.Hostings[j]
		id := reconcile.FormatID(h.ID)
		switch {
		case !h.TerminatedByUs.IsZero():
			pl.notice(reconcile.NoticeDeleted, mailKey(reconcile.NoticeDeleted, id, h.TerminatedByUs), pl.topic(i, h, h.TerminatedByUs), due)
		case h.State == reconcile.HostingSuspended && !h.SuspendedByUs.IsZero() && !pl.resumes(h.ID):
			t := pl.topic(i, h, h.SuspendedByUs)
			status := pl.subs[i].Status
			t.Unpaid, t.Ended = status == reconcile.StatusPastDue || status == reconcile.StatusUnpaid, status.Ended()
			for _, d := range pl.deletions {
				if d.hosting == j {
					t.Deleted = d.at
				}
			}
			pl.notice(reconcile.NoticeSuspended, mailKey(reconcile.NoticeSuspended, id, h.SuspendedByUs), t, due)
		case h.State == reconcile.HostingActive:
			if spell, at := pl.noticedSuspension(h.ID); spell != "" && pl.now.Sub(at) < resumedWithin && pl.mayMail(reconcile.NoticeResumed.String()+spell) {
				t := pl.topic(i, h, time.Time{})
				t.Key = reconcile.NoticeResumed.String() + spell
				due[reconcile.NoticeResumed] = append(due[reconcile.NoticeResumed], t)
			}
		}
	}
}

// idSet is hostings by their ids.
type idSet map[int64]bool

// servesLater reports whether the hosting of a binding has another one of a subscription
// that has not ended, while its own has: that one stands for the hosting.
func (pl *planner) servesLater(b reconcile.Binding) bool {
	i := pl.subIndex(b.Subscription)
	return pl.subs[i].Status.Ended() && slices.ContainsFunc(pl.c.Bindings, func(o reconcile.Binding) bool {
		j := pl.subIndex(o.Subscription)
		return o.Hosting == b.Hosting && j >= 0 && !pl.subs[j].Status.Ended()
	})
}

// resumes reports whether this decision lifts the suspension of a hosting.
func (pl *planner) resumes(hosting int64) bool {
	return slices.ContainsFunc(pl.out.Actions, func(a reconcile.Action) bool { return a.Kind == reconcile.Resume && a.Hosting == hosting })
}

// notice adds the notice of an event that is not too old.
func (pl *planner) notice(kind reconcile.MailKind, key string, t reconcile.MailTopic, due map[reconcile.MailKind][]reconcile.MailTopic) {
	if pl.now.Sub(t.At) < noticeWithin && pl.mayMail(key) {
		t.Key = key
		due[kind] = append(due[kind], t)
	}
}

// noticedSuspension is the last suspension of a hosting of which the customer had a notice:
// the end of its key, and when the notice was. "": there is none.
func (pl *planner) noticedSuspension(hosting int64) (spell string, at time.Time) {
	prefix := reconcile.NoticeSuspended.String()
	for _, m := range pl.c.Mails {
		rest, ok := strings.CutPrefix(m.Key, prefix)
		if ok && strings.HasPrefix(rest, ":"+reconcile.FormatID(hosting)+":") && m.State != reconcile.MailUnsent && m.State != reconcile.MailRefused && m.At.After(at) {
			spell, at = rest, m.At
		}
	}
	return spell, at
}

// mayMail reports whether no mail with a topic of this key was sent, or may have been. If
// the server has not taken one, it is tried again after a while.
func (pl *planner) mayMail(key string) bool {
	for _, m := range pl.c.Mails {
		if m.Key != key {
			continue
		}
		again := m.At.Add(mailAgain)
		if m.State != reconcile.MailUnsent || again.After(pl.now) {
			if m.State == reconcile.MailUnsent {
				pl.recheckAt(again)
			}
			return false
		}
	}
	return true
}

// mailKey names a matter: its kind, its subscription or hosting, and when its spell began.
func mailKey(kind reconcile.MailKind, of string, spell time.Time) string {
	return kind.String() + ":" + of + ":" + strconv.FormatInt(spell.Unix(), 10)
}

// topic describes a hosting of a subscription.
func (pl *planner) topic(i int, h *reconcile.Hosting, at time.Time) reconcile.MailTopic {
	s := &pl.subs[i]
	return reconcile.MailTopic{Subscription: s.ID, Hosting: h.ID, Plan: pl.planName(h.Plan), Domain: cmp.Or(h.Website, s.domain), At: at}
}

package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// mailed are the ids of the mails that are due at an instant.
func mailed(c reconcile.Customer, p reconcile.Policy, at time.Time) (ids []string, d planner.Decision) {
	d = planner.Decide(&c, catalog(), p, at)
	for _, a := range d.Actions {
		if a.Kind == reconcile.SendMail {
			ids = append(ids, a.ID)
		}
	}
	return ids, d
}

// worldOf is the world after several changes.
func worldOf(changes ...func(*reconcile.Customer)) reconcile.Customer {
	return world(func(c *reconcile.Customer) {
		for _, change := range changes {
			change(c)
		}
	})
}

// mailPolicy is a policy with mails, warnings 48 and 24 hours before, and retention.
func mailPolicy() reconcile.Policy {
	p := policy()
	p.Grace, p.Retention = 72*time.Hour, 30*24*time.Hour
	p.Mail = reconcile.MailPolicy{On: true, WarnBefore: [reconcile.MaxWarnings]time.Duration{48 * time.Hour, 24 * time.Hour}}
	return p
}

// lapsed is a customer who has not paid since noon.
func lapsed(c *reconcile.Customer) {
	s := &c.Subscriptions[0]
	s.Status, s.StatusText, s.ByID = reconcile.StatusPastDue, "past_due", true
	s.Lapse = reconcile.Lapse{Seen: noon, Since: noon}
	c.Hostings[0].ObservedAt = noon
}

func sent(keys ...string) func(*reconcile.Customer) {
	return recorded(reconcile.MailSent, noon, keys...)
}

func recorded(s reconcile.MailState, at time.Time, keys ...string) func(*reconcile.Customer) {
	return func(c *reconcile.Customer) {
		for _, k := range keys {
			c.Mails = append(c.Mails, reconcile.MailRecord{Key: k, State: s, At: at})
		}
	}
}

// TestAWarningComesOnceAtEachStep: of several steps that have passed only the nearest
// counts, and none in the last hour or after the suspension.
func TestAWarningComesOnceAtEachStep(t *testing.T) {
	at := noon.Unix()
	w48, w24 := fmt.Sprintf("warn_suspend:sub_1:%d:48h", at), fmt.Sprintf("warn_suspend:sub_1:%d:24h", at)
	suspendedByUs := func(c *reconcile.Customer) {
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
	}
	manual := func(k reconcile.ManualKind, until time.Time) func(*reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Manual = []reconcile.ManualHold{{Kind: k, Customer: "cus_1", Author: "ops", Until: until}}
		}
	}
	for _, tc := range []struct {
		name   string
		after  time.Duration // since the lapse began
		change []func(*reconcile.Customer)
		policy func(*reconcile.Policy)
		want   []string
	}{
		{"before the first step", 24*time.Hour - time.Second, nil, nil, nil},
		{"the first step", 24 * time.Hour, nil, nil, []string{w48}},
		{"the first step, sent", 24 * time.Hour, []func(*reconcile.Customer){sent(w48)}, nil, nil},
		{"the second step", 48 * time.Hour, []func(*reconcile.Customer){sent(w48)}, nil, []string{w24}},
		{"both were missed", 60 * time.Hour, nil, nil, []string{w24}},
		{"the second was sent, and the first was not", 60 * time.Hour, []func(*reconcile.Customer){sent(w24)}, nil, nil},
		{"an hour before", 71 * time.Hour, nil, nil, []string{w24}},
		{"less than an hour before", 71*time.Hour + time.Second, nil, nil, nil},
		{"after the suspension was due", 73 * time.Hour, nil, nil, nil},
		{"another spell was warned of", 24 * time.Hour, []func(*reconcile.Customer){sent("warn_suspend:sub_1:1:48h")}, nil, []string{w48}},
		{"the outcome is not known", 24 * time.Hour, []func(*reconcile.Customer){recorded(reconcile.MailUnknown, noon, w48)}, nil, nil},
		{"the process died", 24 * time.Hour, []func(*reconcile.Customer){recorded(reconcile.MailIntended, noon, w48)}, nil, nil},
		{"refused for good", 24 * time.Hour, []func(*reconcile.Customer){recorded(reconcile.MailRefused, noon, w48)}, nil, nil},
		{"not taken, less than an hour ago", 24 * time.Hour, []func(*reconcile.Customer){recorded(reconcile.MailUnsent, noon.Add(24*time.Hour-59*time.Minute), w48)}, nil, nil},
		{"not taken an hour ago", 24 * time.Hour, []func(*reconcile.Customer){recorded(reconcile.MailUnsent, noon.Add(23*time.Hour), w48)}, nil, []string{w48}},
		{"paid", 24 * time.Hour, []func(*reconcile.Customer){func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].Lapse = reconcile.StatusActive, reconcile.Lapse{}
		}}, nil, nil},
		{"suspended already", 24 * time.Hour, []func(*reconcile.Customer){suspendedByUs, func(c *reconcile.Customer) { c.Hostings[0].SuspendedByUs = noon.Add(-48 * time.Hour) }}, nil, nil},
		{"a person forbids it", 24 * time.Hour, []func(*reconcile.Customer){manual(reconcile.NoSuspend, time.Time{})}, nil, nil},
		{"a person forbids it for a day", 24 * time.Hour, []func(*reconcile.Customer){manual(reconcile.NoSuspend, noon.Add(48*time.Hour))}, nil, []string{w48}},
		{"a person wants the customer left alone", 24 * time.Hour, []func(*reconcile.Customer){manual(reconcile.Ignore, time.Time{})}, nil, nil},
		{"another subscription keeps it up", 24 * time.Hour, []func(*reconcile.Customer){func(c *reconcile.Customer) {
			other := c.Subscriptions[0]
			other.ID, other.Status, other.Lapse = "sub_2", reconcile.StatusActive, reconcile.Lapse{}
			c.Subscriptions = append(c.Subscriptions, other)
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_1", Slot: 1, Org: "org-1", Hosting: 7})
		}}, nil, nil},
		{"another subscription keeps it up for longer", 24 * time.Hour, []func(*reconcile.Customer){func(c *reconcile.Customer) {
			other := c.Subscriptions[0]
			other.ID, other.Lapse = "sub_2", reconcile.Lapse{Seen: noon.Add(20 * time.Hour), Since: noon.Add(20 * time.Hour)}
			c.Subscriptions = append(c.Subscriptions, other)
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_1", Slot: 1, Org: "org-1", Hosting: 7})
		}}, nil, nil},
		{"mails are off", 24 * time.Hour, nil, func(p *reconcile.Policy) { p.Mail = reconcile.MailPolicy{} }, nil},
		{"MODE=provision", 24 * time.Hour, nil, func(p *reconcile.Policy) { p.Mode = reconcile.Provision }, nil},
		{"MODE=observe shows it", 24 * time.Hour, nil, func(p *reconcile.Policy) { p.Mode = reconcile.Observe }, []string{w48}},
		{"a longer grace", 24 * time.Hour, nil, func(p *reconcile.Policy) { p.Grace = 30 * 24 * time.Hour }, nil},
	} {
		c, p := world(lapsed), mailPolicy()
		for _, change := range tc.change {
			change(&c)
		}
		if tc.policy != nil {
			tc.policy(&p)
		}
		for i := range tc.want {
			tc.want[i] = "mail:" + tc.want[i]
		}
		if got, d := mailed(c, p, noon.Add(tc.after)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v (%+v)", tc.name, got, tc.want, d.Holds)
		}
	}
}

// TestAWarningThatComesIsForecastAndLookedAtThen.
func TestAWarningThatComesIsForecastAndLookedAtThen(t *testing.T) {
	_, d := mailed(world(lapsed), mailPolicy(), noon)
	var got []time.Duration
	for _, f := range d.Forecast {
		if f.Kind == reconcile.ForecastWarn && strings.Contains(f.Reason, "is suspended at 2026-03-04 12:00 UTC unless it is paid") {
			got = append(got, f.At.Sub(noon))
		}
	}
	if !slices.Equal(got, []time.Duration{24 * time.Hour, 48 * time.Hour}) || !d.Next.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("forecast %v, next look at %v", got, d.Next)
	}
}

// TestADeletionIsWarnedOf, and its notice comes when we have deleted it.
func TestADeletionIsWarnedOf(t *testing.T) {
	ended := func(c *reconcile.Customer) {
		s := &c.Subscriptions[0]
		s.Status, s.StatusText, s.EndedAt = reconcile.StatusCanceled, "canceled", noon
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
	}
	c, p := world(ended), mailPolicy()
	suspended := fmt.Sprintf("suspended:7:%d", noon.Unix())
	if got, d := mailed(c, p, noon.Add(time.Minute)); !slices.Equal(got, []string{"mail:" + suspended}) {
		t.Errorf("a notice of the suspension: %v", got)
	} else if topic := d.Actions[len(d.Actions)-1].Mail.Topics[0]; !topic.Ended || topic.Unpaid || !topic.Deleted.Equal(noon.Add(p.Retention)) {
		t.Errorf("%+v", topic)
	}
	sent(suspended)(&c)
	due := noon.Add(p.Retention)
	warning := fmt.Sprintf("mail:warn_terminate:7:%d:", noon.Unix())
	for before, want := range map[time.Duration][]string{49 * time.Hour: nil, 48 * time.Hour: {warning + "48h"}, 24 * time.Hour: {warning + "24h"}, 59 * time.Minute: nil} {
		if got, _ := mailed(c, p, due.Add(-before)); !slices.Equal(got, want) {
			t.Errorf("%s before: %v, want %v", before, got, want)
		}
	}
	c.Hostings[0].State, c.Hostings[0].TerminatedByUs = reconcile.HostingDeleted, due
	deleted := fmt.Sprintf("deleted:7:%d", due.Unix())
	if got, _ := mailed(c, p, due.Add(time.Minute)); !slices.Equal(got, []string{"mail:" + deleted}) {
		t.Errorf("a notice of the deletion: %v", got)
	}
	if got, _ := mailed(c, p, due.Add(25*time.Hour)); got != nil {
		t.Errorf("a notice of a deletion of yesterday: %v", got)
	}
}

// TestNoticesAreOfOurOwnRecentDeeds: a suspension of last week gets none when mails are
// switched on, nor one by staff; and that it is over is news only after such a notice.
func TestNoticesAreOfOurOwnRecentDeeds(t *testing.T) {
	down := func(c *reconcile.Customer) {
		lapsed(c)
		c.Subscriptions[0].Status = reconcile.StatusUnpaid
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
	}
	c, p := world(down), mailPolicy()
	key := fmt.Sprintf("suspended:7:%d", noon.Unix())
	got, d := mailed(c, p, noon.Add(time.Hour))
	if !slices.Equal(got, []string{"mail:" + key}) || !d.Actions[0].Mail.Topics[0].Unpaid {
		t.Errorf("a notice of the suspension: %v", got)
	}
	if got, _ := mailed(c, p, noon.Add(24*time.Hour)); got != nil {
		t.Errorf("a notice of a suspension of yesterday: %v", got)
	}
	p.Mode = reconcile.Provision
	if got, _ := mailed(c, p, noon.Add(time.Hour)); len(got) != 1 {
		t.Errorf("MODE=provision: a notice of the suspension: %v", got)
	}
	staff := worldOf(down, func(c *reconcile.Customer) { c.Hostings[0].SuspendedByUs = time.Time{} })
	if got, _ := mailed(staff, p, noon.Add(time.Hour)); got != nil {
		t.Errorf("a suspension by staff: %v", got)
	}
	paid := worldOf(down, func(c *reconcile.Customer) { c.Subscriptions[0].Status = reconcile.StatusActive })
	if got, _ := mailed(paid, p, noon.Add(time.Hour)); got != nil {
		t.Errorf("paid before the notice was sent: %v", got)
	}
	up := func(c *reconcile.Customer) { lapsed(c); c.Subscriptions[0].Status = reconcile.StatusActive }
	back := "mail:" + strings.Replace(key, "suspended", "resumed", 1)
	for _, tc := range []struct {
		name   string
		change func(*reconcile.Customer)
		want   []string
	}{
		{"no notice of a suspension", func(*reconcile.Customer) {}, nil},
		{"a notice of the suspension", sent(key), []string{back}},
		{"perhaps a notice", recorded(reconcile.MailUnknown, noon, key), []string{back}},
		{"a notice that was not taken", recorded(reconcile.MailUnsent, noon, key), nil},
		{"both notices", sent(key, "resumed"+strings.TrimPrefix(key, "suspended")), nil},
		{"of another hosting", sent("suspended:77:1"), nil},
		{"of a spell before, and of this one", func(c *reconcile.Customer) {
			recorded(reconcile.MailSent, noon.Add(-time.Hour), "suspended:7:1")(c)
			sent(key)(c)
		}, []string{back}},
		{"of half a year ago", recorded(reconcile.MailSent, noon.Add(-180*24*time.Hour), key), nil},
	} {
		if got, _ := mailed(worldOf(up, tc.change), p, noon.Add(time.Hour)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestSeveralMattersOfOneKindShareAMail, and its id names all of them.
func TestSeveralMattersOfOneKindShareAMail(t *testing.T) {
	two := func(c *reconcile.Customer) {
		lapsed(c)
		c.Subscriptions[0].Status = reconcile.StatusUnpaid
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
		h, b := c.Hostings[0], c.Bindings[0]
		h.ID, b.Hosting, b.Slot = 8, 8, 2
		c.Hostings, c.Bindings = append(c.Hostings, h), append(c.Bindings, b)
	}
	c := world(two)
	got, d := mailed(c, mailPolicy(), noon.Add(time.Hour))
	if len(got) != 1 || !strings.HasPrefix(got[0], fmt.Sprintf("mail:suspended:7:%d+1:", noon.Unix())) || len(d.Actions[0].Mail.Topics) != 2 {
		t.Fatalf("%v", got)
	}
	sent(d.Actions[0].Mail.Topics[0].Key)(&c)
	if got, _ := mailed(c, mailPolicy(), noon.Add(time.Hour)); !slices.Equal(got, []string{fmt.Sprintf("mail:suspended:8:%d", noon.Unix())}) {
		t.Errorf("the other one: %v", got)
	}
}

package notify

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// inbox is a receiver that works, after failing a number of times.
type inbox struct {
	mu    sync.Mutex // guards both
	fails int
	got   []string
}

func (i *inbox) send(message string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fails > 0 {
		i.fails--
		return errors.New("https://hooks.example.com/CANARY: 503")
	}
	i.got = append(i.got, message)
	return nil
}

func journal() (*logrus.Logger, *logtest.Buffer) {
	text := &logtest.Buffer{}
	log := logrus.New()
	log.SetOutput(text)
	log.SetLevel(logrus.DebugLevel)
	return log, text
}

// It failed when there was no limit of calls that hang.
func TestAReceiverThatHangsDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := journal()
		stuck := make(chan struct{})
		var mu sync.Mutex
		hanging := 0
		well := &inbox{}
		n := start([]string{"1 (dead)", "2 (well)"}, []Send{func(string) error {
			mu.Lock()
			hanging++
			mu.Unlock()
			<-stuck
			return nil
		}, well.send}, log)
		var want []string
		began := time.Now()
		for i := range 100 {
			message := fmt.Sprint("message ", i)
			want = append(want, message)
			n.Queue(message)
			synctest.Wait()
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("telling waited for %s", waited)
		}
		if diff := cmp.Diff(want, well.got); diff != "" {
			t.Errorf("the receiver that is well got (-want +got):\n%s", diff)
		}
		if !strings.Contains(text.String(), "notification dropped") {
			t.Error("nobody was told that messages were dropped")
		}
		time.Sleep(24 * time.Hour)
		mu.Lock()
		if hanging > mostHanging {
			t.Errorf("%d calls hang, want %d at most", hanging, mostHanging)
		}
		mu.Unlock()
		began = time.Now()
		n.Queue("the last")
		n.Close()
		if waited := time.Since(began); waited > farewell {
			t.Errorf("the farewell took %s, want %s at most", waited, farewell)
		}
		n.Queue("after the end") // must not panic
		close(stuck)
		time.Sleep(time.Hour)
	})
}

func TestAMessageIsTriedThreeTimesAndDeliveredOnce(t *testing.T) {
	for fails, want := range map[int]int{0: 1, 1: 1, 2: 1, 3: 0} {
		synctest.Test(t, func(t *testing.T) {
			log, text := journal()
			in := &inbox{fails: fails}
			n := start([]string{"1 (chat)"}, []Send{in.send}, log)
			n.Queue("hello")
			time.Sleep(time.Hour)
			n.Close()
			if len(in.got) != want {
				t.Errorf("after %d failures it was delivered %d times, want %d", fails, len(in.got), want)
			}
			if given := strings.Contains(text.String(), "not delivered"); given != (want == 0) {
				t.Errorf("after %d failures the log reports it as not delivered: %t", fails, given)
			}
			if strings.Contains(text.String(), "CANARY") {
				t.Errorf("the receiver's address is in the log: %s", text)
			}
		})
	}
}

func TestAnAddressThatCannotBeUsedIsNotShown(t *testing.T) {
	for _, url := range []string{"CANARY", "discord://CANARY", "CANARY://x", "slack://CANARY@@@", "nosuch://CANARY"} {
		log, text := journal()
		n, err := New([]secret.Text{secret.New(url)}, English, log)
		if err == nil {
			n.Close()
			continue // the service takes it
		}
		if strings.Contains(err.Error()+text.String(), "CANARY") {
			t.Errorf("%s: the error shows it: %v", url, err)
		}
		if !strings.Contains(err.Error(), "URL 1 of 1") {
			t.Errorf("%s: %v does not say which", url, err)
		}
	}
}

// chapter is one run of a story, and the message after it.
type chapter struct {
	report reconcile.Report
	err    error
	want   []string // parts of the message
}

// It failed when a plan was sent after each run.
func TestOnlyWhatChangedIsToldAndOnce(t *testing.T) {
	failed := errors.New("stripe: GET /v1/events: 502")
	denied := fault.Wrap(fault.Denied, errors.New("enhance: 401"))
	full := reconcile.RunRecord{Mode: reconcile.RunFull.String()}
	parked := func(ids ...string) (r reconcile.Report) {
		for _, id := range ids {
			r.Holds = append(r.Holds, reconcile.Hold{Kind: reconcile.HoldParked, Customer: id})
		}
		return r
	}
	plan := reconcile.HeldPlan{ID: "plan1", Kind: reconcile.Suspend, Actions: make([]reconcile.Action, 9), Reason: "9 of 20 at once."}
	grown := plan
	grown.Version, grown.Actions = 7, make([]reconcile.Action, 16)
	gated := reconcile.Report{Run: reconcile.RunRecord{Gates: []string{"the clock is off"}}}
	waits := reconcile.Report{Waits: "another installation is at work", Run: reconcile.RunRecord{Gates: []string{"another installation is at work"}}}
	for name, chapters := range map[string][]chapter{
		"nothing happens": {{}, {report: reconcile.Report{Run: full}}},
		"the brake": {{report: reconcile.Report{Plans: []reconcile.HeldPlan{plan}}, want: []string{"9 × suspend", "stripe-enhance approve plan1"}}, {report: reconcile.Report{Plans: []reconcile.HeldPlan{plan}}},
			{report: reconcile.Report{Plans: []reconcile.HeldPlan{grown}}}, {}},
		"three failures, then ok": {{err: failed}, {err: failed}, {err: failed, want: []string{"last 3 runs failed", "502", "What to do"}}, {err: failed}, {want: []string{"work again"}}, {}},
		"refused, then failed, then a gate": {{report: gated, err: failed, want: []string{"nothing at all is done"}}, {err: failed},
			{report: gated, want: []string{"nothing is taken away at present"}}, {report: reconcile.Report{Run: full}}},
		"refused, then at work": {{report: gated, err: failed, want: []string{"nothing at all is done"}}, {want: []string{"runs do their work again"}}},
		"failures, then half": {{err: denied, want: []string{"credential"}},
			{report: reconcile.Report{Partial: true, Notes: []string{"org 7 cannot be listed"}}, want: []string{"could not read everything", "org 7"}}, {}},
		"failures, then something held": {{err: denied, want: []string{"credential"}},
			{report: reconcile.Report{Holds: []reconcile.Hold{{Kind: reconcile.HoldAdopt}}}, want: []string{"except for those that are held", "stripe-enhance plan"}}},
		"staff at work": {{report: reconcile.Report{Drifted: 7, Drifts: []reconcile.Drift{{Hosting: 1, Text: "hosting 1 is suspended"}}},
			want: []string{"changed at the panel, not by us: hosting 1 is suspended; and 6 more", "What to do"}}, {}},
		"two failures are no news": {{err: failed}, {err: failed}, {}, {err: failed}, {err: failed}, {}},
		"a side denies":            {{err: denied, want: []string{"credential", "stripe-enhance check"}}, {err: denied}, {err: denied}, {err: denied}, {want: []string{"work again"}}, {}},
		"another is the writer":    {{err: &reconcile.LeaseTaken{Owner: "x"}}, {err: context.Canceled}, {err: fault.Wrap(fault.Fenced, failed)}, {err: fault.Wrap(fault.Canceled, failed)}, {}},
		"parked and freed": {{report: parked("cus_b", "cus_a"), want: []string{"cus_a, cus_b", "customers show --customer cus_a"}}, {report: parked("cus_a", "cus_b")},
			{report: parked("cus_b"), want: []string{"no longer set aside: cus_a"}}, {err: failed}, {report: parked("cus_b")}, {want: []string{"cus_b"}}},
		"many are one message": {{report: parked("cus_1", "cus_2", "cus_3", "cus_4", "cus_5", "cus_6", "cus_7"), want: []string{"and 2 more"}}},
		"a gate":               {{report: gated, want: []string{"nothing is taken away", "the clock is off"}}, {report: gated}, {}, {report: gated}, {report: reconcile.Report{Run: full}}, {report: gated, want: []string{"the clock"}}},
		"nothing is created":   {{report: waits, want: []string{"another installation"}}, {report: waits}, {err: failed}, {report: waits}, {want: []string{"created again"}}, {}},
		"nothing is created, and nothing taken away": {{report: reconcile.Report{Waits: waits.Waits, Run: reconcile.RunRecord{Gates: append([]string{"the clock is off"}, waits.Run.Gates...)}},
			want: []string{"another installation", "nothing is taken away at present, because the clock is off."}}, {report: waits}},
		"everything at once": {{report: reconcile.Report{Plans: []reconcile.HeldPlan{plan}, Holds: parked("cus_a").Holds, Run: gated.Run},
			want: []string{"\n• ", "plan1", "cus_a", "the clock is off"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var w Watch
			for i, c := range chapters {
				got := w.Look(c.report, c.err)
				if (got == "") != (len(c.want) == 0) {
					t.Errorf("run %d: sent %q, want %q in it", i, got, c.want)
				}
				for _, part := range c.want {
					if !strings.Contains(got, part) {
						t.Errorf("run %d: %q is not in %q", i, part, got)
					}
				}
			}
		})
	}
}

// TestWhatAProcessToldNoOtherOneTells: each run of this story is a process of its own, like
// those of a CronJob. It failed when the memory was not taken over.
func TestWhatAProcessToldNoOtherOneTells(t *testing.T) {
	failed := errors.New("stripe: GET /v1/events: 502")
	held := reconcile.Report{
		Plans: []reconcile.HeldPlan{{ID: "plan1", Kind: reconcile.CreateSubscription}},
		Holds: []reconcile.Hold{{Kind: reconcile.HoldParked, Customer: "cus_a"}, {Kind: reconcile.HoldAdopt, Customer: "cus_b", Subscription: "sub_b", Order: true}},
		Run:   reconcile.RunRecord{Gates: []string{"the clock is off"}},
	}
	memory := ""
	for i, c := range []chapter{{report: held, want: []string{"plan1", "cus_a", "sub_b", "the clock"}}, {report: held}, {err: failed}, {err: failed}, {err: failed, want: []string{"last 3 runs"}},
		{err: failed}, {report: held, want: []string{"runs end again"}}, {report: held}} {
		var w Watch
		if err := w.Recall(memory); err != nil {
			t.Fatal(err)
		}
		got := w.Look(c.report, c.err)
		if (got == "") != (len(c.want) == 0) {
			t.Errorf("run %d: sent %q, want %q in it", i, got, c.want)
		}
		for _, part := range c.want {
			if !strings.Contains(got, part) {
				t.Errorf("run %d: %q is not in %q", i, part, got)
			}
		}
		memory = w.Memory()
	}
	var w Watch
	if err := w.Recall("{"); err == nil {
		t.Error("a memory that cannot be read is no error")
	}
	if got := w.Look(held, nil); !strings.Contains(got, "plan1") {
		t.Errorf("after a memory that cannot be read: %q", got)
	}
}

func TestOrdersAreToldWhenTheyAreTwiceAsMany(t *testing.T) {
	var w Watch
	told := []int{}
	for n := 1; n <= 40; n++ {
		var r reconcile.Report
		for i := range n {
			r.Holds = append(r.Holds, reconcile.Hold{Kind: reconcile.HoldNoEmail, Customer: fmt.Sprint("cus_", i), Subscription: fmt.Sprint("sub_", i), Order: true},
				reconcile.Hold{Kind: reconcile.HoldBrake, Subscription: fmt.Sprint("sub_b", i), Order: true}, reconcile.Hold{Kind: reconcile.HoldGrace, Subscription: "sub_g"})
		}
		if got := w.Look(r, nil); got != "" {
			told = append(told, n)
			if !strings.Contains(got, "no_email") || strings.Contains(got, "grace") || strings.Contains(got, "sub_b") {
				t.Errorf("with %d: %s", n, got)
			}
		}
	}
	if diff := cmp.Diff([]int{1, 2, 4, 8, 16, 32}, told); diff != "" {
		t.Errorf("sent at (-want +got):\n%s", diff)
	}
	w.Look(reconcile.Report{}, nil)
	again := reconcile.Report{Holds: []reconcile.Hold{{Kind: reconcile.HoldNoEmail, Customer: "cus_1", Subscription: "sub_1", Order: true}}}
	if w.Look(again, nil) == "" {
		t.Error("a new order was not told after all the others were gone")
	}
}

func TestAMessageIsDeliveredBeforeAProcessEnds(t *testing.T) {
	for fails, want := range map[int][]string{0: nil, 1: nil, 2: {"1 (chat)"}} {
		synctest.Test(t, func(t *testing.T) {
			log, text := journal()
			in, well := &inbox{fails: fails}, &inbox{}
			n := start([]string{"1 (chat)", "2 (well)"}, []Send{in.send, well.send}, log)
			if diff := cmp.Diff(want, n.Deliver("hello")); diff != "" {
				t.Errorf("after %d failures it was missed by (-want +got):\n%s", fails, diff)
			}
			if len(in.got) != 1-len(want) || len(well.got) != 1 {
				t.Errorf("after %d failures delivered: %v, %v", fails, in.got, well.got)
			}
			n.Close()
			if strings.Contains(text.String(), "CANARY") {
				t.Errorf("the receiver's address is in the log: %s", text)
			}
		})
	}
}

func TestNoAddressOfACustomerGoesIntoAChat(t *testing.T) {
	var w Watch
	hold := reconcile.Hold{Kind: reconcile.HoldParked, Customer: "cus_a", Reason: "ada@example.com cannot be invited"}
	got := w.Look(reconcile.Report{Holds: []reconcile.Hold{hold}}, nil)
	if got == "" || strings.Contains(got, "@") {
		t.Errorf("sent: %s", got)
	}
}

// TestAReceiverThatPanicsIsOneThatFails: the libraries of receivers may panic, and each
// call is in a goroutine of its own.
func TestAReceiverThatPanicsIsOneThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := journal()
		calls, well := 0, &inbox{}
		n := start([]string{"1 (bad)", "2 (well)"}, []Send{func(string) error {
			if calls++; calls < 3 {
				panic("https://hooks.example.com/CANARY")
			}
			return nil
		}, well.send}, log)
		n.Queue("hello")
		time.Sleep(time.Hour)
		n.Close()
		if calls != 3 || len(well.got) != 1 {
			t.Errorf("the receiver that panics was tried %d times, want 3; the other one got %v", calls, well.got)
		}
		if strings.Contains(text.String(), "CANARY") {
			t.Errorf("the value of the panic is in the log: %s", text)
		}
	})
}

// TestNoPieceOfAReceiversPasswordIsLogged: each of these is accepted or refused. If it is
// accepted, a message is sent to an address that does not answer, and the library may
// return any error.
func TestNoPieceOfAReceiversPasswordIsLogged(t *testing.T) {
	said := &logtest.Buffer{}
	stdlog.SetOutput(said) // of libraries that log by themselves
	t.Cleanup(func() { stdlog.SetOutput(os.Stderr) })
	taken := 0
	for _, c := range "@/?#:%&;=+ ,[]$é" {
		password := "Zq7Kx" + string(c) + "Xw9Vj"
		for _, url := range []string{
			"smtp://user:" + password + "@127.0.0.1:1/?from=a@example.com&to=b@example.com",
			"generic://127.0.0.1:1/" + password, "generic+http://127.0.0.1:1/?token=" + password, "xqj://" + password,
			"gotify://127.0.0.1:1/" + password, "matrix://user:" + password + "@127.0.0.1:1",
		} {
			log, text := journal()
			n, err := New([]secret.Text{secret.New(url)}, English, log)
			if err == nil {
				taken++
				n.Queue("hello")
				n.Close()
			}
			all := fmt.Sprint(err, text, said)
			for _, piece := range []string{"Zq7", "q7K", "7Kx", "Xw9", "w9V", "9Vj", "xqj"} {
				if strings.Contains(all, piece) {
					t.Errorf("%s: %q is shown: %s", url, piece, all)
				}
			}
		}
	}
	if taken == 0 {
		t.Error("none was taken, so nothing was sent")
	}
}

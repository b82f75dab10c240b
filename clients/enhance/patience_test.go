package enhance_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// servers is a panel of which some orgs answer late or, with a negative time, not at all.
type servers struct {
	mu    sync.Mutex // guards all below
	takes map[string]time.Duration
	now   map[string]int // requests under way about an org
	most  map[string]int
	asked []string
}

func newServers() *servers {
	return &servers{takes: map[string]time.Duration{}, now: map[string]int{}, most: map[string]int{}}
}

func (s *servers) RoundTrip(r *http.Request) (*http.Response, error) {
	part := strings.Split(r.URL.Path, "/")
	org := part[len(part)-1] // or the status of the panel
	s.mu.Lock()
	s.now[org]++
	s.most[org] = max(s.most[org], s.now[org])
	s.asked = append(s.asked, org)
	takes := s.takes[org]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now[org]--
	}()
	answer := time.NewTimer(takes)
	defer answer.Stop()
	late := answer.C
	if takes < 0 {
		late = nil
	}
	select {
	case <-late:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, `{"id":%q,"name":"x","parentId":%q,"status":"active"}`, org, ourOrg)
	})}.RoundTrip(r)
}

func (s *servers) set(org string, takes time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes[org] = takes
}

// customer is the id of the n-th customer's org.
func customer(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// took reads an org and returns for how long, and the error.
func took(ctx context.Context, client *enhance.Client, org string) (time.Duration, error) {
	began := time.Now()
	_, err := client.Org(ctx, org)
	return time.Since(began), err
}

// An org that gives no answer is given up soon, and the next time later, so that one that
// is merely slow is read in the end. What it did is forgotten when it answers again.
func TestAnOrgThatGivesNoAnswerIsGivenUpSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServers()
		client := bubble(t, s)
		s.set(customer(1), -1)
		var waited []time.Duration
		for range 6 {
			d, err := took(t.Context(), client, customer(1))
			if verdict(err) != "transient" || !strings.Contains(err.Error(), "no answer about this org within") {
				t.Errorf("got %v", err)
			}
			waited = append(waited, d)
		}
		want := []time.Duration{3 * time.Second, 6 * time.Second, 12 * time.Second, 24 * time.Second, 30 * time.Second, 30 * time.Second}
		if diff := cmp.Diff(want, waited); diff != "" {
			t.Errorf("waited (-want +got):\n%s", diff)
		}
		s.set(customer(1), 10*time.Second)
		if _, err := took(t.Context(), client, customer(1)); err != nil {
			t.Errorf("an org that is slow: %v", err)
		}
		s.set(customer(1), time.Second)
		if _, err := took(t.Context(), client, customer(1)); err != nil {
			t.Error(err)
		}
		s.set(customer(1), -1)
		if d, _ := took(t.Context(), client, customer(1)); d > 12*time.Second {
			t.Errorf("after it answered in time it had %s", d)
		}
		time.Sleep(11 * time.Minute)
		if d, _ := took(t.Context(), client, customer(1)); d > 12*time.Second {
			t.Errorf("long after it gave no answer it had %s", d)
		}
	})
}

// A panel that is slow as a whole is waited for.
func TestAPanelThatIsSlowAsAWholeIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServers()
		client := bubble(t, s)
		s.set(ourOrg, 5*time.Second)
		s.set(customer(1), 8*time.Second)
		if _, err := client.Self(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := took(t.Context(), client, customer(1)); err != nil {
			t.Error(err)
		}
	})
}

// However many requests there are about an org that gives no answer, it holds one place at
// the limiter, and all such orgs together hold two once that is known. Others are answered
// at once, and the breaker stays closed.
func TestOrgsThatGiveNoAnswerHoldUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServers()
		guard := breaker.New("Enhance", time.Now)
		client := bubble(t, s, func(o *enhance.Options) {
			o.Limiter, o.Breaker = ratelimit.New(ratelimit.Options{RPS: 1000, Concurrency: 8}), guard
		})
		for n := range 20 {
			s.set(customer(n), -1)
		}
		var all sync.WaitGroup
		ask := func(ctx context.Context, n int) { all.Go(func() { _, _ = took(ctx, client, customer(n)) }) }
		for range 5 {
			ask(t.Context(), 0)
		}
		synctest.Wait()
		if d, err := took(t.Context(), client, customer(99)); d != 0 || err != nil {
			t.Errorf("beside five requests about one org: %s, %v", d, err)
		}
		all.Wait()
		if s.most[customer(0)] != 1 {
			t.Errorf("%d requests about one org were under way together", s.most[customer(0)])
		}
		for n := range 20 { // now it is known of each
			ask(t.Context(), n)
			if n%4 == 3 {
				time.Sleep(time.Second)
				if d, err := took(t.Context(), client, customer(99)); d > 0 || err != nil {
					t.Errorf("the panel answers others: %s, %v", d, err)
				}
				all.Wait()
			}
		}
		for n := range 20 {
			ask(t.Context(), n)
		}
		synctest.Wait()
		busy := 0
		s.mu.Lock()
		for _, n := range s.now {
			busy += n
		}
		s.mu.Unlock()
		if busy != 2 {
			t.Errorf("%d of the orgs that gave no answer are asked together", busy)
		}
		if d, err := took(priority.With(t.Context(), priority.Urgent), client, customer(19)); d > 0 || verdict(err) != "transient" {
			t.Errorf("an urgent request about another of them: %s, %v", d, err)
		}
		if d, err := took(priority.With(t.Context(), priority.Urgent), client, customer(99)); d > 0 || err != nil {
			t.Errorf("an urgent request about an org that answers: %s, %v", d, err)
		}
		if err := guard.Open(); err != nil {
			t.Errorf("the breaker is open: %v", err)
		}
		all.Wait()
	})
}

// Orgs about which the panel answers badly, one after another, stop no other customer.
func TestOrgsWithBadAnswersHoldUpNoOther(t *testing.T) {
	guard := breaker.New("Enhance", time.Now)
	n := newTown(t, func(o *enhance.Options) { o.Breaker = guard })
	for _, f := range []simulator.Fault{{Apply: simulator.Skip, Status: http.StatusBadGateway}, {Malformed: true}, {Reset: true}} {
		n.breaks(oneHosting, f)
		for range 8 {
			if _, err := n.client.Hosting(t.Context(), n.org, n.hosting); err == nil {
				t.Fatal("a fault is no fault")
			}
		}
	}
	if err := guard.Open(); err != nil {
		t.Errorf("the breaker is open: %v", err)
	}
}

// If nothing else is answered either, the panel is in trouble, and the breaker opens.
func TestAPanelThatAnswersNothingOpensTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := breaker.New("Enhance", time.Now)
		client := bubble(t, silent{}, func(o *enhance.Options) { o.Breaker = guard })
		for n := range 5 {
			_, _ = took(t.Context(), client, customer(n))
		}
		if guard.Open() == nil {
			t.Error("the breaker is closed")
		}
	})
}

// A caller that waits for its turn waits no longer than its context.
func TestWhoWaitsForAnOrgWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServers()
		client := bubble(t, s)
		s.set(customer(1), -1)
		var all sync.WaitGroup
		all.Go(func() { _, _ = took(t.Context(), client, customer(1)) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if d, err := took(ctx, client, customer(1)); d != time.Second || verdict(err) != "transient" {
			t.Errorf("%s, %v", d, err)
		}
		all.Wait()
	})
}

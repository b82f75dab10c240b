//go:build unix

package main

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
)

const (
	testAdminKey      = "an-admin-key-of-the-tests-CANARY-0123456789"
	testWebhookSecret = "whsec_CANARYofTheTests0123456789"
)

// Three replicas and the command line share two connections, which are wiped after every
// transaction. So the test fails if the program keeps state in a session, as statements
// prepared on the server do, or if it holds a connection while it waits for another, as
// migrations would that wait for their lock inside the database.
func TestEverythingWorksThroughPgBouncerInTransactionMode(t *testing.T) {
	t.Parallel() // most of it is waiting for a lease to run out
	database := pgtest.Empty(t)
	through := pgtest.Bouncer(t, database, 2)
	s := newSite(t, through, "POLL_SCHEDULE=@every 24h", "ADMIN_API_KEY="+testAdminKey, "STRIPE_WEBHOOK_SECRET="+testWebhookSecret)
	replicas := []*replica{s.begin("first"), s.begin("second"), s.begin("third")}
	for _, r := range replicas {
		r.up() // having migrated, or waited for who did
	}
	s.mapPrices()
	leader, followers := writer(t, replicas...), []*replica{}
	for _, r := range replicas {
		if r != leader {
			followers = append(followers, r)
		}
	}
	leader.says(0, "run finished", `"mode":"full"`) // nothing was known yet

	orders := s.signUp("bakery", "florist")
	s.tellByWebhook(followers[0]) // who has no lease, and stores them
	s.hosted(2)
	leader.says(0, "run finished", `"mode":"incremental"`)
	if answer := s.post(followers[1], "/api/admin/sync", fmt.Sprintf(`{"subscriptionId":%q}`, orders[0])); !strings.Contains(answer, `"success":true`) {
		t.Errorf("a sync asked of a follower: %s", answer)
	}
	if answer := s.post(leader, "/api/admin/sync", "{}"); !strings.Contains(answer, "Synced 2 subscriptions") {
		t.Errorf("a full sync: %s", answer)
	}
	// A full run lists both; one of what changed would have read none.
	if answer := s.post(followers[0], "/api/admin/sync", "{}"); !strings.Contains(answer, "Synced 2 subscriptions") {
		t.Errorf("a sync of everything by way of another replica: %s", answer)
	}

	if err := leader.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	writer(t, followers...)
	s.signUp("cyclist")
	s.tellByWebhook(followers[0])
	s.hosted(3)
	followed(t, database)

	for _, mode := range []string{"exec", "simple_protocol"} { // for poolers that can even less
		s.env = append(s.env, "DATABASE_URL="+through+"&default_query_exec_mode="+mode)
		if out, talk, code := s.run("customers", "show", "--email", "Cyclist@example.com"); code != 0 || !strings.Contains(out, "cyclist") {
			t.Errorf("default_query_exec_mode=%s: exit code %d, %s", mode, code, talk)
		}
	}
}

// followed fails the test when an event that was acknowledged and names a subscription was
// not followed. The others are marked by the next run.
func followed(t *testing.T, database string) {
	t.Helper()
	db, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got := map[string]int{}
	eventually(t, "all webhooks are followed", func() bool {
		rows, err := db.QueryContext(t.Context(), "SELECT state, count(*) FROM webhook_logs WHERE subscription_id <> '' GROUP BY state")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		clear(got)
		for rows.Next() {
			var state string
			var n int
			if err := rows.Scan(&state, &n); err != nil {
				t.Fatal(err)
			}
			got[state] = n
		}
		return rows.Err() == nil && got["received"] == 0 && got["followed"] > 0
	})
	if diff := cmp.Diff(0, got["failed"]); diff != "" {
		t.Errorf("webhooks that failed (-want +got):\n%s", diff)
	}
}

// tellByWebhook lets Stripe deliver its webhooks to a replica.
func (s *site) tellByWebhook(r *replica) {
	s.tb.Helper()
	delivered, err := s.world.DeliverWebhooks(s.tb.Context(), r.url+"/api/webhook", testWebhookSecret, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	if delivered.Sent == 0 {
		s.tb.Fatalf("no webhook was accepted: %+v", delivered)
	}
}

// hosted waits until so many hostings stand.
func (s *site) hosted(n int) {
	s.tb.Helper()
	eventually(s.tb, fmt.Sprintf("%d hostings stand", n), func() bool { return len(s.world.Hostings()) == n })
}

// post sends a request to the admin API and returns the answer.
func (s *site) post(r *replica, path, body string) string {
	s.tb.Helper()
	q, err := http.NewRequestWithContext(s.tb.Context(), http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+testAdminKey)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	return string(text)
}

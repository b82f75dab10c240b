package engine_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver, for looking at the database from outside
	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// canary is part of both credentials.
const canary = "CANARYq7Zt"

// TestNoCredentialIsInAnyLogErrorReportRowOrPanic makes calls of both sides fail in
// every way, where each answer quotes the credential that it was asked with, as
// proxies and debug pages do, and a panic hold one; everything is logged at the
// lowest level. Then all output and all that was stored is searched.
//
// With each of these mistakes put in once, it went red: the value of a panic in the
// failure of its customer; the body of an answer in an error; headers of a request
// in the log.
func TestNoCredentialIsInAnyLogErrorReportRowOrPanic(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		database := "sqlite:" + filepath.Join(dir, "state.db")
		if url != "" {
			database = pgtest.Empty(t)
		}
		said, log := &logtest.Buffer{}, logrus.New()
		log.SetLevel(logrus.TraceLevel)
		log.SetOutput(said)
		panicking := false
		r := testenv.New(t, testenv.Options{Database: database, Log: log,
			World: simulator.Options{Seed: 3, StripeKey: "sk_test_" + canary + "stripe", EnhanceToken: canary + "enhance"},
			Engine: func(o *engine.Options) {
				o.Concurrency = 1
				o.Brakes.Create = planner.Limit{Count: 1000}
				o.Failpoint = func(string, string) {
					if panicking {
						panic("refused: Bearer " + canary + "enhance")
					}
				}
			}})
		try := func(req engine.Request) {
			rep, err := r.Try(req)
			fmt.Fprintf(said, "%v %+v %#v\n", err, err, rep)
			tell(t, said, rep)
		}
		try(engine.Request{})
		price := priceFor(t, r, plans(r)[0])
		for _, side := range []simulator.Side{simulator.Stripe, simulator.Enhance} {
			for name, fault := range quoting(map[simulator.Side]string{simulator.Stripe: r.World.StripeKey(), simulator.Enhance: r.World.EnhanceToken()}[side]) {
				s := signUp(t, r, simulator.SignUp{Email: strings.ReplaceAll(name, " ", "") + side.String() + "@example.com", Price: price})
				met := 0
				r.World.SetFault(func(c simulator.Call) simulator.Fault {
					if c.Side != side {
						return simulator.Fault{}
					}
					met++
					return fault
				})
				try(engine.Request{})
				try(engine.Request{Subscriptions: []string{s.Subscription}})
				r.World.SetFault(nil)
				r.World.Advance(30 * time.Minute) // the side is called again by then
				if met == 0 {
					t.Errorf("%s of %s was never met", name, side)
				}
			}
		}
		panicking = true
		r.World.Advance(2 * time.Hour)
		try(engine.Request{})
		panicking = false
		clean(t, "log, errors and reports", said.String(), "internal error", "level=", "401")
		clean(t, "database", stored(t, r, dir, url, database), "@example.com", "internal error")
	})
}

// quoting is every class of failure, with an answer that repeats the credential.
func quoting(credential string) map[string]simulator.Fault {
	quote := "Bearer " + credential
	body := fmt.Appendf(nil, `{"error":{"type":"invalid_request_error","code":"%[1]s","message":"not with %[1]s"},"code":"x","detail":"not with %[1]s","message":"%[1]s"}`, quote)
	faults := map[string]simulator.Fault{
		"redirect":       {Apply: simulator.Skip, Status: 307, Header: http.Header{"Location": {"http://elsewhere.test/?key=" + credential}}, Body: body},
		"malformed":      {Apply: simulator.Do, Status: 200, Body: fmt.Appendf(nil, `{"object":%q,"items":%q,"id":%q`, quote, quote, quote)},
		"wrong types":    {Apply: simulator.Do, Status: 200, Body: fmt.Appendf(nil, `{"object":%q,"items":%q,"data":%q,"id":[%q]}`, quote, quote, quote, quote)},
		"a page":         {Apply: simulator.Skip, Status: 503, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<pre>" + quote)},
		"lost when done": simulator.Lost(true),
		"lost before":    simulator.Lost(false),
	}
	for _, status := range []int{400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 504} {
		faults[fmt.Sprint("status ", status)] = simulator.Fault{Apply: simulator.Skip, Status: status, Body: body,
			Header: http.Header{"Request-Id": {quote}, "X-Debug": {quote}}}
	}
	return faults
}

// tell prints a report as people and scripts get it.
func tell(t *testing.T, to *logtest.Buffer, rep reconcile.Report) {
	t.Helper()
	must(t, report.Text(to, rep, report.View{}))
	must(t, report.WriteJSON(to, report.Of(rep)))
}

// clean searches a text for the canary, after making sure that it is the text.
func clean(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s: there is no %q in it, so nothing is proved", what, word)
		}
	}
	if i := strings.Index(text, canary); i >= 0 {
		t.Errorf("%s: a credential at %d: …%s…", what, i, text[max(0, i-300):min(len(text), i+100)])
	}
}

// stored is everything in the database: the files of SQLite, or every row of every
// table.
func stored(t *testing.T, r *testenv.Env, dir, kind, url string) string {
	t.Helper()
	var all strings.Builder
	if kind == "" {
		r.Close()
		files, err := os.ReadDir(dir)
		must(t, err)
		for _, f := range files {
			content, err := os.ReadFile(filepath.Join(dir, f.Name()))
			must(t, err)
			all.Write(content)
		}
		return all.String()
	}
	db, err := sql.Open("pgx", url)
	must(t, err)
	defer db.Close()
	for _, table := range column(t, db, "SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = current_schema()") {
		for _, row := range column(t, db, "SELECT CAST(t AS TEXT) FROM "+table+" t") {
			all.WriteString(row + "\n")
		}
	}
	return all.String()
}

// column is the only column of a query.
func column(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.Query(query)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var s string
		must(t, rows.Scan(&s))
		all = append(all, s)
	}
	must(t, rows.Err())
	return all
}

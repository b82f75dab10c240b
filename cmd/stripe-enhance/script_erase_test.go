package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// deleteCustomer deletes the customer of a subscription at Stripe: "world deletes WHO".
func (o *outside) deleteCustomer(sub string) error {
	for _, s := range o.signed {
		if s.Subscription == sub {
			return o.simulated.DeleteCustomer(s.Customer)
		}
	}
	return simulator.NotFoundError{Kind: "subscription", ID: sub}
}

// readdresses gives the customer of a subscription the e-mail new-EMAIL: "world readdresses
// WHO".
func (o *outside) readdresses(sub string) error {
	for who, s := range o.signed {
		if s.Subscription == sub {
			return o.simulated.SetEmail(s.Customer, "new-"+who+"@example.com")
		}
	}
	return simulator.NotFoundError{Kind: "subscription", ID: sub}
}

// intables WORD [TABLE…] looks for a word in every column of every table, and compares in
// which tables it is. It looks in the bytes of the files of SQLite too, if there is to be none.
func (o *outside) inTables(ts *testscript.TestScript, args []string) {
	url, driver, list := ts.Getenv("DATABASE_URL"), "pgx", "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public'"
	file, lite := strings.CutPrefix(url, "sqlite:")
	if lite {
		url, driver, list = file, "sqlite", "SELECT name FROM sqlite_master WHERE type = 'table'"
	}
	db, err := sql.Open(driver, url)
	ts.Check(err)
	defer db.Close()
	word := strings.ToLower(args[0])
	var found []string
	for _, row := range allRows(ts, db, list) {
		table := row[0]
		if slices.ContainsFunc(allRows(ts, db, `SELECT * FROM "`+table+`"`), func(row []string) bool {
			return strings.Contains(strings.ToLower(strings.Join(row, "\n")), word)
		}) {
			found = append(found, table)
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, args[1:]) {
		ts.Fatalf("%s is in the tables %q, want %q", args[0], found, args[1:])
	}
	for _, name := range []string{file, file + "-wal"} {
		if !lite || len(found) > 0 {
			break
		}
		content, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue
		}
		ts.Check(err)
		if bytes.Contains(bytes.ToLower(content), []byte(word)) {
			ts.Fatalf("%s is in the bytes of %s", args[0], name)
		}
	}
}

// allRows are the rows of a query, as texts.
func allRows(ts *testscript.TestScript, db *sql.DB, query string) (all [][]string) {
	rows, err := db.Query(query)
	ts.Check(err)
	defer rows.Close()
	columns, err := rows.Columns()
	ts.Check(err)
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		ts.Check(rows.Scan(into...))
		row := make([]string, len(values))
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			row[i] = fmt.Sprint(v)
		}
		all = append(all, row)
	}
	ts.Check(rows.Err())
	return all
}

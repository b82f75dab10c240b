package main

import (
	"bytes"
	"database/sql"
	"errors"
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
	found, bytesOf, err := tablesWith(ts.Getenv("DATABASE_URL"), args[0])
	ts.Check(err)
	if !slices.Equal(found, args[1:]) {
		ts.Fatalf("%s is in the tables %q, want %q", args[0], found, args[1:])
	}
	if len(found) == 0 && bytesOf != "" {
		ts.Fatalf("%s is in the bytes of %s", args[0], bytesOf)
	}
}

// tablesWith are the tables of a database that have a word in any column, and the file of
// SQLite that has it in its bytes.
func tablesWith(url, word string) (found []string, bytesOf string, err error) {
	driver, tables := "pgx", "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public'"
	file, lite := strings.CutPrefix(url, "sqlite:")
	if lite {
		url, driver, tables = file, "sqlite", "SELECT name FROM sqlite_master WHERE type = 'table'"
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		return nil, "", err
	}
	defer db.Close()
	word = strings.ToLower(word)
	names, err := allRows(db, tables)
	for _, name := range names {
		rows, err := allRows(db, `SELECT * FROM "`+name+`"`)
		if err != nil {
			return nil, "", err
		}
		if strings.Contains(strings.ToLower(strings.Join(rows, "\n")), word) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	for _, name := range []string{file, file + "-wal"} {
		if content, err := os.ReadFile(name); lite && err == nil && bytes.Contains(bytes.ToLower(content), []byte(word)) {
			bytesOf = name
		}
	}
	return found, bytesOf, err
}

// allRows are the rows of a query, as texts.
func allRows(db *sql.DB, query string) (all []string, err error) {
	rows, err := db.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	for err == nil && rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		err = rows.Scan(into...)
		texts := make([]string, len(values))
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			texts[i] = fmt.Sprint(v)
		}
		all = append(all, strings.Join(texts, "\t"))
	}
	return all, errors.Join(err, rows.Err())
}

package main

import (
	"encoding/csv"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// named ID PATTERN compares the name of a hosting at the panel.
func (o *outside) named(ts *testscript.TestScript, args []string) {
	for _, h := range o.simulated.Hostings() {
		if strconv.Itoa(h.ID) != args[0] {
			continue
		}
		if !regexp.MustCompile(args[1]).MatchString(h.FriendlyName) {
			ts.Fatalf("hosting %s is called %q, want %s", args[0], h.FriendlyName, args[1])
		}
		return
	}
	ts.Fatalf("there is no hosting %s", args[0])
}

// decide FROM TO WHO=DECISION… writes decisions into the rows with an e-mail that begins
// with WHO, as a person does in a spreadsheet; WHO=DECISION@HOSTING also another hosting.
func decide(ts *testscript.TestScript, _ bool, args []string) {
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[0]))).ReadAll()
	ts.Check(err)
	email, hosting, decision := slices.Index(rows[0], "email"), slices.Index(rows[0], "hosting"), slices.Index(rows[0], "decision")
	for _, arg := range args[2:] {
		who, word, _ := strings.Cut(arg, "=")
		word, other, moved := strings.Cut(word, "@")
		found := false
		for _, row := range rows[1:] {
			if strings.HasPrefix(row[email], who+"@") {
				row[decision], found = word, true
				if moved {
					row[hosting] = other
				}
			}
		}
		if !found {
			ts.Fatalf("no row is about %s", who)
		}
	}
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	w := csv.NewWriter(f)
	ts.Check(w.WriteAll(rows))
	ts.Check(f.Close())
}

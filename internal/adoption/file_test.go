package adoption

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
)

// The file comes back as it went, with the decisions of a person in it.
func TestAFileIsReadAsItWasWritten(t *testing.T) {
	want := []adopt.Pair{
		{Customer: "cus_1", Subscription: "sub_1", Email: "a@example.com", Org: "org-1", OrgName: "Bäckerei \"Süß\", GmbH", Hosting: 7, Plan: 2, Score: 95,
			Evidence: []adopt.Evidence{adopt.OwnerEmail, adopt.Plan}, Decision: adopt.Link, Reason: "all; agree"},
		{Hosting: 8, Plan: 1, Org: "org-2", Decision: adopt.Ignore},
		{Subscription: "sub_2", Customer: "cus_2", Decision: adopt.New},
	}
	var b bytes.Buffer
	if err := Table(want).CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := Parse(append([]byte("\ufeff"), b.Bytes()...)) // a spreadsheet puts a mark before it
	if err != nil {
		t.Fatal(err)
	}
	var got []adopt.Pair
	for i, r := range rows {
		if r.Line != i+2 {
			t.Errorf("row %d is of line %d", i, r.Line)
		}
		got = append(got, r.Pair)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-written +read):\n%s", d)
	}
}

func TestASpreadsheetMayChangeTheFormOfTheFile(t *testing.T) {
	rows, err := Parse([]byte("Decision;notes;subscription; HOSTING\nLINK;mine;sub_1;7\n\nignore;;;8\n"))
	if err != nil || len(rows) != 2 || rows[0].Decision != adopt.Link || rows[0].Hosting != 7 || rows[1].Line != 4 {
		t.Errorf("%+v: %v", rows, err)
	}
}

func TestEveryMistakeInAFileIsNamedWithItsLine(t *testing.T) {
	for text, want := range map[string][]string{
		"":                               {"no headings"},
		"subscription,hosting\n":         {`line 1: the column "decision" is missing`},
		"subscription,decision\nsub_1,x": {`line 1: the column "hosting" is missing`},
		"subscription,hosting,plan,decision\nsub_1,7,,maybe\nx,7,,link\nsub_1,seven,,link\nsub_1,7,two,link\n,,,link\nsub_1,,,link\n,7,,link\n,7,,new\nsub_1,7,,\n": {
			`line 2: "maybe" is no decision`, `line 3: "x" is not the id of a subscription`, `line 4: "seven" is not the id of a hosting`,
			`line 5: "two" is not the id of a plan`, "line 6: it names neither", "line 7: a link is between", "line 8: a link is between",
			"line 9: only a subscription can be new", "line 10: the decision is missing"},
		"subscription,hosting,decision\nsub_1,\"7,link\n": {"line"},
	} {
		_, err := Parse([]byte(text))
		if err == nil {
			t.Errorf("%q is accepted", text)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v, want %q", text, err, part)
			}
		}
	}
}

package page

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// failingBody is the body of the page of customers that fail.
type failingBody struct {
	List  *list
	Kinds []failureKind
}

func (b failingBody) table() *list { return b.List }

// failureKind is a kind of error with how many customers have it.
type failureKind struct {
	Text  string
	Count int
}

const (
	// kindsShown is how many kinds of errors are shown, the most frequent first.
	kindsShown = 12
	// mostRetried is how many customers one click retries: an answer has to come in time.
	mostRetried = 500
)

// failing lists the customers that are parked, or wait after a failure.
func (v *visit) failing() (any, error) {
	q := v.query()
	kinds, err := v.ports.Directory.FailureKinds(v.r.Context())
	if err != nil {
		return nil, err
	}
	var body failingBody
	for text, n := range kinds {
		body.Kinds = append(body.Kinds, failureKind{text, n})
	}
	slices.SortFunc(body.Kinds, func(a, b failureKind) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Text, b.Text)) })
	body.Kinds = body.Kinds[:min(len(body.Kinds), kindsShown)]
	columns := []column{{Key: "failing.customer"}, {Key: "failing.state"}, {Key: "failing.error", Kind: "wide"}, {Key: "failing.failures", Kind: "number"}, {Key: "failing.next", Kind: "time"}, {Key: "failing.change", Kind: "forms"}}
	body.List, err = v.parts("failing.none", columns, listRows, func(after string, limit int) (rows []row, next string, err error) {
		found, next, err := v.ports.Directory.CustomerRows(v.r.Context(), reconcile.CustomerSearch{Text: q.Search, Failing: true, After: after, Limit: limit})
		for i := range found {
			rows = append(rows, v.failingRow(&found[i]))
		}
		return rows, next, err
	})
	return body, err
}

func (v *visit) failingRow(c *reconcile.CustomerRow) row {
	state := cell{Text: v.T("customers.retried"), Mark: "wait"}
	if !c.Parked.IsZero() {
		state = cell{Text: v.T("customers.parked"), Mark: "bad", Note: v.Instant(c.Parked)}
	}
	return row{whoCell(c.Email, c.ID), state, {Text: c.LastError}, {Text: strconv.Itoa(c.Failures)}, {At: c.RetryAfter},
		{Forms: []form{{To: failingPath + "/retry", Task: "retry", Name: "id", Buttons: []button{{"failing.retry", c.ID}}}}}}
}

// retryFailing makes one customer be tried again now.
func (v *visit) retryFailing() (done, error) {
	customer, err := v.server.Retry(v.r.Context(), v.field("id"))
	to := failingPath
	if v.field("from") == "today" {
		to = "/"
	}
	return done{to: to, text: "failing.retried", args: []any{customer}}, err
}

// retryKind makes all customers with one kind of error be tried again now.
func (v *visit) retryKind() (done, error) {
	ids, err := v.ports.Directory.FailingOf(v.r.Context(), v.r.PostFormValue("kind"), mostRetried)
	if err != nil {
		return done{}, err
	}
	for _, id := range ids {
		if _, err := v.server.Retry(v.r.Context(), id); err != nil {
			return done{}, err
		}
	}
	return done{to: failingPath, text: "failing.all_retried", args: []any{len(ids)}}, nil
}

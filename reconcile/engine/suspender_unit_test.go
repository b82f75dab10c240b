package engine

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// namedOwners is a panel of which only the pin matters.
type namedOwners struct{ Owners }

func (namedOwners) Fingerprint() string { return "https://panel our-org" }

// oneCursor is a database with one cursor, or with none that can be read.
type oneCursor struct {
	Cursors
	value string
	err   error
}

func (c *oneCursor) Cursor(context.Context, string) (string, error) { return c.value, c.err }

func (c *oneCursor) SetCursor(_ context.Context, _ reconcile.Token, _, value string) error {
	c.value = value
	return nil
}

// A suspension that is wrongly taken for ours is lifted by a payment, though it may be that
// of staff; one that is wrongly taken for theirs stays after the payment.
func TestWhoSuspendedAHosting(t *testing.T) {
	const ours, other = "https://panel our-org our-org", "https://panel our-org another-id"
	log := logrus.New()
	log.SetOutput(io.Discard)
	for name, c := range map[string]struct {
		known, by string
		answered  bool
		ours      bool
		then      string // the cursor
	}{
		"the organisation that sells, and the call has no answer": {"", "our-org", false, true, ours},
		"another id, in answer to the first call":                 {"", "another-id", true, true, maybe + other},
		"the same again":                                      {maybe + other, "another-id", true, true, other},
		"the same, and the call has no answer":                {maybe + other, "another-id", false, false, maybe + other},
		"staff had it a moment before the first call of ours": {maybe + "https://panel staff", "another-id", true, true, maybe + other},
		"and the organisation that sells has the second":      {maybe + other, "our-org", true, true, ours},
		"the id that is known, and the call has no answer":    {other, "another-id", false, true, other},
		"the id that is known":                                {other, "another-id", true, true, other},
		"another id, and the call has no answer":              {"", "another-id", false, false, ""},
		"an id that is not the known one":                     {other, "staff", true, false, other},
		"another id, at another panel than before":            {"https://old another-id", "another-id", true, true, maybe + other},
	} {
		t.Run(name, func(t *testing.T) {
			cursor := &oneCursor{value: c.known}
			r := &run{Engine: &Engine{Ports: Ports{Owners: namedOwners{}}}, Cursors: cursor, findings: &findings{log: logrus.NewEntry(log)}}
			is, err := r.isOurs(t.Context(), reconcile.Hosting{SuspendedBy: c.by}, c.answered)
			if is != c.ours || err != nil || cursor.value != c.then {
				t.Errorf("ours: %v, %v, and the cursor is %q, want %v and %q", is, err, cursor.value, c.ours, c.then)
			}
		})
	}
	cursor := &oneCursor{err: errors.New("the database is out")}
	r := &run{Engine: &Engine{Ports: Ports{Owners: namedOwners{}}}, Cursors: cursor}
	if ours, err := r.isOurs(t.Context(), reconcile.Hosting{SuspendedBy: "our-org"}, true); ours || !errors.Is(err, cursor.err) {
		t.Errorf("without a database: ours: %v, %v", ours, err)
	}
}

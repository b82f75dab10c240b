package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const noTable reconcile.OldRows = 255

// scriptedArchive is a history of which each table ends at its first rows, but for one.
type scriptedArchive struct {
	long  reconcile.OldRows // its second rows are the last ones
	fails reconcile.OldRows
	asked []reconcile.OldRows
	after map[reconcile.OldRows]reconcile.RowPosition
}

func (a *scriptedArchive) Prune(_ context.Context, _ reconcile.Token, table reconcile.OldRows, after reconcile.RowPosition, _ time.Time, _ int) (last reconcile.RowPosition, gone int, ended bool, err error) {
	a.asked = append(a.asked, table)
	if a.after == nil {
		a.after = map[reconcile.OldRows]reconcile.RowPosition{}
	}
	a.after[table] = after
	if table == a.fails {
		return last, 0, false, errScripted
	}
	last.ID = "the last row"
	return last, 1, table != a.long || after == last, nil
}

// taken is the tables that were asked since.
func (a *scriptedArchive) taken() (asked []reconcile.OldRows) {
	asked, a.asked = a.asked, nil
	return asked
}

func TestPruningGoesRoundOnceADay(t *testing.T) {
	tables := reconcile.Pruning{}.Tables()
	archive := &scriptedArchive{long: reconcile.OldRuns, fails: noTable}
	cursor, now := &scriptedCursors{}, whenPlanned
	r := scriptedRun(&scripted{}, Request{}, nil)
	r.Cursors, r.Archive, r.Keep = cursor, archive, 365*24*time.Hour
	r.Now = func() time.Time { return now }
	for _, test := range []struct {
		name  string
		later time.Duration
		want  []reconcile.OldRows
	}{
		{"a round begins", 0, tables[:]},
		{"it goes on where it has not ended", time.Minute, []reconcile.OldRows{reconcile.OldRuns}},
		{"it is over", time.Minute, nil},
		{"it is over for the rest of the day", 23*time.Hour + 57*time.Minute, nil},
		{"the next one begins a day after it did", 2 * time.Minute, tables[:]},
	} {
		now = now.Add(test.later)
		if err := r.prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if asked := archive.taken(); !slices.Equal(asked, test.want) {
			t.Errorf("%s: asked for %v, want %v; then the round is %s", test.name, asked, test.want, cursor.value)
		}
		if test.later == time.Minute && archive.after[reconcile.OldRuns].ID != "the last row" {
			t.Errorf("%s: went on behind %+v", test.name, archive.after)
		}
	}
}

// An error ends no run, and the rows are looked at again in the next one.
func TestAnErrorOfPruningMovesNoPosition(t *testing.T) {
	archive := &scriptedArchive{long: noTable, fails: reconcile.OldRuns}
	cursor := &scriptedCursors{}
	r := scriptedRun(&scripted{}, Request{}, nil)
	r.Cursors, r.Archive, r.Keep = cursor, archive, 365*24*time.Hour
	if err := r.prune(t.Context()); err != nil || len(cursor.sets) > 0 || len(archive.taken()) != 2 {
		t.Errorf("stored %q: %v", cursor.sets, err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := r.prune(ended); !errors.Is(err, context.Canceled) || len(cursor.sets) > 0 {
		t.Errorf("of a run that is ended: stored %q: %v", cursor.sets, err)
	}
	archive.fails, archive.long = noTable, reconcile.OldRuns
	r.Now = func() time.Time { return time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }
	if err := r.prune(t.Context()); err == nil || len(cursor.sets) > 0 {
		t.Errorf("at a time that JSON cannot have: stored %q: %v", cursor.sets, err)
	}
	archive.taken()
	cursor.err = errScripted
	if err := r.prune(t.Context()); !errors.Is(err, errScripted) || len(archive.taken()) > 0 {
		t.Errorf("without its position: %v", err)
	}
}

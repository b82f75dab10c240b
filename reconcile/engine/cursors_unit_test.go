package engine

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// storedCursors is cursors as a database keeps them. It may lose the answer to a write.
type storedCursors struct {
	Cursors
	values map[string]string
	reads  int
	lose   bool
}

var errAnswerLost = errors.New("the answer was lost")

func (s *storedCursors) AllCursors(context.Context) (map[string]string, error) {
	s.reads++
	return maps.Clone(s.values), nil
}

func (s *storedCursors) SetCursor(_ context.Context, _ reconcile.Token, name, value string) error {
	s.values[name] = value
	if s.lose {
		return errAnswerLost
	}
	return nil
}

func (s *storedCursors) SawEvents(ctx context.Context, tok reconcile.Token, _ []reconcile.Event, cursor string, _ time.Time) error {
	return s.SetCursor(ctx, tok, cursorEvents, cursor)
}

func TestCursorsAreReadAgainOnlyAfterAWriteThatFailed(t *testing.T) {
	stored := &storedCursors{values: map[string]string{cursorKey: "first"}}
	c := &loadedCursors{Cursors: stored}
	for _, test := range []struct {
		write string
		lose  bool
		reads int
	}{{"", false, 1}, {"second", false, 1}, {"third", true, 2}, {"fourth", false, 2}} {
		want := stored.values[cursorKey]
		if stored.lose = test.lose; test.write != "" {
			want = test.write
			err := errors.Join(c.SetCursor(t.Context(), 1, cursorKey, want), c.SawEvents(t.Context(), 1, nil, want, time.Time{}))
			if test.lose != errors.Is(err, errAnswerLost) {
				t.Errorf("writing %s: %v", want, err)
			}
		}
		if got, err := c.Cursor(t.Context(), cursorKey); err != nil || got != want || stored.reads != test.reads {
			t.Errorf("%q after %d readings: %v; want %q after %d", got, stored.reads, err, want, test.reads)
		}
		if got, _ := c.Cursor(t.Context(), cursorEvents); got != test.write {
			t.Errorf("events followed until %q, want %q", got, test.write)
		}
	}
}

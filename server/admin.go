package server

import (
	"context"
	"errors"
	"strings"
)

// errEnough ends a stream when the reader has enough.
var errEnough = errors.New("enough")

func enough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// nudge makes an operator's change take effect within a second, in whichever process is
// the writer. The change itself is stored already: if the nudge is lost, the change waits
// for the next tick.
func (s *Server) nudge(ctx context.Context, trigger string) {
	if err := s.o.Nudges.Nudge(ctx, nil, trigger, s.o.Now()); err != nil {
		s.o.Log.WithError(err).Warn("nudge not stored")
	}
	s.o.Loop.Wake(trigger)
}

// maxText is the most bytes of a name or a reason that people give.
const maxText = 500

// Printable reports whether a text can be stored, logged and shown unchanged.
func Printable(text string) bool {
	return len(text) <= maxText && strings.ToValidUTF8(text, "") == text &&
		!strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 })
}

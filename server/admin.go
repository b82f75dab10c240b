package server

import (
	"errors"
	"net/http"
	"strings"
)

// errEnough ends a stream whose reader has enough.
var errEnough = errors.New("enough")

func enough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// nudge makes the change of an operator take effect at once, wherever the writer
// is. The change itself is stored already, so a lost nudge costs one tick.
func (s *Server) nudge(r *http.Request, trigger string) {
	if err := s.o.Nudges.Nudge(r.Context(), nil, trigger, s.o.Now()); err != nil {
		s.o.Log.WithError(err).Warn("nudge not stored")
	}
	s.o.Loop.Wake(trigger)
}

// maxText is the most characters of a name or a reason that people give.
const maxText = 500

// printable reports whether a text can be stored, logged and shown as it is.
func printable(text string) bool {
	return len(text) <= maxText && strings.ToValidUTF8(text, "") == text &&
		!strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 })
}

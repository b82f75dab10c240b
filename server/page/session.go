package page

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/server"
)

const (
	// idleLimit ends a session in which nothing was asked for.
	idleLimit = 30 * time.Minute
	// absoluteLimit ends every session: a working day.
	absoluteLimit = 12 * time.Hour
	// renewAfter is how old the time of the last request in the cookie may become.
	renewAfter = time.Minute
	// skew is how far the clocks of two replicas may differ.
	skew = time.Minute

	sessionCookie = "session"
	flashCookie   = "flash"
)

// session is a sign-in.
type session struct {
	id     [16]byte // random, new at each sign-in
	began  time.Time
	seen   time.Time // the last request, to the minute
	person string    // the name that was given at the sign-in; "": none
	seal   [sha256.Size]byte
}

func (s *session) isZero() bool { return s.began.IsZero() }

// same compares two texts in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// mac seals a text for one purpose, in this session.
func (s *session) mac(purpose, text string) string {
	m := hmac.New(sha256.New, s.seal[:])
	m.Write([]byte(purpose + "\x00"))
	m.Write(s.id[:])
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

// token is the secret of the forms.
func (s *session) token() string { return s.mac("form", "") }

// encode writes a session as the value of its cookie.
func (s *session) encode() string {
	text := append([]byte{}, s.id[:]...)
	text = binary.BigEndian.AppendUint64(text, uint64(s.began.Unix()))
	text = binary.BigEndian.AppendUint64(text, uint64(s.seen.Unix()))
	text = append(text, s.person...)
	return base64.RawURLEncoding.EncodeToString(text) + "." + s.mac("session", string(text))
}

// decode reads the value of a cookie; seal is that of the key with which it was sealed.
func decode(value string, seal [sha256.Size]byte) (session, bool) {
	const fixed = 32
	body, mac, _ := strings.Cut(value, ".")
	text, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(text) < fixed {
		return session{}, false
	}
	s := session{seal: seal, began: time.Unix(int64(binary.BigEndian.Uint64(text[16:])), 0), seen: time.Unix(int64(binary.BigEndian.Uint64(text[24:])), 0),
		person: string(text[fixed:])}
	copy(s.id[:], text)
	return s, same(mac, s.mac("session", string(text)))
}

// valid reports whether a session has not ended by itself.
func (s *session) valid(now time.Time) bool {
	return now.Sub(s.began) < absoluteLimit && now.Sub(s.seen) < idleLimit && s.began.Sub(now) < skew && s.seen.Sub(now) < skew
}

// cookieName is the name of a cookie that only this host may set, where TLS lets the browser
// see to it.
func (v *visit) cookieName(name string) string {
	if server.OverTLS(v.r) {
		return "__Host-" + name
	}
	return name
}

// recognise reads the session of a request, and reports whether there is one.
func (v *visit) recognise() bool {
	value := cookieOf(v.r, v.cookieName(sessionCookie))
	if value == "" {
		return false
	}
	now := v.clock()
	for _, who := range v.server.Keyholders() {
		s, ok := decode(value, who.Seal)
		if !ok || !s.valid(now) || v.ended.has(s.id) {
			continue
		}
		v.who, v.session = who, s
		if now.Sub(s.seen) >= renewAfter {
			v.session.seen = now
			v.keep()
		}
		return true
	}
	return false
}

// keep sends the session to the browser. Without an age the cookie ends with the browser.
func (v *visit) keep() {
	v.setCookie(v.cookieName(sessionCookie), v.session.encode(), 0)
}

// begin makes a session that has nothing in common with any before.
func (v *visit) begin(who server.Keyholder, person string) {
	now := v.clock()
	v.who, v.session = who, session{began: now, seen: now, person: person, seal: who.Seal}
	_, _ = rand.Read(v.session.id[:]) // it never fails
	v.keep()
}

// signOut ends the session.
func (v *visit) signOut() {
	if v.genuine() != nil {
		v.renderError(http.StatusForbidden, v.T("error.forged"), "")
		return
	}
	v.ended.add(v.session.id, v.clock())
	v.setCookie(v.cookieName(sessionCookie), "", -1)
	http.Redirect(v.w, v.r, signInPath, http.StatusSeeOther)
}

var errForged = errors.New("the form was not made for this session")

// genuine checks that a form comes from a page that was made for this session.
func (v *visit) genuine() error {
	if err := v.cross.Check(v.r); err != nil {
		return err
	}
	if !same(v.r.PostFormValue("token"), v.session.token()) {
		return errForged
	}
	return nil
}

// endedSessions are those that were signed out in this process, until they would have ended
// by themselves.
type endedSessions struct {
	mu  sync.Mutex // guards all
	all map[[16]byte]time.Time
}

func newEndedSessions() *endedSessions { return &endedSessions{all: map[[16]byte]time.Time{}} }

func (e *endedSessions) add(id [16]byte, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for other, at := range e.all {
		if now.Sub(at) >= absoluteLimit {
			delete(e.all, other)
		}
	}
	e.all[id] = now
}

func (e *endedSessions) has(id [16]byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ended := e.all[id]
	return ended
}

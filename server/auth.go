package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const (
	// wrongTries is how many wrong keys an address may try in tryWindow before it
	// has to wait.
	wrongTries = 10
	tryWindow  = time.Minute
	// tryAddresses bounds the memory of the limiter. Above it the oldest addresses are
	// forgotten; an attacker with that many addresses gains nothing by it.
	tryAddresses = 10_000
)

// keyring has the digests of the keys. Digests have one length, so the comparison takes the
// same time for every key.
type keyring []ringKey

type ringKey struct {
	digest  [sha256.Size]byte
	support bool // it approves nothing, and changes no mapping and no name
}

func newKeyring(admin, support []secret.Text) keyring {
	var ring keyring
	admin = secret.Each(admin)
	for i, k := range slices.Concat(admin, secret.Each(support)) {
		if k.IsSet() {
			ring = append(ring, ringKey{sha256.Sum256([]byte(k.Reveal())), i >= len(admin)})
		}
	}
	return ring
}

// keys are those that are accepted now: a key that is in a file is rotated meanwhile.
func (s *Server) keys() keyring { return newKeyring(s.o.AdminKeys, s.o.SupportKeys) }

// find compares a key with each one of the ring. If one matches, it returns a name for
// the journal, with the beginning of the digest.
func (ring keyring) find(key string) (name string, support, ok bool) {
	match := ring.index(key)
	if match < 0 {
		return "", false, false
	}
	return ring[match].name(), ring[match].support, true
}

// index returns which key of the ring this one is; -1: none.
func (ring keyring) index(key string) int {
	digest := sha256.Sum256([]byte(key))
	match := -1
	for i := range ring {
		match = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(digest[:], ring[i].digest[:]), i, match)
	}
	return match
}

func (k *ringKey) name() string {
	name := "admin key "
	if k.support {
		name = "support key "
	}
	return name + hex.EncodeToString(k.digest[:3])
}

// Keyholder is who has shown a right key.
type Keyholder struct {
	Name    string // of the key, for the journal
	Support bool   // it may do only what is for support: see Keyholder.May
	// Seal is derived from the key: a person who has the key, and each process that is configured
	// with it, has the same one. A session that is sealed with it ends when the key is taken
	// out of the configuration.
	Seal [sha256.Size]byte
}

// Keyholders returns one for each key that is configured now.
func (s *Server) Keyholders() []Keyholder {
	ring := s.keys()
	all := make([]Keyholder, 0, len(ring))
	for i := range ring {
		all = append(all, ring[i].holder())
	}
	return all
}

func (k *ringKey) holder() Keyholder {
	h := Keyholder{Name: k.name(), Support: k.support}
	mac := hmac.New(sha256.New, k.digest[:])
	mac.Write([]byte("stripe-enhance: seal of sessions, 1"))
	mac.Sum(h.Seal[:0])
	return h
}

// SignIn returns who has this key. If it is a wrong one, it is counted as one of the admin
// API: wait is how long the address has to wait before its next try, if it has tried too
// often.
func (s *Server) SignIn(r *http.Request, key string) (who Keyholder, wait time.Duration, ok bool) {
	ring := s.keys()
	if i := ring.index(key); i >= 0 {
		return ring[i].holder(), 0, true
	}
	return Keyholder{}, s.tries.wrong(s.clientAddress(r)), false
}

// admit returns true if a request has a right key; otherwise it answers the request.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	if len(s.keys()) == 0 {
		notFound(w, r)
		return false
	}
	from := s.clientAddress(r)
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if _, _, ok := s.keys().find(strings.TrimSpace(key)); ok && strings.EqualFold(scheme, "bearer") && len(r.Header.Values("Authorization")) == 1 {
		return true
	}
	if wait := s.tries.wrong(from); wait > 0 {
		w.Header().Set("Retry-After", seconds(wait))
		respondError(w, http.StatusTooManyRequests, "Too many wrong keys from this address; try again later")
		return false
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="stripe-enhance"`)
	respondError(w, http.StatusUnauthorized, "Unauthorized")
	return false
}

// keyName names the key with which a request was admitted.
func (s *Server) keyName(r *http.Request) string {
	name, _, _ := s.keys().find(keyOf(r))
	return name
}

func keyOf(r *http.Request) string {
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(key)
}

// only refuses a key that may not do a task.
func (s *Server) only(task Task, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, support, ok := s.keys().find(keyOf(r)); !ok || !(Keyholder{Support: support}).May(task) { // a key may have been taken out since it was admitted
			respondError(w, http.StatusForbidden, "A key of SUPPORT_API_KEY may look, retry, put holds and make login links; this needs a key of ADMIN_API_KEY")
			return
		}
		next(w, r)
	}
}

// limiter counts wrong keys by address.
type limiter struct {
	now func() time.Time

	mu    sync.Mutex // guards tries
	tries map[netip.Prefix]*wrongKeys
}

// wrongKeys has the times of an address's last wrong keys, as a ring. If a window began
// with the first wrong key, twice as many tries would fit around its end.
type wrongKeys struct {
	at   [wrongTries]time.Time
	next int // the oldest
}

// expired reports whether no time of the ring counts any more.
func (t *wrongKeys) expired(now time.Time) bool {
	last := t.at[(t.next+wrongTries-1)%wrongTries]
	return now.Sub(last) >= tryWindow || now.Before(last)
}

func newLimiter(now func() time.Time) limiter {
	return limiter{now: now, tries: map[netip.Prefix]*wrongKeys{}}
}

// wrong counts a wrong key. If the address has tried too often, it returns how long the
// address has to wait, else 0.
func (l *limiter) wrong(from netip.Addr) time.Duration {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	network := networkOf(from)
	t := l.tries[network]
	if t == nil {
		l.makeRoom(now)
		t = &wrongKeys{}
		l.tries[network] = t
	}
	oldest := t.at[t.next]
	if age := now.Sub(oldest); age < tryWindow && age >= 0 {
		return tryWindow - age
	}
	t.at[t.next] = now
	t.next = (t.next + 1) % wrongTries
	return 0
}

// makeRoom forgets the addresses whose tries have expired. If that is not enough, it
// forgets a tenth of the others: if it looked through all of them for every new address,
// an attacker could keep this process busy.
func (l *limiter) makeRoom(now time.Time) {
	if len(l.tries) < tryAddresses {
		return
	}
	for network, t := range l.tries {
		if t.expired(now) {
			delete(l.tries, network)
		}
	}
	for network := range l.tries {
		if len(l.tries) < tryAddresses/10*9 {
			return
		}
		delete(l.tries, network)
	}
}

// networkOf returns the network that counts as one address. In IPv6 that is a /64,
// because a provider's customer gets one and can change addresses in it at will.
func networkOf(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // all addresses that cannot be read are one
	return p
}

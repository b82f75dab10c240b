// Package secret holds values that must never be printed.
package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

const redacted = "[redacted]"

// Text is a credential. Every way of printing or encoding it yields
// "[redacted]"; only Reveal gives the value, so a search for Reveal finds every
// place where a credential leaves the type. The zero value is "not set".
//
// The value of one that is in a file is that of the moment of Reveal; see [File].
type Text struct {
	value string
	file  *File // nil: the value is fixed
}

// New wraps a credential.
func New(value string) Text { return Text{value: value} }

// Reveal returns the credential itself. Pass it on; do not format it.
func (t Text) Reveal() string {
	if t.file != nil {
		return t.file.current()
	}
	return t.value
}

// IsSet reports whether there is a credential at all.
func (t Text) IsSet() bool { return t.value != "" || t.file != nil }

// Fingerprint identifies the credential without disclosing it: 8 hex digits of a SHA-256
// over a constant prefix and the value; "" if it is not set. With it a run notices that a
// key has changed. 32 bits of a hash of a random key disclose nothing.
func (t Text) Fingerprint() string {
	if !t.IsSet() {
		return ""
	}
	sum := sha256.Sum256([]byte("stripe-enhance credential\x00" + t.Reveal()))
	return hex.EncodeToString(sum[:4])
}

// Glimpse returns the beginning that all credentials of a kind have, such as rk_live_, and
// the last four characters. The owner of the key can recognise it in an error about a
// refused key. If the key is short, only its beginning is shown.
func (t Text) Glimpse() string {
	const shown, least = 4, 24 // of 24 characters, 12 stay hidden: 71 bits of those that Stripe uses
	value, begins := t.Reveal(), ""
	for _, kind := range []string{"sk_live_", "sk_test_", "rk_live_", "rk_test_"} {
		if strings.HasPrefix(value, kind) {
			begins = kind
		}
	}
	if len(value) < least {
		return begins + "…"
	}
	return begins + "…" + value[len(value)-shown:]
}

// Format implements fmt.Formatter for every verb, %#v included.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// String returns "[redacted]", or "" if the credential is not set.
func (t Text) String() string {
	if !t.IsSet() {
		return ""
	}
	return redacted
}

// GoString returns the same as String.
func (t Text) GoString() string { return t.String() }

// MarshalText redacts in JSON, YAML and everything else built on it.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText takes the value from a configuration source.
func (t *Text) UnmarshalText(b []byte) error {
	*t = New(string(b))
	return nil
}

// Each returns the credentials of a list as they are now. One that is in a file stands for
// all that the file has, separated by commas or lines.
func Each(list []Text) (all []Text) {
	for _, t := range list {
		if t.file == nil {
			all = append(all, t)
			continue
		}
		all = append(all, Split(t.Reveal())...)
	}
	return all
}

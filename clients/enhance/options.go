package enhance

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// Options configure a Client.
type Options struct {
	// BaseURL is the panel, "https://panel.example.com" or with a path; "/api" is
	// added where there is no path. Required.
	BaseURL string
	// Token is the access token. One of the selling organisation is enough; with
	// one of the master organisation more could be done by mistake. Required.
	Token secret.Text
	// Org is the UUID of the organisation that sells. Required.
	Org string
	// Limiter is shared by everything that talks to this panel. Nil: 10 requests a
	// second, 8 in flight.
	Limiter *ratelimit.Limiter
	// Breaker is shared like Limiter. Nil: the panel is asked however often it fails.
	Breaker *breaker.Breaker
	// Log gets retries and lowered rates, never a body or a token. Nil: nowhere.
	Log *logrus.Logger
	// Transport replaces the network. An *http.Transport is cloned, and its clone
	// for writes keeps no connections; any other RoundTripper is used as it is
	// and must send a request at most once. Nil: a direct connection, without the
	// proxy of the environment.
	Transport http.RoundTripper
	// ReadTimeout and WriteTimeout limit one request from dialling to the last
	// byte. 0: 30 s and 60 s. A short limit for writes does not make them safer:
	// it makes more of them ambiguous.
	ReadTimeout, WriteTimeout time.Duration
	// MaxReadAttempts is how often one read is tried. 0: 4.
	MaxReadAttempts int
	// ReadBackoff is the wait before the second attempt of a read; it doubles and
	// is jittered. 0: 250 ms.
	ReadBackoff time.Duration
	// Now dates what was read. Nil: time.Now.
	Now func() time.Time
	// Observe is told of every request: "GET /orgs/{org}/plans" and the status, 0
	// when there was no answer. It must be safe for concurrent use. Nil: nobody.
	Observe func(route string, code int)
}

const (
	readTimeout     = 30 * time.Second
	writeTimeout    = 60 * time.Second
	readAttempts    = 4
	readBackoff     = 250 * time.Millisecond
	defaultRPS      = 10
	defaultInFlight = 8
)

// withDefaults fills what was left zero.
func (o Options) withDefaults() Options {
	if o.Limiter == nil {
		o.Limiter = ratelimit.New(ratelimit.Options{RPS: defaultRPS, Concurrency: defaultInFlight})
	}
	if o.Log == nil {
		o.Log = logrus.New()
		o.Log.SetOutput(io.Discard)
	}
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = readTimeout
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = writeTimeout
	}
	if o.MaxReadAttempts <= 0 {
		o.MaxReadAttempts = readAttempts
	}
	if o.ReadBackoff <= 0 {
		o.ReadBackoff = readBackoff
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(string, int) {}
	}
	return o
}

// checked reports everything that is wrong with the required options at once,
// and returns the base URL in the form that paths are appended to.
func (o Options) checked() (base string, err error) {
	base, badURL := baseOf(o.BaseURL)
	return base, errors.Join(badURL, checkOrg(o.Org), checkToken(o.Token))
}

// baseOf refuses what would send the token somewhere unexpected.
func baseOf(raw string) (string, error) {
	if raw == "" {
		return "", errors.New("enhance: the URL of the panel is missing")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// url.Error repeats the input, which may hold a password.
		return "", errors.New("enhance: the URL of the panel cannot be parsed")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("enhance: the URL of the panel must begin with https://")
	case u.User != nil:
		return "", errors.New("enhance: the URL of the panel must not hold a user or a password")
	case u.Hostname() == "":
		return "", errors.New("enhance: the URL of the panel has no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("enhance: the URL of the panel must end with its path, without ? or #")
	case strings.Contains(u.Path, "//") || strings.Contains(u.Path, ".."):
		return "", fmt.Errorf("enhance: the URL of the panel has a strange path %q", u.Path)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if path == "" {
		path = "/api"
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + path, nil
}

func checkOrg(org string) error {
	switch {
	case org == "":
		return errors.New("enhance: the id of the selling organisation is missing")
	case !isUUID(org):
		return fmt.Errorf("enhance: the id of the selling organisation must be a UUID like 01234567-89ab-cdef-0123-456789abcdef, not %q", clip(org))
	}
	return nil
}

func checkToken(token secret.Text) error {
	value := token.Reveal()
	switch {
	case value == "":
		return errors.New("enhance: the access token is missing")
	case strings.HasPrefix(strings.ToLower(value), "bearer "):
		return errors.New(`enhance: the access token must be given without the word "Bearer"`)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("enhance: the access token holds a character that no token has, such as a space or a line break")
	}
	return nil
}

// isUUID accepts the canonical form in either case. Ids go into paths, so that
// nothing else may pass.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if s[i] != '-' {
				return false
			}
		case s[i] >= '0' && s[i] <= '9', c >= 'a' && c <= 'f':
		default:
			return false
		}
	}
	return true
}

package mail

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// ports are the usual ones for mail from programs: submission with STARTTLS, and with TLS
// from the beginning (RFC 8314).
var ports = map[string]int{"smtp": 587, "smtps": 465}

// server is where mails go, from SMTP_URL.
type server struct {
	host           string
	port           int
	implicitTLS    bool
	user, password string
}

// parse reads smtp://user:password@host:587 or smtps://…. Its errors do not quote the URL.
func parse(from secret.Text) (s server, err error) {
	raw := from.Reveal()
	if problem := secret.URLProblem(withoutAtInUser(raw)); problem != "" {
		return s, errors.New(problem)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return s, errors.New("is not a URL like smtp://user:password@host:587 (special characters of user and password are written as %XX)")
	case ports[u.Scheme] == 0:
		return s, errors.New("begins with neither smtp:// (STARTTLS) nor smtps:// (TLS from the beginning)")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return s, errors.New("has something behind the port; only scheme, user, password, host and port belong here")
	}
	s = server{host: u.Hostname(), port: ports[u.Scheme], implicitTLS: u.Scheme == "smtps", user: u.User.Username()}
	s.password, _ = u.User.Password()
	if (s.user == "") != (s.password == "") {
		return s, errors.New("has a user without a password, or a password without a user")
	}
	if u.Port() != "" {
		if s.port, err = strconv.Atoi(u.Port()); err != nil || s.port < 1 || s.port > 65535 {
			return s, errors.New("has a port that is not a number from 1 to 65535")
		}
	}
	return s, nil
}

// withoutAtInUser is a URL whose user name may be an e-mail, as it usually is for SMTP: the
// @ in it is written as %40, which is the form that url.Parse gives it.
func withoutAtInUser(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	user, after, colon := strings.Cut(rest, ":")
	if !ok || !colon || strings.Count(user, "@") != 1 || strings.Count(after, "@") != 1 {
		return raw
	}
	return scheme + "://" + strings.Replace(user, "@", "%40", 1) + ":" + after
}

// CheckServer reports why a value cannot be SMTP_URL. It contacts nothing, and quotes
// nothing of it.
func CheckServer(from secret.Text) error {
	_, err := parse(from)
	return err
}

// CheckSender reports why a value cannot be MAIL_FROM.
func CheckSender(from string) error {
	a, err := mail.ParseAddress(from)
	if err != nil || strings.ContainsFunc(from, func(r rune) bool { return r < ' ' }) {
		return fmt.Errorf("%q is not an address like billing@example.com or Example Hosting <billing@example.com>", from)
	}
	if at := strings.LastIndexByte(a.Address, '@'); at < 1 || !strings.Contains(a.Address[at:], ".") && a.Address[at:] != "@localhost" {
		return fmt.Errorf("%q has no domain, so that no server would take it", from)
	}
	return nil
}

package mail

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// patience is how long the server may take for one step: to connect and log in, or to take
// one mail.
const patience = 15 * time.Second

// logins are the ways to log in, the best first. Those that send the password itself
// refuse to do so without TLS, except to this machine.
var logins = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}

// Options are the settings of a Mailer.
type Options struct {
	Server    secret.Text // SMTP_URL
	From      string      // MAIL_FROM
	Templates *Templates
	// Roots are the certificates that are trusted; nil: those of the machine.
	Roots *x509.CertPool
}

// Mailer sends mails through one server. It is safe for concurrent use.
type Mailer struct {
	server    secret.Text
	to        server // as server was read last
	from      *netmail.Address
	templates *Templates
	roots     *x509.CertPool
}

// New checks the options. It contacts nothing.
func New(o Options) (*Mailer, error) {
	to, err := parse(o.Server)
	if err != nil {
		return nil, fmt.Errorf("SMTP_URL %w", err)
	}
	if err := CheckSender(o.From); err != nil {
		return nil, fmt.Errorf("MAIL_FROM: %w", err)
	}
	from, err := netmail.ParseAddress(o.From)
	return &Mailer{server: o.Server, to: to, from: from, templates: o.Templates, roots: o.Roots}, err
}

// Server is the host and port, without user and password.
func (m *Mailer) Server() string { return net.JoinHostPort(m.to.host, fmt.Sprint(m.to.port)) }

// Session is a connection to the server, for one goroutine.
type Session struct {
	*Mailer
	client *gomail.Client
	at     *smtp.Client
	conn   net.Conn
	broken error // why nothing more can be sent on it
}

// Open connects, secures the connection and logs in. It sends no mail. Its error is
// fault.Denied if the server refuses user or password, else fault.Transient.
func (m *Mailer) Open(ctx context.Context) (*Session, error) {
	to, err := parse(m.server) // a password that is in a file is rotated meanwhile
	if err != nil {
		return nil, fault.Errorf(fault.Denied, "SMTP_URL %w", err)
	}
	m = &Mailer{server: m.server, to: to, from: m.from, templates: m.templates, roots: m.roots}
	s := &Session{Mailer: m}
	config := &tls.Config{ServerName: m.to.host, RootCAs: m.roots, MinVersion: tls.VersionTLS12}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		var d interface {
			DialContext(context.Context, string, string) (net.Conn, error)
		} = &net.Dialer{}
		if m.to.implicitTLS {
			d = &tls.Dialer{Config: config}
		}
		conn, err := d.DialContext(ctx, network, address)
		s.conn = conn
		return conn, err
	}
	options := []gomail.Option{gomail.WithPort(m.to.port), gomail.WithTimeout(patience), gomail.WithTLSConfig(config), gomail.WithDialContextFunc(dial)}
	switch {
	case m.to.implicitTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS)) // TLS is on the line already
	case local(m.to.host):
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if m.to.user != "" {
		options = append(options, gomail.WithOpportunisticSMTPAuth(logins...), gomail.WithUsername(m.to.user), gomail.WithPassword(m.to.password))
	}
	if s.client, err = gomail.NewClient(m.to.host, options...); err == nil {
		s.at, err = s.client.DialToSMTPClientWithContext(ctx)
	}
	if err != nil {
		s.hangUp()
		return nil, m.connecting(err)
	}
	return s, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// connecting is the error of a connection that did not come about.
func (m *Mailer) connecting(err error) error {
	kind := fault.Transient
	if strings.Contains(err.Error(), "SMTP AUTH failed: 5") {
		kind = fault.Denied
	}
	return fault.Errorf(kind, "mail server %s: %s", m.Server(), m.withoutPassword(err))
}

// withoutPassword is the text of an error. No library that is known to us quotes the
// password; a server may, in its answer.
func (m *Mailer) withoutPassword(err error) string {
	text, _, _ := strings.Cut(strings.ToValidUTF8(err.Error(), "?"), ", affected ") // the customer's address follows
	if m.to.password != "" {
		text = strings.ReplaceAll(text, m.to.password, "[redacted]")
	}
	return text
}

// Usable reports whether another mail may be sent on this connection.
func (s *Session) Usable() bool { return s.broken == nil }

// Close ends the session. It changes nothing about the mails that the server has taken.
func (s *Session) Close() {
	if s.broken == nil {
		_ = s.client.CloseWithSMTPClient(s.at) // an answer to QUIT changes nothing
	}
	s.hangUp()
}

func (s *Session) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// Send hands one mail to the server, once. See the package comment for its errors.
func (s *Session) Send(ctx context.Context, l reconcile.Letter) error {
	if s.broken != nil {
		return s.broken
	}
	m, err := s.message(l)
	if err != nil {
		return fault.Errorf(fault.Permanent, "writing the mail: %w", err)
	}
	stop := context.AfterFunc(ctx, s.hangUp) // the library takes no context for this
	defer stop()
	if err := s.client.SendWithSMTPClient(s.at, m); err != nil && !m.IsDelivered() {
		return s.outcome(err)
	} else if err != nil {
		s.broken = fault.Errorf(fault.Transient, "mail server %s: %s", s.Server(), s.withoutPassword(err))
	}
	return nil
}

// outcome gives an error of Send its kind.
func (s *Session) outcome(err error) error {
	text := fmt.Errorf("mail server %s: %s", s.Server(), s.withoutPassword(err))
	var e *gomail.SendError
	if !errors.As(err, &e) {
		s.broken = fault.Wrap(fault.Transient, text)
		return fault.Wrap(fault.Ambiguous, text)
	}
	answer := e.ErrorCode()
	if answer == 0 {
		s.broken = fault.Wrap(fault.Transient, text)
	}
	switch e.Reason {
	case gomail.ErrSMTPMailFrom, gomail.ErrSMTPData:
		if answer >= 500 { // it is about us, and not about the customer
			return fault.Wrap(fault.Denied, text)
		}
		return fault.Wrap(fault.Transient, text)
	case gomail.ErrConnCheck:
		return fault.Wrap(fault.Transient, text)
	case gomail.ErrSMTPRcptTo:
		if answer >= 500 {
			return fault.Wrap(fault.Permanent, text)
		}
		return fault.Wrap(fault.Transient, text)
	case gomail.ErrSMTPDataClose:
		switch {
		case answer >= 500:
			return fault.Wrap(fault.Permanent, text)
		case answer >= 400:
			return fault.Wrap(fault.Transient, text)
		}
		return fault.Wrap(fault.Ambiguous, text)
	case gomail.ErrGetSender, gomail.ErrGetRcpts, gomail.ErrNoUnencoded:
		return fault.Wrap(fault.Permanent, text)
	case gomail.ErrWriteContent, gomail.ErrSMTPReset, gomail.ErrAmbiguous:
	}
	s.broken = fault.Wrap(fault.Transient, text) // some of the mail is on the line
	return fault.Wrap(fault.Ambiguous, text)
}

// message writes a mail: text and HTML, with headers in which nothing of a customer's can
// begin a new line.
func (m *Mailer) message(l reconcile.Letter) (*gomail.Msg, error) {
	to, ok := reconcile.MailAddress(l.To.Email)
	if !ok {
		return nil, errors.New("the customer's e-mail at Stripe is not an address")
	}
	text, err := m.templates.Write(l)
	if err != nil {
		return nil, err
	}
	msg := gomail.NewMsg(gomail.WithCharset(gomail.CharsetUTF8))
	if err := msg.FromFormat(m.from.Name, m.from.Address); err != nil {
		return nil, err
	}
	if err := msg.To(to); err != nil {
		return nil, err
	}
	msg.Subject(text.Subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(messageID(l.ID, m.from.Address))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office note answers it
	msg.SetGenHeader("Content-Language", text.Language)
	msg.SetBodyString(gomail.TypeTextPlain, text.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, text.HTML)
	return msg, nil
}

// messageID is the same for the same action: a mailbox that gets a mail twice shows it
// once, if it can.
func messageID(action, from string) string {
	sum := sha256.Sum256([]byte(action))
	return hex.EncodeToString(sum[:16]) + from[strings.LastIndexByte(from, '@'):]
}

// Package mailtest is a mail server for tests: it listens on loopback, speaks SMTP with
// TLS, STARTTLS and AUTH, and keeps the mails that it takes. It fails as mail servers do.
package mailtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// User and Password let a client in.
const (
	User     = "billing@example.com"
	Password = "CANARY-p/ss"
)

// Options are how the server is reached.
type Options struct {
	ImplicitTLS bool // TLS from the beginning, and not by STARTTLS
	Plain       bool // no TLS at all
}

// Failure is how the server fails.
type Failure uint8

// The zero value is a server that works.
const (
	// Unknown refuses every recipient: 550.
	Unknown Failure = iota + 1
	// Later defers every recipient: 451.
	Later
	// Spam refuses every text: 554.
	Spam
	// Closed refuses the sender: 553.
	Closed
	// Lost takes the mail and breaks the connection before it answers.
	Lost
	// Cut breaks the connection when a recipient is named.
	Cut
)

// Message is a mail that was taken.
type Message struct {
	From string
	To   []string
	Text string // with its headers, as sent
}

// Server is the mail server.
type Server struct {
	// Roots and PEM are the certificate that it can be verified with.
	Roots *x509.CertPool
	PEM   []byte

	options  Options
	listener net.Listener
	server   *smtp.Server
	address  string

	mu      sync.Mutex // guards all below
	failure Failure
	taken   []Message
	logins  int
}

// Start starts a server on a free port of 127.0.0.1.
func Start(o Options) (*Server, error) {
	certificate, text, err := certify()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, PEM: text, Roots: x509.NewCertPool()}
	s.Roots.AppendCertsFromPEM(text)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{server: s, conn: c}, nil }))
	s.server.Domain, s.server.AllowInsecureAuth = "localhost", o.Plain
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	if !o.Plain && !o.ImplicitTLS {
		s.server.TLSConfig = config
	}
	if s.listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.address = s.listener.Addr().String()
	if o.ImplicitTLS {
		s.listener = tls.NewListener(s.listener, config)
	}
	go func() { _ = fault.Guard(func() error { return s.server.Serve(s.listener) }) }() // until the server is closed
	return s, nil
}

// certify makes a certificate for 127.0.0.1 that signs itself.
func certify() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailtest"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	raw, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), nil
}

// URL is the value of SMTP_URL.
func (s *Server) URL() string {
	u := url.URL{Scheme: "smtp", User: url.UserPassword(User, Password), Host: s.address}
	if s.options.ImplicitTLS {
		u.Scheme = "smtps"
	}
	return u.String()
}

// Close ends the server and its connections.
func (s *Server) Close() { _ = s.server.Close() }

// Fail makes the server fail from now on; 0: it works again.
func (s *Server) Fail(f Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = f
}

// Taken returns the mails that were taken since the last call.
func (s *Server) Taken() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.taken
	s.taken = nil
	return all
}

// Logins is how often a client was let in.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

type session struct {
	server *Server
	conn   *smtp.Conn
	in     bool
	mail   Message
}

// AuthMechanisms lists how a client may log in.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth checks user and password.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != User || password != Password {
			return smtp.ErrAuthFailed
		}
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		s.in = true
		s.server.logins++
		return nil
	}), nil
}

// Reset begins a new mail.
func (s *session) Reset() { s.mail = Message{} }

// Logout ends the session.
func (s *session) Logout() error { return nil }

func (s *session) fails(as Failure) bool {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	return s.server.failure == as
}

// Mail names the sender.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	switch {
	case !s.in:
		return smtp.ErrAuthRequired
	case s.fails(Closed):
		return &smtp.SMTPError{Code: 553, Message: "sender address rejected: not owned by user"}
	}
	s.mail.From = from
	return nil
}

// Rcpt names a recipient.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch {
	case s.fails(Unknown):
		return &smtp.SMTPError{Code: 550, Message: "no such user here"}
	case s.fails(Later):
		return &smtp.SMTPError{Code: 451, Message: "greylisted, try again later"}
	case s.fails(Cut):
		_ = s.conn.Conn().Close()
		return errors.New("cut")
	}
	s.mail.To = append(s.mail.To, to)
	return nil
}

// Data takes the text.
func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.fails(Spam) {
		return &smtp.SMTPError{Code: 554, Message: "looks like spam"}
	}
	m := s.mail
	m.To, m.Text = slices.Clone(m.To), string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	s.server.mu.Lock()
	s.server.taken = append(s.server.taken, m)
	s.server.mu.Unlock()
	if s.fails(Lost) {
		_ = s.conn.Conn().Close()
	}
	return nil
}

// Header returns the value of a header, with its lines joined.
func (m Message) Header(name string) string {
	head, _, _ := strings.Cut(m.Text, "\n\n")
	head = strings.ReplaceAll(head, "\n ", " ")
	for l := range strings.SplitSeq(head, "\n") {
		if k, v, ok := strings.Cut(l, ": "); ok && strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

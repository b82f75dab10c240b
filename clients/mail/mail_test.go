package mail

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/mailtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

var t0 = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func start(t *testing.T, o mailtest.Options) *mailtest.Server {
	t.Helper()
	s, err := mailtest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func mailer(t *testing.T, s *mailtest.Server, url string) *Mailer {
	t.Helper()
	templates, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Options{Server: secret.New(url), From: "Example Hosting <billing@example.com>", Templates: templates, Roots: s.Roots})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t *testing.T, s *mailtest.Server) *Session {
	t.Helper()
	session, err := mailer(t, s, s.URL()).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

func warning(locales ...string) reconcile.Letter {
	return reconcile.Letter{ID: "mail:warn_suspend:sub_1:1:48h", To: reconcile.Addressee{Email: "ana@example.com", Name: "Ana Ionescu", Locales: locales},
		Mail:     reconcile.Mail{Kind: reconcile.WarnSuspend, Topics: []reconcile.MailTopic{{Subscription: "sub_1", Plan: "Pro", Domain: "example.com", At: t0.Add(48 * time.Hour), Unpaid: true}}},
		Invoices: []reconcile.Invoice{{Number: "A-7", Amount: 1250, Currency: "eur", Due: t0, URL: "https://invoice.stripe.com/i/7"}}}
}

// parts are the text and the page of a mail.
func parts(t *testing.T, m mailtest.Message) (text, page string) {
	t.Helper()
	whole, err := netmail.ReadMessage(strings.NewReader(m.Text))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(whole.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("the mail is %s, want multipart/alternative (%v)", kind, err)
	}
	for r := multipart.NewReader(whole.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if err != nil {
			return text, page
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			page = string(body)
		} else {
			text = string(body)
		}
	}
}

// TestAMailHasAmountDateAndLinkInTheCustomersLanguage, as text and as a page.
func TestAMailHasAmountDateAndLinkInTheCustomersLanguage(t *testing.T) {
	for _, o := range []mailtest.Options{{}, {ImplicitTLS: true}, {Plain: true}} {
		s := start(t, o)
		session := open(t, s)
		for _, locales := range [][]string{nil, {"ro-RO"}, {"xx", "ro"}} {
			if err := session.Send(t.Context(), warning(locales...)); err != nil {
				t.Fatal(err)
			}
			taken := s.Taken()
			if len(taken) != 1 || taken[0].To[0] != "ana@example.com" || taken[0].From != "billing@example.com" {
				t.Fatalf("the server took %+v", taken)
			}
			text, page := parts(t, taken[0])
			subject, err := new(mime.WordDecoder).DecodeHeader(taken[0].Header("Subject"))
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"Ana Ionescu", "example.com (Pro)", "EUR 12.50", "30 November 2026", "https://invoice.stripe.com/i/7", "2 December 2026, 12:00 UTC"}
			title := "Your hosting will be suspended on 2 December 2026"
			if locales != nil {
				want = []string{"Ana Ionescu", "example.com (Pro)", "12,50 EUR", "30 noiembrie 2026", "https://invoice.stripe.com/i/7", "2 decembrie 2026, 12:00 UTC", "găzduirea"}
				title = "Găzduirea dumneavoastră va fi suspendată la 2 decembrie 2026"
			}
			for _, w := range want {
				if !strings.Contains(text, w) || !strings.Contains(page, w) {
					t.Errorf("%v: %q is not in text and page:\n%s\n%s", locales, w, text, page)
				}
			}
			if !strings.HasPrefix(subject, title) || !strings.Contains(page, `<a href="https://invoice.stripe.com/i/7"`) || taken[0].Header("Auto-Submitted") != "auto-generated" {
				t.Errorf("%v: subject %q, page\n%s", locales, subject, page)
			}
		}
	}
}

// TestNothingThatACustomerTypedBecomesAHeader or a tag.
func TestNothingThatACustomerTypedBecomesAHeader(t *testing.T) {
	s := start(t, mailtest.Options{})
	session := open(t, s)
	l := warning()
	l.To.Name = "Ana\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>"
	l.Topics[0].Domain = "example.com\r\nX-Evil: 1"
	l.Invoices[0].Number = "1\nSubject: other"
	l.Invoices[0].URL = "javascript:alert(1)"
	l.ID = "mail:\r\nX-Evil: 1"
	if err := session.Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	m := s.Taken()[0]
	_, page := parts(t, m)
	if len(m.To) != 1 || m.Header("Bcc") != "" || m.Header("X-Evil") != "" || strings.Contains(page, "<script>") || strings.Contains(page, "javascript:") {
		t.Errorf("taken: %+v\n%s", m, page)
	}
	for _, email := range []string{"", "no address", "a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "Ana <a@example.com>", "a@example.com>"} {
		l := warning()
		l.To.Email = email
		if err := session.Send(t.Context(), l); fault.Of(err) != fault.Permanent {
			t.Errorf("%q: %v", email, err)
		}
	}
	if taken := s.Taken(); len(taken) != 0 {
		t.Errorf("taken: %+v", taken)
	}
}

// TestEachFailureShowsWhetherTheMailCanHaveBeenTaken, because only a mail that was not taken may
// be sent again.
func TestEachFailureShowsWhetherTheMailCanHaveBeenTaken(t *testing.T) {
	for _, c := range []struct {
		name    string
		failure mailtest.Failure
		want    fault.Kind
		again   error // of the next mail, when the server works again
	}{
		{"no such mailbox", mailtest.Unknown, fault.Permanent, nil},
		{"greylisted", mailtest.Later, fault.Transient, nil},
		{"the text is refused", mailtest.Spam, fault.Permanent, nil},
		{"the sender is refused", mailtest.Closed, fault.Denied, nil},
		{"taken, and the answer is lost", mailtest.Lost, fault.Ambiguous, fault.Transient},
		{"cut before it was taken", mailtest.Cut, fault.Transient, fault.Transient},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, mailtest.Options{})
			session := open(t, s)
			s.Fail(c.failure)
			err := session.Send(t.Context(), warning())
			if fault.Of(err) != c.want {
				t.Errorf("%v: %v, want %v", err, fault.Of(err), c.want)
			}
			if strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "ana@") {
				t.Errorf("the error has the password or the address: %v", err)
			}
			s.Fail(0)
			if again := session.Send(t.Context(), warning()); c.again == nil && again != nil || c.again != nil && !errors.Is(again, c.again) {
				t.Errorf("the next mail: %v", again)
			}
		})
	}
}

// TestALoginThatIsRefusedIsDenied, and shows no password.
func TestALoginThatIsRefusedIsDenied(t *testing.T) {
	s := start(t, mailtest.Options{})
	_, err := mailer(t, s, strings.Replace(s.URL(), "CANARY", "CANARY2", 1)).Open(t.Context())
	if fault.Of(err) != fault.Denied || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("%v: %v", fault.Of(err), err)
	}
	s.Close()
	if _, err := mailer(t, s, s.URL()).Open(t.Context()); fault.Of(err) != fault.Transient || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a server that is down: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mailer(t, s, s.URL()).Open(ctx); err == nil {
		t.Error("opened with a context that has ended")
	}
}

// TestAServerThatIsNotTheOneMeantGetsNoPassword: its certificate is verified.
func TestAServerThatIsNotTheOneMeantGetsNoPassword(t *testing.T) {
	for _, o := range []mailtest.Options{{}, {ImplicitTLS: true}} {
		s, other := start(t, o), start(t, o)
		m := mailer(t, s, s.URL())
		m.roots = other.Roots
		if _, err := m.Open(t.Context()); err == nil || s.Logins() != 0 {
			t.Errorf("%+v: %v, %d logins", o, err, s.Logins())
		}
	}
}

func TestAServerOfSMTPURL(t *testing.T) {
	for raw, want := range map[string]string{
		"smtp://u:p@mail.example.com":                       "",
		"smtp://billing@example.com:p@mail.example.com:587": "",
		"smtps://u:p%2F@mail.example.com:465":               "",
		"smtp://127.0.0.1:25":                               "",
		"http://u:p@mail.example.com":                       "begins with neither",
		"smtp://u:p@":                                       "is not a URL",
		"smtp://u@mail.example.com":                         "a user without a password",
		"smtp://u:CANARY/x@mail.example.com":                "%2F",
		"smtp://u:p@mail.example.com/inbox":                 "behind the port",
		"smtp://u:p@mail.example.com:587?tls=no":            "behind the port",
		"mail.example.com":                                  "is not a URL",
		"smtp://u:p@mail.example.com:70000":                 "port",
	} {
		if err := CheckServer(secret.New(raw)); err != nil {
			got := err.Error()
			if want == "" || !strings.Contains(got, want) || strings.Contains(got, "CANARY") {
				t.Errorf("%s: %s, want %q", raw, got, want)
			}
		} else if want != "" {
			t.Errorf("%s: accepted", raw)
		}
	}
	for from, ok := range map[string]bool{"billing@example.com": true, "Example <billing@example.com>": true, "billing": false, "": false,
		"a@example.com\nBcc: b@example.com": false, "billing@host": false} {
		if err := CheckSender(from); (err == nil) != ok {
			t.Errorf("%q: %v", from, err)
		}
	}
	s, err := parse(secret.New("smtp://billing@example.com:p%2Fw@mail.example.com"))
	if err != nil || s.user != "billing@example.com" || s.password != "p/w" || s.port != 587 || s.implicitTLS {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestADirectoryOfTemplatesIsCheckedAsAWhole: every mistake is reported together.
func TestADirectoryOfTemplatesIsCheckedAsAWhole(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("suspended.en.txt", "Subject: Off\n\nIt is off since {{.At}}, {{.Name}}.\n")
	write("suspended.de.txt", "Subject: Gesperrt\n\nSeit {{.At}} gesperrt: {{range .Topics}}{{.What}} {{end}}\n")
	write("suspended.de.html", "<p>Seit {{.At}} gesperrt, {{.Name}}</p>")
	write(".keep", "")
	templates, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := warning("de-AT", "en")
	l.Kind, l.To.Name = reconcile.NoticeSuspended, "<b>Ana</b>"
	w, err := templates.Write(l)
	if err != nil || w.Subject != "Gesperrt" || w.Text != "Seit 2026-12-02, 12:00 UTC gesperrt: example.com (Pro)\n" || w.HTML != "<p>Seit 2026-12-02, 12:00 UTC gesperrt, &lt;b&gt;Ana&lt;/b&gt;</p>" {
		t.Errorf("%+v, %v", w, err)
	}
	l.Kind = reconcile.NoticeResumed // of which there is no German text
	if w, err := templates.Write(l); err != nil || w.Language != "en" {
		t.Errorf("%+v, %v", w, err)
	}
	write("suspended.en.txt", "Off since {{.At}}")
	write("resumed.en.txt", "Subject: On\n\n{{.Nothing}}\n")
	write("deleted.ro.txt", "Subject: Off\n\n{{if}}\n")
	write("suspend.en.txt", "Subject: Off\n\nOff\n")
	err = CheckTemplates(dir)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"suspended.en.txt: does not begin with", "deleted.ro.txt", "suspend.en.txt: is no template", "warn_suspend, warn_terminate, suspended, resumed, deleted", "resumed.en.txt", "Nothing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if err := CheckTemplates(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("a directory that does not exist: %v", err)
	}
}

func TestAmountsOfAllCurrencies(t *testing.T) {
	for _, c := range []struct {
		amount   int64
		currency string
		want     string
	}{{1250, "eur", "12.50"}, {5, "eur", "0.05"}, {1250, "JPY", "1250"}, {1250, "kwd", "1.250"}, {-250, "usd", "-2.50"}, {0, "ron", "0.00"}} {
		if got := reconcile.FormatAmount(c.amount, c.currency); got != c.want {
			t.Errorf("%d %s is %s, want %s", c.amount, c.currency, got, c.want)
		}
	}
}

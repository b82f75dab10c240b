package main

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/internal/mailtest"
)

var mailFailures = map[string]mailtest.Failure{"works": 0, "unknown": mailtest.Unknown, "later": mailtest.Later, "spam": mailtest.Spam,
	"closed": mailtest.Closed, "lost": mailtest.Lost, "cut": mailtest.Cut}

// mailing begins with `mail server [smtps]`, which starts a mail server and sets SMTP_URL
// and MAIL_FROM. `mail takes N [TEXT…]` checks that N mails have come since the last look,
// and that each TEXT is in one of them (header lines or text). `mail down` ends the server;
// another word, such as `mail lost`, makes it fail so; `mail works` ends that.
func (o *outside) mailing(ts *testscript.TestScript, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: mail server|takes|down|FAILURE")
	}
	failure, known := mailFailures[args[0]]
	switch {
	case args[0] == "server":
		s, err := mailtest.Start(mailtest.Options{ImplicitTLS: len(args) > 1 && args[1] == "smtps"})
		ts.Check(err)
		ts.Defer(s.Close)
		o.mails = s
		ts.Check(os.WriteFile(ts.MkAbs("mail.pem"), s.PEM, 0o600))
		ts.Setenv("SSL_CERT_FILE", ts.MkAbs("mail.pem"))
		ts.Setenv("SMTP_URL", s.URL())
		ts.Setenv("MAIL_FROM", "Example Hosting <billing@example.com>")
	case args[0] == "down":
		o.mails.Close()
	case args[0] == "takes" && len(args) > 1:
		o.mailsCome(ts, args[1], args[2:])
	case known:
		o.mails.Fail(failure)
	default:
		ts.Fatalf("mail: %s?", args[0])
	}
}

func (o *outside) mailsCome(ts *testscript.TestScript, n string, texts []string) {
	var all strings.Builder
	taken := o.mails.Taken()
	for _, m := range taken {
		all.WriteString(readable(m) + "\n=====\n")
	}
	if n != strconv.Itoa(len(taken)) {
		ts.Fatalf("%d mails, want %s:\n%s", len(taken), n, all.String())
	}
	for _, want := range texts {
		if !strings.Contains(all.String(), want) {
			ts.Fatalf("%q is in none of the mails:\n%s", want, all.String())
		}
	}
}

// readable is a mail with its subject and its parts decoded.
func readable(m mailtest.Message) string {
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header("Subject"))
	if err != nil {
		subject = err.Error()
	}
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(m.Text)))
	if err != nil {
		text = []byte(m.Text)
	}
	return "To: " + strings.Join(m.To, ", ") + "\nSubject: " + subject + "\n" + string(text)
}

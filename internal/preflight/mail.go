package preflight

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/clients/mail"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// mails connects to the mail server and logs in, without sending a mail. With --mail it
// sends an example.
func (x *check) mails(ctx context.Context) {
	if x.wrong.Names("SMTP_URL", "MAIL_FROM", "MAIL_TEMPLATES", "WARN_BEFORE") {
		return
	}
	mailer, err := x.Mailer()
	switch {
	case err != nil:
		x.fail("mail", err.Error(), seeMessage)
		return
	case mailer == nil && x.mail != "":
		x.fail("mail", "SMTP_URL or MAIL_FROM is not set, so no test mail can be sent", "set both: SMTP_URL=smtp://user:password@smtp.example.com:587 and MAIL_FROM=billing@example.com")
		return
	case mailer == nil:
		x.ok("mail", "SMTP_URL and MAIL_FROM are not set: customers get no mails")
		return
	}
	session, err := mailer.Open(ctx)
	if err != nil {
		x.fail("mail", err.Error(), "compare SMTP_URL with what the mail server requires (host, port, smtp or smtps, user, password)")
		return
	}
	defer session.Close()
	if x.mail == "" {
		x.ok("mail", "%s lets us in, from %s; check --mail ADDRESS sends a test mail", mailer.Server(), x.Config.MailFrom)
		return
	}
	if err := session.Send(ctx, mail.Example(reconcile.NoticeResumed, x.mail)); err != nil {
		x.fail("mail", err.Error(), "see whether the server lets MAIL_FROM send, and whether the address is right")
		return
	}
	x.ok("mail", "%s took a test mail to %s", mailer.Server(), x.mail)
}

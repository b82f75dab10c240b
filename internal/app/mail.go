package app

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/clients/mail"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// Mailer sends mails to customers; nil, without an error, if that is not set. It contacts
// no server yet.
func (a *App) Mailer() (*mail.Mailer, error) {
	if !a.Config.Mails() {
		return nil, nil
	}
	templates, err := mail.Load(a.Config.MailTemplates)
	if err != nil {
		return nil, err
	}
	return mail.New(mail.Options{Server: a.Config.SMTPServer, From: a.Config.MailFrom, Templates: templates})
}

// mailer is a Mailer as the engine wants it.
type mailer struct{ *mail.Mailer }

// Open implements engine.Mailer.
func (m mailer) Open(ctx context.Context) (engine.MailSession, error) { return m.Mailer.Open(ctx) }

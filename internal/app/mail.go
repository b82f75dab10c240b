package app

import (
	"github.com/stripe-enhance/stripe-enhance/clients/mail"
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

package engine

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Mailer sends mails to customers. nil: none are sent.
type Mailer interface {
	// Open connects to the mail server and logs in. It sends nothing.
	Open(ctx context.Context) (MailSession, error)
}

// MailSession is a connection to the mail server, for one goroutine.
type MailSession interface {
	// Send hands a mail to the server, once. The kind of the error shows whether the server
	// can have taken it: fault.Permanent, no, and it never will; fault.Transient, no, but
	// perhaps later; fault.Denied, no, and it takes no other either; any other kind, it may.
	Send(ctx context.Context, l reconcile.Letter) error
	// Usable reports whether another mail may be sent on this connection.
	Usable() bool
	Close()
}

// Addressees is Stripe, as far as a mail needs it. Safe for concurrent use.
type Addressees interface {
	// Addressee reads a customer by id. One that was deleted has no e-mail. fault.NotFound
	// only if Stripe answers that this customer does not exist.
	Addressee(ctx context.Context, customer string) (reconcile.Addressee, error)
	// OpenInvoices reads the invoices of a subscription that are still to be paid, the one
	// that is due first before the others; none if the key may not read invoices.
	OpenInvoices(ctx context.Context, subscription string) ([]reconcile.Invoice, error)
}

// MailJournal is the part of the journal that is about mails alone. Intents and outcomes
// of mails are recorded by Journal, as those of other actions.
type MailJournal interface {
	// SkipMail stores that a mail is not sent, and why; its topics are settled by that.
	SkipMail(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, why string, now time.Time) error
	// LoseMails ends the mails of other runs that have an intent and no outcome, and
	// returns their ids.
	LoseMails(ctx context.Context, tok reconcile.Token, run string, now time.Time) ([]string, error)
}

package reconcile

import (
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// MailKind is why a customer gets a mail.
type MailKind uint8

const (
	// WarnSuspend: the hosting will be suspended, because an invoice is not paid.
	WarnSuspend MailKind = iota + 1
	// WarnTerminate: the hosting is suspended, and will be deleted.
	WarnTerminate
	// NoticeSuspended: the hosting was suspended.
	NoticeSuspended
	// NoticeResumed: a suspension of which the customer had a notice is over.
	NoticeResumed
	// NoticeDeleted: the hosting was deleted.
	NoticeDeleted
)

var mailKindNames = [...]string{WarnSuspend: "warn_suspend", WarnTerminate: "warn_terminate",
	NoticeSuspended: "suspended", NoticeResumed: "resumed", NoticeDeleted: "deleted"}

// String is the word in the ids of actions, and in the names of templates.
func (k MailKind) String() string {
	if int(k) < len(mailKindNames) && mailKindNames[k] != "" {
		return mailKindNames[k]
	}
	return "unknown"
}

// MailKinds lists every kind in order.
func MailKinds() []MailKind {
	return []MailKind{WarnSuspend, WarnTerminate, NoticeSuspended, NoticeResumed, NoticeDeleted}
}

// Warns reports whether a mail of the kind is about the future. Only what is about the
// past is also sent in MODE=provision.
func (k MailKind) Warns() bool { return k == WarnSuspend || k == WarnTerminate }

// Mail is the content of one mail to a customer: of one kind, for one topic or several.
type Mail struct {
	Kind   MailKind
	Topics []MailTopic
}

// MailTopic is one thing that a mail is about.
type MailTopic struct {
	// Key is the same for the same matter, and different in each spell: kind, subscription,
	// hosting, when the spell began, and the step of WARN_BEFORE. No two mails have a topic
	// with the same key.
	Key          string
	Subscription string
	Hosting      int64 // 0: all hostings of the subscription
	Plan         string
	Domain       string // "": not known
	// At is when it happens or happened. Zero: that is not known.
	At time.Time
	// Ended means that the subscription has ended, and not that a payment is missing.
	Ended bool
	// Unpaid means that a payment is missing.
	Unpaid bool
	// Deleted is when the hosting will be deleted; zero: that is not decided.
	Deleted time.Time
}

// Addressee is the customer as Stripe has it when a mail is due.
type Addressee struct {
	Email string // "": none, or the customer was deleted
	Name  string
	// Locales are the languages that the customer prefers, the first before the others:
	// "ro", "pt-BR".
	Locales []string
}

// Invoice is one that is open, as a mail shows it.
type Invoice struct {
	Number   string
	Amount   int64  // that is still to be paid, in the smallest unit of the currency
	Currency string // in lower case, as Stripe has it
	Due      time.Time
	// URL is Stripe's page on which the invoice can be paid; "": there is none.
	URL string
}

// Letter is all that one mail to a customer needs.
type Letter struct {
	ID string // of the action
	To Addressee
	Mail
	Invoices []Invoice
}

// MailRecord is a topic of which a mail was sent, or may have been sent.
type MailRecord struct {
	Key   string
	State MailState
	At    time.Time // of the intent, or of its outcome
}

// MailState is the outcome of a mail, as far as it is known.
type MailState uint8

const (
	// MailIntended: the intent is durable, and no outcome is known yet. After a crash it
	// stays so, and the mail may have been sent.
	MailIntended MailState = iota + 1
	// MailSent: the server took it.
	MailSent
	// MailUnknown: the connection broke while the server was taking it.
	MailUnknown
	// MailRefused: the server refused it for good, or the customer has no address.
	MailRefused
	// MailUnsent: the server has not taken it, and may take it later.
	MailUnsent
)

var mailStateNames = [...]string{MailIntended: "intended", MailSent: "sent", MailUnknown: "unknown", MailRefused: "refused", MailUnsent: "unsent"}

// String is the word in the database, which has the same in a CHECK.
func (s MailState) String() string {
	if int(s) < len(mailStateNames) && mailStateNames[s] != "" {
		return mailStateNames[s]
	}
	return "invalid"
}

// ParseMailState is the inverse of String; 0 for anything else.
func ParseMailState(word string) MailState {
	for s, name := range mailStateNames {
		if name == word && name != "" {
			return MailState(s)
		}
	}
	return 0
}

// MailPolicy is the operator's settings for mails to customers. The zero value: none is
// sent.
type MailPolicy struct {
	On bool
	// WarnBefore is how long before a suspension or a deletion the customer is warned, the
	// longest first. Zeros at the end count for nothing.
	WarnBefore [MaxWarnings]time.Duration
}

// MaxWarnings is how many warnings of one event can be set, and LeastWarning is how long
// before it the last one may be: a later one leaves no time to pay.
const (
	MaxWarnings  = 8
	LeastWarning = 2 * time.Hour
)

// MailAddress returns the address in an e-mail as it was typed at Stripe, and false if a
// mail cannot be sent there: it must be one address and nothing else, on one line.
func MailAddress(email string) (string, bool) {
	email = strings.TrimSpace(email)
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email || strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", false
	}
	return email, true
}

// zeroDecimal and threeDecimal are the currencies whose smallest unit is not a hundredth
// (docs.stripe.com/currencies).
const (
	zeroDecimal  = " bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf "
	threeDecimal = " bhd jod kwd omr tnd "
)

// FormatAmount writes an amount of the smallest unit of a currency as a decimal number.
func FormatAmount(amount int64, currency string) string {
	decimals := 2
	switch word := " " + strings.ToLower(currency) + " "; {
	case strings.Contains(zeroDecimal, word):
		return fmt.Sprint(amount)
	case strings.Contains(threeDecimal, word):
		decimals = 3
	}
	sign := ""
	if amount < 0 {
		sign, amount = "-", -amount
	}
	digits := fmt.Sprintf("%0*d", decimals+1, amount)
	whole := len(digits) - decimals
	return sign + digits[:whole] + "." + digits[whole:]
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// mailPause is how long a mail server is left alone that did not let us in: a run must
	// not wait for it every minute.
	mailPause = 5 * time.Minute
	// mailConnections is how often a run connects to the mail server at most.
	mailConnections = 3
	// mailTries is how often a run decides again about the mails of one customer: three times
	// for each, and there is one of a kind.
	mailTries = 16
)

// post is the mails that a run sends. One goroutine uses it.
type post struct {
	session     MailSession
	connections int
	letter      reconcile.Letter // being sent
	// handed means that the server may have taken letter, and that the journal has not
	// recorded that it did.
	handed  bool
	stopped string // why no more is sent in this run
	unsent  int    // mails that were due and not sent because of that
}

// sendMails sends the mails that are due and that no brake holds. It comes after
// everything else, and its failures are notes: a mail server that is down delays no run,
// and costs no customer a back-off.
//
// Each mail is sent at most once. Its intent is durable before it is sent, with the key of
// every matter that it is about, and the database takes each key once. If this process
// dies before it has recorded the outcome, the next run notes that the mail may have
// arrived, and no run sends it again.
func (r *run) sendMails(ctx context.Context) error {
	if !r.Policy.Mail.On {
		return nil
	}
	customers, err := r.judgeMails(ctx)
	if err != nil || r.req.Dry || r.Policy.Mode == reconcile.Observe || r.Mailer == nil {
		return err
	}
	lost, err := r.MailJournal.LoseMails(ctx, r.tok, r.rec.ID, r.clock())
	if err != nil {
		return fmt.Errorf("looking for mails without an outcome: %w", err)
	}
	if len(lost) > 0 {
		r.note("the outcome of %d mails is not known, because the process that was sending them ended: %s; they may have arrived, and are not sent again", len(lost), few(lost))
	}
	p := &post{}
	defer p.close()
	for _, id := range customers {
		if r.halted(ctx) {
			break
		}
		if p.stopped != "" {
			p.unsent++
			continue
		}
		r.mailCustomer(ctx, p, id)
	}
	if p.stopped != "" {
		r.note("mails to %d customers were not sent: %s. Nothing else waits for them; a warning whose time passes is not sent any more", p.unsent, p.stopped)
	}
	return nil
}

func (p *post) close() {
	if p.session != nil {
		p.session.Close()
		p.session = nil
	}
}

// judgeMails asks the brake about all mails that were planned, those included that came up
// while customers were applied. It returns the customers with a mail that is not held.
func (r *run) judgeMails(ctx context.Context) (customers []string, err error) {
	each := func(use func(reconcile.Action)) error {
		return r.eachPlanned(ctx, func(a reconcile.Action) error {
			if a.Kind == reconcile.SendMail {
				use(a)
			}
			return nil
		})
	}
	if err := each(r.brake.count); err != nil {
		return nil, err
	}
	held, err := r.brakeMails(ctx)
	if err != nil {
		return nil, err
	}
	err = each(func(a reconcile.Action) {
		switch {
		case held && r.brake.holds(a):
			r.brake.collectHeld(a)
		case len(customers) == 0 || customers[len(customers)-1] != a.Customer:
			customers = append(customers, a.Customer)
		}
	})
	if err != nil || !held {
		return distinct(customers), err
	}
	r.planKind(reconcile.SendMail)
	if !r.req.Dry {
		if err := r.storePlans(ctx, r.brake.takePlans(reconcile.SendMail)); err != nil {
			return nil, fmt.Errorf("recording the held mails: %w", err)
		}
	}
	return distinct(customers), nil
}

// brakeMails reports whether a mail is held. Those that an approval releases are not
// counted, and if there are no others, nothing is asked.
func (r *run) brakeMails(ctx context.Context) (held bool, err error) {
	if !r.brake.expects(reconcile.SendMail) {
		return false, nil
	}
	counts, err := r.History.Counts(ctx)
	if err != nil {
		return false, err
	}
	var d done
	if d.actions, err = r.Journal.CountDone(ctx, reconcile.SendMail, r.now.Add(-reconcile.BrakeWindow)); err != nil {
		return false, err
	}
	return r.brake.judge(reconcile.SendMail, d, counts.Bound, ""), nil
}

// mailCustomer sends the mails of one customer. An error ends these, and nothing else.
func (r *run) mailCustomer(ctx context.Context, p *post, id string) {
	free, err := r.claim(ctx, id)
	if err != nil {
		return // this process stopped it; the customer is still due
	}
	defer free()
	defer r.known.forget(id)
	err = fault.Guard(func() error { return r.mailSteps(ctx, p, id) })
	r.logPanic(id, err)
	switch kind := fault.Of(err); {
	case err == nil:
	case p.handed:
		r.note("%s: it is not known whether a mail was sent, and it is not sent again: %v", id, err)
	case kind == fault.Canceled: // this process stopped it
	case kind == fault.Fenced:
		p.stop(err)
	default:
		r.note("%s: a mail was not sent: %v", id, err)
	}
}

// stop ends the mails of the run.
func (p *post) stop(err error) {
	p.stopped = strings.TrimSuffix(err.Error(), ".")
	p.unsent++
}

// reading is the error of a read at Stripe for a mail: nil if it concerns other customers
// too, and so ends the mails of this run.
func (p *post) reading(err error) error {
	if err == nil {
		return nil
	}
	switch fault.Of(err) {
	case fault.Transient, fault.Throttled, fault.Denied, fault.Unknown, fault.Ambiguous:
		p.stop(err)
		return nil
	case fault.Conflict, fault.Malformed, fault.Permanent, fault.NotFound, fault.Canceled, fault.Fenced:
	}
	return err
}

// customerPost is the mails of one customer at work.
type customerPost struct {
	*post
	read    map[string]time.Time        // subscription → when it was read by id
	tried   idSet                       // ids of the mails that were sent, or cannot be
	letters map[string]reconcile.Letter // by the id of the action
}

// mailSteps sends the mails of one customer, one after the other. Each is decided again
// right before, with its subscriptions read by id: a customer who has paid gets no warning. That
// read is the last one, because the others may take long.
func (r *run) mailSteps(ctx context.Context, p *post, id string) error {
	of := &customerPost{p, map[string]time.Time{}, idSet{}, map[string]reconcile.Letter{}}
	for range mailTries {
		p.handed = false // the one before, if any, has its outcome in the journal
		c, d, err := r.again(ctx, id)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(d.Actions, func(a reconcile.Action) bool {
			return a.Kind == reconcile.SendMail && !of.tried.has(a.ID) && !r.brake.holds(a) && !r.brake.unseen(a) && r.mayWarn(a)
		})
		if i < 0 || r.halted(ctx) || p.stopped != "" {
			return nil
		}
		if err := r.mailStep(ctx, of, c, d.Actions[i]); err != nil {
			return err
		}
	}
	return nil
}

// mailStep does the next step of one mail: its facts are read, then it is sent.
func (r *run) mailStep(ctx context.Context, of *customerPost, c *reconcile.Customer, a reconcile.Action) error {
	l, written := of.letters[a.ID]
	if !written {
		l, why, err := r.letter(ctx, c, a)
		if err != nil {
			return of.reading(err)
		}
		if why != "" {
			of.tried.add(a.ID)
			return r.skipMail(ctx, a, why)
		}
		of.letters[a.ID] = l
	}
	if !r.connect(ctx, of.post) {
		of.unsent++
		return nil
	}
	if old := r.unread(a, of.read); len(old) > 0 || !written {
		return of.reading(r.readAgain(ctx, old, of.read))
	}
	of.tried.add(a.ID)
	return r.mailOne(ctx, of.post, c, a, l)
}

// readAgain reads subscriptions by id.
func (r *run) readAgain(ctx context.Context, ids []string, read map[string]time.Time) error {
	for _, id := range ids {
		if err := r.readOne(ctx, id, true); err != nil {
			return err
		}
		read[id] = r.clock()
	}
	return nil
}

// mayWarn reports whether a mail may be sent as far as the evidence goes. While nothing may
// be taken away, no customer is warned of it.
func (r *run) mayWarn(a reconcile.Action) bool {
	return !a.Mail.Kind.Warns() || !r.evidence.removalsAreBlocked() && r.evidence.needsApproval == ""
}

// unread are the subscriptions of a mail that were not read within the last minute.
func (r *run) unread(a reconcile.Action, read map[string]time.Time) (old []string) {
	for i := range a.Mail.Topics {
		s := a.Mail.Topics[i].Subscription
		if at, known := read[s]; (!known || r.clock().Sub(at) > premiseAge) && !slices.Contains(old, s) {
			old = append(old, s)
		}
	}
	return old
}

// mailOne sends one mail.
func (r *run) mailOne(ctx context.Context, p *post, c *reconcile.Customer, a reconcile.Action, l reconcile.Letter) error {
	l.Mail = *a.Mail // as it was decided last
	p.letter, r.post = l, p
	_, err := r.send(ctx, c, a)
	if fault.Of(err) == fault.Denied && !p.handed {
		p.stop(err)
		return nil
	}
	return err
}

// skipMail stores why a mail cannot be sent.
func (r *run) skipMail(ctx context.Context, a reconcile.Action, why string) error {
	r.note("%s: %s, so that no mail was sent (%s)", a.Customer, why, a.Reason)
	return r.MailJournal.SkipMail(ctx, r.tok, r.rec.ID, a, why+": no mail was sent", r.clock())
}

// letter reads the facts of a mail at Stripe: its addressee, and the invoices that are to be
// paid. why is the reason if it cannot be sent.
func (r *run) letter(ctx context.Context, c *reconcile.Customer, a reconcile.Action) (l reconcile.Letter, why string, err error) {
	to, err := r.Addressees.Addressee(ctx, buyerOf(c, a.Subscription))
	if errors.Is(err, fault.NotFound) {
		return l, "Stripe does not know the customer any more", nil
	}
	if err != nil {
		return l, "", err
	}
	if _, ok := reconcile.MailAddress(to.Email); !ok {
		return l, "the customer has no e-mail at Stripe to which a mail can be sent", nil
	}
	l = reconcile.Letter{ID: a.ID, To: to, Mail: *a.Mail}
	asked := idSet{}
	for i := range a.Mail.Topics {
		t := &a.Mail.Topics[i]
		if !t.Unpaid || asked.has(t.Subscription) {
			continue
		}
		asked.add(t.Subscription)
		open, err := r.Addressees.OpenInvoices(ctx, t.Subscription)
		if err != nil {
			return l, "", err
		}
		l.Invoices = append(l.Invoices, open...)
	}
	return l, "", nil
}

// buyerOf is the Stripe customer of a subscription.
func buyerOf(c *reconcile.Customer, subscription string) string {
	for i := range c.Subscriptions {
		if c.Subscriptions[i].ID == subscription {
			return c.Subscriptions[i].StripeCustomer
		}
	}
	return c.ID
}

// connect makes sure that there is a connection to the mail server, before an intent is
// recorded: a server that is down costs no mail.
func (r *run) connect(ctx context.Context, p *post) bool {
	if p.session != nil && p.session.Usable() {
		return true
	}
	p.close()
	if now := r.clock(); now.UnixNano() < r.mailDown.Load() {
		p.stopped = "the mail server did not let us in a few minutes ago, and is tried again later"
		return false
	}
	if p.connections++; p.connections > mailConnections {
		p.stopped = "the mail server broke off the connection again and again"
		return false
	}
	session, err := r.Mailer.Open(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.mailDown.Store(r.clock().Add(mailPause).UnixNano())
		}
		p.stopped = strings.TrimSuffix(err.Error(), ".")
		return false
	}
	r.mailDown.Store(0)
	p.session = session
	return true
}

// sendMail is the call of a mail.
func (r *run) sendMail(ctx context.Context, _ *reconcile.Customer, _ reconcile.Action, out *reconcile.Outcome) error {
	r.post.handed = true
	err := r.post.session.Send(ctx, r.post.letter)
	switch fault.Of(err) {
	case fault.Permanent:
		out.Mail = reconcile.MailRefused
	case fault.Transient, fault.Denied:
		out.Mail = reconcile.MailUnsent
	default:
		out.Mail = reconcile.MailUnknown
	}
	if err == nil {
		out.Mail = reconcile.MailSent
	}
	r.post.handed = out.Mail == reconcile.MailSent || out.Mail == reconcile.MailUnknown
	return err
}

// mailState is the state in the journal of a mail that was not taken for certain. There is
// nothing to look for at a mail server, so that an unknown outcome stays so.
func mailState(out *reconcile.Outcome) {
	out.State = reconcile.ActionFailed
	if out.Mail == reconcile.MailUnknown {
		out.Error = "it is not known whether the mail was sent, and it is not sent again: " + out.Error
	}
}

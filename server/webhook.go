package server

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/semaphore"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Results of a webhook, as metrics name them.
const (
	webhookAccepted  = "accepted"
	webhookDuplicate = "duplicate"
	webhookRefused   = "refused"
	webhookFailed    = "failed"
)

type webhookReceipt struct {
	Received bool   `json:"received"`
	Message  string `json:"message,omitempty"`
}

type webhookProblem struct {
	Error     string `json:"error"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
}

// webhook stores the event and answers. The run that it wakes reads from the API what
// happened.
func (s *Server) webhook(w http.ResponseWriter, r *http.Request) {
	body, done, err := s.intake.read(r.Body, webhookLimit)
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errIntakeFull):
		s.respondBusy(w)
		return
	case errors.As(err, &large):
		s.refuseWebhook(w, http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB")
		return
	case err != nil:
		s.refuseWebhook(w, http.StatusBadRequest, "the body ended early")
		return
	}
	event, err := s.verified(r, body)
	done()
	if err != nil {
		s.refuseWebhook(w, http.StatusBadRequest, err.Error())
		return
	}
	s.storeEvent(w, r, event)
}

var errSignatures = errors.New("stripe webhook: exactly one Stripe-Signature header is required")

// verified checks the signature. Two headers are refused, because a proxy in between may
// have checked the other one.
func (s *Server) verified(r *http.Request, body []byte) (reconcile.Event, error) {
	signatures := r.Header.Values("Stripe-Signature")
	if len(signatures) != 1 {
		return reconcile.Event{}, errSignatures
	}
	return s.o.Verify(body, signatures[0], s.o.Now())
}

func (s *Server) refuseWebhook(w http.ResponseWriter, status int, why string) {
	s.o.Observer.WebhookAnswered(webhookRefused)
	respond(w, status, webhookProblem{Error: "Webhook processing failed", Message: why})
}

// respondBusy puts a delivery off. Nothing is lost: Stripe sends it again, and the next
// scheduled run reads the change anyway.
func (s *Server) respondBusy(w http.ResponseWriter) {
	s.o.Observer.WebhookAnswered(webhookFailed)
	w.Header().Set("Retry-After", "5")
	w.Header().Set("Connection", "close") // the rest of the body is not read
	respond(w, http.StatusServiceUnavailable, webhookProblem{Error: "Webhook processing failed",
		Message: errIntakeFull.Error() + "; send it again", Retryable: true})
}

// storeEvent stores the event with its nudge, wakes the loop and answers.
func (s *Server) storeEvent(w http.ResponseWriter, r *http.Request, event reconcile.Event) {
	subscription, look := event.Subscription, relevant(event.Type) || event.Vague
	if !look {
		subscription = ""
	}
	// If an event is about a Stripe customer, it names no subscription: the run finds the
	// subscriptions by its own list of events, as it does for a vague event.
	look = look && (subscription != "" || event.StripeCustomer != "" || event.Vague || aboutCharge(event.Type))
	isNew, err := s.o.Nudges.LogWebhook(r.Context(), event.ID, event.Type, subscription, look, s.o.Now())
	switch {
	case err != nil:
		s.o.Observer.WebhookAnswered(webhookFailed)
		s.o.Log.WithField("event", event.ID).WithError(err).Error("webhook not stored")
		respond(w, http.StatusInternalServerError, webhookProblem{Error: "Webhook processing failed",
			Message: "it could not be stored; send it again", Retryable: true})
	case !isNew:
		s.o.Observer.WebhookAnswered(webhookDuplicate)
		respond(w, http.StatusOK, webhookReceipt{Received: true, Message: "Event already processed"})
	default:
		switch {
		case look && subscription != "":
			s.o.Loop.Serve()
		case look:
			s.o.Loop.Wake("webhook")
		}
		s.o.Observer.WebhookAnswered(webhookAccepted)
		if s.o.Log.IsLevelEnabled(logrus.DebugLevel) { // a burst need not pay for fields that are not shown
			s.o.Log.WithFields(logrus.Fields{"event": event.ID, "type": event.Type, "subscription": subscription}).Debug("webhook stored")
		}
		respond(w, http.StatusOK, webhookReceipt{Received: true})
	}
}

// aboutCharge reports whether an event is about a dispute or a refund. It names no
// subscription: the run lists the disputes.
func aboutCharge(kind string) bool {
	return strings.HasPrefix(kind, "charge.dispute.") || kind == "charge.refunded"
}

// relevant reports whether events of a type can change an entitlement. Others are stored,
// and nudge nothing.
func relevant(kind string) bool {
	if aboutCharge(kind) {
		return true
	}
	for _, family := range []string{"customer.subscription.", "customer.deleted", "customer.updated", "invoice.", "checkout.session."} {
		if strings.HasPrefix(kind, family) {
			return true
		}
	}
	return false
}

// intake bounds the memory for the bodies of webhooks, whose sender is not known before
// the signature is checked. A body counts for the bytes that have arrived, not for the
// length that it announces. Bodies of an ordinary size have a share of their own, so that
// large ones that come slowly do not keep them out. Safe for concurrent use.
type intake struct {
	small, large *semaphore.Weighted
}

const (
	intakeBytes = 16 << 20 // of either share
	intakeFirst = 8 << 10  // of any body
	intakeSmall = 64 << 10 // Stripe's largest events of interest were seen past 50 KiB
)

// errIntakeFull: the body was not read, because there is no memory for it.
var errIntakeFull = errors.New("too many deliveries are being read")

func newIntake() *intake {
	return &intake{small: semaphore.NewWeighted(intakeBytes), large: semaphore.NewWeighted(intakeBytes)}
}

// reservation is the part of a share that a body has taken, and the memory for it.
type reservation struct {
	share *semaphore.Weighted
	data  []byte // empty
	first *[intakeFirst]byte
}

// firstBuffers are what bodies are read into first, and most need no more. They are used
// again, because in a burst they are most of what the garbage collector has to clear.
var firstBuffers = sync.Pool{New: func() any { return new([intakeFirst]byte) }}

func (in *intake) reserve(bytes int) (reservation, bool) {
	l := reservation{share: in.small}
	if bytes > intakeSmall {
		l.share = in.large
	}
	if !l.share.TryAcquire(int64(bytes)) {
		return l, false
	}
	if bytes == intakeFirst {
		l.first = firstBuffers.Get().(*[intakeFirst]byte)
		l.data = l.first[:0]
	} else {
		l.data = make([]byte, 0, bytes)
	}
	return l, true
}

func (l reservation) release() {
	if l.first != nil {
		firstBuffers.Put(l.first)
	}
	l.share.Release(int64(cap(l.data)))
}

// read reads a body of at most limit bytes, which the body itself enforces. The caller
// calls done to release the memory, which another body may then be read into; it is nil if
// there is an error.
func (in *intake) read(body io.Reader, limit int) (data []byte, done func(), err error) {
	has, ok := in.reserve(intakeFirst)
	if !ok {
		return nil, nil, errIntakeFull
	}
	data = has.data
	for {
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case errors.Is(err, io.EOF):
			return data, has.release, nil
		case err != nil:
			has.release()
			return nil, nil, err
		case len(data) < cap(data):
			continue
		}
		more, ok := in.reserve(min(2*cap(data), limit+intakeFirst))
		if !ok {
			has.release()
			return nil, nil, errIntakeFull
		}
		data = append(more.data, data...)
		has.release()
		has = more
	}
}

// recordWebhookResults marks the webhooks that this run has followed. If an action of the
// subscription failed, the webhook has failed; the others are followed. If the run itself
// failed, they stay unmarked for the next run that succeeds.
func (l *Loop) recordWebhookResults(ctx context.Context, r Request, report reconcile.Report, err error, began time.Time) {
	if err != nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	now := l.o.Now()
	problems := problemsOf(report.Actions)
	for _, subscription := range slices.Sorted(maps.Keys(problems)) {
		err = errors.Join(err, l.nudges.WebhookResult(ctx, subscription, began, problems[subscription], now))
	}
	if len(r.Subscriptions) == 0 {
		err = errors.Join(err, l.nudges.WebhookResult(ctx, "", began, "", now))
	}
	for _, s := range r.Subscriptions {
		err = errors.Join(err, l.nudges.WebhookResult(ctx, s, began, "", now))
	}
	if err != nil {
		l.o.Log.WithField("run", report.Run.ID).WithError(err).Warn("results of webhooks not recorded")
	}
}

// problemsOf returns the errors of failed actions by subscription. If an action that
// belongs to no single subscription has failed, such as creating the org, its error counts
// for each subscription of the customer that waits for it.
func problemsOf(actions []reconcile.ActionRecord) map[string]string {
	problems, shared := map[string]string{}, map[string]string{}
	for _, a := range actions {
		if a.State != reconcile.ActionFailed {
			continue
		}
		of, by := problems, a.Subscription
		if by == "" {
			of, by = shared, a.Customer
		}
		of[by] = a.Kind.String() + ": " + a.Error
	}
	for _, a := range actions {
		problem, waits := shared[a.Customer]
		if waits && a.Subscription != "" && problems[a.Subscription] == "" && a.State == reconcile.ActionPlanned {
			problems[a.Subscription] = problem
		}
	}
	return problems
}

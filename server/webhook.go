package server

import (
	"errors"
	"net/http"
	"strings"

	"github.com/sirupsen/logrus"

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
	look = look && (subscription != "" || event.StripeCustomer != "" || event.Vague)
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
		if look {
			s.o.Loop.Wake("webhook")
		}
		s.o.Observer.WebhookAnswered(webhookAccepted)
		s.o.Log.WithFields(logrus.Fields{"event": event.ID, "type": event.Type, "subscription": subscription}).Debug("webhook stored")
		respond(w, http.StatusOK, webhookReceipt{Received: true})
	}
}

// relevant reports whether events of a type can change an entitlement. Others are stored,
// and nudge nothing.
func relevant(kind string) bool {
	for _, family := range []string{"customer.subscription.", "customer.deleted", "customer.updated", "invoice.", "checkout.session."} {
		if strings.HasPrefix(kind, family) {
			return true
		}
	}
	return false
}

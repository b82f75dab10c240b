package stripe

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// webhookTolerance is how far a signature's time may be from ours, to either side,
	// because a signature from the future could be replayed until then.
	webhookTolerance = 5 * time.Minute
	// webhookBody is far above the size of any event of interest. The largest that
	// Stripe was seen to send were just over 50 KiB.
	webhookBody = 1 << 20
	// webhookHeader fits a dozen signatures. Stripe sends one for each secret of the
	// endpoint, and an endpoint has two while its secret is rolled.
	webhookHeader     = 1024
	webhookSignatures = 16
	// webhookSecret is the shortest secret that is accepted, because whsec_ alone is
	// the rest of a secret that got lost.
	webhookSecret = len("whsec_") + 1
)

// The reasons for which a delivery is refused. All are permanent: the same delivery
// will be refused again.
var (
	ErrNoSecret     = errors.New("stripe webhook: no usable signing secret")
	ErrNotSigned    = errors.New("stripe webhook: no Stripe-Signature header, or not one of Stripe's")
	ErrTimestamp    = errors.New("stripe webhook: signed more than five minutes ago or ahead; is the clock right?")
	ErrSignature    = errors.New("stripe webhook: the signature matches none of the secrets")
	ErrWebhookBody  = errors.New("stripe webhook: the body is larger than 1 MiB")
	ErrWebhookEvent = errors.New("stripe webhook: signed, but not a JSON object with an id")
)

// VerifyWebhook checks that Stripe signed a body with one of the secrets, and returns
// the objects that the event touched. The body must be the raw bytes. A secret that is
// empty or too short is never tried, because anyone could sign with it. Every error is
// one of those above, with the kind fault.Permanent.
func VerifyWebhook(body []byte, header string, secrets []secret.Text, now time.Time) (EventHint, error) {
	hint, err := verify(body, header, secrets, now)
	return hint, fault.Wrap(fault.Permanent, err)
}

func verify(body []byte, header string, secrets []secret.Text, now time.Time) (EventHint, error) {
	if len(body) > webhookBody {
		return EventHint{}, ErrWebhookBody
	}
	at, err := signedAt(header)
	if err != nil {
		return EventHint{}, err
	}
	if off := now.Sub(at); off > webhookTolerance || off < -webhookTolerance {
		return EventHint{}, ErrTimestamp
	}
	if err := signed(body, header, secrets); err != nil {
		return EventHint{}, err
	}
	hint, err := decodeDelivery(body)
	if err != nil {
		return EventHint{}, ErrWebhookEvent
	}
	return hint, nil
}

// signed tries every secret, so that the time it takes does not reveal which one
// matched. The signature's time was checked before, against the caller's clock.
func signed(body []byte, header string, secrets []secret.Text) error {
	usable, match := false, false
	for _, s := range secrets {
		if len(s.Reveal()) < webhookSecret {
			continue
		}
		usable = true
		if webhook.ValidatePayloadIgnoringTolerance(body, header, s.Reveal()) == nil {
			match = true
		}
	}
	switch {
	case !usable:
		return ErrNoSecret
	case !match:
		return ErrSignature
	}
	return nil
}

// signedAt reads the time of a Stripe-Signature header. It is stricter than the
// library, which lets a later "t=" replace the first and reads any number of
// signatures.
func signedAt(header string) (time.Time, error) {
	if header == "" || len(header) > webhookHeader {
		return time.Time{}, ErrNotSigned
	}
	stamp, signatures := "", 0
	for part := range strings.SplitSeq(header, ",") {
		key, value, ok := strings.Cut(part, "=")
		switch {
		case !ok, key == "t" && stamp != "":
			return time.Time{}, ErrNotSigned
		case key == "t":
			stamp = value
		case key == "v1":
			signatures++
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds <= 0 || stamp[0] == '+' || signatures == 0 || signatures > webhookSignatures {
		return time.Time{}, ErrNotSigned
	}
	return time.Unix(seconds, 0), nil
}

// EventHint is the part of an event that shows where to look, whether the event was
// listed or delivered. Nothing else in an event is read.
type EventHint = reconcile.Event

// eventWire is the part of an event that makes a hint.
type eventWire struct {
	head
	Type    string `json:"type"`
	Created int64  `json:"created"`
	Data    struct {
		Object touchedWire `json:"object"`
	} `json:"data"`
}

// touchedWire is the ids in an event's object. Stripe renders the object in the API
// version that the account had when the event happened. So every place where a version
// kept an id is read, and none is required.
type touchedWire struct {
	ID           string    `json:"id"`
	Object       string    `json:"object"`
	Subscription idRef     `json:"subscription"`
	Parent       parentRef `json:"parent"`
}

// UnmarshalJSON takes the fields it understands and accepts any valid JSON, because an
// event of an unknown shape touches nothing and must not stop the others.
func (w *touchedWire) UnmarshalJSON(b []byte) error {
	type plain touchedWire
	_ = json.Unmarshal(b, (*plain)(w)) // goes on after a field of the wrong type
	return nil
}

var events = collection{kind: "event", prefix: "evt_"}

// hint reduces an event. It leaves out ids that do not have Stripe's form, because they
// would go into paths.
func (w *eventWire) hint() EventHint {
	h := EventHint{ID: w.ID, Type: w.Type, Created: instant(w.Created)}
	object := &w.Data.Object
	switch object.Object {
	case "subscription":
		h.Subscription = object.ID
	case "customer":
		h.StripeCustomer = object.ID
	default:
		h.Subscription = string(object.Subscription)
		if h.Subscription == "" {
			h.Subscription = object.Parent.subscription()
		}
	}
	if !reconcile.ValidID(subscriptions.prefix, h.Subscription) {
		h.Subscription = ""
	}
	if !reconcile.ValidCustomerID(h.StripeCustomer) {
		h.StripeCustomer = ""
	}
	return h
}

// deliveredID is the longest id of a delivery. Stripe documents this as the longest
// that its ids may become.
const deliveredID = 255

// decodeDelivery reads a delivery that Stripe signed, of any API version and kind
// (events of API v2 are no "event"). It must be an object with an id, which
// distinguishes one delivery from another. Other fields of the wrong type are left out.
// If it is not an event of the known kind the hint is vague: it does not show where to
// look.
func decodeDelivery(body []byte) (EventHint, error) {
	var w eventWire
	_ = json.Unmarshal(body, &w) // goes on after a field of the wrong type, and finds no id in what is no JSON
	if w.ID == "" || len(w.ID) > deliveredID || !utf8.ValidString(w.ID) || strings.ContainsFunc(w.ID, unicode.IsControl) {
		return EventHint{}, errors.New("no object with an id")
	}
	h := w.hint()
	h.Vague = w.Object != events.kind || w.Type == ""
	return h, nil
}

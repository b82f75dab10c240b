package stripe

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
	err := json.Unmarshal(body, &w)
	var mistyped *json.UnmarshalTypeError // decoding went on after it
	if err != nil && !errors.As(err, &mistyped) {
		return EventHint{}, decodeError(err)
	}
	if w.ID == "" || len(w.ID) > deliveredID || !utf8.ValidString(w.ID) || strings.ContainsFunc(w.ID, unicode.IsControl) {
		return EventHint{}, errors.New("no object with an id")
	}
	h := w.hint()
	h.Vague = w.Object != events.kind || w.Type == ""
	return h, nil
}

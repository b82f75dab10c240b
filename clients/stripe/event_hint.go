package stripe

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// EventHint is what an event says about where to look, whether it was listed or
// delivered. Nothing else in an event is ever read.
type EventHint = reconcile.Event

// eventWire is as much of an event as a hint is made of.
type eventWire struct {
	head
	Type    string `json:"type"`
	Created int64  `json:"created"`
	Data    struct {
		Object touchedWire `json:"object"`
	} `json:"data"`
}

// touchedWire is the ids in an event's object. The object is rendered in the API
// version that the account had when the event happened, so every place where an
// id was ever kept is looked at, and none is required.
type touchedWire struct {
	ID           string    `json:"id"`
	Object       string    `json:"object"`
	Subscription idRef     `json:"subscription"`
	Parent       parentRef `json:"parent"`
}

// UnmarshalJSON takes what it understands and never fails on JSON that is valid:
// an event of an unknown shape touches nothing, it does not stop the others.
func (w *touchedWire) UnmarshalJSON(b []byte) error {
	type plain touchedWire
	_ = json.Unmarshal(b, (*plain)(w)) // goes on after a field of the wrong type
	return nil
}

var events = collection{kind: "event", prefix: "evt_"}

// hint reduces an event. Ids that are not of Stripe's form are left out: they
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

// deliveredID is the longest id of a delivery, as long as Stripe says that its ids
// may become.
const deliveredID = 255

// decodeDelivery reads what Stripe delivered and signed, of any API version and
// kind (the events of API v2 are no "event"): an object with an id that tells one
// delivery from another. What else it has the wrong form for is left out, and where
// it is not the event that we know it is vague: somebody better look.
func decodeDelivery(body []byte) (EventHint, error) {
	var w eventWire
	err := json.Unmarshal(body, &w)
	var mistyped *json.UnmarshalTypeError // after which the rest was read all the same
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

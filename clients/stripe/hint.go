package stripe

import (
	"encoding/json"
	"errors"

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
	if !validID(subscriptions.prefix, h.Subscription) {
		h.Subscription = ""
	}
	if !validID(customers.prefix, h.StripeCustomer) {
		h.StripeCustomer = ""
	}
	return h
}

// decodeEvent reads one event of any API version.
func decodeEvent(body []byte) (*eventWire, error) {
	var w eventWire
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, decodeError(err)
	}
	switch {
	case w.Object != events.kind:
		return nil, errors.New("not an event")
	case !validID(events.prefix, w.ID):
		return nil, errors.New("an event without an id")
	case w.Type == "":
		return nil, errors.New("an event without a type")
	}
	return &w, nil
}

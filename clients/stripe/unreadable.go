package stripe

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// fewUnreadable subscriptions of a listing may be unreadable, whatever part of it they
// are. If there are more, and more than half of all, the fault is not theirs: something
// between Stripe and us changes the answers, and the listing is refused.
const fewUnreadable = 10

// unreadableError: one subscription cannot be understood, which proves nothing about
// the next one. A wrong kind of object, another mode, a missing id or a missing time of
// creation is not such an error, because then the whole answer is not the one asked
// for.
type unreadableError struct{ why string }

func (o *unreadableError) Error() string { return o.why }

func unreadablef(format string, args ...any) error {
	return &unreadableError{fmt.Sprintf(format, args...)}
}

// noCustomerError: the buyer of a subscription is unknown, so there is no customer to
// hold.
type noCustomerError struct{ why string }

func (n *noCustomerError) Error() string { return n.why }

// lenientSubscription is a subscription that is decoded part by part, which takes
// longer.
type lenientSubscription struct{ subscriptionWire }

// UnmarshalJSON decodes a subscription whose parts may have an undocumented type. Its
// id and its time of creation are enough to hold it.
func (w *lenientSubscription) UnmarshalJSON(b []byte) error {
	err := json.Unmarshal(b, &w.subscriptionWire)
	var mistyped *json.UnmarshalTypeError
	var ours *wireError
	if err == nil || !errors.As(err, &mistyped) && !errors.As(err, &ours) {
		return err
	}
	var parts struct {
		head
		Created  int64           `json:"created"`
		Customer json.RawMessage `json:"customer"`
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	w.subscriptionWire = subscriptionWire{head: parts.head, Created: parts.Created, unreadable: &unreadableError{decodeError(err).Error()}}
	if json.Unmarshal(parts.Customer, &w.Customer) != nil {
		w.Customer = customerWire{}
	}
	_ = json.Unmarshal(parts.Metadata, &w.Metadata)
	return nil
}

// decodeSubscriptions is decodePage for a page with subscriptions that may be
// unreadable. Only a page that plain does not accept needs encoding/json.
func decodeSubscriptions(body []byte) ([]subscriptionWire, bool, error) {
	if e, ok := plainPage(body); ok {
		return e.checked()
	}
	return decodeLeniently(body)
}

func decodeLeniently(body []byte) ([]subscriptionWire, bool, error) {
	page, more, err := decodePage[subscriptionWire](body)
	if err == nil {
		return page, more, nil
	}
	parts, more, again := decodePage[lenientSubscription](body)
	if again != nil {
		return nil, false, err
	}
	page = make([]subscriptionWire, len(parts))
	for i := range parts {
		page[i] = parts[i].subscriptionWire
	}
	return page, more, nil
}

// check refuses a subscription without its essential parts or of another mode. If the
// error is an unreadableError or a noCustomerError, it concerns this subscription only.
func (w *subscriptionWire) check(live bool) error {
	switch {
	case w.Created <= 0:
		return fmt.Errorf("the subscription %s has no time of creation", w.ID)
	case w.Customer.Livemode != nil && *w.Customer.Livemode != live:
		return fmt.Errorf("the subscription %s: %w", w.ID, customers.check(w.Customer.header(), live))
	case w.Customer.ID == "":
		return &noCustomerError{fmt.Sprintf("the subscription %s came without its customer", w.ID)}
	}
	if err := customers.check(w.Customer.header(), live); err != nil {
		return &noCustomerError{fmt.Sprintf("the subscription %s: %v", w.ID, err)}
	}
	switch {
	case w.unreadable != nil:
		return w.unreadable
	case w.Status == "":
		return unreadablef("it has no status")
	case w.Items == nil:
		return unreadablef("it came without its items")
	}
	return nil
}

// heldOr turns an unreadableError into facts that hold the subscription: an unknown
// status gives nothing and takes nothing away, and its text has the reason. Any other
// error means that the whole answer is wrong.
func (w *subscriptionWire) heldOr(r request, a answer, err error) (f reconcile.SubscriptionFacts, requests int, _ error) {
	var unreadable *unreadableError
	if !errors.As(err, &unreadable) {
		return f, 0, fault.Wrap(fault.Malformed, &callError{request: r, reason: err.Error(), cause: err})
	}
	f = w.facts(nil, 0, a.sent)
	f.Status, f.StatusText = reconcile.StatusUnknown, reconcile.Unreadable+printable(unreadable.why)
	return f, 0, nil
}

// checkUnreadable refuses the listing if so many subscriptions cannot be read that the
// fault must be in the answers.
func (s *sweep) checkUnreadable() error {
	all, unreadable := s.count+len(s.listing.PassedOver), s.unreadable+len(s.listing.PassedOver)
	if unreadable <= fewUnreadable || unreadable*2 <= all {
		return nil
	}
	return fault.Errorf(fault.Malformed, "stripe: %d of %d subscriptions cannot be read, so something must be changing Stripe's answers", unreadable, all)
}

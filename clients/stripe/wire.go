package stripe

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// wireError is an error of our own from within encoding/json.
type wireError struct{ text string }

func (e *wireError) Error() string { return e.text }

// subscriptionWire is a subscription as API version 2023-10-16 renders it, and
// as newer ones do: current_period_end moved to the items in 2025-03-31.
type subscriptionWire struct {
	head
	Status            string              `json:"status"`
	Customer          customerWire        `json:"customer"`
	Created           int64               `json:"created"`
	EndedAt           int64               `json:"ended_at"`
	CanceledAt        int64               `json:"canceled_at"`
	CancelAtPeriodEnd bool                `json:"cancel_at_period_end"`
	CancelAt          int64               `json:"cancel_at"`
	CollectionMethod  string              `json:"collection_method"`
	TrialStart        int64               `json:"trial_start"`
	CurrentPeriodEnd  int64               `json:"current_period_end"`
	PauseCollection   *struct{}           `json:"pause_collection"`
	Items             *envelope[itemWire] `json:"items"`
	Metadata          map[string]string   `json:"metadata"`
	TestClock         idRef               `json:"test_clock"`

	unreadable error // why it could not be decoded as a whole; see lenientSubscription
}

// itemWire is a subscription item. Old ones carry a plan and no price.
type itemWire struct {
	head
	Created          int64     `json:"created"`
	Quantity         *int64    `json:"quantity"` // absent on metered prices
	CurrentPeriodEnd int64     `json:"current_period_end"`
	Price            *priceRef `json:"price"`
	Plan             *priceRef `json:"plan"`
}

// priceRef is the part of a price or of a legacy plan that an item embeds.
type priceRef struct {
	ID        string `json:"id"`
	LookupKey string `json:"lookup_key"`
	Product   idRef  `json:"product"`
	Livemode  *bool  `json:"livemode"`
}

// customerWire is an expanded customer. A bare id is a value of the wrong type, because
// expansion was asked for.
type customerWire struct {
	head
	Email   string `json:"email"`
	Name    string `json:"name"`
	Deleted bool   `json:"deleted"`
}

// idRef is the id of an object that may come expanded; only the id is used.
type idRef string

// UnmarshalJSON takes an id, an object with one, or null.
func (r *idRef) UnmarshalJSON(b []byte) error {
	id, ok, err := bareID(b)
	if !ok && err == nil {
		var o struct {
			ID string `json:"id"`
		}
		err = json.Unmarshal(b, &o)
		id = o.ID
	}
	*r = idRef(id)
	return err
}

// bareID reads a JSON string. ok is also true for null, with an empty id.
func bareID(b []byte) (id string, ok bool, err error) {
	switch {
	case len(b) == 0 || b[0] == '{':
		return "", false, nil
	case string(b) == "null":
		return "", true, nil
	case b[0] != '"':
		return "", false, &wireError{"a reference that is neither an id nor an object"}
	}
	err = json.Unmarshal(b, &id)
	return id, true, err
}

var (
	subscriptions = collection{kind: "subscription", prefix: "sub_"}
	items         = collection{kind: "subscription_item", modeless: true}
	customers     = collection{kind: "customer", valid: reconcile.ValidCustomerID, modeless: true}
)

// facts turns a checked subscription into the planner's facts. The items come
// separately because they may have needed further pages.
func (w *subscriptionWire) facts(lines []reconcile.Item, periodEnd int64, sent time.Time) reconcile.SubscriptionFacts {
	status := reconcile.ParseStatus(w.Status)
	ended := w.EndedAt
	if ended == 0 && status.Ended() {
		ended = w.CanceledAt
	}
	if w.CurrentPeriodEnd != 0 {
		periodEnd = w.CurrentPeriodEnd
	}
	org, orgText := reconcile.ParseOrgID(w.Metadata["enhance_org_id"])
	hosting, hostingText := reconcile.ParseHostingID(w.Metadata["enhance_subscription_id"])
	return reconcile.SubscriptionFacts{
		Subscription: reconcile.Subscription{
			ID:                  w.ID,
			StripeCustomer:      w.Customer.ID,
			Status:              status,
			StatusText:          w.Status,
			Created:             instant(w.Created),
			EndedAt:             instant(ended),
			CancelAtPeriodEnd:   w.CancelAtPeriodEnd,
			CurrentPeriodEnd:    instant(periodEnd),
			CancelAt:            instant(w.CancelAt),
			SendInvoice:         w.CollectionMethod == "send_invoice",
			TrialStart:          instant(w.TrialStart),
			ServerGroup:         reconcile.Truncate(strings.TrimSpace(w.Metadata["server_group"])),
			CollectionPaused:    w.PauseCollection != nil,
			Items:               lines,
			Domain:              strings.TrimSpace(w.Metadata["domain"]),
			MetadataOrg:         org,
			MetadataOrgText:     orgText,
			MetadataHosting:     hosting,
			MetadataHostingText: hostingText,
			ReadAt:              sent,
		},
		Buyer: reconcile.StripeCustomer{ID: w.Customer.ID, Email: w.Customer.Email,
			Name: w.Customer.Name, Deleted: w.Customer.Deleted},
		OnTestClock: w.TestClock != "",
	}
}

// lines turns checked items into the planner's. periodEnd is the latest of theirs, for
// API versions that have it there.
func lines(wire []itemWire, live bool) (out []reconcile.Item, periodEnd int64, err error) {
	out = make([]reconcile.Item, 0, len(wire))
	for i := range wire {
		w := &wire[i]
		if err := items.check(w.header(), live); err != nil {
			if w.Livemode == nil || *w.Livemode == live {
				err = unreadablef("%v", err)
			}
			return nil, 0, err
		}
		if slices.ContainsFunc(out, func(o reconcile.Item) bool { return o.ID == w.ID }) {
			return nil, 0, unreadablef("the item %s appears twice in one subscription", w.ID)
		}
		line, err := w.line(live)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, line)
		periodEnd = max(periodEnd, w.CurrentPeriodEnd)
	}
	return out, periodEnd, nil
}

func (w *itemWire) line(live bool) (reconcile.Item, error) {
	price := w.Price
	if price == nil {
		price = w.Plan
	}
	quantity := int64(1)
	if w.Quantity != nil {
		quantity = *w.Quantity
	}
	switch {
	case price == nil || price.ID == "":
		return reconcile.Item{}, unreadablef("the item %s has neither price nor plan", w.ID)
	case price.Livemode != nil && *price.Livemode != live:
		return reconcile.Item{}, fmt.Errorf("the price of item %s is of %s mode, but the key is of %s mode", w.ID, modeName(!live), modeName(live))
	case quantity < 0:
		return reconcile.Item{}, unreadablef("the item %s has the quantity %d", w.ID, quantity)
	}
	return reconcile.Item{ID: w.ID, Price: price.ID, LookupKey: price.LookupKey,
		Product: string(price.Product), Quantity: quantity, Created: instant(w.Created)}, nil
}

// instant is a Stripe timestamp. 0 means that there is none, because an absent one
// decodes to it.
func instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

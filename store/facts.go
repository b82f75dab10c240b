package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// storedItem is an item as the column items holds it.
type storedItem struct {
	ID       string `json:"id"`
	Price    string `json:"price"`
	Lookup   string `json:"lookup_key,omitempty"`
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
	Created  int64  `json:"created,omitempty"` // microseconds since 1970
}

func encodeItems(items []reconcile.Item) string {
	stored := make([]storedItem, len(items))
	for i, it := range items {
		stored[i] = storedItem{it.ID, it.Price, it.LookupKey, it.Product, it.Quantity, micros(it.Created)}
	}
	return document(stored)
}

func decodeItems(b []byte) ([]reconcile.Item, error) {
	var stored []storedItem
	if err := json.Unmarshal(b, &stored); err != nil {
		return nil, err
	}
	items := make([]reconcile.Item, len(stored))
	for i, it := range stored {
		items[i] = reconcile.Item{ID: it.ID, Price: it.Price, LookupKey: it.Lookup, Product: it.Product,
			Quantity: it.Quantity, Created: fromMicros(it.Created)}
	}
	return items, nil
}

// micros and fromMicros carry times inside JSON; 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// cleaned is the facts with storable text, a buyer id, and items in the order of
// their ids, in which they are stored and hashed.
func cleaned(f reconcile.SubscriptionFacts) reconcile.SubscriptionFacts {
	f.ID, f.StatusText, f.Domain, f.MetadataOrg = clean(f.ID), clean(f.StatusText), clean(f.Domain), clean(f.MetadataOrg)
	f.Buyer.ID = cmp.Or(f.Buyer.ID, f.StripeCustomer)
	f.Buyer.ID, f.Buyer.Email, f.Buyer.Name = clean(f.Buyer.ID), clean(f.Buyer.Email), clean(f.Buyer.Name)
	f.StripeCustomer = f.Buyer.ID
	if f.StatusText == "" {
		f.StatusText = f.Status.String()
	}
	items := make([]reconcile.Item, len(f.Items))
	for i, it := range f.Items {
		it.ID, it.Price, it.LookupKey, it.Product = clean(it.ID), clean(it.Price), clean(it.LookupKey), clean(it.Product)
		items[i] = it
	}
	slices.SortStableFunc(items, func(a, b reconcile.Item) int { return cmp.Compare(a.ID, b.ID) })
	f.Items = items
	return f
}

// contentHash is 64 bits over everything Stripe says of a subscription and its
// buyer that means a change: not when and how it was read, and not what only a
// read by id or the store itself knows (ReadAt, ByID, UnpaidSince, StatusSince,
// DomainChecked, Gone). A change goes unnoticed with probability 2⁻⁶⁴.
func contentHash(f reconcile.SubscriptionFacts) int64 {
	var buffer [1024]byte
	h := hashInput(buffer[:0])
	h.text(f.ID, f.StripeCustomer, f.StatusText, f.Domain, f.MetadataOrg)
	h.number(int64(f.Status), micros(f.Created), micros(f.EndedAt), micros(f.CurrentPeriodEnd), f.MetadataHosting)
	h.flag(f.CancelAtPeriodEnd, f.CollectionPaused, f.Buyer.Deleted)
	h.text(f.Buyer.ID, f.Buyer.Email, f.Buyer.Name)
	for _, it := range f.Items {
		h.text(it.ID, it.Price, it.LookupKey, it.Product)
		h.number(it.Quantity, micros(it.Created))
	}
	sum := sha256.Sum256(h)
	return int64(binary.LittleEndian.Uint64(sum[:8]))
}

// hashInput collects values so that no two different sequences look alike.
type hashInput []byte

func (h *hashInput) text(values ...string) {
	for _, v := range values {
		*h = binary.AppendUvarint(*h, uint64(len(v)))
		*h = append(*h, v...)
	}
}

func (h *hashInput) number(values ...int64) {
	for _, v := range values {
		*h = binary.LittleEndian.AppendUint64(*h, uint64(v))
	}
}

func (h *hashInput) flag(values ...bool) {
	for _, v := range values {
		if v {
			*h = append(*h, 1)
		} else {
			*h = append(*h, 0)
		}
	}
}

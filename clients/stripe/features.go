package stripe

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// productFeatureWire attaches a feature of Stripe Entitlements to a product.
type productFeatureWire struct {
	head
	Feature featureWire `json:"entitlement_feature"`
}

type featureWire struct {
	head
	LookupKey string `json:"lookup_key"`
}

var (
	productFeatures = collection{kind: "product_feature"}
	features        = collection{kind: "entitlements.feature"}
)

// ProductFeatures lists the lookup keys of the features of a product, sorted, also of those
// that are archived: the customers who bought them keep them. If the key may not read them,
// the client remembers that, so that it costs one request an hour.
func (c *Client) ProductFeatures(ctx context.Context, product string) ([]string, error) {
	r := request{method: http.MethodGet, route: "/v1/products/{id}/features",
		path: "/v1/products/" + url.PathEscape(product) + "/features", noun: "product"}
	if product == "" || product == "." || product == ".." {
		return nil, badID(r, "product", product)
	}
	now := c.now().Unix()
	if now < c.featuresDenied.Load() {
		return nil, fault.Wrap(fault.Denied, &callError{request: r, status: http.StatusForbidden, reason: "refused within the last hour, and not asked again"})
	}
	keys := []string{}
	_, err := readAll(ctx, c, r, productFeatures, func(page []productFeatureWire, _ answer) error {
		for i := range page {
			f := page[i].Feature
			if err := features.check(f.head, c.live); err != nil {
				return malformed(r, "%v", err)
			}
			if f.LookupKey == "" {
				return malformed(r, "the feature %s without a lookup key", f.ID)
			}
			keys = append(keys, f.LookupKey)
		}
		return nil
	})
	if errors.Is(err, fault.Denied) {
		c.featuresDenied.Store(now + int64(denialMemory/time.Second))
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// knownFeature reports whether the account has a feature with a lookup key.
func (c *Client) knownFeature(ctx context.Context, key string) (bool, error) {
	if !reconcile.MayBeFeature(key) {
		return false, nil
	}
	r := get("/v1/entitlements/features", "lookup_key", key, "limit", "1")
	found, _, _, err := readPage[featureWire](ctx, c, r, features)
	if err != nil {
		return false, err
	}
	for i := range found {
		if found[i].LookupKey != key {
			return false, malformed(r, "the feature %s, which does not have the lookup key that was asked for", found[i].ID)
		}
	}
	return len(found) > 0, nil
}

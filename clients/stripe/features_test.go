package stripe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

const (
	featureOne = `{"id":"prodft_1","object":"product_feature","livemode":false,"entitlement_feature":{"id":"feat_1","object":"entitlements.feature","livemode":false,"lookup_key":"pro","active":false}}`
	featureTwo = `{"id":"prodft_2","object":"product_feature","livemode":false,"entitlement_feature":{"id":"feat_2","object":"entitlements.feature","livemode":false,"lookup_key":"basic","active":true}}`
)

func TestTheFeaturesOfAProductAreItsLookupKeysOnAllPages(t *testing.T) {
	s := inTurn(reply{body: page(true, featureOne)}, reply{body: page(false, featureTwo)})
	keys, err := s.client(t).ProductFeatures(t.Context(), "prod_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"basic", "pro"}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if path := s.seen[0].URL.Path; path != "/v1/products/prod_1/features" {
		t.Errorf("asked %s", path)
	}
}

func TestFeaturesThatAreNotWhatWasAskedForAreRefused(t *testing.T) {
	of := func(feature string) reply {
		return reply{body: page(false, `{"id":"prodft_1","object":"product_feature","livemode":false,"entitlement_feature":`+feature+`}`)}
	}
	for name, answer := range map[string]reply{
		"no lookup key":                    of(`{"id":"feat_1","object":"entitlements.feature","livemode":false,"lookup_key":""}`),
		"only an id":                       of(`"feat_1"`),
		"none":                             of(`null`),
		"another object":                   of(`{"id":"feat_1","object":"price","livemode":false,"lookup_key":"pro"}`),
		"of the other mode":                of(`{"id":"feat_1","object":"entitlements.feature","livemode":true,"lookup_key":"pro"}`),
		"a page without data":              {body: `{"object":"list","has_more":false}`},
		"{}":                               {body: `{}`},
		"an empty page that promises more": {body: page(true)},
	} {
		if keys, err := always(answer).client(t).ProductFeatures(t.Context(), "prod_1"); len(keys) > 0 || fault.Of(err) != fault.Malformed {
			t.Errorf("%s: %v, %v", name, keys, err)
		}
	}
}

func TestAProductWithoutFeaturesIsAnAnswer(t *testing.T) {
	keys, err := always(reply{body: page(false)}).client(t).ProductFeatures(t.Context(), "prod_1")
	if err != nil || len(keys) != 0 {
		t.Errorf("%v, %v", keys, err)
	}
}

func TestFeaturesThatMayNotBeReadAreNotTriedAgainForAnHour(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := always(reply{status: 403})
	c := s.client(t)
	c.now = func() time.Time { return now }
	for _, product := range []string{"prod_1", "prod_2"} {
		if _, err := c.ProductFeatures(t.Context(), product); fault.Of(err) != fault.Denied {
			t.Errorf("%s: %v", product, err)
		}
	}
	if s.requests() != 1 {
		t.Errorf("%d requests", s.requests())
	}
	now = now.Add(time.Hour)
	_, _ = c.ProductFeatures(t.Context(), "prod_1")
	if s.requests() != 2 {
		t.Errorf("%d requests after an hour", s.requests())
	}
}

func TestAFeatureOfAnotherKeyIsNotTheOneThatWasAskedFor(t *testing.T) {
	s := byPath(map[string]reply{"/v1/prices": {body: page(false)},
		"/v1/entitlements/features": {body: page(false, `{"id":"feat_1","object":"entitlements.feature","livemode":false,"lookup_key":"other"}`)}})
	_, err := s.client(t).Known(t.Context(), "basic")
	refused(t, err, "does not have the lookup key")
}

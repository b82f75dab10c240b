package enhance_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The quota of the seller is the sum of its live plans; unlimited in one is unlimited.
func TestTheQuotaOfTheSeller(t *testing.T) {
	limit := func(n int64) *int64 { return &n }
	const one = `{"id":1,"planId":9,"status":"active","resources":[{"name":"customers","total":50,"usage":45},{"name":"diskspace","usage":7}]}`
	for name, tt := range map[string]struct {
		answer string
		want   []reconcile.Usage
	}{
		"none":             {`{"items":[],"total":0}`, nil},
		"one plan":         {`{"items":[` + one + `],"total":1}`, []reconcile.Usage{{Name: "customers", Used: 45, Total: limit(50)}, {Name: "diskspace", Used: 7}}},
		"two plans":        {`{"items":[` + one + `,{"id":2,"planId":9,"status":"active","resources":[{"name":"customers","total":10,"usage":1},{"name":"diskspace","total":5,"usage":1}]}],"total":2}`, []reconcile.Usage{{Name: "customers", Used: 46, Total: limit(60)}, {Name: "diskspace", Used: 8}}},
		"unlimited in one": {`{"items":[` + one + `,{"id":2,"planId":9,"status":"active","resources":[{"name":"customers","usage":1}]}],"total":2}`, []reconcile.Usage{{Name: "customers", Used: 46}, {Name: "diskspace", Used: 7}}},
		"a deleted one":    {`{"items":[` + one + `,{"id":2,"planId":9,"status":"deleted","resources":[{"name":"customers","total":10,"usage":1}]}],"total":2}`, []reconcile.Usage{{Name: "customers", Used: 45, Total: limit(50)}, {Name: "diskspace", Used: 7}}},
	} {
		t.Run(name, func(t *testing.T) {
			url := served(t, func(w http.ResponseWriter, r *http.Request) {
				if diff := cmp.Diff("/api/orgs/"+ourOrg+"/subscriptions", r.URL.Path); diff != "" {
					t.Errorf("path (-want +got)\n%s", diff)
				}
				respond(w, 200, "%s", tt.answer)
			})
			got, err := fast(t, url).Quota(t.Context())
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
}

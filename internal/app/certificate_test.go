package app

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

func TestACertificateExpiresWithTheFirstOfItsChain(t *testing.T) {
	day := func(n int) *x509.Certificate { return &x509.Certificate{NotAfter: time.Unix(int64(n)*86400, 0)} }
	for name, tt := range map[string]struct {
		state tls.ConnectionState
		want  int // day; 0: not known
	}{
		"none":                                {},
		"its own":                             {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{day(60), day(900), day(9000)}}}, 60},
		"an intermediate one":                 {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{day(60), day(30), day(9000)}}}, 30},
		"the root is this machine's":          {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{day(60), day(900), day(3)}}}, 60},
		"a chain for old clients is no worry": {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{day(60), day(2), day(3)}, {day(60), day(900)}}}, 60},
		"one that signs itself":               {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{day(60)}}}, 60},
		"not verified":                        {tls.ConnectionState{PeerCertificates: []*x509.Certificate{day(60), day(2)}}, 60},
	} {
		var c certificate
		c.see(&tt.state)
		want := time.Unix(int64(tt.want)*86400, 0)
		if tt.want == 0 {
			want = time.Time{}
		}
		if !c.when().Equal(want) {
			t.Errorf("%s: %s, want %s", name, c.when(), want)
		}
	}
}

// Each client notes the certificate of the server that it has reached.
func TestTheCertificatesOfBothSidesAreSeen(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusForbidden) }))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{StripeKey: secret.New("sk_test_1"), EnhanceToken: secret.New("token"), EnhanceOrg: "4d3b6f6e-1111-4222-8333-444455556666", StripeURL: at, EnhanceURL: at, Concurrency: 1}
	a := New(c, Process{Now: time.Now, Simulated: server.Client().Transport})
	if err := a.Connect(config.NeedStripe | config.NeedEnhance); err != nil {
		t.Fatal(err)
	}
	_, _ = a.Stripe.Events(t.Context(), time.Now()) // refused
	_, _ = a.Enhance.Self(t.Context())              // the same
	want := server.Certificate().NotAfter
	for name, s := range map[string]*side{"stripe": a.stripeSide, "enhance": a.enhanceSide} {
		if !s.certificate.when().Equal(want) {
			t.Errorf("%s: its certificate expires %s, want %s", name, s.certificate.when(), want)
		}
	}
}

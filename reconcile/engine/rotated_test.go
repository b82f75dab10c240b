package engine_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const (
	oldKey, newKey     = "sk_test_old0123456789", "sk_test_new0123456789"
	oldToken, newToken = "token-old-0123456789", "token-new-0123456789"
)

// rotation is a company whose credentials are in files.
type rotation struct {
	*testenv.Env
	key, token string // the paths
	// account and panel answer whoever comes with the new credentials; nil: the same ones.
	account, panel http.RoundTripper
	others         atomic.Int32 // requests that they have answered
	writes         atomic.Int32 // at the panel
	onWrite        func()       // before each of them
}

// turn leads a path to a file with another secret, in one step.
func turn(t *testing.T, path, value string) {
	t.Helper()
	file := path + "." + value
	must(t, os.WriteFile(file, []byte(value+"\n"), 0o600))
	must(t, os.Symlink(file, path+".tmp"))
	must(t, os.Rename(path+".tmp", path))
}

// rotating has two customers with their hostings.
func rotating(t *testing.T) *rotation {
	t.Helper()
	dir := t.TempDir()
	x := &rotation{key: filepath.Join(dir, "key"), token: filepath.Join(dir, "token"), onWrite: func() {}}
	turn(t, x.key, oldKey)
	turn(t, x.token, oldToken)
	o := testenv.Options{World: simulator.Options{StripeKey: oldKey, EnhanceToken: oldToken},
		Engine:    func(o *engine.Options) { o.Concurrency = 1 },
		Transport: func(next http.RoundTripper) http.RoundTripper { return x.between(next) }}
	for path, to := range map[string]*secret.Text{x.key: &o.Key, x.token: &o.Token} {
		f, err := secret.Follow("SECRET", path, nil)
		must(t, err)
		*to = secret.In(f)
	}
	x.Env = testenv.New(t, o)
	x.sell(t, "ada", "bob")
	x.Converge(5)
	return x
}

func (x *rotation) sell(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		signUp(t, x.Env, simulator.SignUp{Email: name + "@example.com", Price: priceFor(t, x.Env, plans(x.Env)[0])})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// between is the way to both sides.
func (x *rotation) between(next http.RoundTripper) http.RoundTripper {
	return transport(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == simulator.EnhanceHost && r.Method != http.MethodGet && !strings.HasPrefix(r.URL.Path, "/api/domain") {
			x.writes.Add(1)
			x.onWrite()
		}
		sent := r.Header.Get("Authorization")
		switch {
		case x.account != nil && strings.HasSuffix(sent, newKey):
			x.others.Add(1)
			return x.account.RoundTrip(r)
		case x.panel != nil && strings.HasSuffix(sent, newToken):
			x.others.Add(1)
			return x.panel.RoundTrip(r)
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", strings.NewReplacer(newKey, oldKey, newToken, oldToken).Replace(sent))
		return next.RoundTrip(r)
	})
}

// another is another account and another panel, whose customers are not ours.
func another(t *testing.T, x *rotation) *simulator.World {
	t.Helper()
	w := simulator.New(simulator.Options{Seed: 99, Calm: true, Start: x.World.Now(), StripeKey: newKey, EnhanceToken: newToken, OrgID: x.World.OrgID()})
	w.Offer()
	_, err := w.SignUp(simulator.SignUp{Email: "stranger@example.com", Price: "price_basic_monthly"})
	must(t, err)
	return w
}

// unknownHere answers 401.
func unknownHere(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// TestARunEndsWhenACredentialIsRotatedAndTheNextOneMakesSureOfIt: a new customer is served
// with the new credential if it leads to the same account and panel. If not, nothing is changed,
// as if the program had been started with it.
func TestARunEndsWhenACredentialIsRotatedAndTheNextOneMakesSureOfIt(t *testing.T) {
	for _, tc := range []struct {
		name  string
		path  func(*rotation) string
		value [2]string // before and after
		leads func(*testing.T, *rotation)
		want  string // of the next run; "": it goes on
	}{
		{"a key of the same account", func(x *rotation) string { return x.key }, [2]string{oldKey, newKey}, func(*testing.T, *rotation) {}, ""},
		{"a key of another account", func(x *rotation) string { return x.key }, [2]string{oldKey, newKey},
			func(t *testing.T, x *rotation) { x.account = another(t, x).Transport() }, "the key belongs to another account or mode"},
		{"a key that Stripe refuses", func(x *rotation) string { return x.key }, [2]string{oldKey, newKey},
			func(_ *testing.T, x *rotation) { x.account = transport(unknownHere) }, "checking that this is the right Stripe account"},
		{"a token of the same panel", func(x *rotation) string { return x.token }, [2]string{oldToken, newToken}, func(*testing.T, *rotation) {}, ""},
		{"a token of another panel or org", func(x *rotation) string { return x.token }, [2]string{oldToken, newToken},
			func(t *testing.T, x *rotation) { x.panel = another(t, x).Transport() }, "it is another panel or organisation"},
		{"a token that the panel refuses", func(x *rotation) string { return x.token }, [2]string{oldToken, newToken},
			func(_ *testing.T, x *rotation) { x.panel = transport(unknownHere) }, "checking that this is the right panel"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := rotating(t)
			tc.leads(t, x)
			x.sell(t, "cy", "dee", "eve")
			before := x.writes.Load()
			var once sync.Once
			x.onWrite = func() { once.Do(func() { turn(t, tc.path(x), tc.value[1]) }) }
			_, err := x.Try(engine.Request{Full: true})
			if fault.Of(err) != fault.Fenced || !strings.Contains(fmt.Sprint(err), "has changed during the run") {
				t.Errorf("the run during which it was rotated: %v", err)
			}
			if n := x.writes.Load() - before; n != 1 || x.others.Load() != 0 {
				t.Errorf("%d writes, of which one was under way, and %d requests to others", n, x.others.Load())
			}
			if tc.want != "" {
				for range 2 {
					_, err = x.Try(engine.Request{Full: true})
					if err == nil || !strings.Contains(err.Error(), tc.want) {
						t.Errorf("a run with the wrong credential: %v\nwant %s", err, tc.want)
					}
				}
				if n := x.writes.Load() - before; n != 1 {
					t.Errorf("%d writes with a wrong credential", n-1)
				}
				turn(t, tc.path(x), tc.value[0])
			}
			x.Converge(6)
			diff(t, "hostings", 5, len(x.World.Hostings()))
		})
	}
}

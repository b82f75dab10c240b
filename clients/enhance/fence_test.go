package enhance_test

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
)

// A credential may have been rotated, to one that the run has not made sure of: then nothing
// is asked with it, and nothing is written.
func TestARequestWithACredentialThatWasNotProvedIsNotSent(t *testing.T) {
	var arrived atomic.Int32
	url := served(t, func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	n := &town{client: fast(t, url), org: otherOrg, hosting: 42}
	for _, o := range ops {
		err := o.do(fence.Pin(t.Context(), func() error { return fault.Errorf(fault.Fenced, "the token has changed") }), n)
		if fault.Of(err) != fault.Fenced || arrived.Load() != 0 {
			t.Errorf("%s: %v after %d requests", o.name, err, arrived.Load())
		}
	}
}

// Two mistakes were put in to try this test, and a case of it failed each time: the
// fence was not asked after the limiter, and not after the connection was made.
func TestAWriteWhoseFenceClosedOnTheWayNeverReachesThePanel(t *testing.T) {
	for _, c := range []struct {
		name string
		// close is the moment at which the lease is lost.
		close func(o *enhance.Options, lose func())
		lost  bool // from the beginning
		want  string
	}{
		{"before it was its turn", func(*enhance.Options, func()) {}, true, "fenced"},
		{"while it connected", func(o *enhance.Options, lose func()) {
			o.Transport = &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				lose()
				return conn, err
			}}
		}, false, "transient or ambiguous"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lost atomic.Bool
			var arrived atomic.Int32
			lost.Store(c.lost)
			url := served(t, func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
			n := &town{client: fast(t, url, func(o *enhance.Options) { c.close(o, func() { lost.Store(true) }) }), org: otherOrg, hosting: 42}
			for _, o := range ops {
				if o.class == "read" {
					continue
				}
				lost.Store(c.lost)
				err := o.do(fence.Around(t.Context(), func() error {
					if lost.Load() {
						return fault.Errorf(fault.Fenced, "the lease is lost")
					}
					return nil
				}), n)
				got := verdict(err)
				if got == "transient" || got == "ambiguous" {
					got = "transient or ambiguous"
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: (-want +got)\n%s%v", o.name, diff, err)
				}
			}
			if n := arrived.Load(); n != 0 {
				t.Errorf("%d writes arrived at the panel", n)
			}
		})
	}
}

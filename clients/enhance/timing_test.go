package enhance_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// bubble is a client without sockets, in the fake time of synctest.
func bubble(t *testing.T, rt http.RoundTripper, edit ...func(*enhance.Options)) *enhance.Client {
	t.Helper()
	return fast(t, "https://panel.example.com", append([]func(*enhance.Options){func(o *enhance.Options) {
		o.Transport, o.MaxReadAttempts, o.ReadBackoff = rt, 0, 0
	}}, edit...)...)
}

func TestAPanelThatNeverAnswersIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := bubble(t, silent{})
		began := time.Now()
		if err := client.Delete(t.Context(), otherOrg, 42); verdict(err) != unclear {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("a write was given up after %v", took)
		}
		began = time.Now()
		if _, err := client.Self(t.Context()); verdict(err) != "transient" {
			t.Errorf("got %v", err)
		}
		// Four times 30 s, and between them 250, 500 and 1000 ms, half of it random.
		if took := time.Since(began); took < 2*time.Minute+875*time.Millisecond || took > 2*time.Minute+1750*time.Millisecond {
			t.Errorf("a read was given up after %v", took)
		}
	})
}

func TestACallersDeadlineEndsAReadWithWhatWasWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := bubble(t, inProcess{answering(http.StatusBadGateway, "")}, func(o *enhance.Options) { o.ReadBackoff = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := client.Org(ctx, otherOrg)
		if verdict(err) != "transient" || !strings.Contains(err.Error(), "502 Bad Gateway") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 0 || client.Requests() != 1 {
			t.Errorf("waited %v and asked %d times for a deadline that could not be kept", took, client.Requests())
		}
	})
}

func TestACallerWhoCancelsARetryIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := bubble(t, inProcess{answering(http.StatusBadGateway, "")}, func(o *enhance.Options) { o.ReadBackoff = time.Hour })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		_, err := client.Org(ctx, otherOrg)
		if fault.Of(err) != fault.Canceled || !strings.Contains(err.Error(), "502 Bad Gateway") {
			t.Errorf("got %v", err)
		}
	})
}

// TestACallerWhoLeavesWhileAListingMovesGetsWhatWasWrong: the listing is not begun again
// for a caller who has left, nor at once if there is no time for the pause.
func TestACallerWhoLeavesWhileAListingMovesGetsWhatWasWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		leave func(context.Context) (context.Context, context.CancelFunc)
		want  string
		took  time.Duration
	}{
		"canceled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Minute, cancel)
			return ctx, cancel
		}, "canceled", time.Minute},
		"out of time": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Minute)
		}, "malformed", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := bubble(t, inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				respond(w, 200, "%s", planPage("1", 1, 2))
			})}, func(o *enhance.Options) { o.ReadBackoff = time.Hour })
			ctx, cancel := tt.leave(t.Context())
			defer cancel()
			began := time.Now()
			_, err := client.Plans(ctx)
			if verdict(err) != tt.want || !strings.Contains(err.Error(), "the listing is not complete") {
				t.Errorf("%s: got %v (%s)", name, err, verdict(err))
			}
			if took := time.Since(began); took != tt.took || client.Requests() != 1 {
				t.Errorf("%s: ended after %v and %d requests, want %v and one", name, took, client.Requests(), tt.took)
			}
		})
	}
}

// answering is a panel that gives one answer to everything.
func answering(status int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.Header().Set("Date", t0.Format(http.TimeFormat))
		respond(w, status, `{"code":"too_many_requests"}`)
	}
}

func TestRetryAfterIsObeyedWithinLimits(t *testing.T) {
	const most = 5 * time.Minute
	for header, want := range map[string]time.Duration{
		"7":                    7 * time.Second,
		"0":                    time.Second,
		"-5":                   0,
		"1000000000":           most,
		"99999999999999999999": 0,
		"soon":                 0,
		"":                     0,
		t0.Add(9 * time.Second).Format(http.TimeFormat):  9 * time.Second,
		t0.Add(-9 * time.Second).Format(http.TimeFormat): time.Second,
		t0.AddDate(10, 0, 0).Format(http.TimeFormat):     most,
	} {
		for _, status := range []int{429, 503} {
			synctest.Test(t, func(t *testing.T) {
				var second time.Time
				began := time.Now()
				var n atomic.Int64
				client := bubble(t, inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if n.Add(1) == 1 {
						answering(status, header)(w, r)
						return
					}
					second = time.Now()
					respond(w, 200, `"ready"`)
				})}, func(o *enhance.Options) { o.ReadBackoff = time.Nanosecond })
				if err := client.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				// The limiter adds its own spacing: a token every few ms.
				if waited := second.Sub(began).Round(100 * time.Millisecond); waited != want {
					t.Errorf("%d with %q: waited %v, want %v", status, header, waited, want)
				}
			})
		}
	}
}

func TestA429LowersTheRateAtOnceAndSuccessRaisesItSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		client := bubble(t, inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if full.Load() {
				answering(429, "")(w, r)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})}, func(o *enhance.Options) { o.Limiter = ratelimit.New(ratelimit.Options{RPS: 10, Concurrency: 4}) })
		full.Store(true)
		if err := client.Delete(t.Context(), otherOrg, 42); verdict(err) != "throttled" {
			t.Fatal(err)
		}
		low := client.Rate()
		if low != 5 {
			t.Errorf("the rate is %v after a refusal, want half of 10", low)
		}
		full.Store(false)
		for range 50 {
			if err := client.Delete(t.Context(), otherOrg, 42); err != nil {
				t.Fatal(err)
			}
		}
		if r := client.Rate(); r <= low || r >= 10 {
			t.Errorf("the rate is %v after fifty successes, want between %v and 10", r, low)
		}
	})
}

func TestAWriteWaitsForAsLongAsThePanelAskedTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := bubble(t, inProcess{answering(http.StatusTooManyRequests, "7")})
		began := time.Now()
		for _, want := range []time.Duration{0, 7 * time.Second} {
			if err := client.Delete(t.Context(), otherOrg, 42); verdict(err) != "throttled" {
				t.Fatal(err)
			}
			if waited := time.Since(began).Round(100 * time.Millisecond); waited != want {
				t.Errorf("sent after %v, want %v", waited, want)
			}
		}
	})
}

func TestAReadThatMayNotBeTriedAgainInTimeTellsWhatWasWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := bubble(t, inProcess{answering(http.StatusBadGateway, "")}, func(o *enhance.Options) {
			o.Limiter, o.ReadBackoff = ratelimit.New(ratelimit.Options{RPS: 0.1, Concurrency: 1}), time.Nanosecond
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Org(ctx, otherOrg)
		if verdict(err) != "transient" || !strings.Contains(err.Error(), "502 Bad Gateway") {
			t.Errorf("got %v", err)
		}
	})
}

func TestABodyThatDripsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := bubble(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			rec := httptest.NewRecorder()
			rec.WriteHeader(http.StatusCreated)
			resp := rec.Result()
			resp.Body = drip{r.Context()}
			return resp, nil
		}))
		_, err := client.CreateOrg(t.Context(), "Ada")
		if verdict(err) != unclear || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// drip sends a byte every ten seconds while the request is open.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(10 * time.Second):
		p[0] = ' '
		return 1, nil
	}
}

func (drip) Close() error { return nil }

// The panel gives slow answers, 429s, 500s and cut bodies, small pages and unknown
// fields.
func TestAHostilePanelIsListedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(20) {
			w := simulator.New(simulator.Options{Seed: seed, EnhanceToken: canary, OrgID: ourOrg})
			for range 120 {
				w.StaffCreateOrg("Ada", "ada@example.com")
			}
			client := bubble(t, w.Transport(), func(o *enhance.Options) { o.Token, o.Now = secret.New(canary), w.Now })
			for _, since := range []time.Time{{}, w.Now().Add(-time.Hour)} {
				if orgs, err := client.Orgs(t.Context(), since); err != nil || len(orgs) != 120 {
					t.Errorf("seed %d since %v: %d orgs, %v", seed, since, len(orgs), err)
				}
			}
			if v := w.Violations(); len(v) != 0 {
				t.Errorf("seed %d: %v", seed, v)
			}
		}
	})
}

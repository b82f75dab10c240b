package stripe

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const testKey = "sk_test_canary51H8secret"

// fleet is a server of one list, in memory and without a socket: subscriptions
// by created time, newest first. It is strict about the cursor and counts.
type fleet struct {
	created  []int64 // newest first
	latency  time.Duration
	now      time.Time
	requests atomic.Int64
	inflight atomic.Int64
	most     atomic.Int64
}

// newFleet sorts the created times.
func newFleet(created []int64) *fleet {
	slices.SortFunc(created, func(a, b int64) int { return int(b - a) })
	return &fleet{created: created, now: time.Unix(created[0]+60, 0)}
}

func fleetID(i int) string { return "sub_1F" + strconv.Itoa(i) }

// RoundTrip answers GET /v1/subscriptions.
func (f *fleet) RoundTrip(req *http.Request) (*http.Response, error) {
	f.requests.Add(1)
	f.most.Store(max(f.most.Load(), f.inflight.Add(1)))
	defer f.inflight.Add(-1)
	if f.latency > 0 {
		select {
		case <-time.After(f.latency):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	q := req.URL.Query()
	if q.Get("status") != "all" || q.Get("expand[0]") != "data.customer" {
		return f.answer(400, `{"error":{"type":"invalid_request_error"}}`), nil
	}
	return f.answer(200, f.page(q)), nil
}

func (f *fleet) page(q url.Values) string {
	lo, hi := int64(0), int64(math.MaxInt64)
	if v := q.Get("created[gte]"); v != "" {
		lo, _ = strconv.ParseInt(v, 10, 64)
	}
	if v := q.Get("created[lte]"); v != "" {
		hi, _ = strconv.ParseInt(v, 10, 64)
	}
	limit, _ := strconv.Atoi(q.Get("limit"))
	newest := func(at int64) int { // the first index whose created is at or before
		i, _ := slices.BinarySearchFunc(f.created, at, func(e, t int64) int {
			if e > t {
				return -1
			}
			return 1
		})
		return i
	}
	from, to := newest(hi), newest(lo-1)
	if cursor := q.Get("starting_after"); cursor != "" {
		n, _ := strconv.Atoi(strings.TrimPrefix(cursor, "sub_1F"))
		from = max(from, n+1)
	}
	end := min(to, from+limit)
	var b strings.Builder
	b.WriteString(`{"object":"list","url":"/v1/subscriptions","data":[`)
	for i := from; i < end; i++ {
		if i > from {
			b.WriteByte(',')
		}
		b.WriteString(fleetSubscription(i, f.created[i]))
	}
	fmt.Fprintf(&b, `],"has_more":%t}`, end < to)
	return b.String()
}

func fleetSubscription(i int, created int64) string {
	return fmt.Sprintf(`{"id":%q,"object":"subscription","livemode":false,"status":"active","created":%d,`+
		`"current_period_end":%d,"cancel_at_period_end":false,"pause_collection":null,"metadata":{},`+
		`"customer":{"id":"cus_1F%d","object":"customer","livemode":false,"email":"c%d@example.com","name":"Customer %d"},`+
		`"items":{"object":"list","has_more":false,"data":[{"id":"si_1F%d","object":"subscription_item","quantity":1,`+
		`"created":%d,"price":{"id":"price_1","object":"price","livemode":false,"lookup_key":"basic","product":"prod_1"}}]}}`,
		fleetID(i), created, created+2592000, i, i, i, i, created)
}

func (f *fleet) answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Date": {f.now.UTC().Format(http.TimeFormat)}, "Request-Id": {"req_1"}, "Content-Type": {"application/json"}},
		Body:   io.NopCloser(strings.NewReader(body))}
}

// client is one that talks to the fleet. Bulk requests have a slot for each worker, because
// the tests are about the slices.
func (f *fleet) client(t testing.TB, rps float64, workers int) *Client {
	t.Helper()
	return newClient(t, Options{Transport: f, Concurrency: workers,
		Limiter: ratelimit.New(ratelimit.Options{RPS: rps, Concurrency: 2 * workers})})
}

// newClient fills in what tests share.
func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	if !o.Key.IsSet() {
		o.Key = secret.New(testKey)
	}
	if o.BaseURL == "" {
		o.BaseURL = "http://stripe.test"
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const day = 86400

var newest = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC).Unix()

// distributions are ways in which a business may have come by n subscriptions.
var distributions = map[string]func(r *rand.Rand, n int) []int64{
	"uniform over a year":  func(r *rand.Rand, n int) []int64 { return spread(r, n, newest-365*day, newest) },
	"uniform over a week":  func(r *rand.Rand, n int) []int64 { return spread(r, n, newest-7*day, newest) },
	"growing":              growing,
	"imported in one hour": func(r *rand.Rand, n int) []int64 { return spread(r, n, newest-400*day, newest-400*day+3600) },
	"a campaign in one second": func(r *rand.Rand, n int) []int64 {
		return append(spread(r, n-n/20, newest-365*day, newest), same(n/20, newest-200*day)...)
	},
	"bursts": bursts,
	"closed long ago": func(r *rand.Rand, n int) []int64 {
		return append(spread(r, n-100, newest-9*365*day, newest-8*365*day), spread(r, 100, newest-8*365*day, newest)...)
	},
	"all in one second": func(_ *rand.Rand, n int) []int64 { return same(n, newest) },
}

func spread(r *rand.Rand, n int, from, to int64) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = from + r.Int64N(to-from+1)
	}
	return out
}

func same(n int, at int64) []int64 {
	return slices.Repeat([]int64{at}, n)
}

func growing(r *rand.Rand, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = newest - int64(r.ExpFloat64()*200*day)
	}
	return out
}

// bursts has three quarters in forty hours of one year, some of them in seconds.
func bursts(r *rand.Rand, n int) []int64 {
	out := spread(r, n/4, newest-365*day, newest)
	for len(out) < n {
		at := newest - r.Int64N(365*day)
		width := []int64{0, 10, 3600}[r.IntN(3)]
		out = append(out, spread(r, min(n/40, n-len(out)), at, at+width)...)
	}
	for i := range out {
		out[i] = min(out[i], newest)
	}
	return out
}

// testRand is the same on every run.
func testRand() *rand.Rand { return rand.New(rand.NewPCG(5, 6)) }

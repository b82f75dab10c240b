package stripe

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// failer is what a test, a fuzz target and a property have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// agrees compares plain with encoding/json on a page, and both ways to the objects of a
// sweep. It reports whether plain accepted the page.
func agrees(t failer, body []byte) (accepted bool) {
	t.Helper()
	plain, accepted := plainPage(body)
	if accepted {
		var want envelope[subscriptionWire]
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v\n%q", err, body)
		}
		if !reflect.DeepEqual(want, plain) {
			t.Fatalf("(-encoding/json +plain):\n%s\n%q", cmp.Diff(want, plain, cmp.AllowUnexported(subscriptionWire{}, itemWire{}, customerWire{})), body)
		}
	}
	want, wantMore, wantErr := decodeLeniently(body)
	got, more, err := decodeSubscriptions(body)
	if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() || more != wantMore || !reflect.DeepEqual(want, got) {
		t.Fatalf("%d objects, %v, %v, want %d, %v, %v\n%q", len(got), more, err, len(want), wantMore, wantErr, body)
	}
	return accepted
}

// richSubscription has every field of the wire types, and others.
const richSubscription = `{"id":"sub_1","object":"subscription","application":null,"livemode":false,"automatic_tax":{"enabled":false,"x":[1.5e3,-0,"\u00e9"]},
	"cancel_at":null,"cancel_at_period_end":true,"canceled_at":1700000009,"collection_method":"send_invoice","created":1700000000,
	"current_period_end":1800000000,"customer":{"id":"cus_1","object":"customer","livemode":false,"deleted":false,"email":"a@example.com",
	"name":"Zo\u00eb \"Ö\" /\/ \ud83d\ude00","metadata":{"ID":"x"}},"ended_at":1700000010,"items":{"object":"list","has_more":false,"data":[
	{"id":"si_1","object":"subscription_item","quantity":2,"created":1700000000,"current_period_end":1800000001,"metadata":{},
	"price":{"id":"price_1","livemode":false,"lookup_key":"basic","product":"prod_1","unit_amount":500},
	"plan":{"id":"price_1","livemode":false,"lookup_key":null,"product":{"id":"prod_1","Object":"product"}}},
	{"id":"si_2","object":"subscription_item","price":{"id":"price_2","product":"prod\u005f2"},"plan":null}],"total_count":2},
	"metadata":{"domain":"shop.example.com","Enhance":"\u0041","ö":""},"pause_collection":{"behavior":"void"},"status":"active","test_clock":"clock_1"}`

// simulatedPage is a page of subscriptions with every oddity of the simulator; a hostile
// one is smaller and has fields that no client knows.
func simulatedPage(tb testing.TB, hostile bool) []byte {
	tb.Helper()
	w := simulator.New(simulator.Options{Calm: !hostile})
	w.Populate(100, simulator.Mix{})
	for range 100 { // a hostile one fails now and then
		r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "http://stripe.sim/v1/subscriptions?status=all&limit=100&expand[0]=data.customer", nil)
		if err != nil {
			tb.Fatal(err)
		}
		r.SetBasicAuth(w.StripeKey(), "")
		answer, err := w.Transport().RoundTrip(r)
		if err != nil {
			continue
		}
		if body, err := io.ReadAll(answer.Body); err == nil && answer.StatusCode == http.StatusOK {
			return body
		}
	}
	tb.Fatal("no page")
	return nil
}

// BenchmarkDecode compares the two ways to read a page of a hundred, as Stripe sends it
// (indented) and without white space: the figures are microseconds a subscription and
// the ratio.
func BenchmarkDecode(b *testing.B) {
	compact := simulatedPage(b, false)
	var indented bytes.Buffer
	if err := json.Indent(&indented, compact, "", "  "); err != nil {
		b.Fatal(err)
	}
	for name, body := range map[string][]byte{"compact": compact, "indented": indented.Bytes()} {
		b.Run(name, func(b *testing.B) {
			var all, plain time.Duration
			for b.Loop() {
				begin := time.Now()
				_, _, err := decodeLeniently(body)
				middle := time.Now()
				page, _, again := decodeSubscriptions(body)
				all, plain = all+middle.Sub(begin), plain+time.Since(middle)
				if err != nil || again != nil || len(page) != 100 {
					b.Fatal(err, again)
				}
			}
			subscriptions := float64(b.N) * 100
			b.ReportMetric(float64(all.Nanoseconds())/1e3/subscriptions, "json_µs/sub")
			b.ReportMetric(float64(plain.Nanoseconds())/1e3/subscriptions, "plain_µs/sub")
			b.ReportMetric(float64(all)/float64(plain), "x-faster")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// nothingGiven has null for every field, and nullAgain the null behind a value, of which
// encoding/json keeps some and drops others.
const nothingGiven = `"livemode":null,"customer":null,"created":null,"cancel_at_period_end":null,"pause_collection":null,"items":null,"metadata":null,"test_clock":null,"status":null`

var nullAgain = `{"id":"sub_1","object":"subscription","status":"active","livemode":true,"customer":{"id":"cus_1"},"created":1,"cancel_at_period_end":true,"pause_collection":{},` +
	`"items":{"object":"list","has_more":true,"data":[]},"metadata":{"a":"b"},"test_clock":"clock_1",` + nothingGiven + `}`

func TestPlainReadsWhatStripeSends(t *testing.T) {
	for name, body := range map[string]string{
		"a page of the simulator": string(simulatedPage(t, false)), "a hostile one": string(simulatedPage(t, true)), "the good one": page(false, goodSubscription, second), "every field": page(true, richSubscription),
		"names that are written in another way": page(false, with(t, `"status"`, `"metadata":{"d\u006fmain":"a","\"":"b","`+"\xff"+`":"c"},"status"`)),
		"times before 1970":                     page(false, `{"created":-1700000000,"ended_at":-0,"canceled_at":-1}`),
		"nothing but nulls":                     page(false, `{`+nothingGiven+`}`), "nulls behind values": page(false, nullAgain),
		"no list": `{"object":"list","data":null,"has_more":false}`, "no customer": page(false, with(t, `{"id":"cus_1","object":"customer","livemode":false,"email":"a@example.com"}`, `null`)),
		"an empty page": page(false), "exponents": `{"object":"list","data":[],"has_more":false,"x":[1e+5,1E-5,1e5,-0.5e+0]}`,
		"no order of names": `{"data":[],"x":[],"has_more":true,"object":"list"}`,
	} {
		var indented bytes.Buffer
		if err := json.Indent(&indented, []byte(body), "\r", "\t"); err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{body, indented.String(), " " + body + "\n"} {
			if !agrees(t, []byte(body)) {
				t.Errorf("%s is not plain:\n%s", name, body)
			}
		}
	}
}

// TestPlainLeavesTheRestToEncodingJSON has one page for each reason.
func TestPlainLeavesTheRestToEncodingJSON(t *testing.T) {
	rich := page(false, richSubscription)
	for _, body := range []string{
		``, ` `, `null`, `[]`, `{`, `{}x`, `{"object":"list",}`, `{"object":"list" "data":[]}`, `{"data":[null]}`, `{"data":[{},]}`, `{"data":[{} {}]}`,
		`{"data":{}}`, `{"data":[{}],"data":[{}]}`, `{"object":7}`, `{"has_more":"true"}`, `{"has_more":truE}`, `{"Data":[]}`, `{"ob\u006aect":"list"}`, `{"cuſtomer":1}`,
		`{"x":` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + `}`, `{"x":"` + "\n" + `"}`, `{"x":"\x"}`, `{"x":"\u00g0"}`, `{"x":"\`, `{"x":"\u00`,
		`{'object":"list"}`, `{"object":'list"}`, `{"x":'a"}`, `{"data":[{"metadata":{'a":"b"}}]}`,
		`{"x":01}`, `{"x":-}`, `{"x":1.}`, `{"x":1e}`, `{"x":.5}`, `{"x":+1}`, `{"x":nul}`, `{"x":[1 2]}`, `{"x":[1,]}`, `{"x":{"a"}}`, `{"x":{"a":1,}}`, `{"x":{1:2}}`, `{"x"}`,
		rich[:len(rich)-1], rich + "}", strings.Replace(rich, `"cus_1"`, `17`, 1), strings.Replace(rich, `"created":1700000000,`, `"created":1700000000.0,`, 1),
		strings.Replace(rich, `1700000009`, `9223372036854775808`, 1), strings.Replace(rich, `1700000009`, `-`, 1), strings.Replace(rich, `1700000009`, `017`, 1),
		strings.Replace(rich, `"product":"prod_1"`, `"product":7`, 1), strings.Replace(rich, `"ö":""`, `"ö":1`, 1), strings.Replace(rich, `{"behavior":"void"}`, `true`, 1),
		strings.Replace(rich, `"deleted":false`, `"deleted":0`, 1), strings.Replace(rich, `{"id":"prod_1","Object":"product"}`, `{"id":7}`, 1),
	} {
		if agrees(t, slices.Clip([]byte(body))) { // so that reading beyond the end panics
			t.Errorf("plain accepts %s", body)
		}
	}
}

var tokens = regexp.MustCompile(`"(?:\\.|[^"\\])*"|[-+.0-9eE]+|[a-z]+|[^\s]`)

// TestPlainAgreesOnAlmostGoodPages changes tokens of a good page, adds names that are
// there already or almost, and cuts the end off.
func TestPlainAgreesOnAlmostGoodPages(t *testing.T) {
	good := tokens.FindAllString(page(false, richSubscription, goodSubscription), -1)
	odd := []string{`null`, `true`, `7`, `-0`, `2.5`, `1e3`, `0`, `123456789012345678`, `1234567890123456789`, `""`, `"\u0069d"`, `"\ud800"`, "\"\xff\"", "\"a\x01\"", `{}`, `[]`, `[[]]`,
		`{"id":"x"}`, `{"id":null}`, `"ID"`, `"Status"`, `"ſtatus"`, `"\/"`, ` `, `{"a":"b","a":null}`, `[{}]`, `[{"id":"si_3"},null]`, `{"data":[],"has_more":null}`}
	pool := append(slices.Clone(good), odd...)
	accepted := 0
	rapid.Check(t, func(rt *rapid.T) {
		changed := slices.Clone(good)
		for i := rapid.IntRange(1, 3).Draw(rt, "changes"); i > 0 && len(changed) > 0; i-- {
			at := rapid.IntRange(0, len(changed)-1).Draw(rt, "at")
			other := rapid.SampledFrom(pool).Draw(rt, "token")
			switch rapid.SampledFrom([]string{"replace", "remove", "insert", "member", "member", "member", "cut"}).Draw(rt, "change") {
			case "replace":
				changed[at] = other
			case "remove":
				changed = slices.Delete(changed, at, at+1)
			case "insert":
				changed = slices.Insert(changed, at, other)
			case "member":
				for at > 0 && changed[at] != "{" {
					at--
				}
				changed = slices.Insert(changed, at+1, rapid.SampledFrom(good).Draw(rt, "name"), ":", other, ",")
			case "cut":
				changed = changed[:at+1]
			}
		}
		if agrees(rt, []byte(strings.Join(changed, rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(rt, "space")))) {
			accepted++
		}
	})
	t.Logf("%d pages were plain", accepted)
}

// FuzzPlain is the same on any bytes.
func FuzzPlain(f *testing.F) {
	f.Add([]byte(page(false, richSubscription)))
	f.Add([]byte(page(true, goodSubscription, second)))
	f.Add([]byte(`{"object":"list","data":[],"has_more":true}`))
	f.Add([]byte(`{"data":[{"metadata":{"a":null,"a":"\ud800"},"items":null,"pause_collection":{},"test_clock":{"id":"x"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) { agrees(t, body) })
}

package main

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// forgery is one way to pretend to be Stripe.
type forgery struct {
	name   string
	head   string // lines of the header, without the length
	body   string
	status int // 0: 400 with the contract's answer
	// bare: net/http refuses it before the service sees it, in its own words.
	bare bool
	// whole: head and body are the whole request.
	whole bool
}

// mac is a signature, made apart from the code that checks it.
func mac(body, key, stamp string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(stamp + "." + body))
	return hex.EncodeToString(h.Sum(nil))
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

func chunked(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
	}
	return b.String() + "0\r\n\r\n"
}

// forgeries are all ways that we know. body is an event that would be believed if
// it were signed.
func forgeries(body string, now time.Time) []forgery {
	at := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }
	stamp := at(0)
	signature := mac(body, hookSecret, stamp)
	good := "t=" + stamp + ",v1=" + signature
	sign := func(text string) string {
		return "Stripe-Signature: t=" + stamp + ",v1=" + mac(text, hookSecret, stamp) + "\r\n"
	}
	by := func(key string) string { return "t=" + stamp + ",v1=" + mac(body, key, stamp) }
	header := func(value string) string { return "Stripe-Signature: " + value + "\r\n" }
	large := `{"id":"evt_large","object":"event","type":"customer.subscription.updated","x":"` + strings.Repeat("a", 1<<20) + `"}`
	flip := func(s string, i int) string { b := []byte(s); b[i] ^= 1; return string(b) }
	const post = "POST /api/webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	withLength := func(text string, n int) string {
		return fmt.Sprintf("%sContent-Length: %d\r\n%s\r\n%s", post, n, header(good), text)
	}

	return []forgery{
		// Not signed, or with another key.
		{name: "no signature at all", body: body},
		{name: "an empty signature header", head: header(""), body: body},
		{name: "only spaces", head: header("   "), body: body},
		{name: "another secret", head: header(by("whsec_somebodyelse0123456789")), body: body},
		{name: "an empty secret", head: header(by("")), body: body},
		{name: "the secret without its prefix", head: header(by(strings.TrimPrefix(hookSecret, "whsec_"))), body: body},
		{name: "the secret in lower case", head: header(by(strings.ToLower(hookSecret))), body: body},
		{name: "the secret with a newline", head: header(by(hookSecret + "\n")), body: body},
		{name: "both secrets as one", head: header(by(hookSecret + "," + hookSecret2)), body: body},
		{name: "the admin key as secret", head: header(by(adminKey)), body: body},
		{name: "the signature of the body without the time", head: header("t=" + stamp + ",v1=" + mac(body, hookSecret, "")), body: body},
		{name: "a plain hash instead of a keyed one", head: header(fmt.Sprintf("t=%s,v1=%x", stamp, sha256.Sum256([]byte(stamp+"."+body)))), body: body},
		{name: "the secret itself as signature", head: header("t=" + stamp + ",v1=" + hex.EncodeToString([]byte(hookSecret))), body: body},
		{name: "another header's name", head: "X-Stripe-Signature: " + good + "\r\n", body: body},
		{name: "the header's name with an underscore", head: "Stripe_Signature: " + good + "\r\n", body: body},
		{name: "the signature as a bearer key", head: "Authorization: Bearer " + good + "\r\n", body: body},
		{name: "the admin key instead of a signature", head: "Authorization: Bearer " + adminKey + "\r\n", body: body},
		{name: "the signature in a trailer", head: "Trailer: Stripe-Signature\r\nTransfer-Encoding: chunked\r\n",
			body: strings.TrimSuffix(chunked(body), "\r\n") + header(good) + "\r\n"},
		// The wrong time.
		{name: "301 seconds old", head: header("t=" + at(-301*time.Second) + ",v1=" + mac(body, hookSecret, at(-301*time.Second))), body: body},
		{name: "a day old", head: header("t=" + at(-24*time.Hour) + ",v1=" + mac(body, hookSecret, at(-24*time.Hour))), body: body},
		{name: "from 1970", head: header("t=1,v1=" + mac(body, hookSecret, "1")), body: body},
		{name: "310 seconds ahead", head: header("t=" + at(310*time.Second) + ",v1=" + mac(body, hookSecret, at(310*time.Second))), body: body},
		{name: "a year ahead", head: header("t=" + at(365*24*time.Hour) + ",v1=" + mac(body, hookSecret, at(365*24*time.Hour))), body: body},
		{name: "in milliseconds", head: header("t=" + stamp + "000,v1=" + mac(body, hookSecret, stamp+"000")), body: body},
		{name: "at zero", head: header("t=0,v1=" + mac(body, hookSecret, "0")), body: body},
		{name: "a negative time", head: header("t=-" + stamp + ",v1=" + mac(body, hookSecret, "-"+stamp)), body: body},
		{name: "a time with a plus", head: header("t=+" + stamp + ",v1=" + mac(body, hookSecret, "+"+stamp)), body: body},
		{name: "a time with a fraction", head: header("t=" + stamp + ".0,v1=" + mac(body, hookSecret, stamp+".0")), body: body},
		{name: "a time with an exponent", head: header("t=1e9,v1=" + mac(body, hookSecret, "1e9")), body: body},
		{name: "a time in hexadecimal", head: header(fmt.Sprintf("t=%#x,v1=%s", now.Unix(), signature)), body: body},
		{name: "a time beyond 64 bits", head: header("t=99999999999999999999,v1=" + signature), body: body},
		{name: "a time in words", head: header("t=now,v1=" + mac(body, hookSecret, "now")), body: body},
		{name: "an empty time", head: header("t=,v1=" + mac(body, hookSecret, "")), body: body},
		{name: "no time", head: header("v1=" + signature), body: body},
		{name: "a good signature under a new time", head: header("t=" + at(-2*time.Second) + ",v1=" + signature), body: body},
		// Header tricks.
		{name: "two times, the good one first", head: header(good + ",t=" + at(-time.Hour)), body: body},
		{name: "two times, the good one last", head: header("t=" + at(-time.Hour) + "," + good), body: body},
		{name: "an old signature made young by a second time",
			head: header("t=" + at(-time.Hour) + ",t=" + stamp + ",v1=" + mac(body, hookSecret, at(-time.Hour))), body: body},
		{name: "the same time twice", head: header("t=" + stamp + "," + good), body: body},
		{name: "two headers, the good one first", head: header(good) + header("t="+stamp+",v1=00"), body: body},
		{name: "two headers, the good one last", head: header("t="+stamp+",v1=00") + header(good), body: body},
		{name: "time and signature in two headers", head: header("t="+stamp) + header("v1="+signature), body: body},
		{name: "the same header twice", head: header(good) + header(good), body: body},
		{name: "only the old scheme v0", head: header("t=" + stamp + ",v0=" + signature), body: body},
		{name: "a scheme to come, v2", head: header("t=" + stamp + ",v2=" + signature), body: body},
		{name: "the scheme in upper case", head: header("t=" + stamp + ",V1=" + signature), body: body},
		{name: "spaces around the parts", head: header("t=" + stamp + " , v1=" + signature), body: body},
		{name: "a space before the signature", head: header("t=" + stamp + ",v1= " + signature), body: body},
		{name: "quotes around the signature", head: header(`t=` + stamp + `,v1="` + signature + `"`), body: body},
		{name: "semicolons", head: header("t=" + stamp + ";v1=" + signature), body: body},
		{name: "the signature in base64", head: header("t=" + stamp + ",v1=" + base64.StdEncoding.EncodeToString([]byte(signature))), body: body},
		{name: "half of the signature", head: header("t=" + stamp + ",v1=" + signature[:32]), body: body},
		{name: "a signature with a byte more", head: header("t=" + stamp + ",v1=" + signature + "00"), body: body},
		{name: "an empty signature", head: header("t=" + stamp + ",v1="), body: body},
		{name: "a signature with one bit changed", head: header("t=" + stamp + ",v1=" + mac(flip(body, 0), hookSecret, stamp)), body: body},
		{name: "a hundred wrong signatures before the right one", head: header("t=" + stamp + strings.Repeat(",v1=00", 100) + ",v1=" + signature), body: body},
		{name: "a part without a value", head: header(good + ",x"), body: body},
		{name: "a comma at the end", head: header(good + ","), body: body},
		{name: "a header of 10 KB", head: header(good + ",x=" + strings.Repeat("y", 10_000)), body: body},
		{name: "a header of 100 KB", head: header(good + ",x=" + strings.Repeat("y", 100_000)), body: body, bare: true, status: http.StatusRequestHeaderFieldsTooLarge},
		{name: "a NUL in the header", head: header(good + "\x00"), body: body, bare: true},
		{name: "a folded header", head: "Stripe-Signature: t=" + stamp + ",\r\n v1=" + signature + "\r\n", body: body},
		{name: "a space before the colon", head: "Stripe-Signature : " + good + "\r\n", body: body, bare: true},
		// The body.
		{name: "a body with one bit changed", head: header(good), body: flip(body, len(body)/2)},
		{name: "another event under the signature", head: header(good), body: strings.Replace(body, "evt_", "evt_x", 1)},
		{name: "an empty body", head: header(good), body: ""},
		{name: "an empty body, signed", head: sign(""), body: ""},
		{name: "a body cut short", head: header(good), body: body[:len(body)-1]},
		{name: "a body with a byte more", head: header(good), body: body + "\n"},
		{name: "a body twice", head: header(good), body: body + body},
		{name: "a signed body that is two events", head: sign(body + body), body: body + body},
		{name: "a signed list of events", head: sign("[" + body + "]"), body: "[" + body + "]"},
		{name: "signed, but no JSON", head: sign("id=evt_1"), body: "id=evt_1"},
		{name: "signed, with an id that is a number", head: sign(`{"id":1,"object":"event","type":"x"}`), body: `{"id":1,"object":"event","type":"x"}`},
		{name: "signed, with an empty id", head: sign(eventText("", "x", "{}")), body: eventText("", "x", "{}")},
		{name: "signed, with an id of 300 characters", head: sign(eventText("evt_"+strings.Repeat("a", 300), "x", "{}")), body: eventText("evt_"+strings.Repeat("a", 300), "x", "{}")},
		{name: "signed, without an id", head: sign(`{"object":"event","type":"x"}`), body: `{"object":"event","type":"x"}`},
		{name: "a byte-order mark before the body", head: header(good), body: "\ufeff" + body},
		{name: "the body in gzip, signed before it was packed", head: header(good) + "Content-Encoding: gzip\r\n", body: zipped(body)},
		{name: "the body in gzip, signed packed", head: sign(zipped(body)) + "Content-Encoding: gzip\r\n", body: zipped(body)},
		{name: "the body as a form", head: header(good) + "Content-Type: application/x-www-form-urlencoded\r\n", body: "payload=" + body},
		{name: "more than 1 MiB, signed", head: sign(large), body: large, status: http.StatusRequestEntityTooLarge},
		{name: "more than 1 MiB in chunks, signed", head: sign(large) + "Transfer-Encoding: chunked\r\n",
			body: chunked(large[:1<<19], large[1<<19:]), status: http.StatusRequestEntityTooLarge},
		{name: "in chunks, one of them changed", head: header(good) + "Transfer-Encoding: chunked\r\n", body: chunked(body[:20], flip(body[20:], 3))},
		{name: "chunks that break off", head: header(good) + "Transfer-Encoding: chunked\r\n", body: fmt.Sprintf("%x\r\n%s\r\nnonsense\r\n", len(body), body)},
		// The request.
		{name: "two lengths", whole: true, bare: true, body: fmt.Sprintf("%sContent-Length: %d\r\nContent-Length: 0\r\n%s\r\n%s", post, len(body), header(good), body)},
		{name: "a negative length", whole: true, bare: true, body: withLength(body, -1)},
		{name: "an unknown transfer coding", whole: true, bare: true, status: http.StatusNotImplemented,
			body: post + "Transfer-Encoding: identity, chunked\r\n" + header(good) + "\r\n" + chunked(body)},
		{name: "a length below the body's", whole: true, body: withLength(body, len(body)-1)},
	}
}

// request is a forgery on the wire.
func (f forgery) request() string {
	if f.whole {
		return f.body
	}
	length := ""
	if !strings.Contains(f.head, "Transfer-Encoding") {
		length = fmt.Sprintf("Content-Length: %d\r\n", len(f.body))
	}
	return "POST /api/webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + length + f.head + "\r\n" + f.body
}

// Cases of this table fail if the tolerance has no limit in the past or in the future, if a
// second timestamp replaces the first, if the first of two headers counts, or if the limit
// of a body is 2 MiB.
func TestEveryForgedWebhookIsRefusedAndNothingIsStored(t *testing.T) {
	t.Parallel()
	s := serveHere(t, serving{})
	runs, refused := len(s.runs()), 0
	all := forgeries(subscriptionEvent("evt_forged", "sub_1"), time.Now())
	if len(all) < 60 {
		t.Errorf("%d kinds of forgery, want 60 at least", len(all))
	}
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			got := s.raw(f.request())
			want := f.status
			if want == 0 {
				want = http.StatusBadRequest
			}
			if got.status != want {
				t.Fatalf("answered %d %s, want %d", got.status, got.body, want)
			}
			if f.bare {
				return
			}
			refused++
			o := got.object(t)
			message, _ := o["message"].(string)
			delete(o, "message")
			if diff := cmp.Diff(map[string]any{"error": "Webhook processing failed", "retryable": false}, o); diff != "" || message == "" {
				t.Errorf("answer (-want +got):\n%s\nmessage %q", diff, message)
			}
			if strings.Contains(got.body, canary) {
				t.Errorf("the secret is in %s", got.body)
			}
		})
	}
	if n := s.count("SELECT count(*) FROM webhook_logs"); n != 0 {
		t.Errorf("%d events stored", n)
	}
	if n := s.count("SELECT count(*) FROM nudges"); n != 0 {
		t.Errorf("%d nudges stored", n)
	}
	if n := len(s.runs()); n != runs {
		t.Errorf("%d runs, %d before", n, runs)
	}
	if n := s.metric(`webhooks_total{result="refused"}`); int(n) != refused {
		t.Errorf("metrics count %v refusals, want %d", n, refused)
	}
	if got := s.hook(subscriptionEvent("evt_forged", "sub_1")); got.status != http.StatusOK || got.body != `{"received":true}`+"\n" {
		t.Errorf("the same event, signed: %d %s", got.status, got.body)
	}
}

func TestAWebhookMayBeSignedWithAnySecretAndWithinFiveMinutes(t *testing.T) {
	t.Parallel()
	s := serveHere(t, serving{})
	for i, test := range []struct {
		name, secret string
		off          time.Duration
		want         int
	}{
		{"the first secret", hookSecret, 0, 200},
		{"the second, while rotating", hookSecret2, 0, 200},
		{"a third", "whsec_neverconfigured0123456789", 0, 400},
		// Half a minute is left for a slow machine. The tests of signatures compare the second
		// itself, with a clock that stands still.
		{"270 s old", hookSecret, -270 * time.Second, 200},
		{"301 s old", hookSecret, -301 * time.Second, 400},
		{"299 s ahead", hookSecret, 299 * time.Second, 200},
		{"331 s ahead", hookSecret, 331 * time.Second, 400},
	} {
		body := subscriptionEvent(fmt.Sprintf("evt_%d", i), "sub_1")
		got := s.call(http.MethodPost, "/api/webhook", body, "Stripe-Signature: "+simulator.SignWebhook([]byte(body), test.secret, time.Now().Add(test.off)))
		if got.status != test.want {
			t.Errorf("%s: %d %s, want %d", test.name, got.status, got.body, test.want)
		}
	}
	both := subscriptionEvent("evt_both", "sub_1")
	stamp := fmt.Sprint(time.Now().Unix())
	rolled := "t=" + stamp + ",v1=" + mac(both, "whsec_theoldone0123456789", stamp) + ",v1=" + mac(both, hookSecret, stamp) + ",v0=" + mac(both, "x", stamp)
	if got := s.call(http.MethodPost, "/api/webhook", both, "Stripe-Signature: "+rolled); got.status != 200 {
		t.Errorf("signed with an old and a new secret: %d %s", got.status, got.body)
	}
	inChunks := subscriptionEvent("evt_chunks", "sub_1")
	got := s.raw(forgery{head: "Transfer-Encoding: chunked\r\nStripe-Signature: " + simulator.SignWebhook([]byte(inChunks), hookSecret, time.Now()) + "\r\n",
		body: chunked(inChunks[:7], inChunks[7:])}.request())
	if got.status != 200 {
		t.Errorf("in chunks: %d %s", got.status, got.body)
	}
}

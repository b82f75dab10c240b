package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is an OpenTelemetry collector that keeps what it gets.
type collector struct {
	server *httptest.Server
	hangs  chan struct{} // a request waits until it is closed; nil: none waits

	mu    sync.Mutex // guards all below
	raw   bytes.Buffer
	keys  []string // Api-Key of each request
	about []string // service.name of each resource
	spans map[string]*tracepb.Span
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if c.hangs != nil {
		<-c.hangs
	}
	var all collectorpb.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &all) != nil {
		http.Error(w, "not OTLP", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	c.keys = append(c.keys, r.Header.Get("Api-Key"))
	for _, of := range all.GetResourceSpans() {
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				c.about = append(c.about, a.GetValue().GetStringValue())
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.spans[hex.EncodeToString(span.GetSpanId())] = span
			}
		}
	}
}

// collecting begins with `collector`, which starts a collector and sets
// OTEL_EXPORTER_OTLP_ENDPOINT. `collector run WHO…` checks the one trace since the last
// look: its tree, its calls, and that it shows each customer by id. `collector silent` checks
// that none came. `collector hangs` and `collector down` make it useless.
func (o *outside) collecting(ts *testscript.TestScript, args []string) {
	if len(args) == 0 {
		o.collector = &collector{spans: map[string]*tracepb.Span{}}
		o.collector.server = httptest.NewServer(o.collector)
		ts.Defer(o.collector.server.Close)
		ts.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", o.collector.server.URL)
		ts.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key="+canary+"%2Ckey")
		return
	}
	c := o.collector
	switch args[0] {
	case "run":
		c.mu.Lock()
		defer c.mu.Unlock()
		c.checkTree(ts)
		secrets := []string{"example.com", canary, ts.Getenv("ENHANCE_ORG_ID"), "sub_"}
		for _, who := range args[1:] {
			c.checkCustomer(ts, ts.Getenv(who+"_customer"))
			secrets = append(secrets, who)
		}
		c.checkPrivate(ts, secrets)
		clear(c.spans)
		c.raw.Reset()
	case "silent":
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.spans) > 0 {
			ts.Fatalf("%d spans came", len(c.spans))
		}
	case "hangs":
		c.hangs = make(chan struct{})
		ts.Defer(func() { close(c.hangs) })
	case "down":
		c.server.Close()
	default:
		ts.Fatalf("collector %s?", args[0])
	}
}

// checkTree holds that all spans are one run, in which each is where it belongs.
func (c *collector) checkTree(ts *testscript.TestScript) {
	roots, names, trace := 0, map[string]int{}, ""
	for _, s := range c.spans {
		names[s.GetName()]++
		if trace == "" {
			trace = string(s.GetTraceId())
		}
		if string(s.GetTraceId()) != trace {
			ts.Fatalf("%s is of another trace", s.GetName())
		}
		if s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
			ts.Fatalf("%s ends before it begins", s.GetName())
		}
		if len(s.GetParentSpanId()) == 0 {
			roots++
		}
		parents, about := c.parents(s), attributesOf(s)
		method, route, isCall := strings.Cut(s.GetName(), " /")
		switch {
		case s.GetName() == "run":
			if len(parents) > 0 || about["stripe_enhance.run"] == "" {
				ts.Fatalf("a run is below %q, with %v", parents, about)
			}
		case strings.HasSuffix(s.GetName(), " customer"):
			if !slices.Equal(parents, []string{"run"}) || !strings.HasPrefix(about["stripe.customer"], "cus_") {
				ts.Fatalf("%s is below %q, with %v", s.GetName(), parents, about)
			}
		case isCall:
			want := map[string]string{"peer.service": about["peer.service"], "http.request.method": method, "url.template": "/" + route, "http.response.status_code": about["http.response.status_code"]}
			if !maps.Equal(want, about) || len(want["http.response.status_code"]) != 3 || s.GetKind() != tracepb.Span_SPAN_KIND_CLIENT || parents[len(parents)-1] != "run" {
				ts.Fatalf("%s is below %q, with %v", s.GetName(), parents, about)
			}
			names[about["peer.service"]]++
		default:
			ts.Fatalf("a span %q, which this test does not know", s.GetName())
		}
	}
	if roots != 1 || names["stripe"] == 0 || !slices.Contains(c.about, "stripe-enhance") || slices.ContainsFunc(c.keys, func(key string) bool { return key != "CANARY,key" }) {
		ts.Fatalf("%d roots, spans %v of %q, with the keys %q", roots, names, c.about, c.keys)
	}
}

// checkCustomer holds that a customer was planned and applied, with calls to the panel.
func (c *collector) checkCustomer(ts *testscript.TestScript, id string) {
	found := map[string]bool{}
	for key, s := range c.spans {
		if attributesOf(s)["stripe.customer"] != id {
			continue
		}
		found[s.GetName()] = true
		for _, below := range c.spans {
			if hex.EncodeToString(below.GetParentSpanId()) == key {
				found[below.GetName()] = true
			}
		}
	}
	for _, name := range []string{"plan customer", "apply customer", "POST /orgs/{org}/customers"} {
		if !found[name] {
			ts.Fatalf("no span %q of %s; there are %v", name, id, found)
		}
	}
}

// checkPrivate holds that nothing about a person, no key and no query is in any text.
func (c *collector) checkPrivate(ts *testscript.TestScript, secrets []string) {
	texts := []string{c.raw.String()}
	for _, s := range c.spans {
		for key, value := range attributesOf(s) {
			texts = append(texts, key, value)
		}
		texts = append(texts, s.GetName()+"\x00", s.GetStatus().GetMessage()+"\x00")
	}
	for i, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				ts.Fatalf("%q was sent to the collector: %q", secret, text)
			}
		}
		if i > 0 && strings.ContainsAny(text, "?@") {
			ts.Fatalf("a query or an e-mail was sent to the collector: %q", text)
		}
	}
}

func attributesOf(s *tracepb.Span) map[string]string {
	all := map[string]string{}
	for _, a := range s.GetAttributes() {
		all[a.GetKey()] = a.GetValue().GetStringValue()
		if n := a.GetValue().GetIntValue(); n != 0 {
			all[a.GetKey()] = strconv.FormatInt(n, 10)
		}
	}
	return all
}

// parents are the names above a span, the nearest first.
func (c *collector) parents(s *tracepb.Span) (all []string) {
	for p := c.spans[hex.EncodeToString(s.GetParentSpanId())]; p != nil; p = c.spans[hex.EncodeToString(p.GetParentSpanId())] {
		all = append(all, p.GetName())
	}
	return all
}

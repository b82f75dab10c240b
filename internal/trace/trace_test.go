package trace

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// collector keeps the spans that it gets, by name.
type collector struct {
	mu    sync.Mutex // guards both
	spans map[string]*tracepb.Span
	raw   string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var all collectorpb.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &all) != nil {
		http.Error(w, "not OTLP", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw += string(body)
	for _, of := range all.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.spans[span.GetName()] = span
			}
		}
	}
}

// begin makes traces to an address, with a log that is kept.
func begin(t *testing.T, address string) (*Traces, *logtest.Buffer) {
	t.Helper()
	text, log := &logtest.Buffer{}, logrus.New()
	log.SetOutput(text)
	traces, err := New(t.Context(), Options{Endpoint: address + "/v1/traces", Headers: secret.New("api-key=CANARY%2C"), Version: "1", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return traces, text
}

func TestASpanHasNothingOfAPerson(t *testing.T) {
	c := &collector{spans: map[string]*tracepb.Span{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	traces, _ := begin(t, server.URL)
	call := traces.Call("stripe")
	call(t.Context(), "GET /v1/of_health")(http.StatusOK) // belongs to no run

	ctx, end := traces.Begin(t.Context(), "run", "20261101T000000Z-1")
	inner, endInner := traces.Begin(ctx, "plan customer", "cus_1")
	call(inner, "GET /v1/customers/{id}")(http.StatusPaymentRequired)
	call(inner, "GET /v1/events")(0)
	traces.Failed(inner, fault.Errorf(fault.Denied, "ada@example.com may not"))
	endInner()
	_, endOdd := traces.Begin(ctx, "apply customer", "ada@example.com")
	endOdd()
	end()
	traces.Close()

	if len(c.spans) != 5 {
		t.Errorf("%d spans: %v", len(c.spans), c.spans)
	}
	if strings.Contains(c.raw, "ada") || strings.Contains(c.raw, "CANARY") {
		t.Errorf("sent: %q", c.raw)
	}
	if s := c.spans["plan customer"].GetStatus(); s.GetCode() != tracepb.Status_STATUS_CODE_ERROR || s.GetMessage() != fault.Denied.String() {
		t.Errorf("the failed customer has %v", s)
	}
	for _, name := range []string{"GET /v1/customers/{id}", "GET /v1/events"} {
		if s := c.spans[name].GetStatus(); s.GetCode() != tracepb.Status_STATUS_CODE_ERROR {
			t.Errorf("%s has %v", name, s)
		}
	}
}

// The requests of this collector hang until the test is over, and far more spans come than
// fit into the queue: whoever makes them waits for none of it, and no more than one line
// about it is in the log.
func TestNothingWaitsForTheCollector(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	traces, text := begin(t, server.URL)
	made := make(chan struct{})
	go func() {
		defer close(made)
		for range 20_000 {
			_, end := traces.Begin(context.Background(), "run", "1")
			end()
		}
	}()
	select {
	case <-made:
	case <-time.After(15 * time.Second): // it takes a hundredth of a second
		t.Fatal("whoever makes a span waits for the collector")
	}
	traces.Close()
	traces.lost(errors.New("again"))
	if strings.Count(text.String(), "traces are lost") != 1 {
		t.Errorf("the log has:\n%s", text)
	}
}

func TestTracesThatAreOffAreNone(t *testing.T) {
	off, err := New(t.Context(), Options{})
	if off != nil || err != nil {
		t.Fatalf("without an endpoint there is %v, %v", off, err)
	}
	ctx, end := off.Begin(t.Context(), "run", "1")
	off.Failed(ctx, context.Canceled)
	end()
	off.Close()
	if off.Call("stripe") != nil {
		t.Error("calls are traced")
	}
}

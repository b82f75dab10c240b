// Package trace sends traces to an OpenTelemetry collector, by OTLP over HTTP: of each run,
// with a span for each customer and for each request to a side. It is off unless an endpoint
// is set.
//
// A span names a customer by the id at Stripe, and a request by method, route with {id} in
// the place of ids, and status. It has no e-mail, name, domain, key, query, body or text of
// an error: the kind of an error is all that is sent of it.
//
// Nothing waits for the collector: spans go into a queue of a fixed size, and if that is full
// or the collector is down, they are lost, and nothing else. The end of the process waits
// for at most a second.
package trace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const (
	// farewell is how long the last spans may take at the end of the process.
	farewell = time.Second
	// attempt is how long one request to the collector may take.
	attempt = 10 * time.Second
	// quiet is how long after a line about lost spans there is no other one.
	quiet = 10 * time.Minute
)

// Options are where spans go. The other standard variables, such as OTEL_SERVICE_NAME,
// OTEL_TRACES_SAMPLER and OTEL_BSP_MAX_QUEUE_SIZE, are read from the environment.
type Options struct {
	Endpoint string      // the whole address; "": traces are off
	Headers  secret.Text // key=value,…, with %XX for special characters
	Version  string
	Log      *logrus.Logger
}

// Traces makes and sends spans. Nil is traces that are off. It is safe for concurrent use.
type Traces struct {
	provider *sdk.TracerProvider
	tracer   api.Tracer
	log      *logrus.Logger

	mu     sync.Mutex // guards logged
	logged time.Time
}

// New returns nil if traces are off. It contacts nothing.
func New(ctx context.Context, o Options) (*Traces, error) {
	if o.Endpoint == "" {
		return nil, nil
	}
	client := &http.Client{Timeout: attempt, Transport: withHeaders{o.Headers, http.DefaultTransport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(o.Endpoint), otlptracehttp.WithHTTPClient(client))
	if err != nil {
		return nil, errors.New("traces: the exporter was refused: check the variables that begin with OTEL_")
	}
	about, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "stripe-enhance"), attribute.String("service.version", o.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, errors.New("traces: OTEL_RESOURCE_ATTRIBUTES is not key=value,…")
	}
	t := &Traces{log: o.Log}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(t.lost))
	t.provider = sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	t.tracer = t.provider.Tracer("github.com/stripe-enhance/stripe-enhance")
	return t, nil
}

// withHeaders adds the headers as they are at each request, because the file of a secret
// is read again.
type withHeaders struct {
	headers secret.Text
	next    http.RoundTripper
}

func (w withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for key, value := range headersOf(w.headers) {
		r.Header.Set(key, value)
	}
	return w.next.RoundTrip(r)
}

// headersOf parses the form of OTEL_EXPORTER_OTLP_HEADERS, which was checked when it was
// read.
func headersOf(text secret.Text) map[string]string {
	all := map[string]string{}
	for part := range strings.FieldsFuncSeq(text.Reveal(), func(r rune) bool { return r == ',' || r == '\n' }) {
		key, value, ok := strings.Cut(part, "=")
		if value, err := url.PathUnescape(strings.TrimSpace(value)); ok && err == nil {
			all[strings.TrimSpace(key)] = value
		}
	}
	return all
}

// lost logs now and then that spans are lost. The error may quote an answer, so it is shown
// in a verbose log alone.
func (t *Traces) lost(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.log == nil || time.Since(t.logged) < quiet {
		return
	}
	t.logged = time.Now()
	t.log.Warn("traces are lost, and nothing else: the collector at OTEL_EXPORTER_OTLP_ENDPOINT does not take them")
	t.log.WithError(err).Debug("traces are lost")
}

// Begin begins a span and returns a context with it; end is called once. If object is the id
// of a customer at Stripe, or of a run, the span has it. Begin never waits.
func (t *Traces) Begin(ctx context.Context, name, object string) (_ context.Context, end func()) {
	if t == nil {
		return ctx, func() {}
	}
	ctx, span := t.tracer.Start(ctx, name)
	if span.IsRecording() {
		switch {
		case name == "run" || name == "flow":
			span.SetAttributes(attribute.String("stripe_enhance.run", object))
		case strings.HasPrefix(object, "cus_"):
			span.SetAttributes(attribute.String("stripe.customer", object))
		}
	}
	return ctx, func() { span.End() }
}

// Failed marks the span of a context as failed, with the kind of the error.
func (t *Traces) Failed(ctx context.Context, err error) {
	if t != nil && err != nil {
		api.SpanFromContext(ctx).SetStatus(codes.Error, fault.Of(err).String())
	}
}

// Call returns what a client calls before each request to a side. A request that belongs to
// no run, such as one of health, has no span.
func (t *Traces) Call(side string) func(ctx context.Context, route string) (end func(status int)) {
	if t == nil {
		return nil
	}
	return func(ctx context.Context, route string) (end func(int)) {
		if !api.SpanFromContext(ctx).IsRecording() {
			return func(int) {}
		}
		method, template, _ := strings.Cut(route, " ")
		_, span := t.tracer.Start(ctx, route, api.WithSpanKind(api.SpanKindClient), api.WithAttributes(
			attribute.String("peer.service", side), attribute.String("http.request.method", method), attribute.String("url.template", template)))
		return func(status int) {
			switch {
			case status == 0:
				span.SetStatus(codes.Error, "no answer")
			case status >= http.StatusBadRequest:
				span.SetStatus(codes.Error, fmt.Sprint(status))
				fallthrough
			default:
				span.SetAttributes(attribute.Int("http.response.status_code", status))
			}
			span.End()
		}
	}
}

// Close sends the last spans, for at most farewell.
func (t *Traces) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.lost(err)
	}
}

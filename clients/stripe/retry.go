package stripe

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
)

// retrying is the one retry layer: go-retryablehttp around single attempts. It has no
// logger, because that would print query strings, and no timeout of its own, because
// the attempts have one.
func retrying(o Options, a *attempts) http.RoundTripper {
	return &retryablehttp.RoundTripper{Client: &retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: a, CheckRedirect: noRedirect},
		Logger:       nil,
		RetryWaitMin: o.RetryMin,
		RetryWaitMax: o.RetryMax,
		RetryMax:     o.MaxAttempts - 1,
		CheckRetry:   shouldRetry,
		Backoff:      backoff(o.Now),
		ErrorHandler: lastAnswer,
	}}
}

// shouldRetry asks in this order: has the caller left, does Stripe's header decide, and
// what does the status mean. A POST is retried like a GET, because it carries an
// idempotency key.
func shouldRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return worthRepeating(err), nil
	}
	switch resp.Header.Get("Stripe-Should-Retry") {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	switch code := resp.StatusCode; {
	case code == http.StatusConflict, code == http.StatusTooManyRequests:
		return true, nil
	default:
		return code >= http.StatusInternalServerError, nil
	}
}

// worthRepeating is false if a second attempt would fail in the same way.
func worthRepeating(err error) bool {
	var wait *waitError
	var cert *tls.CertificateVerificationError
	return !errors.As(err, &wait) && !errors.As(err, &cert) && !errors.Is(err, errTooLarge)
}

// lastAnswer returns the last answer when the attempts are used up, so that the caller
// gets Stripe's own error text. If there is an error too, it closes the answer, because
// net/http ignores it and logs a complaint.
func lastAnswer(resp *http.Response, err error, _ int) (*http.Response, error) {
	if err != nil && resp != nil {
		_ = resp.Body.Close()
		resp = nil
	}
	return resp, err
}

// backoff doubles from least to most and takes a random point in the upper half, so
// that callers who failed together do not return together. A Retry-After replaces it,
// but limited, because the library would sleep for any time it names.
func backoff(now func() time.Time) retryablehttp.Backoff {
	return func(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
		if resp != nil {
			if wait, ok := ratelimit.RetryAfter(resp.Header, now(), maxRetryAfter); ok {
				return wait
			}
		}
		wait := most
		if attempt < 30 && least<<attempt < most {
			wait = least << attempt
		}
		return wait/2 + rand.N(wait/2+1)
	}
}

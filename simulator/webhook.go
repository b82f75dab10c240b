package simulator

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

const (
	webhooksLost    = 100 // in a thousand events; the list has all of them
	webhooksDoubled = 100
	webhookTries    = 16 // as many as Stripe makes in three days
	outboxLimit     = 100_000
)

// outbox holds the events for which no webhook has been delivered.
type outbox struct{ waiting []waitingEvent }

type waitingEvent struct {
	event *event
	tries int
}

func (o *outbox) add(e *event) {
	if len(o.waiting) >= outboxLimit { // no webhooks are delivered, so keep the newest
		o.waiting = slices.Delete(o.waiting, 0, outboxLimit/2)
	}
	o.waiting = append(o.waiting, waitingEvent{event: e})
}

// Deliveries is the result of one round of webhooks.
type Deliveries struct {
	Sent    int // accepted with a 2xx, doubles included
	Failed  int // will be tried again by the next round, up to 16 times
	Lost    int // never sent, by the world's hostility
	Waiting int // not visible yet, or failed
}

// SignWebhook returns the Stripe-Signature header of a payload sent at t.
func SignWebhook(payload []byte, secret string, t time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.", t.Unix())
	mac.Write(payload)
	return fmt.Sprintf("t=%d,v1=%s", t.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// DeliverWebhooks posts the events that are due and returns when all were tried. A
// hostile world shuffles them, loses some and sends some twice. A nil client is
// http.DefaultClient. The error is the context's; a receiver that fails is counted and
// makes no error.
func (w *World) DeliverWebhooks(ctx context.Context, url, secret string, client *http.Client) (Deliveries, error) {
	if client == nil {
		client = http.DefaultClient
	}
	batch, d := w.takeWebhooks()
	for i, next := range batch {
		if err := ctx.Err(); err != nil {
			w.putBack(batch[i:])
			return d, err
		}
		w.mu.Lock()
		payload, now := []byte(text(func(d *doc) { w.writeEvent(d, next.event, nil) })), w.now
		w.mu.Unlock()
		times := 1
		if w.happensTo("webhook twice", next, webhooksDoubled) {
			times = 2
		}
		for range times {
			if post(ctx, client, url, payload, SignWebhook(payload, secret, now)) {
				d.Sent++
				continue
			}
			d.Failed++
			next.tries++
			if next.tries < webhookTries {
				w.putBack([]waitingEvent{next})
			}
			break
		}
	}
	w.mu.Lock()
	d.Waiting = len(w.webhooks.waiting)
	w.mu.Unlock()
	return d, nil
}

// takeWebhooks takes the visible events out, in the order of sending.
func (w *World) takeWebhooks() (batch []waitingEvent, d Deliveries) {
	w.enter()
	defer w.mu.Unlock()
	rest := w.webhooks.waiting[:0:0]
	for _, x := range w.webhooks.waiting {
		switch {
		case x.event.visible.After(w.now):
			rest = append(rest, x)
		case x.tries == 0 && w.happensTo("webhook lost", x, webhooksLost):
			d.Lost++
		default:
			batch = append(batch, x)
		}
	}
	w.webhooks.waiting = rest
	if !w.opt.Calm {
		slices.SortStableFunc(batch, func(a, b waitingEvent) int {
			if mix(a.event.birth) < mix(b.event.birth) {
				return -1
			}
			return 1
		})
	}
	return batch, d
}

func (w *World) happensTo(what string, x waitingEvent, permille uint64) bool {
	return !w.opt.Calm && chance(w.prf.nth(what, x.event.birth), permille)
}

func (w *World) putBack(x []waitingEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.webhooks.waiting = append(w.webhooks.waiting, x...)
}

func post(ctx context.Context, client *http.Client, url string, payload []byte, signature string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	r.Header.Set("Stripe-Signature", signature)
	res, err := client.Do(r)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, bodyLimit)) // keeps the connection usable
	return res.StatusCode/100 == 2
}

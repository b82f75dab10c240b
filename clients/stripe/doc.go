// Package stripe reads the billing side, and believes none of it unexamined.
//
// It is stripe-go v76 for what that knows best (the pinned Stripe-Version, the
// form encoding, idempotency keys, the error envelope) over go-retryablehttp for
// the one retry layer. Decoding is our own, because the library's iterators turn
// several broken answers into "you have no subscriptions" without an error.
//
// # Policy
//
//  1. A listing is complete or it is an error. Pages must say "list", carry
//     has_more, hold only objects of the right kind and mode, keep to the slice
//     that was asked for, never repeat an id, and never be empty while promising
//     more. Anything else is [fault.Malformed], never a shorter list. What cannot
//     be understood of one subscription alone (an item without a price, a part of
//     another type) is no reason to give up the rest: it is handed over with a status
//     that says why, or named as passed over where it does not say who buys it.
//  2. Every answer is of the key's own mode. An object of the other mode is
//     Malformed: either the key or the address is not what the operator thinks.
//  3. "No such subscription" is [fault.NotFound] only in Stripe's own envelope
//     with its own code, about the object that was asked for. A proxy's 404 page
//     is not evidence of anything.
//  4. One retry layer, two deadlines: one per attempt, one per call. The limiter is
//     shared by everything that talks to Stripe; a 429 slows all of it.
//  5. Nothing personal leaves through a side door: no telemetry, no host name,
//     no bodies and no query strings in logs or errors, and never the key.
//  6. Events and webhooks say where to look. Their payload is never a fact.
//
// # Decisions
//
// The oldest slice of a sweep has no lower end, instead of one at Stripe's
// founding: a date that we assume could leave something out, an open end cannot.
//
// The stripe-go backend is handed "{}" in place of every successful body. The
// bytes go past it to our own decoder, which saves it six passes over each page
// and keeps customers' names out of its error texts, which quote the body.
//
// Events are paged one after another. Their window is short by design, and an
// order of events is promised nowhere precisely enough to slice by.
//
// An invoice that may not be read makes grace start when the status was first
// seen, not an error: reading invoices is the one permission that is optional.
package stripe

// Package stripe reads customers, subscriptions and invoices from Stripe, and checks
// every answer before it believes it.
//
// It uses stripe-go v76 for the pinned Stripe-Version, the form encoding, idempotency
// keys and the error envelope, over go-retryablehttp as the one retry layer. It decodes
// answers itself, because the library's iterators turn several broken answers into "you
// have no subscriptions" without an error.
//
// # Policy
//
//  1. A listing is complete or it is an error. Pages must say "list", carry
//     has_more, hold only objects of the right kind and mode, keep to the slice
//     that was asked for, never repeat an id, and never be empty while promising
//     more. Anything else is [fault.Malformed], never a shorter list. If only one
//     subscription cannot be understood (an item without a price, a part of another
//     type), the rest is still good: that subscription is reported with a status that
//     gives the reason, or named as passed over if its buyer is unknown.
//  2. Every answer is of the key's own mode. An object of the other mode is
//     Malformed, because then either the key or the address is the wrong one.
//  3. "No such subscription" is [fault.NotFound] only in Stripe's own envelope
//     with its own code, about the object that was asked for. A proxy's 404 page
//     proves nothing.
//  4. One retry layer, two deadlines: one per attempt, one per call. The limiter is
//     shared by everything that calls Stripe, so a 429 slows all of it.
//  5. Nothing personal leaks: no telemetry, no host name, no bodies and no query
//     strings in logs or errors, and never the key.
//  6. Events and webhooks show where to look. Their payload is never a fact.
//
// # Decisions
//
// The oldest slice of a sweep has no lower end instead of one at Stripe's founding,
// because an assumed date could leave something out and an open end cannot.
//
// The stripe-go backend is given "{}" in place of every successful body. The bytes go
// past it to our own decoder. That saves six passes over each page, and keeps
// customers' names out of the library's error texts, which quote the body.
//
// Events are read one page after another. Their window is short, and Stripe documents
// no order of events that is precise enough to slice by.
//
// If the key may not read invoices, grace starts when the status was first seen. That
// is not an error, because reading invoices is the one optional permission.
package stripe

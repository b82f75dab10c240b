// Package simulator is a small Stripe and a small Enhance panel that run in one
// process, share one clock and record everything that is done to them.
//
// It lets the rest of the program be demonstrated, developed and attacked without a
// key, a network or a customer. Three rules keep it useful:
//
//  1. It knows only the wire formats. It imports only the standard library and shares no
//     type with the clients, because otherwise both sides would share a misunderstanding
//     and no test could find it.
//  2. It is strict. It refuses unknown paths, unknown parameters, wrong types and wrong
//     keys in the way of the real services. If a client sends something that must never be
//     sent (force=true, an Idempotency-Key to Enhance), it refuses that and records it as
//     a [Violation].
//  3. It is hostile unless it is [Options.Calm]: events appear late and out of order,
//     webhooks are lost and doubled, pages are small, unknown fields are everywhere, and
//     some writes answer 502 after being done. A correct client converges anyway; one that
//     relies on luck fails.
//
// # Time
//
// The clock stands still until [World.Advance] moves it. Then every transition that
// falls due (a trial ends, a card is charged, a late write is done) happens in order,
// at its own instant. [Options.Follow] ties the clock to another one. The Date header
// of every answer is this clock.
//
// # Randomness
//
// Nothing is random: every choice is a hash of [Options.Seed] and of the thing to be
// chosen. The fault of a request depends on the request and on how often it was made,
// not on other requests, so that a concurrent client meets the same faults as a
// sequential one.
//
// # Truth
//
// [World.Effects] lists the writes that were really done, whatever was answered, with
// the state of the matching Stripe subscription at that instant. A test should rely on
// it and never on the log of the program under test.
//
// Decisions: invoices have a due date even if Stripe leaves it out (set
// [Options.NoDueDate] for that); a repeated invitation of a member is a 400, because
// orchd's OpenAPI 12.3.0 documents no 409 there; a soft-deleted hosting stays readable
// with status "deleted".
package simulator

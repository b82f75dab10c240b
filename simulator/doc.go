// Package simulator is a small Stripe and a small Enhance panel that live in
// one process, share one clock and remember everything that is done to them.
//
// It exists so that the rest of the program can be shown, developed and
// attacked without a key, a network or a customer. Three rules keep it useful:
//
//  1. It knows the wire and nothing else. It imports only the standard library
//     and shares no type with the clients, else both sides would share one
//     misunderstanding and no test could find it.
//  2. It is strict. Unknown paths, unknown parameters, wrong types and wrong
//     keys are refused the way the real services refuse them, and what must
//     never be sent (force=true, an Idempotency-Key to Enhance) is refused and
//     remembered as a [Violation].
//  3. It is hostile unless told to be [Options.Calm]: events appear late and
//     out of order, webhooks are lost and doubled, pages are small, unknown
//     fields are everywhere, and some writes answer 502 after being done. A
//     correct client converges all the same; a hopeful one is found out.
//
// # Time
//
// Time stands still until [World.Advance] moves it, and then every transition
// that falls due (a trial ends, a card is charged, a late write lands) happens
// in order, at its own instant. [Options.Follow] ties it to another clock.
// The Date header of every answer is this clock.
//
// # Randomness
//
// Nothing here is random: every choice is a hash of [Options.Seed] and of what
// is being chosen. The fault of a request depends on the request and on how
// often it was made, not on what happens beside it, so that a concurrent client
// meets the same faults as a sequential one.
//
// # Truth
//
// [World.Effects] lists what was really done, whatever was answered, with the
// state of the matching Stripe subscription at that instant. Checkers should
// believe it, and never the log of the program under test.
//
// Decisions: invoices carry a due date even where Stripe leaves it out (set
// [Options.NoDueDate] for that); a repeated invitation of a member is a 400,
// since orchd's OpenAPI 12.3.0 documents no 409 there; a soft-deleted hosting
// stays readable with status "deleted".
package simulator

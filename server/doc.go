// Package server is the long-running side of the program: it decides when the
// reconciler runs, and it answers HTTP.
//
// It knows neither Stripe nor Enhance nor a database. What it needs of them is
// declared in ports.go and wired by the command; what it decides is only when to
// look and what to answer.
//
// # When a run begins
//
//  1. There is one loop, and only the loop calls the reconciler, so runs of this
//     process never overlap. Among several processes the lease decides.
//  2. Whatever wants a run says so and goes: a webhook, the admin API, another
//     replica, a person at the command line. The wish is stored first (which
//     subscription), then the loop is woken by one token in a channel of capacity
//     one. Any number of wishes during a run are one run afterwards.
//  3. The schedules are compared with the wall clock once a second instead of being
//     slept for, so a machine that was asleep, a process that was restarted and a
//     replica that took over make up a missed tick, and make it up once.
//  4. A process without the lease runs nothing. It serves HTTP, stores wishes, and
//     the writer finds them within a second.
//  5. At the end nothing new is begun, the action in hand is finished and recorded,
//     and the lease is given back.
//
// # What HTTP may do
//
//   - A webhook is a nudge: the signature of the raw body is checked, the event id
//     and the subscription it names are stored in one transaction, and the answer is
//     sent. Nothing in the payload is believed, and no run is waited for.
//   - Admin routes need a key. Without a configured key they do not exist.
//   - Errors are JSON with one key "error", on every path and for every method.
//   - Health is answered from checks that are at most a few seconds old, so that
//     a curious monitor costs Stripe and Enhance nothing. Liveness asks nobody.
//
// # Decisions
//
//   - A right key is accepted even from an address that has tried ten wrong ones:
//     with 128 bits and more the limit protects the log and the processor, not the
//     key, and locking out would let anybody behind the same proxy keep the
//     operator out.
//   - A sync asked of a replica that does not lead becomes a stored nudge, and the
//     answer is the record of the writer's next run.
//   - The OpenAPI document is written by hand and held to the routes and to real
//     answers by the tests, because it is read by people first.
package server

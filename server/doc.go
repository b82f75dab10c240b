// Package server is the long-running side of the program: it decides when the
// reconciler runs, and it answers HTTP.
//
// It knows neither Stripe nor Enhance nor a database. The ports that it needs are
// declared in ports.go, and the command wires them. The server only decides when
// to look, and how to answer.
//
// # When a run begins
//
//  1. There is one loop, and only the loop calls the reconciler, so runs of this
//     process never overlap. Among several processes the lease decides.
//  2. A webhook, the admin API, another replica or a person at the command line
//     only leaves a nudge. The nudge is stored first (which subscription), then the
//     loop is woken by one token in a channel of capacity one. Any number of nudges
//     during a run become one run afterwards.
//  3. The loop compares the schedules with the wall clock once a second instead of
//     sleeping for them. So a machine that was asleep, a process that was restarted
//     and a replica that took over make up a missed tick, and make it up once.
//  4. A process without the lease runs nothing. It serves HTTP and stores nudges,
//     and the writer finds them within a second.
//  5. At the end no new run begins, the action in hand is finished and recorded,
//     and the lease is released.
//
// # What HTTP may do
//
//   - A webhook is a nudge: the signature of the raw body is checked, the event id
//     and the subscription it names are stored in one transaction, and the answer is
//     sent. Nothing in the payload is believed, and the answer never waits for a run.
//   - Admin routes need a key. If no key is configured, they do not exist.
//   - Errors are JSON with one key "error", on every path and for every method.
//   - Health is answered from checks that are at most a few seconds old, so that
//     a curious monitor costs Stripe and Enhance nothing. Liveness makes no request.
//
// # Decisions
//
//   - A right key is accepted even from an address that has tried ten wrong ones.
//     With 128 bits and more the limit protects the log and the processor, not the
//     key; if it locked addresses out, a stranger behind the same proxy could keep
//     the operator out.
//   - If a replica without the lease is asked for a sync, it stores a nudge, and
//     answers with the record of the writer's next run.
//   - The OpenAPI document is written by hand, because people read it first. Tests
//     hold it to the routes, to the structs and to real answers.
package server

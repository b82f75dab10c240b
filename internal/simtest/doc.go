// Package simtest plays whole histories of a hosting company with the real
// engine, store and clients, in one process and without sockets, and holds what
// came of them against promises.
//
// A [Scenario] is data made from a seed before anything happens: a policy, a mix of
// faults, and a list of steps in which customers order, pay, fail and leave, staff
// act in the panel, the operator makes mistakes, processes run, die and are frozen,
// and databases are lost. [Play] lets it happen on the simulators' clock. One
// goroutine is at work at a time and nothing asks the time or the dice of the
// machine, so that a seed is the same history on every machine, to the byte.
//
// The checker knows only what the simulators did and hold, and what the operator
// has set: never what the program believes. Each promise has a name and a sentence,
// see promises. Once the steps are over the faults stop, some time passes, and what
// is up has to be what is paid for.
//
// [Shrink] makes a history that broke a promise as short as it can.
//
// # What is not promised
//
// No program could promise more with an API that has no idempotency keys and no
// conditional writes. These stay out of the faults, or the checker knows of them:
//
//   - A write takes effect within the settling time after it was answered, or never.
//   - A listing is at most a minute old. The panel's listings tell by their own total
//     that something is missing; Stripe's may lie.
//   - A request that was checked and has left is not held up on its way: what a
//     process was about to do when it was frozen between the last check and the
//     network can be done by another meanwhile.
//   - What changes within a minute before something is taken away, or resumed, may
//     come too late.
//   - A plan, and a run, rest on readings of up to ten minutes ago. What somebody else
//     did at the panel since then is found by whichever of them reads once more.
//   - A hosting that was purged, or whose marker staff took off, before a lost
//     database could know of it, is not recognised; nor is its org.
//   - Suspensions of ours are known by our journal and by nothing else: those from
//     before a database was lost are taken for somebody else's, and told.
//   - A database is not lost and replaced within the settling time of a write that
//     was not answered: the new one cannot know that something is still to come.
//   - After a lost database it is not known which unit of a subscription a hosting
//     was for: one that is no longer paid for may stay up, and is told.
//   - A key of another company is noticed once there is a hosting by which to notice.
//   - Two installations with copies of one database that are at it at the same moment
//     make twice what both have just looked for in vain. It is told, and stops them.
package simtest

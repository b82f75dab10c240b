// Package simtest plays whole histories of a hosting company with the real engine, store
// and clients, in one process and without sockets, and checks them against promises.
//
// A [Scenario] is data made from a seed before anything happens: a policy, a mix of faults,
// and a list of steps in which customers order, pay, fail to pay and leave, staff act in
// the panel, the operator makes mistakes, processes run, die and are frozen, and databases
// are lost. [Play] plays it on the simulators' clock. One goroutine is at work at a time
// and no code asks for the machine's time or random numbers, so that a seed is the same
// history on every machine, to the byte.
//
// The checker knows only the effects and the state of the simulators, and the settings of
// the operator, never what the program believes. Each promise has a name and a sentence,
// see promises. When the steps are over the faults stop, some time passes, and then the
// hostings that are up must be those that are paid for.
//
// [Shrink] makes a history that broke a promise as short as it can.
//
// # What is not promised
//
// No program could promise more with an API that has no idempotency keys and no conditional
// writes. These stay out of the faults, or the checker allows for them:
//
//   - A write takes effect within the settling time after it was answered, or never.
//   - A listing is at most a minute old. If a listing of the panel is short, its own total
//     shows it; Stripe's may be short without a sign.
//   - A request that was checked and has left is not held up on its way. If a process is
//     frozen between the last check and the network, another process may meanwhile do the
//     same thing.
//   - If something changes within a minute before a hosting is taken away or resumed, the
//     change may come too late.
//   - A dry run, and a run, rest on readings of up to ten minutes ago. If staff changed
//     something since, the first of the two that reads again finds it.
//   - If a hosting was purged, or staff took its marker off, before a new database could
//     know of it, then neither it nor its org is recognised.
//   - Only our journal knows which suspensions are ours. If a database is lost, those from
//     before count as staff's, and the program reports them.
//   - A database is not lost and replaced within the settling time of a write that was not
//     answered, because the new one cannot know that a write is still on its way.
//   - If a database is lost, it is not known which unit of a subscription a hosting was
//     for: one that is no longer paid for may stay up, and the program reports it.
//   - A key of another company is noticed when there is a hosting by which to notice it.
//   - If two installations with copies of one database run at the same moment, both look,
//     find nothing, and create the same thing twice. Both report it and stop.
package simtest

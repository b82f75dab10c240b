// Package engine does a run: it looks at both sides, lets package reconcile
// decide, and brings Enhance there, one customer at a time. It decides nothing
// about customers itself. Stripe, Enhance and the database are [Ports].
//
// # A run
//
// [Engine.Run] takes the lease, or finds that another process has it; chooses
// what to look at (the subscriptions somebody named; everything; or what the
// events since the cursor touched); records that the run has begun; and then goes
// through these steps, in this order. One that fails ends the run, and the
// report tells what was done until then.
//
//  1. loadVerdict: what an earlier run did not believe of its listing still stands, until
//     a full listing passes or a person accepts it.
//  2. checkIdentity: a key or a panel that is new has to know what we know to
//     exist. One that knows none of it ends the run before anything is stored.
//  3. observe: Stripe is brought into the mirror. A listing is staged as it comes
//     and counts when it is complete; events only say which subscriptions to read
//     by id. What changed makes its customer due.
//  4. loadCatalog: mappings and plans. Either of them having changed makes
//     everybody due. A list of plans that lacks one which a mapping names or hostings
//     are on is read again in every run until the plan is back.
//  5. indexPanel: the orgs of the panel, in a full run. When the database knows
//     nothing of the panel, every hosting as well: what carries a marker of ours is
//     bound again, and this run only gives. An org whose number of hostings is another
//     than was known is listed again. What others made there may keep everything from
//     being created; see below.
//  6. drift: hostings that were not compared with Enhance for a while; in a full run that
//     a person or a cron job asks for, every bound one, which is a request each; in a run
//     about certain subscriptions, theirs, and the org. What others have changed is told.
//  7. plan: every customer that is due. Writes that were never answered are looked
//     for first; reads that the planner asks for are done and the customer is
//     planned again. Decisions are recorded; what is no longer wanted is superseded.
//  8. gates: asked when something is to be taken away. See below.
//  9. applyBrake: what stands in a plan that waits for approval is held, whatever the count
//     is. Too many of one kind in this run, or in 24 hours: all of that kind that is new
//     joins the plan of the kind that waits, or begins one. Of creates, an order that is
//     too large for one customer joins it by itself, and the others only when together
//     they are too many.
//  10. apply: customers in parallel, each one's actions in order, those who only
//     receive before those who lose something.
//
// An approval is of the actions that stood in the version of the plan that was shown:
// each of them is released until it is done, or is not wanted for a while, for 24 hours;
// after that it is held again. Another version of one of them (another plan for the
// order, another address to invite) is held again too. What comes later waits in the
// next plan.
//
// A dry run goes through the last step in thought ([planner.After]): with the reads
// and the order of apply, and without its calls, so that its plan is what the next run
// does. It records no plan. MODE=observe leaves out the last step.
//
// # The order of effects
//
// One action is, in this order:
//
//  1. The customer is loaded and planned again. What is no longer wanted, what a
//     brake holds, and what no brake has seen is not done.
//  2. Something is to be taken away: every subscription on the hosting, and the
//     hosting, are read by id, at most a minute before the call, and it is planned
//     again. Something is to be created: it is looked for, and it is planned again.
//  3. The lease is ours, by two clocks and counted from before it was renewed.
//  4. The intent is durable.
//  5. The lease, once more, and again when the request leaves; one call, that
//     nothing repeats.
//  6. What was changed is read back.
//  7. The outcome, and all that was learned with it, is durable in one
//     transaction.
//
// A new customer is an org with our marker in its name, the binding to it, the
// hosting with its marker, its binding, the final name, the invitation, the
// website, and Stripe's metadata, each of them such an action. The org keeps its
// marker until the hosting has one: a database that is lost in between finds it.
//
// # What is durable when
//
//   - Being due is written with the fact that made it so. A customer with something
//     to apply stays due until it is applied, so a crash loses no work.
//   - A plan that is interrupted is never finished: the next run observes and plans
//     afresh, and its plan supersedes the rows that were never sent.
//   - The event cursor moves after everything that the events touched was read,
//     and stays a minute behind Stripe's clock.
//   - An action that was sent and has no outcome is ambiguous. It is looked for at
//     once and in every later run. What is found is adopted. A create is sent again
//     after its settling time and two complete looks that found nothing, another
//     write after one look; what is harmless to repeat is repeated. A hosting that is
//     found is bound to the item that the journal names, which may have ended since.
//   - A run that is being stopped finishes the action in hand and records it.
//     Outcomes are stored without regard to cancellation.
//   - What a brake holds stands in its plan in the same transaction that marks it held,
//     and leaves the plan in the one that records that it is done or no longer wanted. It
//     is not unwanted while something is bound first, or has no known outcome. A
//     version of a plan can be seen, and approved, once all of it is stored.
//   - Every write carries the token of the lease. A writer that lost it is refused
//     by the database, and ends its run.
//
// # Evidence gates
//
// What belongs to somebody else makes a run that does nothing, and says so: a
// Stripe account that knows none of up to twenty subscriptions that we know, a
// panel that has none of the orgs we know, a clock more than a day off. Stripe is
// asked before anything it says is stored or acted on, the panel before orgs are
// listed or anything is created.
//
// A matter of fact makes a run that only gives: what it would take away is held,
// with the reason, and looked at again in the next run. Nobody can approve it away.
//
//   - The database knew nothing of the panel, and hostings were found there.
//   - The database was put back to an old copy, or lost its last transactions: a marker
//     or a suspension of ours was found that nothing in it accounts for. Every bound
//     hosting is looked at again in the next run. The hostings of every subscription that
//     an event has touched are looked at in any case, changed or not.
//   - A complete listing left out subscriptions that are there when they are read
//     by id: those of the mirror, and in a first run those that the hostings at the
//     panel carry the markers of. This stands, over any number of runs, until a full
//     listing passes, or a person accepts it with --accept-listing.
//   - More than 50, or 2 % of those known, are gone since the last listing that was
//     believed. This stands until they are back, or a person accepts it.
//   - Our clock and Stripe's, or the database's, differ by more than a minute. Such a
//     run goes by Stripe's clock, so that what it gives and when it looks again is right.
//   - None of ten mapped prices exists in the account; or one of the three oldest
//     bound subscriptions is gone or cannot be read.
//
// A run with a closed gate is not converged: what was withheld for it is not known to be
// wrong, and not known to be right. Neither is one while a plan waits for approval, whoever
// it looked at.
//
// Numbers that look wrong hold all that would be taken away in plans, like a brake,
// and approving one says that they are true: fewer than half of the entitled
// subscriptions of the last listing, or more than half of all hostings that are up
// (at least ten) to be taken down at once.
//
// # Others on the panel
//
// Two facts keep everything from being created, in every run, until a person has
// acted; the run says so, is not converged, and does the rest of its work.
//
//   - The panel has living hostings that no subscription is bound to and no marker
//     names, they were there before anything was bound here, and
//     NEW_CUSTOMERS_ONLY_AFTER does not say which orders are new. It ends when that is
//     set, or when none of them is left unbound.
//   - Something was made a second time and not by our own journal: a living hosting
//     with the marker of a slot that is bound to another one, or an org with the marker
//     of a customer who has another. Another installation works for the same
//     subscriptions. It ends when that is gone. It is looked for before customers are
//     planned, and again by the look before a create.
//
// # Failure
//
// An error about one customer is that customer's: back-off from RetryMin, doubling
// to RetryMax, half of it jitter; set aside after eight failures of its own in a
// row and tried every six hours all the same. An action that is refused keeps back
// what depends on it and nothing else. Outages of a side delay and do not
// count; five in a row leave the rest of the run for later. A refusal may be about
// one org: that customer is tried again in five minutes, or RetryMax if that is less,
// and three in a row are taken for the credential and end the run. Those who failed
// before come after all others, and what was never sent is nobody's failure. A key
// that may not write metadata stops nobody. A panic is an error about that customer.
//
// One odd object is that object's hold and ends no run. A subscription whose answer
// cannot be read has no status that is known. One that does not say whose it is stays as
// it was, and the run says so; when more than half of a listing is odd, the listing is
// refused. An org whose hostings cannot be listed is passed over, and what may be in it is
// not created: the rule stands at barred. When eight have given no answer the look goes on
// in the next run, where it stopped. A hosting that cannot be compared keeps no other from
// it. A subscription that Stripe refuses for good is passed over until a full run; one
// that cannot be read now keeps the event cursor. A run that could not read what it was to
// look at is not converged.
//
// # Decisions
//
// Where this differs from the design it was built from, and why:
//
//   - The hosting comes before the final name of its org, and that before the
//     invitation: the org is recognised by one marker or the other at every moment,
//     and the invitation that Enhance mails shows the name.
//   - Planning happens again before every step instead of once. A customer may pay
//     between two steps, and an approval may be a day old.
//   - Looking for an org reads the orgs created since shortly before the call, and
//     not all of them. The full index is refreshed by full runs.
//   - An answer that was lost is looked for at once as well as after the settling
//     time. Most such writes were done, and then nobody waits.
//   - A domain is looked up only for hostings that are being created: one request
//     to Stripe for each subscription that is planned would be most of a first run.
//   - The gates are asked only by runs that are about to take something away. A run
//     in which nothing changed costs one request.
//   - That the database fell back is seen by what we left at the panel, and by events: no
//     object at the panel is there to count runs. A count would tell of every lost
//     transaction, and cost a write a run.
//   - The brake judges what was planned before the first call. What comes up while
//     customers are applied waits for the next run's brake.
package engine

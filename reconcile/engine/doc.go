// Package engine does a run: it reads both sides, lets package planner decide, and
// brings Enhance to that state, one customer at a time. It makes no decision about a
// customer itself. Stripe, Enhance and the database are [Ports].
//
// # A run
//
// [Engine.Run] acquires the lease, or finds that another process has it. It chooses how
// much to read (certain subscriptions; everything; or the subscriptions that events
// since the cursor touched) and records that the run has begun. Then it takes these
// steps, in this order. A step that fails ends the run, and the report shows the work
// that was done until then.
//
//  1. loadVerdict: if an earlier run rejected its listing, the verdict stands until a
//     full listing passes or a person accepts it.
//  2. checkIdentity: a key or a panel that is new has to know objects that we know to
//     exist. If it knows none of them, the run ends before anything is stored.
//  3. observe: Stripe is copied into the mirror. A listing is staged page by page and
//     counts when it is complete; events only show which subscriptions to read by id.
//     A subscription that changed makes its customer due.
//  4. readDisputes: payments that are disputed or were refunded, in a full run, after an
//     event about one, and once a day. A failure ends no run, and no dispute that is not
//     read again suspends anything.
//  5. loadCatalog: mappings, plans and the features of products. If a mapping or a plan has
//     changed, every customer is due. If the list of plans lacks one that a mapping names or
//     that hostings are on, it is read again in every run until the plan is back.
//  6. indexPanel: the orgs of the panel, in a full run. If the database knows nothing of
//     the panel, it lists every hosting as well: a hosting with our marker is bound
//     again, and this run takes nothing away. If the number of hostings in an org has
//     changed, the org is listed again. Hostings that others made there may block every
//     creation; see below.
//  7. drift: it compares hostings with Enhance that were not compared for a while. A full
//     run that a person or a cron job starts compares every bound hosting, which is a
//     request for each; a run about certain subscriptions compares theirs and their org.
//     Changes that others have made are reported.
//  8. plan: it plans every customer that is due. Writes without an answer are looked for
//     first. If the planner asks for a read, it is done and the customer is planned
//     again. Decisions are recorded, and actions that are no longer wanted are superseded.
//  9. gates: if something is to be taken away, is the evidence good enough? See below.
//  10. applyBrake: an action that stands in a plan without an approval is held, no matter
//     how many there are. If there are too many actions of a kind in this run, or in 24
//     hours, all new actions of that kind join the held plan that waits, or begin one.
//     An order that is too large for one customer joins it by itself, and other creates
//     join only if together they are too many.
//  11. apply: customers in parallel, the actions of each one in order, customers that
//     only receive before customers that lose something.
//  12. sendMails: warnings and notices to customers, after everything else, so that a mail
//     server that is down delays no change.
//  13. prune: a few rows of history that are older than Keep, and on which no decision rests.
//
// An approval covers the actions in the version of the plan that was shown. Each of them
// is released until it is done, or is not wanted for a while, or 24 hours have passed;
// then it is held again. Another version of an action (another plan for the order,
// another address to invite) is held again too. An action that comes up later waits in
// the next plan.
//
// A dry run takes the step apply in thought ([planner.After]): it reads like apply, in
// the same order, and makes no call, so that its output is the work of the next run. It
// records no held plan. MODE=observe omits the last two steps.
//
// # Flow runs
//
// [Engine.Flow] serves one subscription that a webhook has named, beside the run at work:
// see flow.go. It does only what gives, and it is for one customer. Together, the runs of
// a process keep to these rules (see flow.go):
//
//   - One run at a time works for a customer (claims). A nudge whose customer is at work
//     is served when that run has released it.
//   - Whoever reads an org or a subscription and stores the answer does so before or after
//     a write to it, not around it (turns). An answer that took long replaces nothing.
//   - The brake counts the creates that all of them may still do.
//   - All share one lease, and end with it.
//
// # The order of effects
//
// One action is, in this order:
//
//  1. The customer is planned again, as the database has it now. An action that is no
//     longer wanted, that a brake holds, or that no brake has judged is not done.
//  2. If something is to be taken away, every subscription on the hosting, and the
//     hosting, are read by id, at most a minute before the call, and the customer is
//     planned again. If something is to be created, it is looked for, and the customer
//     is planned again.
//  3. The lease is valid, by two clocks and counted from before it was renewed.
//  5. The intent is durable.
//  6. The lease is checked once more, and again when the request leaves; the call is
//     sent once, and nothing repeats it.
//  7. The changed object is read back.
//  8. The outcome, and all facts that came with it, are durable in one transaction.
//
// A new customer is an org with our marker in its name, the binding to it, the
// hosting with its marker, its binding, the final name, the invitation, the
// website, and Stripe's metadata, each of them such an action. The org keeps its
// marker until the hosting has one: if the database is lost in between, the marker
// still leads to the org.
//
// Mails to customers are such actions too, and come last: see sendMails. Their row in the
// journal has no place among the writes to the panel, so that a mail without an outcome
// holds up no action; nothing is looked for, because no mail server can be asked.
//
// # What is durable when
//
//   - A customer becomes due in the transaction that stores the reason. It stays due
//     until its actions are applied, so a crash loses no work.
//   - A run that was interrupted is not continued: the next run observes and plans
//     afresh, and supersedes the rows that were not sent.
//   - The event cursor moves after everything that the events touched was read,
//     and stays a minute behind Stripe's clock.
//   - An action that was sent and has no outcome is ambiguous. The engine looks for it
//     right away and in every later run, and adopts it if it finds it. A create is sent
//     again after its settling time and two complete looks that found nothing, another
//     write after one look; a write that is harmless to repeat is repeated. A hosting
//     that is found is bound to the item that the journal names, even if that has ended.
//   - A run that is being stopped finishes the action in hand and records it.
//     Outcomes are stored without regard to cancellation.
//   - An action joins its held plan in the same transaction that marks it held, and
//     leaves the plan in the one that records that it is done or no longer wanted. It
//     stays wanted while something is bound first, or has no known outcome. A version
//     of a plan can be seen, and approved, once all of it is stored.
//   - Every write carries the token of the lease. If a writer has lost it, the database
//     refuses the write, and the run ends.
//
// # Evidence gates
//
// If the account or the panel is not ours, or the clock is more than a day off, the run
// does nothing and reports why: a Stripe account that knows none of up to twenty
// subscriptions that we know, or a panel that has none of the orgs we know. Stripe is
// checked before anything from it is stored or acted on, the panel before orgs are
// listed or anything is created.
//
// If one of these facts is found, the run takes nothing away: each removal is held, with
// the reason, and decided again in the next run. No approval overrules a fact.
//
//   - The database knew nothing of the panel, and hostings were found there.
//   - The database was put back to an old copy, or lost its last transactions: a marker
//     or a suspension of ours was found that it has no record of. Every bound hosting is
//     read again in the next run. The hostings of every subscription that an event has
//     touched are read in any case, changed or not.
//   - A complete listing left out subscriptions that exist when they are read by id:
//     those of the mirror, and in a first run those that the hostings at the panel carry
//     the markers of. This stands, over any number of runs, until a full listing passes,
//     or a person accepts it with --accept-listing.
//   - More than 50, or 2 % of those known, are gone since the last listing that was
//     accepted. This stands until they are back, or a person accepts it.
//   - Our clock differs from Stripe's, or from the database's, by more than a minute.
//     Such a run uses Stripe's clock, so that its deadlines are right.
//   - None of ten mapped prices exists in the account; or one of the three oldest
//     bound subscriptions is gone or cannot be read.
//
// A run with a closed gate is not converged: the withheld actions may be right or wrong.
// Nor is a run converged while a plan waits for approval, no matter which customers it
// read.
//
// If numbers look wrong, all removals are held in plans, as by a brake, and a person who
// approves one confirms the numbers: fewer than half of the entitled subscriptions of
// the last listing are left, or more than half of all active hostings (at least ten) are
// to be taken away in one run.
//
// # Others on the panel
//
// Two facts block every creation, in every run, until a person has acted. The run reports
// this, is not converged, and does the rest of its work.
//
//   - The panel has living hostings without a binding or a marker, they were there
//     before anything was bound here, and NEW_CUSTOMERS_ONLY_AFTER does not define which
//     orders are new. It ends when that is set, or when all of them are bound.
//   - Something was made a second time and not by our own journal: a living hosting
//     with the marker of a slot that is bound to another one, or an org with the marker
//     of a customer who has another. Another installation works for the same
//     subscriptions. It ends when that is gone. The engine looks for it before customers
//     are planned, and again before a create.
//
// # Failure
//
// An error about one customer concerns that customer only. It is tried again after a
// back-off that doubles from RetryMin to RetryMax, half of it jitter; after eight
// failures of its own in a row it is parked and tried every six hours. If an action is
// refused, the actions that depend on it wait, and no others. Outages of a side delay and
// do not count; after five in a row the rest of the run is left for later. A refusal may
// be about one org: the customer is tried again in five minutes, or RetryMax if that is
// less, and after three in a row the credential is taken to be refused and the run ends.
// Customers that failed before come last, and a call that was not sent is no failure. A
// key that may not write metadata stops no customer. A panic is an error about its
// customer.
//
// An odd object is a hold for its customer and ends no run. If the answer about a
// subscription cannot be read, its status is unknown. If it does not name its customer,
// the stored one stays, and the run reports that; if more than half of a listing is odd,
// the listing is refused. An org whose hostings cannot be listed is skipped, and a thing
// that may be in it is not created: orgIndex.creationBlocked has the rule. After eight
// without an answer the search goes on in the next run, where it stopped. A hosting that
// cannot be compared does not stop the others. A subscription that Stripe refuses for
// good is skipped until a full run; one that cannot be read now keeps the event cursor.
// A run that could not read everything that it was to read is not converged.
//
// # Owners
//
// A run has owners for what it learns, each a value in a file of its own that can be
// tested alone: the lease, the evidence, the index of orgs, the brake, the outages, the
// work, the findings and the known customers. A lock stands in its owner, next to what it
// guards. The steps of the run do the reads and writes, and ask the owners.
//
// # Decisions
//
// Where this differs from the design it was built from, and why:
//
//   - The hosting comes before the final name of its org, and that before the
//     invitation, because the org must carry one marker or the other at every moment,
//     and because the invitation that Enhance mails shows the name.
//   - Flow runs are small runs beside the large one, instead of a pool that takes every
//     customer from one queue: so all steps, gates and records are the same code, and a
//     sweep keeps its simple order. All that is due without a webhook is still for a run.
//   - Planning happens again before every step instead of once, because a customer may
//     pay between two steps, and an approval may be a day old.
//   - A customer is not loaded again for that if only its own action has changed it: this
//     process counts its writes, and a version shows the changes of all others.
//   - Looking for an org reads the orgs created since shortly before the call, and
//     not all of them. Full runs refresh the full index.
//   - An answer that was lost is looked for right away as well as after the settling
//     time, because most such writes were done.
//   - A domain is looked up only for hostings that are being created: one request
//     to Stripe for each planned subscription would be most of a first run.
//   - The gates are checked only if a run is about to take something away. If nothing
//     changed, a run costs one request.
//   - An old database shows by our objects at the panel, and by events: no object at the
//     panel counts runs. A counter would show every lost transaction, and would cost a
//     write in every run.
//   - The brake judges the actions that were planned before the first call. An action
//     that comes up while customers are applied waits for the next run's brake.
package engine

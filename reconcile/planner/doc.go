// Package planner decides what should change at Enhance, from the facts at Stripe and the
// last readings of the panel. It is pure: facts in, a [Decision] out. It has no clock, no
// logger, no context and no error. A decision cannot fail, it can only hold, with a
// sentence that gives the reason. The same facts give the same decision in any order and
// at any time; [Decide] is called for one customer at a time, so its cost does not depend
// on their number.
//
// # What is paid for
//
// These rules and those of the next section are the policy, in the order in which Decide
// applies them. Those of this section are the table in docs/policy.md, which a test holds
// against them. Of rules 2 to 8 the first that fits a subscription counts; 11 to 14 turn
// an active one into single hostings.
//
//  1. a person put the hold "ignore": nothing is done for this customer
//  2. Stripe does not know the subscription: nothing new; what exists stays, and it is
//     reported
//  3. canceled, incomplete_expired: suspended if it was ever provisioned, then deleted (softly) after the retention period where that is on
//  4. active, trialing: active; with TRIALS=one, a trial of a customer that had another before gets nothing new, what exists stays, and it is reported; with DISPUTE=suspend, suspended while a payment of it is disputed
//  5. past_due: active until the grace period ends, then suspended; a newer invoice or one that is written off changes nothing about it, a payment does
//  6. unpaid, paused: suspended
//  7. incomplete: nothing new; what exists stays
//  8. any other status, or an answer that cannot be read: nothing new; what exists stays, and it is reported
//  9. pause_collection: as PAUSED_COLLECTION sets it, for what would be active
//  10. cancel_at_period_end, cancel_at: no difference until Stripe reports canceled; the day is reported
//  11. a mapping: found by price id before lookup key before product id before the features of the product; a plan that is a number is its id, none means that it is no hosting, anything else is its exact name; it may have a grace period of its own, of several mapped items the longest counts
//  12. a price without a mapping, or whose plan does not exist or exists twice, or whose product has features that are mapped differently, or no longer any: nothing new for it; what exists stays, and it is reported
//  13. unmapped items beside mapped ones, and items mapped to none: extras, ignored; a hosting that was made for one before it was mapped to none stays as it is, and it is reported
//  14. quantity: as many hostings; outside of 0 to 100, nothing new, what exists stays, and it is reported
//
// Of the features of a product those that are mapped count; one that is mapped to none is
// ignored beside one that has a plan. Features that were read once stand while Stripe does
// not show them again: they give what they gave, and change to no smaller plan. While those
// of an item were never shown, the longest grace period that the mapping of a feature has
// counts for it.
//
// A dispute counts from the day on which it is opened until it is won; one that was lost
// counts until the customer has paid the newest invoice of that subscription afterwards,
// because who pays for the present time is not to be without a site for a payment of the
// past, and not at all where it is not known whether that was paid. Inquiries ("warning")
// are no disputes. Only the dispute of an invoice of the subscription itself, read by its id,
// suspends; a refund suspends nothing, because it is the seller's own act. With DISPUTE=hold
// and suspend, a customer with a dispute, or with a payment that was refunded in full, gets
// no new hosting and no larger plan. The manual hold "no-suspend" shows that a person trusts
// the customer: then disputes and refunds count for nothing.
//
// # What is done about it
//
//  15. A hosting serves the item it is bound to. One whose item is gone serves another item
//     of the same subscription: an upgrade is a change of plan, never a new hosting. It
//     serves no smaller one while there is a new item whose plan is not known.
//  16. A unit without a hosting looks for one among unbound hostings that carry the
//     subscription's marker, then in its metadata, then among its bindings to hostings that
//     are gone, so that none of those is replaced, and last with the Stripe customer's ended
//     subscriptions, one with content before an empty one, then same plan first: a customer
//     who comes back gets the old hosting; but not one that the metadata of another
//     subscription names which has none and cannot be given one yet. If the slot of a marker
//     is bound to another hosting, one was made a second time: that is held, with both ids, and
//     metadata that others wrote gives it only to one that gets no other hosting. A
//     marker with another INSTANCE is another installation's and does not count; one without
//     INSTANCE is ours. Metadata that means an org or a hosting and cannot be read may mean
//     any: nothing is found or made for its subscription, and a hold quotes the value. A
//     hosting that a person has unbound from a subscription is none of these for it, whatever
//     its marker or the metadata names, until a person binds it again.
//  17. A hosting that no item needs follows the status of its subscription. In a live one it
//     is suspended when the quantity fell (one with content is kept before an empty one, one
//     that is up before one that is not, low slots before high ones) or its item is gone. It
//     stays when its item merely lost its mapping, when an unmapped item has come that may be
//     its upgrade, or when we do not know which item it served; and a hosting that is bound
//     in this very decision loses nothing in it. That of an ended subscription stays when one
//     that may have replaced it has come without a mapping, or when it was found up long
//     after the end by a database that knew nothing of it, or when it is named in the
//     metadata of one that has none and cannot be given one yet, unless that is to be
//     suspended too. That of an item which is mapped to none by now, or in whose place one
//     has come that is, may serve another item of its subscription; else it stays, up or
//     suspended as it is, while the subscription lives, and is held (not_hosting): a mapping
//     is about the products that are sold, and not about whose site goes. A person decides
//     that with "customers unbind" and in the panel. When the subscription is unpaid or ends,
//     it follows that like any other. No hosting goes while another one, which the customer
//     still pays for or which a paid subscription's metadata names, is gone: it may be the
//     only one left. No hosting with something on it (a website, a mailbox, a database; read
//     when one is about to go) goes because no unit is left for it while the same Stripe
//     customer keeps an empty one. When its subscription ended or its item is gone, and there
//     is an empty hosting of our making for each such hosting, it takes the place of that
//     one, which goes instead. Otherwise all stay, and a person decides: also when the
//     quantity fell and all of them have content, and when the panel does not report their
//     content. When everything that stays has content as well, the cancelled one goes. A
//     hosting that is suspended because it is not paid takes no part in this.
//  18. The org is the bound one, else that of the hostings just found, else the one with our
//     marker, else the one in which such a hosting was before it was deleted, else the one
//     that the metadata names, else the oldest of another Stripe customer's whose owner at
//     the panel, or the owner we invited there, has exactly this e-mail while that customer's
//     own has not changed since, else the only unbound one whose sole owner has it, else a
//     new one. Several: held. A customer that has changed its e-mail shares no org by it.
//     While it is not known whether a new one was made, no other is taken. A person may
//     put the customer into the org of another one, as a guest ("customers merge"), and take
//     it out again ("customers split"): no hosting moves because of that. An org from which
//     it was split is none of these ways; if the metadata of an order without a hosting
//     names it, that is held.
//  19. A hosting of several bindings is up while any of them asks for it, untouched while any
//     cannot be judged, and suspended only when none asks for it.
//  20. While a write to it has no known outcome, nothing else is sent to it.
//  21. Paid for, but missing, deleted or in a state we do not know: held. It is
//     never made a second time.
//  22. Paid for and suspended: resumed when our own journal suspended it, held when others
//     did. Our suspension puts "(suspended)" before the marker in the name, or "(suspended)
//     [stripe-enhance]" behind a name without one, and lifting it takes that out again. A
//     hosting that carries that mark, and that is ours according to the panel, but not to our
//     journal, is held and resumed by one approval.
//  23. Paid for on another plan: changed in place, after resuming; the name that we gave the
//     hosting follows, one that people gave stays. Held when two live subscriptions are for
//     different plans, when UNPAID_UPGRADE=hold and the new plan has more of something, while
//     it is past_due or an invoice of a change is open, when a smaller one is asked for beside a subscription that cannot be
//     judged, when it is past_due and since when is not known, or when more is in use than
//     the new plan gives.
//  24. Paid for with a domain: the website is made on the first hosting that we made for the
//     subscription, in the one form that a domain has, however it was typed, and as the
//     mapping of its item asks for: none, or in a server group, which the order may choose if
//     the mapping lets it, or with a PHP version. A domain that is taken, or that no website
//     can have, and an option that the plan does not allow, hold the website alone. The panel
//     is asked where a domain is before the website is made, and again while it is held. Of
//     several orders of one domain a single one gets the website, and the others are held.
//     Nothing follows from a domain that changes after its website exists. The application
//     that the mapping asked for when we made the website is installed on it once: within
//     two days, while it has neither an application nor a database. Else, and while the panel
//     refuses, it is held alone. Nothing else waits for it.
//  25. Not paid for: suspended. Deleted only when every subscription on it has ended on a
//     known day, a retention period is set, and that long has passed since then, since the
//     end of any other that may have been served by it, and since our own suspension, and no
//     metadata of one that has not ended names it; not before each website on it has a backup
//     that began after that suspension, unless BACKUP_BEFORE_TERMINATE is off: they are made
//     one after another, and one that failed again a day later; and not while there is something on it and
//     the same Stripe customer keeps a hosting that may be empty. A hosting that others
//     suspended is never deleted.
//  26. A bound org loses the marker in its name, and its owner is invited, once: the buyer
//     whose subscription is provisioned, at the address that stands in the id of the action,
//     and in the way that the mapping of the first such subscription asks for.
//     Guests in an org of another customer do neither. An org without an owner that has
//     hosting of another Stripe customer in it invites only when that one has the same
//     e-mail, or a person has put it there: held; and one that only markers show as the
//     customer's, not while a living hosting without marker and binding is in it. Another org with the customer's marker is
//     held, unless a person has put the customer into the bound one. Text that looks like a
//     marker in a name from Stripe is left out. A name that a person wants for an org
//     replaces the one that it has, and an address that a person wants for the owner that
//     of an invitation which was not accepted.
//  27. What is missing is created: org, name, invitation, hosting, website. Not while a
//     create of this customer has no known outcome, the org is deleted or suspended, or no
//     buyer has an e-mail for the invitation. Nor for an order that an unbound hosting looks
//     like, on whatever plan: one in the customer's own org, where it may carry a marker that
//     names nothing we know, or in an org that the metadata names, whose owner has the
//     customer's e-mail, that has the ordered domain, or that has the customer's name; in one
//     from which a person has split the customer, only by metadata or domain. As
//     long as the panel has any unbound hosting, an order without a hosting waits when it is
//     older than NEW_CUSTOMERS_ONLY_AFTER, and every such order waits when that is not set
//     and they were there before anything was bound. A unit whose hosting a person has
//     unbound waits too. A person decides with "customers bind": it is that hosting, or the
//     order is new.
//  28. Stripe's metadata gets the ids of org and hosting where that is wanted and
//     nothing stands there yet. The name of a hosting that a person has bound gets our
//     marker at its end, where it has none, or one of ours that names what does not serve it.
//  29. Grace, a status we do not know, a price without a mapping, back-off and parking are
//     reported as holds.
//  30. People's holds withhold: "no-suspend" what takes away, "keep-suspended" what resumes,
//     "ignore" everything, and all other holds of it; a run that leaves nothing but that has
//     converged. The hold of a subscription counts for the hostings that were made for it,
//     even if others have taken them over; a marker by which it counts stays until the hold
//     ends. MODE=provision withholds what takes away. When every hosting of a new org is
//     withheld, so is the org.
//  31. Where mails are on, the customer is warned at each step of WARN_BEFORE before a grace
//     period ends that takes down a hosting which is up, and before a deletion. Of several
//     steps that have passed only the one nearest to the event counts, and none in its last
//     hour: a warning that was not sent in time is never sent late. It gets a notice when a
//     hosting was suspended or deleted by us within the last day, and when a suspension of
//     which it had a notice is over. Matters of one kind that are due together share a mail.
//     A matter is named by its kind, its subscription or hosting, when its spell began, and
//     the step; no mail is about one twice, whatever came of the first. One that the server
//     has not taken is tried again after an hour. MODE=provision, and a person who forbids
//     what the warning is about, drop warnings.
//  32. Actions are put in the order of their [ActionKind]: what gives service comes before
//     what takes it away.
//
// The calls in Decide are these rules: ignored 1, assess 2-14, assign 15-17,
// resolveOrg 18, planHostings 19-25, planOrg 26, planCreates 27, planMetadata 28,
// addHolds 29, applyManualHolds 30, planMails 31, sortDecision 32.
//
// What concerns more than one customer is not in Decide. [Brakes.Holds] decides for the
// fleet: over the limit of a run or of 24 hours, all of a kind that is new is held, and
// actions that are held already count. Of creates, [Brakes.JudgeOrders] holds an order
// that is larger than one customer plausibly orders by itself, and the fleet only when the
// orders of the others are too many. Held actions stay in one held plan of their kind
// until they are approved, or no longer wanted, whatever the count or the limit is by
// then. If a decision first binds a hosting, or waits for the outcome of a write, it
// leaves the later actions open: they stay in their held plan, and so does an approval of
// them. [Withhold] turns actions that take away into holds, when the evidence of a run is
// not trustworthy, and [WithholdCreates] those that create, when another installation
// creates too. With MODE=observe everything is decided and the engine applies nothing.
//
// # Decisions
//
// Where this differs from the design it was built from, and why:
//
//   - Decide takes a customer, not lists of units and hostings. Which subscription takes over
//     which hosting can only be seen with all subscriptions of a customer side by side.
//   - A hosting is keyed by subscription and slot, not by item and unit. Items are
//     replaced in an upgrade; the marker in the panel has to outlive that.
//   - A decision may ask for reads ([Need]) and be made again. Reading beforehand everything
//     that a decision could need costs requests for every customer.
//   - The four desired states keep, active, suspended and ended stand where active, suspended
//     and none were planned: "keep" is for facts that we cannot judge, and only an ended
//     subscription may come to deletion.
//   - The wrong livemode is no hold. It never gets this far: the client refuses a
//     listing with one foreign object in it as a whole.
//   - A subscription that Stripe denies knowing is a fact of its own and not a
//     status. It is far more often a wrong key than an end.
//   - A quantity over 100 is held: if metered gigabytes or seats are mapped by mistake, they
//     would otherwise order that many hostings.
//   - A plan that is written as a number is never looked for among the names. When plan 2 is
//     gone, one that is named "2" is not the plan that people have paid for.
//   - Retention counts from the later of the end and our suspension. A customer who
//     was kept up by a hold for months is not deleted on the day it runs out.
//   - Resuming comes before creating and changing: who has paid waits for nothing.
//   - A customer is one Stripe customer, where the design joined those of one e-mail. Stripe
//     verifies no address, so by typing one any stranger could join a customer, take over its
//     hosting and name its owner. Only an org is shared, and only with the address that its
//     owner at the panel has. A guest who comes back under a new Stripe id gets a new
//     hosting, and the reason names the command that binds the old one.
//   - A customer may be split from several orgs, and each is kept. With the last one alone,
//     its hostings in an earlier one would lead it back there.
//   - After a split, metadata that names the former org is held, because both are the word
//     of a person and neither shows which is the later. Metadata that we wrote ourselves, and
//     that of a hosting which is there, only shows where a hosting is.
//   - An empty hosting is exchanged however long ago it was ordered. Ordered after the
//     end of the other it would have got that hosting whatever time had passed, and
//     the end must not depend on when a run looked.
package planner

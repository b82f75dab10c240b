// Package reconcile has the types of the domain: customers, their subscriptions, hostings at
// Enhance, changes and holds. The planner (reconcile/planner) decides with them, the
// engine (reconcile/engine) acts on them, and the clients, the store, the server and the
// reports exchange them. The package decides nothing, and it reads and writes nothing.
//
// # Words
//
// Each word has one meaning, in code, SQL, logs, commands and documents alike.
//
//   - customer: who pays. One Stripe customer with one org, which it may share with
//     others. Only databases of old versions have customers with several buyers.
//   - buyer: the Stripe customer behind a customer of ours: its name, e-mail and id.
//   - kin: other customers with the same e-mail. Nothing of theirs is this customer's.
//   - subscription, item, price, product: Stripe's.
//   - org, plan: Enhance's. The type of a plan is [EnhancePlan].
//   - hosting: what Enhance calls a subscription.
//   - mapping: which plan a price, a lookup key or a product buys.
//   - unit: one hosting that is paid for, out of an item's quantity.
//   - binding: our lasting link between a subscription's slot and a hosting. A slot is a
//     number that is never used again within the subscription.
//   - unbinding: an operator's statement that a hosting does not serve a subscription.
//   - instruction: what an operator states about what serves a subscription: this hosting
//     (bind), not this one (unbind), or none yet, because the order is new; or whose org it
//     shares (merge), and no longer (split). It is stored,
//     overrides all other evidence, and stops every action that was decided before it.
//   - guest: a customer in the org of another one, because of its owner, or because a
//     person has merged it.
//   - marker: the Stripe id in a name at Enhance, [sub_…/1] or [cus_…], followed by @ and
//     INSTANCE where that is set. A customer whose id people chose, as old accounts
//     could, is [customer:legacy-42].
//   - unbound hosting: one that exists, that no subscription is bound to, and whose name
//     has no marker. People made it.
//   - lapse: one spell in which a subscription is not paid. Grace counts from it.
//   - action: one change, as data. Its [ActionKind] is the kind of change.
//   - hold: one thing withheld, and the reason. Its [HoldKind] is the kind of reason.
//   - manual hold: what an operator puts on a customer or subscription with `holds add`.
//   - brake: the limit on changes of one kind in the whole fleet.
//   - held plan: the changes of one kind that a brake holds. One of a kind waits at a time
//     and keeps its id; its version rises when a change joins it. An approval is of one
//     version.
//   - gate: a check of the evidence. While one is closed, nothing is taken away.
//   - intent, outcome: what the journal records before and after a call.
//   - lost write: a call whose answer never came. After the settling time (SETTLE_TIME) the
//     engine looks for its effect.
//   - due: a customer is due when the planner has to look at it. A nudge makes it due.
//   - park: to set a customer aside, for an operator, after repeated failures of its own.
//
// # Decisions
//
// Where this differs from the design it was built from, and why:
//
//   - A customer is one Stripe customer, where the design joined those of one e-mail. Stripe
//     verifies no address, so any stranger could join a customer by typing its address.
//   - Instructions are decided by the planner and stored by the store. The store is given
//     the decision as a function ([InstructionDecider]) because it has to be made inside
//     the transaction, and because the store must not import the planner.
package reconcile

// Package adopt matches an existing panel with Stripe: the
// hostings that no subscription is bound to with the subscriptions that have no hosting.
// It is pure: facts in, rows out, in a total order that does not depend on the order of
// the facts. It decides that two belong together only where nothing else is possible, and
// leaves every other row to a person.
//
// # What makes a pair certain
//
// All of these have to be true; the first that is not is the reason in the row.
//
//  1. The subscription is active or in trial and gathers its payments, and neither its
//     metadata nor a person has another opinion.
//  2. The hosting is up, and so is its org: staff who suspend something have a reason.
//  3. The metadata of the subscription names the org or the hosting, or the only owner of
//     the org has the customer's e-mail, or the domain that was ordered is a website on the
//     hosting. A name, a date, or being the only one is not enough.
//  4. The e-mail is that of one customer at Stripe and of the owners of one org.
//  5. The evidence leads from the customer to no other org, and from the org to no other
//     customer.
//  6. The org is no other customer's, and the customer has no other org.
//  7. The org has one owner, or metadata names it: an org without an owner would be given
//     to the customer by an invitation.
//  8. The subscription is for the plan that the hosting is on, and as many hostings of that
//     plan are unbound in the org as the customer pays for and does not have.
//  9. It does not matter which of them it is, because one subscription pays for all of
//     them; or the metadata, or the domain, shows which.
package adopt

// Package enhance talks to the control panel: a thin client of the few calls of
// orchd's API (OpenAPI 12.3.0) that selling hosting needs.
//
// The panel has no idempotency keys, so what this package is for is to know, of
// every write, whether it was done, was not done, or cannot be told. All else is
// decoding.
//
// # What an answer means
//
//  1. Success is exactly the documented status with the documented body: 200 and
//     JSON for a read, 201 and a valid id for a create, 204 and nothing for a
//     change. A panel behind a maintenance page answers 200 to everything.
//  2. A write is sent once. It has a connection of its own, cannot be replayed by
//     net/http, follows no redirect and is never retried here. A header such as
//     Idempotency-Key is never sent: Go takes it as permission to send a POST
//     again on a broken connection, and the panel ignores it.
//  3. A refusal in the panel's own words (a 4xx of the documented ones with its
//     JSON {"code":…}) is definite: the write was not done. So is an error before
//     the request's head had left this machine. Everything else that is not
//     success is fault.Ambiguous, and the caller has to look.
//  4. A 429 to a create is ambiguous as well, and throttled (errors.Is finds
//     both): no documentation says that the limit is checked before the work.
//  5. fault.NotFound is the panel's {"code":"not_found"} about exactly the object
//     that was asked for. A bare 404 comes from something in front of the panel
//     and says nothing about the object.
//  6. An answer must be about what was asked: other ids, and organisations that
//     are not customers of ours, are fault.Malformed.
//
// # Listings
//
// A listing is complete or an error. The sum over pages is done in one place
// (see list): the total of every page, no empty page before it is reached, no id
// twice. A listing that moved while it was read is read again from the start, but for
// customers: a panel on which others sell may grow faster than it can be listed. Their
// order does not change, so a page that does not go on where the last one ended is read
// again from further back, and what was created since the listing began completes it.
//
// # Decisions
//
//   - Complete listings of customers are sorted by id. Sorted by creation, rows
//     created in the same instant may change places between two pages.
//   - The API does not say whether customers that are marked as deleted are part
//     of an unfiltered listing, so a complete listing asks for them separately
//     unless it has already seen one.
//   - "Already a member" and "this website is already on this hosting" are read,
//     never guessed from a refusal.
//   - Reads are retried here and not by a library, since a retry has to pass the
//     limiter, and a truncated body has to count as no answer.
//
// Trust: who can answer for BaseURL can make this program believe anything about
// the panel. TLS verification cannot be switched off; redirects and proxies from
// the environment are not followed.
package enhance

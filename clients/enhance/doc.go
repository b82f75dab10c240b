// Package enhance is the client of the control panel. It uses only the few calls of
// orchd's API (OpenAPI 12.3.0) that selling hosting needs.
//
// The panel has no idempotency keys. So the purpose of this package is to know of every
// write whether it was done, was not done, or cannot be known. The rest is decoding.
//
// # What an answer means
//
//  1. Success is exactly the documented status with the documented body: 200 and
//     JSON for a read, 201 and a valid id for a create, 204 and nothing for a
//     change. A panel behind a maintenance page answers 200 to everything.
//  2. A write is sent once. It has a connection of its own, cannot be replayed by
//     net/http, follows no redirect and is never retried here. A header such as
//     Idempotency-Key is never sent: if Go sees one, it takes it as permission to send a
//     POST again on a broken connection, and the panel ignores it.
//  3. A refusal in the panel's own format (one of the documented 4xx with its JSON
//     {"code":…}) is definite: the write was not done. So is an error that comes before
//     the request's head has left this machine. Everything else that is not success is
//     fault.Ambiguous, and the caller has to look.
//  4. A 429 to a create is ambiguous as well as throttled (errors.Is finds both),
//     because no documentation promises that the limit is checked before the work.
//  5. fault.NotFound is the panel's {"code":"not_found"} about exactly the object
//     that was asked for. A bare 404 comes from something in front of the panel
//     and proves nothing about the object.
//  6. An answer must be about the object that was asked for. If it carries another id, or
//     an organisation that is not a customer of ours, it is fault.Malformed.
//
// This table has all cases (fault kinds; a refusal is a documented 4xx in the panel's
// own format). TestEveryCallUnderEveryFaultSaysWhetherItWasDone holds the code to it.
//
//	answer                            a read is         a write is
//	documented status and body        done, in both cases
//	documented status, another body   Malformed         Ambiguous
//	refusal                           of the kind that the code has, in both cases
//	429                               Throttled         Throttled; a create also Ambiguous
//	401, 403 not from the panel       Denied            Ambiguous and Denied
//	other 4xx, any 5xx                Transient         Ambiguous
//	another 2xx, a redirect           Malformed         Ambiguous
//	none, and nothing was sent        Transient, in both cases
//	none, or it broke off             Transient         Ambiguous
//
// # Listings
//
// A listing is complete or an error. One function adds up the pages (see list) and
// checks them: the total of every page, no empty page before the total is reached, no
// id twice. If a listing moves while it is read, it is read again from the start. The
// listing of customers is the exception, because a panel on which others sell may grow
// faster than it can be listed. Its order does not change. So if a page does not
// continue the one before, reading steps back until it does, and the customers created
// since the listing began complete it. It is also the only one that asks for more than a hundred
// at a time, once more than a hundred are left; see largerPages.
//
// # Decisions
//
//   - Complete listings of customers are sorted by id. If they were sorted by creation,
//     rows created in the same instant could change places between two pages.
//   - The API does not document whether an unfiltered listing includes customers that
//     are marked as deleted, so a complete listing asks for them separately unless it
//     has already seen one.
//   - "Already a member" and "this website is already on this hosting" are read,
//     never guessed from a refusal.
//   - Reads are retried here and not by a library, because a retry has to pass the
//     limiter, and a truncated body has to count as no answer.
//   - An org that gives no answer holds up no other: the rules stand at the type patience.
//     They are kept here and not by the callers, because a sweep, a run and several flow
//     runs ask about the same orgs, and only the client sees all of them.
//
// Trust: a person who controls BaseURL can make this program believe anything about the
// panel. TLS verification cannot be switched off; redirects and proxies from the
// environment are not followed.
package enhance

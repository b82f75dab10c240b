// Package notify tells people, by whatever they have connected (shoutrrr URLs),
// that something waits for them.
//
// Told is what changed, and only once:
//
//  1. the brake holds a plan for approval;
//  2. a customer was set aside after repeated failures, or works again;
//  3. a gate failed, so that runs take nothing away;
//  4. a side refuses our credential: at once;
//  5. runs fail: at the third in a row, since one that fails is tried again within
//     the minute; and when they work again, if it had been told that they do not.
//
// Everything from one run is one message, with what to do about each. What stood
// when this process became the writer was told by whoever found it.
//
// Messages name customers by their Stripe id: chats are not where e-mail addresses
// belong. A receiver that is slow or dead delays nobody: each has a small box of
// its own, and what does not fit is dropped and logged. Receivers' addresses are
// credentials, and errors of their libraries may quote them, so neither is logged.
package notify

// Package notify tells people, by whatever they have connected (shoutrrr URLs),
// that something waits for them.
//
// Told is what changed, and only once:
//
//  1. the brake holds a plan for approval, or orders wait for a person for another
//     reason: the first of each kind of hold, and again when twice as many wait;
//  2. a customer was set aside after repeated failures, or works again;
//  3. a gate failed, so that runs take nothing away;
//  4. a side refuses our credential: at once;
//  5. runs fail: at the third in a row, since one that fails is tried again within
//     the minute; and when they work again, if it had been told that they do not.
//
// Everything from one run is one message, with what to do about each. What was told is
// kept in the database, for the service and for runs by hand or by a CronJob alike: what
// one of them has told, no other one tells again. A run that reaches nobody keeps
// nothing, so that the next one tells it. A run that cannot open the database tells
// nobody, since it does not know what was told: watch its exit code.
//
// Messages name customers by their Stripe id: chats are not where e-mail addresses
// belong. A receiver that is slow or dead delays nobody: each has a small box of
// its own, and what does not fit is dropped and logged. Receivers' addresses are
// credentials, and errors of their libraries may quote them, so neither is logged.
package notify

// Package notify sends messages to people, through the chats and mailboxes that they have
// connected (shoutrrr URLs), when something waits for them.
//
// A message has only news, and each piece of news is sent once:
//
//  1. the brake holds a plan for approval, or orders wait for a person for another
//     reason: the first of each kind of hold, and again when twice as many wait;
//  2. a customer is set aside after repeated failures, or works again;
//  3. a gate has failed, so that runs take nothing away;
//  4. a side refuses the credential: with the first run that it refuses;
//  5. runs fail: with the third in a row, because a run that fails is tried again within
//     the minute; and, if that was sent, when they work again.
//
// All news of one run is one message, with the next step for each. The news that was sent
// is kept in the database, for the service and for runs by hand or by a CronJob alike: if
// one of them has sent something, no other sends it again. If a run reaches no receiver, it
// keeps nothing, so that the next run sends it. If a run cannot open the database, it sends
// nothing, because it does not know the news that was sent before: watch its exit code.
//
// Messages name customers by their Stripe id, because e-mail addresses do not belong in
// chats. A receiver that is slow or dead delays no other: each has a small box of its own,
// and messages that do not fit are dropped and logged. The addresses of receivers are
// credentials, and the errors of their libraries may quote them, so neither is logged.
package notify

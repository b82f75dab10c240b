// Package store keeps what the program knows: the mirror of Stripe, the picture of
// Enhance, the bindings between them, the queue of customers that are due, and the
// journal of every intent and outcome. It runs on SQLite and on PostgreSQL.
//
// Each table, or pair of tables, has one file with everything about it: plan_mappings.go,
// subscriptions.go, actions.go, held_plans.go and so on; personal.go has every column again,
// with what a person may see of it and what erasing makes of it. customers.go loads customers
// whole; subscriptions.go has the queue too; actions.go writes everything that one outcome
// changes. open.go, sqlite.go and postgres.go open a database and run statements on it, and
// encode.go has the JSON columns and where the two databases differ.
//
// # Promises
//
//  1. A method that returned nil is durable, because a forgotten intent becomes a
//     second hosting: SQLite runs with synchronous=FULL, and on PostgreSQL every
//     transaction that writes sets synchronous_commit for itself. Durability reports
//     the settings that no transaction can change.
//  2. Every write that belongs to a run carries the token of the lease, and the
//     token is compared inside the same transaction. A process that lost the lease
//     gets fault.Fenced and changes nothing, however late it wakes up.
//  3. A customer becomes due in the same transaction as the fact that makes it so,
//     and its version rises (see wake). A wake-up that arrives while the customer is
//     being planned survives the saved decision.
//  4. Absence is no fact. No row is changed or removed because a listing did not
//     contain it.
//  5. No call to the outside happens inside a transaction.
//
// # One text for two databases
//
// Both databases get the same SQL through database/sql; encode.go holds the few
// places that differ: lists of ids (one JSON parameter), row locks, bulk writes.
// Times are TIMESTAMPTZ or INTEGER microseconds and always come from the caller:
// no statement reads the database's clock. On PostgreSQL no session state is used (no
// advisory session locks, no SET except for one transaction, no named prepared
// statements), so PgBouncer in transaction mode and Neon's pooler work as they are.
//
// # Decisions
//
//   - The lease compares expires_at with the caller's clock on both databases. Two
//     replicas whose clocks differ by more than the lease can then depose each
//     other, which costs peace but not safety: the token still fences every write.
//   - On SQLite the owner of the lease also locks "<path>.lock". The kernel drops that
//     lock when the process dies, so another process acquires the lease of a killed one
//     without waiting. An expired lease is acquired even if its owner still has the lock
//     (it is frozen); the row records whether its owner had the lock.
//   - Totals (table tallies) are kept with each write instead of counted, so that
//     the cost of a run depends on the changes and not on the size of the fleet. A merged sweep, which looks at
//     everything anyway, counts them anew.
//   - Holds are counted too (table hold_counts), because a report counts all of them and
//     lists few. A process of an earlier version, which is still at work after the
//     database was migrated, does not keep these counts: the lease's row shows it, every
//     hold is read as long as that is so, and the next run counts anew.
//   - Item lists, holds and plan contents are JSON columns: they are always read
//     and written whole, and no query joins on their parts.
package store

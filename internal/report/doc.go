// Package report turns the results of runs into documents for scripts and text for
// people.
//
// Decisions:
//
//   - Scripts see four states of an action: planned, applied, failed, superseded. The
//     journal has eight. An action that was found done counts as applied (and has
//     "adopted"), one that the brake holds as planned (and has "held"), and one that was
//     sent without an answer as failed, with an error that names the outcome as unknown:
//     a script that only looks at the state must not take it for done.
//   - No list is null, and every time is RFC 3339 in UTC; a time that is not known is
//     null.
//   - Text is grouped by the next step of the reader. If a group is long, it ends with
//     the number of lines that it leaves out: a terminal is no place for 100,000 lines,
//     and the JSON has them all.
//   - Names and e-mails come from strangers, so control characters never reach the
//     terminal.
package report

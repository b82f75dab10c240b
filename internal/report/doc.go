// Package report turns what a run saw and did into what people and scripts read.
//
// Decisions:
//
//   - Scripts know four states of an action: planned, applied, failed,
//     superseded. The journal knows eight. What was found done counts as applied
//     (and says "adopted"), what the brake holds as planned (and says "held"), and
//     what was sent without an answer as failed, with an error that says that the
//     outcome is unknown: a script that only looks at the state must not take it
//     for done.
//   - No list is null and no time is anything but RFC 3339 UTC; a time that is not
//     known is null.
//   - Text is grouped by what a person has to do. A group ends after some lines
//     with how many more there are: a terminal is no place for 100,000 lines, and
//     the JSON has them all.
//   - Names and e-mails come from strangers, so control characters never reach the
//     terminal.
package report

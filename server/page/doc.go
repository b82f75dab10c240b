// Package page is the page of the staff: the part of `serve` at / and below /ui, for whoever
// signs in with a key of ADMIN_API_KEY or SUPPORT_API_KEY.
//
// It is rendered on the server by html/template, from the ports of the admin API and with
// the same operations, so that both do and log the same. Every change is a plain form and
// every view a plain link: nothing needs JavaScript.
//
// # To add a page
//
//  1. templates/NAME.html has the template "main" of the page. In it $ is the [view] and
//     .Body the handler's result.
//  2. A handler in NAME.go parses the request, calls a port and returns that result:
//     func (v *visit) name() (any, error). If the page is a list, the result is a *list or
//     has one embedded, and paging, search and CSV come with it: see holds.go.
//  3. A row in the table of pages (pages.go): path, title, template, task, handler. The task
//     decides which keys may open it.
//  4. texts/NAME.json has its texts in each language.
//
// A change (approve, retry, …) is a row in the table of changes: path, task, handler. Its
// handler returns where to go and the text to show there. Each form
// has {{$.Token}} in it.
//
// If the form has a mistake in it, the handler returns [visit.mistaken]: the page with the
// form comes again, with the sentence ([visit.Problem]) and the fields as they were typed
// ([visit.Typed]). A list that is too long to be read whole is made by [visit.parts].
//
// The tests then cover the page without another line: its texts, its headers, who may open
// it, what becomes of hostile names, and what a real browser shows in each language, light,
// dark and on a phone. For that each row names an example of its path.
//
// # Texts
//
// All texts are in texts/*.json, in English and Romanian. Sentences that come from the
// planner and the reports (reasons, advice, the words for actions) come from the same
// functions as for the command line and the API, and are English in both languages, because
// the program has them in no other.
//
// # Decisions
//
//   - No htmx and no framework: pages are a few kilobytes and come in milliseconds, so a
//     partial update saves nothing that a person would notice. Pico gives the elements
//     their look.
//   - The session is in the cookie, sealed with a value that is derived from the key. So
//     every replica that is configured with the key knows the session, none has to store
//     it, and taking the key out of the configuration ends all sessions made with it. In
//     return a session that was copied before its sign-out is only refused by the
//     process that has seen the sign-out; elsewhere it ends when it is idle.
//   - Sessions are timed by the clock of the machine, even where a demo moves the other.
//   - SameSite=Strict withholds the cookie when a person follows a link from a ticket. The
//     first answer to such a visit loads the same address once more, now from this site.
//   - Pages are not compressed, because they contain a secret (the token of the forms)
//     beside text that others choose.
//   - Forecast, report and the prices without a mapping come of a walk over all customers. It
//     is made in the background, once for all views, and each page has the time of its
//     figures. It begins with the first view of any page after a start, and again after an
//     hour without one: so most views find their figures. No view waits for longer than
//     a walk over a small company takes: without figures it shows that they are being counted,
//     and loads itself again; if a person has changed something since, it shows the old ones
//     with a sentence about that. 10,000 rows are held, and totals are of all. A CSV is made
//     now, whole, by a walk of its own.
//   - A part of a name is searched in memory, because no index that both databases have finds
//     it: names are read there with the first view, and once a minute while people search,
//     15 MB for 100,000 customers.
//     Who came since is looked up in the database, and so are ids, e-mails and whole domains.
//   - Times are UTC, as everywhere in this program: the server does not know the zone of a
//     person, and two people who talk about a time have to see the same one.
package page

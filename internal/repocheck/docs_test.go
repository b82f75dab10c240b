package repocheck

import (
	"encoding/json"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
)

// mostLinesOfReadme is one page: what it is, two commands, ten minutes, and where the rest is.
const mostLinesOfReadme = 150

// pages are the papers for those who run the program: the README, and each page of docs, in
// English and in Romanian.
func pages(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, name := range files() {
		if name == "README.md" || name == "README.ro.md" || strings.HasPrefix(name, "docs/") && path.Ext(name) == ".md" {
			all = append(all, name)
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %v are pages", all)
	}
	return all
}

// isRomanian reports whether a page is the translation of another.
func isRomanian(page string) bool {
	return page == "README.ro.md" || strings.HasPrefix(page, "docs/ro/")
}

// english are the pages that others are translated from.
func english(t testing.TB) []string { return slices.DeleteFunc(pages(t), isRomanian) }

// translations leads from each page in Romanian to the English one.
func translations(t testing.TB) map[string]string {
	all := map[string]string{}
	for _, page := range pages(t) {
		if page == "README.ro.md" {
			all[page] = "README.md"
		} else if isRomanian(page) {
			all[page] = "docs/" + path.Base(page)
		}
	}
	return all
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// A link from one page to another leads to a file, and to a heading in it.
func TestEveryLinkOfAPageLeadsSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			target, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := page
			if target != "" {
				to = path.Join(path.Dir(page), target)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, m[1])
				continue
			}
			if heading != "" && !slices.Contains(anchors(read(t, to)), heading) {
				t.Errorf("%s: %s has no heading #%s", page, to, heading)
			}
		}
	}
}

// anchors are the headings of a page as links name them.
func anchors(text string) (all []string) {
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			anchor := strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
					return r
				}
				return -1
			}, strings.ToLower(strings.TrimSpace(title)))
			all = append(all, anchor)
		}
	}
	return all
}

// Every page of docs can be found from the README in its language.
func TestTheReadmeLeadsToEveryPage(t *testing.T) {
	for _, page := range pages(t) {
		readme := "README.md"
		if isRomanian(page) {
			readme = "README.ro.md"
		}
		if strings.HasPrefix(page, "docs/") && !strings.Contains(read(t, readme), "]("+page) {
			t.Errorf("%s has no link to %s", readme, page)
		}
	}
}

func TestTheReadmeIsOnePage(t *testing.T) {
	for _, readme := range []string{"README.md", "README.ro.md"} {
		if n := strings.Count(read(t, readme), "\n"); n > mostLinesOfReadme {
			t.Errorf("%s has %d lines, more than %d: move what only some readers need to a page of docs", readme, n, mostLinesOfReadme)
		}
	}
}

// settingShape matches names of settings.
var settingShape = regexp.MustCompile("`([A-Z]+(?:_[A-Z]+)+)")

// The names of settings in papers are those of settings.
func TestNoPaperNamesASettingThatIsNotThere(t *testing.T) {
	known := map[string]bool{"PLAN_ID": true, "LITESTREAM_REPLICA_URL": true, "LITESTREAM_ACCESS_KEY_ID": true, "LITESTREAM_SECRET_ACCESS_KEY": true}
	for _, v := range config.Variables() {
		known[v.Name], known[v.File()] = true, v.Secret
	}
	for _, paper := range append(pages(t), "CHANGELOG.md", "SECURITY.md") {
		for _, m := range settingShape.FindAllStringSubmatch(read(t, paper), -1) {
			if !known[m[1]] {
				t.Errorf("%s names %s, which is no setting", paper, m[1])
			}
		}
	}
}

// takesAway is what a program of the version before, at work on the database while a newer
// one migrates it, would miss: docs/postgresql.md promises that it goes on.
var takesAway = regexp.MustCompile(`(?i)\bDROP (TABLE|COLUMN|DEFAULT)\b|\bRENAME (TO|COLUMN)\b|\bSET NOT NULL\b|\bADD COLUMN\b[^;]*\bNOT NULL\b`)

// adds are the only statements of a migration with the line "-- only adds", after which
// programs of before may begin: see package migrations.
var adds = regexp.MustCompile(`^(CREATE TABLE|CREATE INDEX|ALTER TABLE \S+ ADD COLUMN) [^;]*$`)

// statements are those of a migration, without comments.
func statements(text string) (all []string) {
	var code strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "--")
		code.WriteString(line + "\n")
	}
	for statement := range strings.SplitSeq(code.String(), ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			all = append(all, statement)
		}
	}
	return all
}

// missed is what the version before would miss because of a statement; "": nothing.
func missed(statement string) string {
	if strings.Contains(statement, " DEFAULT ") {
		return ""
	}
	return takesAway.FindString(statement)
}

func TestNoMigrationTakesAwayWhatTheVersionBeforeNeeds(t *testing.T) {
	looked, marked := 0, map[string]int{}
	for _, name := range files() {
		if !strings.HasPrefix(name, "migrations/") || path.Ext(name) != ".sql" {
			continue
		}
		looked++
		text := read(t, name)
		onlyAdds := strings.Contains(text, "\n-- only adds\n")
		if onlyAdds {
			marked[path.Base(name)]++
		}
		for _, statement := range statements(text) {
			// On SQLite, where a table is changed by making it anew, there are no replicas.
			if found := missed(statement); found != "" && (onlyAdds || strings.HasPrefix(name, "migrations/postgres/")) {
				t.Errorf("%s: %q: a program of the version before, which is at work meanwhile, fails by it", name, found)
			}
			if onlyAdds && !adds.MatchString(statement) {
				t.Errorf("%s does not only add: %s", name, statement)
			}
		}
	}
	for name, databases := range marked {
		if databases != 2 {
			t.Errorf("%s only adds on one database alone", name)
		}
	}
	if looked < 40 || len(marked) == 0 {
		t.Errorf("only %d migrations were looked at, and %d only add", looked, len(marked))
	}
	for _, bad := range []string{"ALTER TABLE a DROP COLUMN b", "ALTER TABLE a ADD COLUMN b TEXT NOT NULL", "ALTER TABLE a RENAME TO b", "DROP TABLE a"} {
		if missed(bad) == "" {
			t.Errorf("%q is not noticed", bad)
		}
	}
	for _, bad := range []string{"UPDATE a SET b = 1", "CREATE UNIQUE INDEX a ON b (c)", "ALTER TABLE a ALTER COLUMN b SET NOT NULL", "ALTER TABLE a ADD CONSTRAINT c CHECK (d)"} {
		if adds.MatchString(bad) {
			t.Errorf("%q only adds", bad)
		}
	}
}

var fenced = regexp.MustCompile("(?ms)^ *```.*?^ *```$")

// spelled are the words of a text in backquotes, without repetition.
func spelled(text string) []string {
	var all []string
	for _, s := range spans(fenced.ReplaceAllString(text, "")) {
		all = append(all, strings.Join(strings.Fields(s), " "))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// A page in Romanian cannot drift from the English one: it has the same code, word for word,
// the same tables with the same keys, as many headings, and the same words in backquotes.
func TestAPageInRomanianHasTheSameCommandsAndTables(t *testing.T) {
	of := translations(t)
	for _, page := range []string{"README.ro.md", "docs/ro/install.md", "docs/ro/first-day.md", "docs/ro/held.md"} {
		if of[page] == "" {
			t.Errorf("%s is missing", page)
		}
	}
	for page, from := range of {
		ours, theirs := read(t, page), read(t, from)
		code := func(page string) (all []string) {
			for _, b := range blocks(t, page) {
				all = append(all, b.language+"\n"+b.text)
			}
			return all
		}
		if diff := cmp.Diff(code(from), code(page)); diff != "" {
			t.Errorf("code (-%s +%s):\n%s", from, page, diff)
		}
		keys := func(text string) (all []string) {
			for i, table := range tables(text) {
				for _, cells := range table[1:] {
					if s := spans(cells[0]); len(s) > 0 {
						all = append(all, strings.Join(s, " "))
					} else {
						all = append(all, "a row of table "+strconv.Itoa(i+1))
					}
				}
			}
			return all
		}
		if diff := cmp.Diff(keys(theirs), keys(ours)); diff != "" {
			t.Errorf("keys of the tables (-%s +%s):\n%s", from, page, diff)
		}
		if a, b := len(anchors(theirs)), len(anchors(ours)); a != b {
			t.Errorf("%s has %d headings, %s has %d", from, a, page, b)
		}
		if diff := cmp.Diff(spelled(theirs), spelled(ours)); diff != "" {
			t.Errorf("words in backquotes (-%s +%s):\n%s", from, page, diff)
		}
		if !strings.ContainsAny(ours, "ăâîșț") || strings.ContainsAny(ours, "şţ") {
			t.Errorf("%s lacks the letters ă, â, î, ș and ț, or has some with a cedilla", page)
		}
	}
}

// The routes of the API are those of its document, each with its key and its sentence.
func TestThePageListsEveryRouteOfTheAPI(t *testing.T) {
	var document struct {
		Paths map[string]map[string]struct {
			Summary  string
			Security []map[string][]string
		}
	}
	if err := json.Unmarshal([]byte(read(t, "server/openapi.json")), &document); err != nil {
		t.Fatal(err)
	}
	want, got := map[string]string{}, map[string]string{}
	for route, methods := range document.Paths {
		for method, o := range methods {
			if o.Summary == "" {
				continue // parameters that all methods share
			}
			key := "–"
			for _, s := range o.Security {
				if _, support := s["support"]; support {
					key = "support"
				} else if key == "–" {
					key = "admin"
				}
			}
			want[strings.ToUpper(method)+" "+route] = key + ": " + o.Summary
		}
	}
	for _, cells := range rows(t, ofService, "The API") {
		got[plain(cells[0])] = cells[1] + ": " + cells[2]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-server/openapi.json +%s):\n%s", ofService, diff)
	}
}

// The keys of metadata are those that the client of Stripe reads, and the columns of a
// mapping those of its files.
func TestThePageListsEveryKeyOfMetadataAndEveryOption(t *testing.T) {
	want := map[string]bool{}
	for _, m := range regexp.MustCompile(`\bMetadata\["([a-z_]+)"\]`).FindAllStringSubmatch(read(t, "clients/stripe/subscription.go"), -1) {
		want[m[1]] = true
	}
	var keys, columns []string
	for _, cells := range rows(t, "docs/metadata.md", "What an order carries") {
		keys = append(keys, spans(cells[0])...)
	}
	for _, cells := range rows(t, "docs/metadata.md", "Options of a mapping") {
		columns = append(columns, spans(cells[1])...)
	}
	slices.Sort(keys)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), keys); diff != "" {
		t.Errorf("keys of metadata (-code +docs/metadata.md):\n%s", diff)
	}
	var options []string
	for f := range reflect.TypeFor[mapping.OptionRow]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		options = append(options, name)
	}
	if diff := cmp.Diff(options, columns); diff != "" {
		t.Errorf("options of a mapping (-code +docs/metadata.md):\n%s", diff)
	}
}

package repocheck

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

// pages are the papers for those who run the program: the README, and each page of docs.
func pages(t testing.TB) []string {
	t.Helper()
	all := []string{"README.md"}
	for _, name := range files() {
		if strings.HasPrefix(name, "docs/") && path.Ext(name) == ".md" {
			all = append(all, name)
		}
	}
	if len(all) < 2 {
		t.Fatal("docs has no page")
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
				case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
					return r
				}
				return -1
			}, strings.ToLower(strings.TrimSpace(title)))
			all = append(all, anchor)
		}
	}
	return all
}

// Every page of docs can be found from the README.
func TestTheReadmeLeadsToEveryPage(t *testing.T) {
	for _, page := range pages(t)[1:] {
		if !strings.Contains(read(t, "README.md"), "]("+page) {
			t.Errorf("the README has no link to %s", page)
		}
	}
}

// What pages call a setting is one.
func TestNoPageNamesASettingThatIsNotThere(t *testing.T) {
	known := map[string]bool{"PLAN_ID": true}
	for _, v := range config.Variables() {
		known[v.Name], known[v.File()] = true, v.Secret
	}
	for _, page := range pages(t) {
		for _, m := range settingShape.FindAllStringSubmatch(read(t, page), -1) {
			if !known[m[1]] {
				t.Errorf("%s names %s, which is no setting", page, m[1])
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

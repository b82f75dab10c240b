package repocheck

// The README, the pages of docs, the package comments and the changelog are compared with the code. The test
// that is named fails if two calls of Decide are swapped (TestDecideIs…); if the brake comes
// before the gates (TestARunIs…); if one row of the policy has another word
// (…QuotesThePolicy…); if only the table has another default, or a misspelt setting
// (…ListsEverySetting…, TestNoPaperNamesASetting…); if an exit code differs
// (…TellsTheExitCodes…); if a kind of hold is misspelt (…EveryHold); if a metric does not
// exist (TestNoPaperNamesAMetric…); or if a command is misspelt (TestEveryCommandOf…).

import (
	"regexp"
	"strings"
	"testing"
)

// section is a page from a heading of the second level to the next.
func section(t testing.TB, page, title string) string {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, page), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", page, title)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// rows are the cells of the table of a section, without its head.
func rows(t testing.TB, page, title string) [][]string {
	t.Helper()
	all := tables(section(t, page, title))
	if len(all) != 1 {
		t.Fatalf("the section %q of %s has %d tables, want one", title, page, len(all))
	}
	return all[0][1:]
}

// tables are the cells of each table of a text: its head, then its rows.
func tables(text string) (all [][][]string) {
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		if strings.Trim(line, "|-") == "" {
			continue // below the head
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		if !inside {
			all, inside = append(all, nil), true
		}
		all[len(all)-1] = append(all[len(all)-1], cells)
	}
	return all
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// spans are the pieces of code in a cell.
func spans(cell string) (all []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

// plain is a cell without the marks of code.
func plain(cell string) string { return strings.ReplaceAll(cell, "`", "") }

// block is a piece of code between fences.
type block struct {
	page     string
	section  string
	language string
	line     int // of its first line
	text     string
}

// blocks are all pieces of code of a page, in order, freed of the indentation of a list.
func blocks(t testing.TB, page string) (all []block) {
	t.Helper()
	title, open, indent := "", false, ""
	for i, line := range strings.Split(read(t, page), "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch fence := strings.HasPrefix(trimmed, "```"); {
		case fence && open:
			open = false
		case fence:
			open, indent = true, line[:len(line)-len(trimmed)]
			all = append(all, block{page: page, section: title, language: strings.TrimPrefix(trimmed, "```"), line: i + 2})
		case open:
			all[len(all)-1].text += strings.TrimPrefix(line, indent) + "\n"
		case strings.HasPrefix(line, "## "):
			title = strings.TrimPrefix(line, "## ")
		}
	}
	if open {
		t.Fatalf("%s: a piece of code has no end", page)
	}
	return all
}

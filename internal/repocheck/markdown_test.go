package repocheck

// The README, the package comments and the changelog are compared with the code. The test
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

// section is the README from a heading of the second level to the next.
func section(t testing.TB, title string) string {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, "README.md"), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("the README has no section %q", title)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// rows are the cells of the table of a section, without its head.
func rows(t testing.TB, title string) (all [][]string) {
	t.Helper()
	for line := range strings.Lines(section(t, title)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "|") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		all = append(all, cells)
	}
	if len(all) < 3 {
		t.Fatalf("the section %q of the README has no table", title)
	}
	return all[2:]
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
	section  string
	language string
	line     int // of its first line
	text     string
}

// blocks are all pieces of code of the README, in order, freed of the
// indentation of a list.
func blocks(t testing.TB) (all []block) {
	t.Helper()
	title, open, indent := "", false, ""
	for i, line := range strings.Split(read(t, "README.md"), "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch fence := strings.HasPrefix(trimmed, "```"); {
		case fence && open:
			open = false
		case fence:
			open, indent = true, line[:len(line)-len(trimmed)]
			all = append(all, block{section: title, language: strings.TrimPrefix(trimmed, "```"), line: i + 2})
		case open:
			all[len(all)-1].text += strings.TrimPrefix(line, indent) + "\n"
		case strings.HasPrefix(line, "## "):
			title = strings.TrimPrefix(line, "## ")
		}
	}
	if open || len(all) == 0 {
		t.Fatalf("the README has %d pieces of code, the last one open: %v", len(all), open)
	}
	return all
}

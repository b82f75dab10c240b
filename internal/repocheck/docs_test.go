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

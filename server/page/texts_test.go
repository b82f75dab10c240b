package page

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"encoding/json"
)

// keyShape is a key of a text in a template or in the code.
var keyShape = regexp.MustCompile("[\"`]([a-z_]+\\.[a-z_]+)[\"`]")

// sourcesOfKeys are all files that may use a key.
func sourcesOfKeys(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		names, err := fs.Glob(os.DirFS("."), pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

// composed are the beginnings of keys to which the code adds a word.
var composed = []string{"choice.", "kind.", "question.", "result.", "phase.", "today.side_"}

func TestEveryTextIsUsedAndEveryKeyHasAText(t *testing.T) {
	used := map[string]bool{}
	for _, m := range keyShape.FindAllStringSubmatch(sourcesOfKeys(t), -1) {
		used[m[1]] = true
	}
	areas := map[string]bool{}
	for key := range catalogue {
		area, _, _ := strings.Cut(key, ".")
		areas[area] = true
		if !used[key] && !slices.ContainsFunc(composed, func(begin string) bool { return strings.HasPrefix(key, begin) }) {
			t.Errorf("%s is in the catalogue, and nothing uses it", key)
		}
	}
	for key := range used {
		area, _, _ := strings.Cut(key, ".")
		if _, ok := catalogue[key]; !ok && areas[area] && !slices.Contains(composed, key) {
			t.Errorf("%s is used, and has no text", key)
		}
	}
	for _, one := range append(append([]string{"auto"}, themes...), languages...) {
		if _, ok := catalogue["choice."+one]; !ok {
			t.Errorf("choice.%s has no text", one)
		}
	}
}

var placeholder = regexp.MustCompile(`%[a-z%]`)

func TestEveryTextIsInEachLanguageWithTheSamePlaceholders(t *testing.T) {
	for key, text := range catalogue {
		if len(text) != len(languages) {
			t.Errorf("%s is in %d languages, want %d", key, len(text), len(languages))
		}
		want := placeholder.FindAllString(strings.SplitN(text["en"], "|", 2)[0], -1)
		slices.Sort(want)
		counted := strings.Contains(text["en"], "|")
		for i, l := range languages {
			forms := strings.Split(text[l], "|")
			if most := []int{2, 3}[i]; counted && len(forms) != most || !counted && len(forms) != 1 {
				t.Errorf("%s has %d forms in %s", key, len(forms), l)
			}
			for _, form := range forms {
				have := placeholder.FindAllString(form, -1)
				if slices.Sort(have); !slices.Equal(have, want) {
					t.Errorf("%s: %q has the placeholders %q, want %q", key, form, have, want)
				}
				if strings.TrimSpace(form) == "" || strings.Contains(form, "ş") || strings.Contains(form, "ţ") {
					t.Errorf("%s: %q is empty, or has a cedilla where Romanian has a comma", key, form)
				}
			}
		}
	}
}

func TestAKeyStandsInOneFile(t *testing.T) {
	seen := map[string]string{}
	files, err := textFiles.ReadDir("texts")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := textFiles.ReadFile("texts/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]text
		if err := json.Unmarshal(content, &all); err != nil {
			t.Fatal(err)
		}
		for key := range all {
			if other := seen[key]; other != "" {
				t.Errorf("%s is in %s and in %s", key, other, f.Name())
			}
			seen[key] = f.Name()
		}
	}
}

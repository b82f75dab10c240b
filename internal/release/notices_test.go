package release

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

const notices = "THIRD_PARTY_NOTICES.md"

// module is a part of the binary that others have written.
type module struct{ path, version, dir string }

// modules are those of all platforms of a release, and what is embedded in the page.
func modules(t *testing.T) (all []module) {
	t.Helper()
	found := map[string]module{}
	for _, system := range goreleaser(t).Builds[0].Goos {
		out := run(t, root, []string{"CGO_ENABLED=0", "GOOS=" + system}, "go", "list", "-deps", "-tags", "timetzdata",
			"-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/stripe-enhance")
		for line := range strings.Lines(out) {
			if cells := strings.Split(strings.TrimSpace(line), "\t"); len(cells) == 3 {
				found[cells[0]] = module{cells[0], cells[1], cells[2]}
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		all = append(all, found[path])
	}
	return append(all,
		module{"The Go standard library", "", strings.TrimSpace(run(t, root, nil, "go", "env", "GOROOT"))},
		module{"Pico CSS", "2.1.1", filepath.Join(root, "server/page/assets/pico")})
}

var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)`)

// licenses are the texts of a module that have to be passed on, by the name of the file.
func (m module) licenses(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		if !e.Type().IsRegular() || !licenseFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
	return all
}

// signs are sentences by which a license is known; the first that occurs counts. They are
// the licenses that may be in a program under Apache-2.0: another one is refused.
var signs = []struct{ license, sentence string }{
	{"MPL-2.0", "Mozilla Public License, version 2.0"},
	{"Apache-2.0", "Apache License Version 2.0"},
	{"MIT", "Permission is hereby granted, free of charge"},
	{"BSD-3-Clause", "Neither the name"},
	{"BSD-3-Clause", "may be used to endorse or promote products"},
	{"BSD-2-Clause", "Redistribution and use in source and binary forms"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software"},
	{"Public domain", "The author disclaims copyright to this source code"},
}

// licenseOf is "" for a license that is not known.
func licenseOf(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	for _, s := range signs {
		if strings.Contains(text, strings.ToLower(s.sentence)) {
			return s.license
		}
	}
	return ""
}

// main is the text under which the module itself is.
func mainText(texts map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if base, _, _ := strings.Cut(strings.ToUpper(name), "."); base == "LICENSE" || base == "LICENCE" || base == "COPYING" {
			return texts[name]
		}
	}
	return ""
}

// The notices name the license of each module of the program, and have its whole text.
// NOTICES=write writes them anew.
func TestTheNoticesHaveTheLicenseOfEachModule(t *testing.T) {
	needs.Program(t, "go")
	var table, texts strings.Builder
	printed := map[[sha256.Size]byte]string{}
	for _, m := range modules(t) {
		all := m.licenses(t)
		license := licenseOf(mainText(all))
		if license == "" {
			t.Errorf("%s %s: its license is none of those in this test: may it be in this program?", m.path, m.version)
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", m.path, m.version, license)
		fmt.Fprintf(&texts, "\n## %s\n", m.path)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			sum := sha256.Sum256([]byte(all[name]))
			if as := printed[sum]; as != "" {
				fmt.Fprintf(&texts, "\n%s: the same text as %s.\n", name, as)
				continue
			}
			printed[sum] = name + " of " + m.path
			fmt.Fprintf(&texts, "\n%s:\n\n~~~~~~\n%s\n~~~~~~\n", name, all[name])
		}
	}
	want := "# Third-party notices\n\nThe program contains these parts of others, each under its own license. `make notices`\nmakes this file anew.\n\n" +
		"| part | version | license |\n|---|---|---|\n" + table.String() + texts.String()
	if os.Getenv("NOTICES") == "write" {
		if err := os.WriteFile(filepath.Join(root, notices), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, read(t, notices)); diff != "" {
		t.Errorf("%s is of other modules; make notices makes it anew (-modules +file):\n%s", notices, diff)
	}
}

func TestALicenseIsKnownByItsSentence(t *testing.T) {
	for text, want := range map[string]string{
		"GNU AFFERO GENERAL PUBLIC LICENSE Version 3":                                                           "",
		"Redistribution and use in source and binary forms, with or without":                                    "BSD-2-Clause",
		"Redistribution and use in source and binary forms …\n * Neither the name\n of":                         "BSD-3-Clause",
		"                                 Apache License\n                           Version 2.0, January 2004": "Apache-2.0",
	} {
		if got := licenseOf(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

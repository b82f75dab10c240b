package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// root is the top of the repository, seen from this package.
const root = "../.."

// Versions of the two builds.
const first, second = "1.0.0", "1.1.0"

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// configuration is .goreleaser.yaml as far as these tests hold it. Whatever is not named
// here is refused, because goreleaser refuses a misspelt key only at the release.
type configuration struct {
	Version     int
	ProjectName string `yaml:"project_name"`
	Metadata    struct {
		ModTimestamp string `yaml:"mod_timestamp"`
	}
	Before struct{ Hooks []string }
	Builds []struct {
		ID, Main, Binary                        string
		Env, Goos, Goarch, Flags, Tags, Ldflags []string
		ModTimestamp                            string `yaml:"mod_timestamp"`
	}
	Archives []struct {
		ID              string
		IDs, Formats    []string
		FormatOverrides []struct {
			Goos    string
			Formats []string
		} `yaml:"format_overrides"`
		WrapInDirectory string   `yaml:"wrap_in_directory"`
		BuildsInfo      fileInfo `yaml:"builds_info"`
		Files           []struct {
			Src, Dst    string
			StripParent bool `yaml:"strip_parent"`
			Info        fileInfo
		}
	}
	NFPMs []map[string]any `yaml:"nfpms"` // nfpm itself reads it strictly
	SBOMs []struct {
		ID, Artifacts, Cmd string
		Args, Documents    []string
	} `yaml:"sboms"`
	Checksum struct {
		NameTemplate string `yaml:"name_template"`
		Algorithm    string
	}
	Snapshot struct {
		VersionTemplate string `yaml:"version_template"`
	}
	Changelog struct{ Disable bool }
	Release   struct {
		Draft      bool
		Prerelease string
	}
}

type fileInfo struct {
	Mode         int
	MTime        string
	Owner, Group string
}

func goreleaser(t *testing.T) (c configuration) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, ".goreleaser.yaml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAReleaseIsBuiltLikeTheProgram(t *testing.T) {
	c := goreleaser(t)
	b := c.Builds[0]
	made := strings.Join(b.Env, " ") + " go build " + strings.Join(b.Flags, " ") + " -tags " + strings.Join(b.Tags, ",") +
		` -ldflags "` + strings.ReplaceAll(b.Ldflags[0], "{{ .Version }}", "$(VERSION)") + `"`
	if !strings.Contains(read(t, "Makefile"), "\nBUILD = "+made+"\n") {
		t.Errorf("the Makefile builds otherwise than .goreleaser.yaml: %s", made)
	}
	if diff := cmp.Diff([][]string{{"linux", "darwin", "windows"}, {"amd64", "arm64"}}, [][]string{b.Goos, b.Goarch}); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	// A time that is not the commit's is another one in the next build.
	if b.ModTimestamp != "{{ .CommitTimestamp }}" || c.Metadata.ModTimestamp != "{{ .CommitTimestamp }}" || c.NFPMs[0]["mtime"] != "{{ .CommitDate }}" {
		t.Error("a time in a build, in the metadata or in the packages is not the commit's")
	}
	for _, f := range c.Archives[0].Files {
		if f.Info.MTime != "{{ .CommitDate }}" {
			t.Errorf("%s has its own time in the archives", f.Src)
		}
		if found, err := filepath.Glob(filepath.Join(root, f.Src)); !strings.HasPrefix(f.Src, "bin/pages/") && len(found) == 0 {
			t.Errorf("%s is not there: %v", f.Src, err)
		}
	}
}

// Goreleaser itself reads the file, and makes this platform's program of a release: the
// same bytes as `make build`.
func TestGoreleaserAcceptsItsConfigurationAndBuildsTheProgram(t *testing.T) {
	goreleaser := needs.Program(t, "goreleaser")
	run(t, root, nil, goreleaser, "check")
	b := built(t)
	made := filepath.Join(t.TempDir(), "made")
	run(t, filepath.Join(b.dir, "a"), nil, goreleaser, "build", "--clean", "--single-target", "--output", made)
	want, err := os.ReadFile(b.one)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("goreleaser makes %d bytes, make build %d:\n%s\n%s", len(got), len(want), run(t, root, nil, "go", "version", "-m", made), run(t, root, nil, "go", "version", "-m", b.one))
	}
}

// The list of modules is made by the command of the configuration, and names exactly the
// modules that are in the program, with their checksums.
func TestTheListOfModulesIsThatOfTheProgram(t *testing.T) {
	b, document := built(t), filepath.Join(t.TempDir(), "document.json")
	args := slices.Clone(goreleaser(t).SBOMs[0].Args)
	name, version, _ := strings.Cut(filepath.Base(args[1]), "@v")
	program := needs.Program(t, name)
	if args[0] != "run" || !strings.HasSuffix(program, name+"-"+version) {
		t.Fatalf("the configuration runs %q, and the test %s", args[:2], program)
	}
	for i, a := range args {
		args[i] = strings.NewReplacer("$document", document, "$artifact", b.one).Replace(a)
	}
	run(t, root, nil, program, args[2:]...)
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Format     string `json:"bomFormat"`
		Metadata   struct{ Component struct{ Name string } }
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	if list.Format != "CycloneDX" || !strings.Contains(list.Metadata.Component.Name, "stripe-enhance") {
		t.Errorf("it is a list in the format %q of %q", list.Format, list.Metadata.Component.Name)
	}
	var got, want []string
	for _, c := range list.Components {
		if c.Name == "std" { // the standard library is no module
			continue
		}
		if !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@"+c.Version) {
			t.Errorf("%s %s is %q for the databases of weaknesses", c.Name, c.Version, c.PURL)
		}
		got = append(got, c.Name+" "+c.Version)
	}
	for line := range strings.Lines(run(t, root, nil, "go", "version", "-m", b.one)) {
		if cells := strings.Fields(line); len(cells) > 2 && cells[0] == "dep" {
			want = append(want, cells[1]+" "+cells[2])
		}
	}
	slices.Sort(got)
	if slices.Sort(want); len(want) < 10 {
		t.Fatalf("the program has %d modules", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules (-program +list):\n%s", diff)
	}
}

// What the tests try is what a release uses: one version of each tool, wherever it stands.
func TestTheToolsOfAReleaseAreThoseThatTheTestsTry(t *testing.T) {
	deps := read(t, ".ci/deps")
	for _, m := range regexp.MustCompile(`([\w./-]+/[\w./-]+)@(v\d+\.\d+\.\d+)`).FindAllStringSubmatch(read(t, "Makefile")+read(t, ".goreleaser.yaml"), -1) {
		if strings.Contains(m[1], "golangci-lint") { // `make lint` builds it
			continue
		}
		if !strings.Contains(deps, "\n  tool "+m[1]+" "+m[2]+"\n") {
			t.Errorf(".ci/deps does not install %s %s", m[1], m[2])
		}
	}
}

// If a unit lacked one, a secret in /etc/credstore would be missing in that process alone.
func TestEveryUnitTakesEverySecretFromACredential(t *testing.T) {
	units, err := filepath.Glob(filepath.Join(root, "deploy", "*.service"))
	if err != nil || len(units) < 3 {
		t.Fatalf("%q, %v: where are the units?", units, err)
	}
	var want []string
	for _, v := range config.Variables() {
		if v.Secret {
			want = append(want, "LoadCredential="+v.Name+":stripe-enhance."+v.Name)
		}
	}
	slices.Sort(want)
	for _, path := range units {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := regexp.MustCompile(`(?m)^LoadCredential=.*$`).FindAllString(string(text), -1)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-settings that are secrets +unit):\n%s", path, diff)
		}
	}
}

// builds are the program of the last commit, built in two folders, and once more as the
// second version.
type builds struct {
	dir, one, two, next string
	err                 error
}

// made is the directory of the builds; "" if no test has asked for them.
var made string

var build = sync.OnceValue(func() (b builds) {
	if b.dir, b.err = os.MkdirTemp("", "stripe-enhance-release-"); b.err != nil {
		return b
	}
	made = b.dir
	compile := func(folder, version, to string) string {
		path := filepath.Join(b.dir, to)
		cmd := exec.Command("make", "-s", "build", "OUT="+path, "VERSION="+version)
		cmd.Dir = folder
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.err = errors.Join(b.err, err, errors.New(string(out)))
		}
		return path
	}
	folders := []string{filepath.Join(b.dir, "a"), filepath.Join(b.dir, "another", "folder")}
	for _, folder := range folders {
		out, err := exec.Command("git", "clone", "-q", "--shared", root, folder).CombinedOutput()
		if err != nil {
			b.err = errors.Join(b.err, err, errors.New(string(out)))
			return b
		}
		out, err = exec.Command("git", "-C", folder, "tag", "v"+first).CombinedOutput()
		if err != nil {
			b.err = errors.Join(b.err, err, errors.New(string(out)))
			return b
		}
	}
	b.one, b.two = compile(folders[0], first, "one"), compile(folders[1], first, "two")
	b.next = compile(folders[0], second, "next")
	return b
})

func TestMain(m *testing.M) {
	code := m.Run()
	if made != "" {
		_ = os.RemoveAll(made)
	}
	os.Exit(code)
}

func built(t *testing.T) builds {
	t.Helper()
	needs.Program(t, "make")
	if err := exec.CommandContext(t.Context(), needs.Program(t, "git"), "-C", root, "rev-parse", "HEAD").Run(); err != nil {
		t.Skipf("this is no clone, and nothing that CI could install makes it one: %v", err)
	}
	b := build()
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b
}

func TestOneCommitMakesTheSameBytesInTwoFolders(t *testing.T) {
	b := built(t)
	one, err := os.ReadFile(b.one)
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(b.two)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Errorf("the two builds have %d and %d bytes, SHA-256 %x and %x", len(one), len(two), sha256.Sum256(one), sha256.Sum256(two))
	}
	if bytes.Contains(one, []byte(b.dir)) {
		t.Errorf("the build contains %s", b.dir)
	}
}

// packaged makes a package of a program by the section of .goreleaser.yaml that goreleaser
// gives to nfpm, in nfpm's own words.
func packaged(t *testing.T, program, version, format string) string {
	t.Helper()
	nfpm := needs.Program(t, "nfpm")
	dir := t.TempDir()
	pages := filepath.Join(dir, "pages")
	run(t, dir, nil, program, "man", pages)
	section := goreleaser(t).NFPMs[0]
	section["name"] = section["package_name"]
	for _, key := range []string{"id", "ids", "formats", "package_name", "bindir"} {
		delete(section, key)
	}
	section["arch"], section["platform"], section["version"] = runtime.GOARCH, "linux", version
	section["mtime"] = "2026-11-01T00:00:00Z"
	contents := section["contents"].([]any)
	for _, c := range contents {
		entry := c.(map[string]any)
		if src, ok := entry["src"].(string); ok {
			entry["src"] = strings.Replace(src, "bin/pages", pages, 1)
		}
	}
	section["contents"] = append(contents, map[string]any{"src": program, "dst": "/usr/bin/stripe-enhance", "file_info": map[string]any{"mode": 0o755}})
	text, err := yaml.Marshal(section)
	if err != nil {
		t.Fatal(err)
	}
	file, target := filepath.Join(dir, "nfpm.yaml"), filepath.Join(dir, "stripe-enhance-"+version+"."+format)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, root, nil, nfpm, "package", "-f", file, "-p", format, "-t", target)
	return target
}

func TestEachPackageIsMadeAndTheSameEachTime(t *testing.T) {
	if runtime.GOOS != "linux" {
		needs.Missing(t, "the packages are for Linux")
	}
	b := built(t)
	for _, format := range []string{"deb", "rpm", "apk"} {
		var last []byte
		for range 2 {
			text, err := os.ReadFile(packaged(t, b.one, first, format))
			if err != nil {
				t.Fatal(err)
			}
			if last != nil && !bytes.Equal(last, text) {
				t.Errorf("%s: the same program makes different packages", format)
			}
			last = text
		}
	}
}

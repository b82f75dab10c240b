package release

import (
	"bytes"
	"crypto/sha256"
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

// tool is a program that .ci/deps puts into the cache, as NAME-VERSION, or that is in PATH.
func tool(t *testing.T, name string) string {
	t.Helper()
	if cache, err := os.UserCacheDir(); err == nil {
		if found, _ := filepath.Glob(filepath.Join(cache, "stripe-enhance", name+"-[0-9]*")); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%v: make ci-deps installs it if the module proxy has it", err)
	}
	return path
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

func TestGoreleaserAcceptsItsConfiguration(t *testing.T) {
	run(t, root, nil, tool(t, "goreleaser"), "check")
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
	for _, name := range []string{"git", "make"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(err)
		}
	}
	if err := exec.CommandContext(t.Context(), "git", "-C", root, "rev-parse", "HEAD").Run(); err != nil {
		t.Skipf("this is no clone: %v", err)
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
	nfpm := tool(t, "nfpm")
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
		t.Skip("the packages are for Linux")
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

package repocheck

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
)

// instruction is one line of the Dockerfile, continuations joined.
type instruction struct{ word, rest string }

func dockerfile(t testing.TB) []instruction {
	t.Helper()
	var all []instruction
	for line := range strings.Lines(strings.ReplaceAll(read(t, "Dockerfile"), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if word, rest, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "#") {
			all = append(all, instruction{word, strings.TrimSpace(rest)})
		}
	}
	return all
}

// stages are the instructions from each FROM on.
func stages(t testing.TB) [][]instruction {
	t.Helper()
	var all [][]instruction
	for _, i := range dockerfile(t) {
		if i.word == "FROM" {
			all = append(all, nil)
		}
		if len(all) > 0 {
			all[len(all)-1] = append(all[len(all)-1], i)
		}
	}
	return all
}

// buildVersion is the version that the binary of these tests reports.
const buildVersion = "9.8.7-house"

// built is the path of the binary; "" if no test has asked for it.
var built string

// binary is the program as the image has it: built once, by the Dockerfile's own
// command, outside of Docker.
var binary = sync.OnceValues(func() (string, error) {
	sources() // so that the test cache depends on the sources of the binary
	dir, err := os.MkdirTemp("", "stripe-enhance-house-")
	if err != nil {
		return "", err
	}
	built = dir
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		return "", err
	}
	command := goBuild.FindString(string(text))
	build := exec.Command("sh", "-c", strings.ReplaceAll(command, "/out/", dir+"/"))
	build.Dir = root
	build.Env = append(os.Environ(), "VERSION="+buildVersion)
	if out, err := build.CombinedOutput(); err != nil {
		return "", &exec.Error{Name: command, Err: bytesError(out)}
	}
	return filepath.Join(dir, "stripe-enhance"), nil
})

var goBuild = regexp.MustCompile(`(?m)\S*CGO_ENABLED=0 go build .*$`)

type bytesError []byte

func (e bytesError) Error() string { return string(e) }

func program(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMain(m *testing.M) {
	code := m.Run()
	browser.Close()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	if err := pgtest.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func TestTheImageIsTwoStagesAndTheLastIsEmptyButForTheProgram(t *testing.T) {
	all := stages(t)
	if len(all) != 2 {
		t.Fatalf("the Dockerfile has %d stages, want 2", len(all))
	}
	last := map[string]string{}
	var copied []string
	for _, i := range all[1] {
		last[i.word] = i.rest
		if i.word == "COPY" {
			copied = append(copied, i.rest[strings.LastIndex(i.rest, " ")+1:])
		}
	}
	if last["RUN"] != "" || last["FROM"] != "scratch" {
		t.Errorf("the last stage is FROM %s and runs %q; want scratch, which can run nothing", last["FROM"], last["RUN"])
	}
	if diff := cmp.Diff([]string{"/etc/ssl/certs/ca-certificates.crt", "/data", "/stripe-enhance"}, copied); diff != "" {
		t.Errorf("what is in the image (-want +got):\n%s", diff)
	}
	uid, _, _ := strings.Cut(last["USER"], ":")
	if n, err := strconv.Atoi(uid); err != nil || n == 0 {
		t.Errorf("USER is %q, want a number that is not root's: Kubernetes cannot check a name", last["USER"])
	}
	if last["VOLUME"] != "/data" || last["WORKDIR"] != "/data" || !strings.Contains(last["ENV"], "DATABASE_URL=sqlite:/data/") {
		t.Errorf("WORKDIR %s, VOLUME %s, ENV %s: want everything that is written in /data", last["WORKDIR"], last["VOLUME"], last["ENV"])
	}
}

// One recipe makes the image of each platform: the compiler runs on the builder's own, so
// that nothing is emulated, and the last stage runs nothing.
func TestTheImageIsLabelledAndBuiltForEachPlatform(t *testing.T) {
	all := stages(t)
	compiler, words := all[0][0].rest, map[string]bool{}
	for _, i := range all[0] {
		words[i.word+" "+i.rest] = true
	}
	if !strings.HasPrefix(compiler, "--platform=$BUILDPLATFORM golang:") || !words["ARG TARGETOS"] || !words["ARG TARGETARCH"] ||
		!strings.Contains(read(t, "Dockerfile"), "RUN GOOS=$TARGETOS GOARCH=$TARGETARCH CGO_ENABLED=0 go build ") {
		t.Errorf("the first stage is FROM %s, and does not compile for the platform of the image", compiler)
	}
	for _, i := range all[1] {
		if i.word != "LABEL" {
			continue
		}
		for _, label := range []string{"title=stripe-enhance", "source=https://" + module, "licenses=Apache-2.0", "version=$VERSION", "description="} {
			if !strings.Contains(i.rest, "org.opencontainers.image."+label) {
				t.Errorf("the image has no label %s", label)
			}
		}
		return
	}
	t.Error("the image has no labels")
}

func TestMakeAndDockerBuildWithTheSameFlags(t *testing.T) {
	var variable, recipe string
	for line := range strings.Lines(read(t, "Makefile")) {
		if rest, ok := strings.CutPrefix(line, "BUILD = "); ok {
			variable = strings.TrimSpace(rest)
		}
		if strings.Contains(line, "$(BUILD)") {
			recipe = strings.TrimSpace(line)
		}
	}
	made := strings.NewReplacer("$(BUILD)", variable, "$(VERSION)", "$VERSION", "$(OUT)", "OUT").Replace(recipe)
	made = strings.ReplaceAll(made, "$(VERSION)", "$VERSION")
	docked := strings.ReplaceAll(goBuild.FindString(read(t, "Dockerfile")), "/out/stripe-enhance", "OUT")
	if diff := cmp.Diff(docked, made); diff != "" {
		t.Errorf("the Makefile builds otherwise than the Dockerfile (-Dockerfile +Makefile):\n%s", diff)
	}
}

func TestTheBinaryIsStaticAndTellsNothingOfWhereItWasBuilt(t *testing.T) {
	path := program(t)
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range info.Settings {
		got[s.Key] = s.Value
	}
	want := map[string]string{"CGO_ENABLED": "0", "-trimpath": "true", "-tags": "timetzdata"}
	for key := range got {
		if _, ok := want[key]; !ok {
			delete(got, key)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings of the build (-want +got):\n%s", diff)
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(image, []byte(top+"/")) {
		t.Errorf("the binary contains %s", top)
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Skipf("not an ELF binary on this system: %v", err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a %s segment: it needs a loader that the image does not have", p.Type)
		}
	}
	if libraries, _ := file.ImportedLibraries(); len(libraries) > 0 {
		t.Errorf("the binary needs %q", libraries)
	}
}

func TestTheBuildGetsEveryPackageAndNoSecret(t *testing.T) {
	let := map[string]bool{}
	var refused bool
	for line := range strings.Lines(read(t, ".dockerignore")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "!"); ok {
			let[name] = true
		}
		refused = refused || line == "*"
	}
	if !refused {
		t.Error(".dockerignore lets everything in that it does not know")
	}
	for _, s := range sources() {
		if top, _, _ := strings.Cut(s.path, "/"); !s.test() && !let[top] {
			t.Errorf(".dockerignore keeps %s out of the build", top)
		}
	}
	for name := range let {
		if strings.HasPrefix(name, ".") {
			t.Errorf(".dockerignore lets %s in", name)
		}
	}
}

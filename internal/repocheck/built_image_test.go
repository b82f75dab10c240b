package repocheck

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// builder is buildah with a store of its own, without a daemon. The image that has the
// compiler cannot be pulled, because tests reach no registry of images: an image of that
// name is made here, with nothing but certificates, and its programs are those of this machine.
type builder struct {
	t      *testing.T
	path   string
	dir    string
	policy string
}

// newBuilder skips if this machine cannot build: buildah needs root here, because a user
// without subordinate ids may not give files to the image's user.
func newBuilder(t *testing.T) *builder {
	t.Helper()
	path, err := exec.LookPath("buildah")
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skipf("the image is not built, because this machine has no buildah (Debian's package of that name): %v", err)
	case os.Geteuid() != 0:
		t.Skip("the image is not built, because that needs root")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "root/data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := inside(filepath.Join(dir, "root"), filepath.Join(dir, "root/data"), func() error { return nil }); err != nil {
		t.Skipf("the image is not built, because this machine does not allow mounts: %v", err)
	}
	b := &builder{t, path, dir, filepath.Join(dir, "policy.json")}
	if err := os.WriteFile(b.policy, []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *builder) run(args ...string) string {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), b.path, append([]string{"--storage-driver", "vfs",
		"--root", filepath.Join(b.dir, "store"), "--runroot", filepath.Join(b.dir, "run")}, args...)...)
	cmd.Dir = root
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("buildah %s: %v\n%s%s", args[0], err, out.String(), talk.String())
	}
	return strings.TrimSpace(out.String())
}

// bud builds an image from the Dockerfile in a folder.
func (b *builder) bud(name, folder string, args ...string) {
	b.t.Helper()
	b.run(slices.Concat([]string{"bud", "--quiet", "--format", "docker", "--isolation", "chroot", "--signature-policy", b.policy, "--pull-never", "-t", name}, args, []string{folder})...)
}

// compiler makes the image of the first stage, and returns what is mounted into it.
func (b *builder) compiler() (mounts []string) {
	b.t.Helper()
	all := map[string]string{}
	text, err := exec.CommandContext(b.t.Context(), "go", "env", "-json", "GOROOT", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOFLAGS").Output()
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	dir := filepath.Join(b.dir, "compiler")
	for _, folder := range []string{"etc/ssl/certs", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o777); err != nil {
			b.t.Fatal(err)
		}
	}
	recipe := "FROM scratch\nCOPY etc /etc\nCOPY tmp /tmp\nENV GOTOOLCHAIN=local GOMODCACHE=/modules GOCACHE=/cache PATH=" + all["GOROOT"] + "/bin:/usr/bin:/bin"
	for _, name := range []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOFLAGS"} {
		recipe += " " + name + `="` + all[name] + `"`
	}
	certificates, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt") // Go's proxy has one
	if err != nil {
		b.t.Fatal(err)
	}
	for path, content := range map[string][]byte{"Dockerfile": []byte(recipe + "\n"), "etc/ssl/certs/ca-certificates.crt": certificates} {
		if err := os.WriteFile(filepath.Join(dir, path), content, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	words := strings.Fields(stages(b.t)[0][0].rest)
	b.bud("docker.io/library/"+words[1], dir)
	mounts = []string{"-v", all["GOMODCACHE"] + ":/modules", "-v", all["GOCACHE"] + ":/cache"}
	for _, folder := range []string{"/usr", "/bin", "/lib", "/lib64", all["GOROOT"]} {
		if _, err := os.Stat(folder); err == nil && !strings.HasPrefix(folder, "/usr/") {
			mounts = append(mounts, "-v", folder+":"+folder+":ro")
		}
	}
	return mounts
}

// imageConfig is the part of an image that engines read.
type imageConfig struct {
	User, WorkingDir     string
	Env, Entrypoint, Cmd []string
	Labels               map[string]string
	Volumes              map[string]struct{}
	ExposedPorts         map[string]struct{}
	Healthcheck          struct {
		Test                           []string
		Interval, Timeout, StartPeriod time.Duration
	}
}

// The Dockerfile is built by buildah, and the program runs from the image as strictly as the
// Dockerfile recommends. The compiled packages are those of the other tests, so that it takes
// seconds.
func TestTheImageIsBuiltAndItsProgramRuns(t *testing.T) {
	b := newBuilder(t)
	sources() // so that the test cache depends on the sources of the binary
	const name = "localhost/stripe-enhance:test"
	b.bud(name, ".", append(b.compiler(), "--build-arg", "VERSION="+buildVersion, "--build-arg", "TARGETOS=linux", "--build-arg", "TARGETARCH="+runtime.GOARCH)...)

	var inspected struct {
		Docker struct{ Config imageConfig }
	}
	if err := json.Unmarshal([]byte(b.run("inspect", "--type", "image", name)), &inspected); err != nil {
		t.Fatal(err)
	}
	got := inspected.Docker.Config
	delete(got.Labels, "io.buildah.version")
	labels := map[string]string{}
	for label, value := range got.Labels {
		labels[strings.TrimPrefix(label, "org.opencontainers.image.")] = value
	}
	got.Labels = labels
	environment := got.Env
	got.Env = slices.DeleteFunc(slices.Clone(environment), func(e string) bool { return strings.HasPrefix(e, "PATH=") })
	want := imageConfig{User: "65532:65532", WorkingDir: "/data", Entrypoint: []string{"/stripe-enhance"}, Cmd: []string{"serve"},
		Env:     []string{"DATABASE_URL=sqlite:/data/stripe-enhance.db", "TMPDIR=/data"},
		Volumes: map[string]struct{}{"/data": {}}, ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Labels: map[string]string{"title": "stripe-enhance", "version": buildVersion, "licenses": "Apache-2.0", "source": "https://" + module,
			"description": "Keeps hosting at Enhance in step with what customers pay for at Stripe"}}
	want.Healthcheck.Test = []string{"CMD", "/stripe-enhance", "healthcheck"}
	want.Healthcheck.Interval, want.Healthcheck.Timeout, want.Healthcheck.StartPeriod = 30*time.Second, 5*time.Second, 10*time.Second
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the image (-want +got):\n%s", diff)
	}

	top := b.run("mount", b.run("from", "--pull-never", "--signature-policy", b.policy, name))
	if diff := cmp.Diff([]string{"data/", "etc/ssl/certs/ca-certificates.crt", "stripe-enhance"}, leaves(t, top)); diff != "" {
		t.Errorf("the files of the image (-want +got):\n%s", diff)
	}
	c := &container{root: top, strict: true, data: filepath.Join(top, "data"), env: environment}
	out, talk, code := c.run(t, nil, "version", "-o", "json")
	var v struct{ Version string }
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Version != buildVersion {
		t.Errorf("version: exit code %d, %q, %s", code, out, talk)
	}
	if _, talk, code = c.run(t, nil, "migrate"); code != 0 {
		t.Errorf("migrate: exit code %d: %s", code, talk)
	}
	if _, talk, code = c.run(t, nil, "healthcheck"); code != 1 {
		t.Errorf("healthcheck without a service: exit code %d: %s", code, talk)
	}
	if diff := cmp.Diff([]string{"data/stripe-enhance.db"}, leaves(t, top)[:1]); diff != "" {
		t.Errorf("the database is not in /data (-want +got):\n%s", diff)
	}
}

// leaves are the files below a folder, and the folders that are empty.
func leaves(t *testing.T, top string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil || !d.IsDir() {
			all = append(all, name)
			return err
		}
		entries, err := os.ReadDir(path)
		if len(entries) == 0 {
			all = append(all, name+"/")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

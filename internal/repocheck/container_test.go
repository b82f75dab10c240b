package repocheck

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// container is the image at run time, as far as that works without a container engine: a
// root directory with only the files that the Dockerfile copies, a user without a name who
// owns /data alone, and only the image's environment. It is started as strictly as the
// Dockerfile recommends: the root directory is read-only, and there are no capabilities. Without
// the right to change the root directory it is an empty working directory and that environment.
type container struct {
	root string // "" if it could not be changed
	// strict: this machine lets a process have a read-only view of a directory.
	strict bool
	data   string // /data, as seen from here
	env    []string
}

// The user of the image, who owns /data.
const imageUser = 65532

func newContainer(t *testing.T) *container {
	t.Helper()
	c := &container{}
	for _, i := range dockerfile(t) {
		if i.word == "ENV" {
			c.env = append(c.env, strings.Fields(i.rest)...)
		}
	}
	top := t.TempDir()
	c.data = filepath.Join(top, "data")
	certs := filepath.Join(top, "etc/ssl/certs")
	for _, dir := range []string{c.data, certs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := place(program(t), filepath.Join(top, "stripe-enhance")); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(c.data, imageUser, imageUser); err != nil {
			t.Fatal(err)
		}
		c.root = top
		err := inside(c.root, c.data, func() error { return nil })
		if c.strict = err == nil; !c.strict {
			t.Logf("the root directory is not read-only: this machine does not allow it: %v", err)
		}
		return c
	}
	t.Log("not root: the working directory is empty, the root directory is this machine's")
	for i := range c.env {
		c.env[i] = strings.ReplaceAll(c.env[i], "/data", c.data)
	}
	return c
}

// place puts a file into the container: as a hard link if that is possible and
// otherwise as a copy, because the program is thirty megabytes and each test has its
// own container.
func place(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	image, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, image, 0o755)
}

// trust adds the certificate of a test server where the image has those of the public
// authorities.
func (c *container) trust(t *testing.T, s *httptest.Server) {
	t.Helper()
	path := filepath.Join(filepath.Dir(c.data), "etc/ssl/certs/ca-certificates.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if c.root == "" {
		c.env = append(c.env, "SSL_CERT_FILE="+path)
	}
}

func (c *container) command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/stripe-enhance", args...)
	cmd.Dir, cmd.Env = "/data", append(append([]string{}, c.env...), env...)
	if c.root == "" {
		cmd.Path, cmd.Dir = filepath.Join(filepath.Dir(c.data), "stripe-enhance"), c.data
		return cmd
	}
	cmd.Err = nil // the path was looked up here, but is valid only inside the root
	confine(cmd, c.root)
	return cmd
}

// around runs a function that starts and waits for a command of this container.
func (c *container) around(do func() error) error {
	if c.strict {
		return inside(c.root, c.data, do)
	}
	return do()
}

func (c *container) run(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, talk bytes.Buffer
	cmd := c.command(t.Context(), env, args...)
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := c.around(cmd.Run); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), talk.String(), cmd.ProcessState.ExitCode()
}

func TestInAnEmptyContainerTheProgramRunsAsNobody(t *testing.T) {
	c := newContainer(t)
	out, talk, code := c.run(t, nil, "version", "-o", "json")
	var v struct{ Version string }
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Version != buildVersion {
		t.Fatalf("version: exit code %d, %q, %s; want version %s", code, out, talk, buildVersion)
	}
	if _, talk, code = c.run(t, nil, "migrate"); code != 0 {
		t.Fatalf("migrate: exit code %d: %s", code, talk)
	}
	if _, err := os.Stat(filepath.Join(c.data, "stripe-enhance.db")); err != nil {
		t.Errorf("the database is not in /data: %v", err)
	}
	if _, talk, code = c.run(t, nil, "demo"); code != 0 {
		t.Errorf("demo: exit code %d: %s", code, talk)
	}
}

func TestInAnEmptyContainerTimeZonesAreKnown(t *testing.T) {
	c := newContainer(t)
	for zone, want := range map[string]int{"Europe/Zurich": 0, "America/St_Johns": 0, "Europe/Nowhere": 2} {
		_, talk, code := c.run(t, []string{"FULL_SCHEDULE=TZ=" + zone + " 30 3 * * *"}, "migrate")
		if code != want {
			t.Errorf("a schedule in %s: exit code %d, want %d: %s", zone, code, want, talk)
		}
	}
}

func TestInAnEmptyContainerTLSIsCheckedAgainstTheImagesCertificates(t *testing.T) {
	c := newContainer(t)
	world := simulator.New(simulator.Options{Calm: true, Follow: time.Now})
	world.Offer()
	shop := httptest.NewTLSServer(world.StripeHandler())
	defer shop.Close()
	panel := httptest.NewTLSServer(world.EnhanceHandler())
	defer panel.Close()
	env := simulated(world, shop.URL, panel.URL+"/api")
	if got := stripeStatus(t, c, env); got != "fail" {
		t.Fatalf("a stranger's certificate: status %q, want fail", got)
	}
	c.trust(t, shop)
	if got := stripeStatus(t, c, env); got != "ok" {
		t.Errorf("a certificate that the image trusts: status %q, want ok", got)
	}
}

// stripeStatus is the status that check reports for reading subscriptions.
func stripeStatus(t *testing.T, c *container, env []string) string {
	t.Helper()
	out, talk, _ := c.run(t, env, "check", "-o", "json")
	var d struct {
		Checks []struct{ Part, Status string }
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("check: %v: %s", err, talk)
	}
	for _, x := range d.Checks {
		if strings.HasPrefix(x.Part, "Stripe") {
			return x.Status
		}
	}
	t.Fatalf("check reports no part of Stripe: %s", out)
	return ""
}

func TestInAnEmptyContainerTheHealthCheckSeesTheService(t *testing.T) {
	c := newContainer(t)
	world := simulator.New(simulator.Options{Calm: true, Follow: time.Now})
	servers, err := world.Listen(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer servers.Close()
	address := freeAddress(t)
	env := append(simulated(world, servers.StripeURL, servers.EnhanceURL), "LISTEN_ADDR="+address)
	if _, _, code := c.run(t, env, "healthcheck"); code != 1 {
		t.Errorf("no service runs yet, and the health check exits with %d, want 1", code)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var talk bytes.Buffer
	service := c.command(ctx, env, "serve")
	service.Stdout, service.Stderr = io.Discard, &talk
	service.Cancel = func() error { return service.Process.Signal(os.Interrupt) }
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		ended <- c.around(func() error {
			err := service.Start()
			started <- err
			if err == nil {
				err = service.Wait()
			}
			return err
		})
	}()
	select {
	case err := <-started:
		if err != nil {
			t.Fatal(err)
		}
	case err := <-ended:
		t.Fatalf("the service was not started: %v", err)
	}
	for ready := false; !ready; {
		select {
		case err := <-ended:
			t.Fatalf("the service ended: %v: %s", err, talk.String())
		case <-t.Context().Done():
			t.Fatal("the service never became ready")
		default:
			_, _, code := c.run(t, env, "healthcheck")
			ready = code == 0
		}
	}
	if c.strict {
		powerless(t, service.Process.Pid)
	}
	stop()
	if <-ended; service.ProcessState.ExitCode() != 0 {
		t.Errorf("the service ended with exit code %d after the signal: %s", service.ProcessState.ExitCode(), talk.String())
	}
}

// powerless checks, from outside, that a process has no capability, can gain none, and can
// write to nothing but /data.
func powerless(t *testing.T, pid int) {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the service is not without power: want %q in\n%s", want, status)
		}
	}
	mounts, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for line := range strings.Lines(string(mounts)) {
		cells := strings.Fields(line)
		got[cells[4]+" "+strings.Split(cells[5], ",")[0]] = true
	}
	if diff := cmp.Diff(map[string]bool{"/ ro": true, "/data rw": true}, got); diff != "" {
		t.Errorf("the file systems of the service (-want +got):\n%s", diff)
	}
}

// freeAddress is a port on loopback that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// simulated are the settings to work against a simulated world.
func simulated(w *simulator.World, stripeURL, enhanceURL string) []string {
	return []string{
		"STRIPE_API_URL=" + stripeURL, "STRIPE_SECRET_KEY=" + w.StripeKey(),
		"ENHANCE_API_URL=" + enhanceURL, "ENHANCE_API_TOKEN=" + w.EnhanceToken(), "ENHANCE_ORG_ID=" + w.OrgID(),
	}
}

package pgtest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// bouncerConfig pools by transaction: a connection to the server belongs to a
// client for the length of one, and is wiped after it, so whatever a client wants
// to find again in its session is gone. Unknown start-up parameters are refused, as
// they are by default.
const bouncerConfig = `[databases]
* = host=127.0.0.1 port=%s user=tester password=` + password + `
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 200
server_reset_query = DISCARD ALL
server_reset_query_always = 1
`

// Bouncer starts a PgBouncer in transaction mode before the server of a database,
// with so many connections to it, and returns the URL of the database through it.
// It ends with the test.
func Bouncer(tb testing.TB, database string, connections int) string {
	tb.Helper()
	path := needs.Program(tb, "pgbouncer")
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	port, err := freePort(tb.Context())
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	config, err := bouncerFile(fmt.Sprintf(bouncerConfig, u.Port(), port, connections))
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	dir := filepath.Dir(config)
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command(path, "--quiet", config)
	cmd.Dir, cmd.SysProcAttr = dir, attributes()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	exited := make(chan error, 1)
	if err := startOnOwnThread(cmd, exited); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		<-exited               //nolint:errcheck // it was killed
	})
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := answering(tb, u.Host, exited); err != nil {
		text, _ := os.ReadFile(log.Name())
		tb.Fatalf("pgtest: pgbouncer: %v\n%s", err, text)
	}
	return u.String()
}

// bouncerFile writes a configuration into a directory of its own, for the user
// that PgBouncer runs as: it refuses to be root.
func bouncerFile(text string) (path string, err error) {
	dir, err := os.MkdirTemp("", "pgtest-bouncer-")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "pgbouncer.ini")
	return path, errors.Join(os.WriteFile(path, []byte(text), 0o600), own(dir), own(path))
}

// answering waits until a server accepts connections at the address.
func answering(tb testing.TB, address string, exited chan error) error {
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	limit := time.After(startLimit)
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case exit := <-exited:
			exited <- exit
			return fmt.Errorf("it ended: %w", errors.Join(exit, err))
		case <-limit:
			return err
		case <-tb.Context().Done():
			return tb.Context().Err()
		case <-tick.C:
		}
	}
}

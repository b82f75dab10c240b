package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// password of the only role. It exists so that tests can look for it where it
// must not appear.
const password = "throwaway-Pw1"

const (
	// startLimit bounds initdb and the first answer: generous, because two cores
	// may be shared by several test binaries.
	startLimit = 60 * time.Second
	// probePause is between two attempts to connect while the server starts.
	probePause = 20 * time.Millisecond
)

// Server is a PostgreSQL server of this test process.
type Server struct {
	bin, dir string
	port     int
	process  *exec.Cmd
	exited   chan error
}

// binaries finds the directory that holds initdb and postgres: that of initdb in
// PATH, else the newest of Debian's.
func binaries() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is sound
	slices.Sort(debian)
	slices.Reverse(debian)
	for _, dir := range append(dirs, debian...) {
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no initdb and postgres in PATH or /usr/lib/postgresql/*/bin")
}

// start makes a data directory and a server on it.
func start(ctx context.Context) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() && os.Getenv("TMPDIR") == "" {
		parent = "/dev/shm" // in memory: initdb is bound by the disk elsewhere
	}
	dir, err := os.MkdirTemp(parent, "pgtest-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir}
	if err := s.create(ctx); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// create runs initdb.
func (s *Server) create(ctx context.Context) error {
	if err := own(s.dir); err != nil {
		return err
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	if err := own(secret); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
		"--username=tester", "--auth=scram-sha-256", "--pwfile="+secret, "--pgdata="+s.data())
	cmd.Dir = s.dir
	cmd.SysProcAttr = attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Start starts the server, on the port it had before if there was one. Of a server
// that was killed the children may be there a moment longer and hold its memory;
// it is tried again until they have gone.
func (s *Server) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := s.start(ctx)
		if !errors.Is(err, errStillHeld) || ctx.Err() != nil {
			return err
		}
		time.Sleep(probePause)
	}
}

// errStillHeld is the end of a server whose predecessor's children are still there.
var errStillHeld = errors.New("the memory of the server before is still in use")

func (s *Server) start(ctx context.Context) error {
	if s.port == 0 {
		port, err := freePort(ctx)
		if err != nil {
			return err
		}
		s.port = port
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// fsync off: nothing here has to survive a power cut. One process, not
	// pg_ctl: the kernel kills it when this process dies.
	s.process = exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
		"-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "timezone=Asia/Kathmandu")
	s.process.Dir = s.dir
	s.process.Stdout, s.process.Stderr = log, log
	s.process.SysProcAttr = attributes()
	s.exited = make(chan error, 1)
	if err := startOnOwnThread(s.process, s.exited); err != nil {
		return err
	}
	return s.await(ctx)
}

// await waits until the server takes connections.
func (s *Server) await(ctx context.Context) error {
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	for {
		err := s.exec(ctx, "postgres", "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case exit := <-s.exited:
			s.exited <- exit
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			if bytes.Contains(tailOf(text), []byte("pre-existing shared memory block")) {
				return fmt.Errorf("%w: %w", errStillHeld, errors.Join(exit, err))
			}
			return fmt.Errorf("postgres ended: %w\n%s", errors.Join(exit, err), text)
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// tailOf is the end of a log: the last lines of the server.
func tailOf(log []byte) []byte { return log[max(0, len(log)-600):] }

// URL is a connection URL of a database of this server, password included.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("tester", password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Stop ends the server as a restart of the machine would: connections are cut,
// nothing committed is lost.
func (s *Server) Stop() error { return s.signal(os.Interrupt) }

// Kill ends the server without any warning, and with it the processes that serve
// connections: alone they go on for some milliseconds, and may still commit.
func (s *Server) Kill() error {
	serving := children(s.process.Process.Pid)
	err := s.signal(os.Kill)
	for _, pid := range serving {
		end(pid)
	}
	return err
}

func (s *Server) signal(sig os.Signal) error {
	if err := s.process.Process.Signal(sig); err != nil {
		return err
	}
	err := <-s.exited
	s.exited <- err
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil // by the test
	}
	return err
}

// Restart stops the server and starts it again on the same port and data.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.Start(ctx)
}

func (s *Server) remove() error { return os.RemoveAll(s.dir) }

// exec runs one statement on a connection of its own.
func (s *Server) exec(ctx context.Context, database, statement string) error {
	db, err := sql.Open("pgx", s.URL(database))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

package crashtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// wire is a way to PostgreSQL that breaks at the nth COMMIT. It understands just
// enough: a message is a letter, a length and a body, the first one has no letter,
// and pgx sends COMMIT as a simple query (PostgreSQL manual, 54.7).
type wire struct {
	net.Listener
	server  string
	commits atomic.Int32
	nth     int32
	// only counts the COMMITs of transactions in which these words were sent.
	only   string
	done   bool // the server gets the COMMIT, and its answer is lost
	broken atomic.Bool
}

// cut puts a wire between the company and its database, which breaks at the nth
// COMMIT: before the server has got it, or after it has done it.
func (c *company) cut(nth int, done bool, only string) *wire {
	c.Helper()
	u, err := url.Parse(c.url)
	c.must(err)
	l, err := new(net.ListenConfig).Listen(c.Context(), "tcp", "127.0.0.1:0")
	c.must(err)
	w := &wire{Listener: l, server: u.Host, nth: int32(nth), done: done, only: only}
	c.Cleanup(func() { _ = l.Close() })
	go w.serve()
	u.Host = l.Addr().String()
	c.env["DATABASE_URL"] = u.String()
	return w
}

// mend takes the wire away.
func (c *company) mend() { c.env["DATABASE_URL"] = c.url }

func (w *wire) serve() {
	for {
		client, err := w.Accept()
		if err != nil {
			return // closed
		}
		go w.join(client)
	}
}

// join carries one connection until it ends or is cut.
func (w *wire) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer server.Close()
	var swallow atomic.Bool
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if n > 0 && swallow.Load() {
				if bytes.Contains(buffer[:n], []byte{'Z', 0, 0, 0, 5}) { // ReadyForQuery
					return
				}
				continue
			}
			if _, writeErr := client.Write(buffer[:n]); err != nil || writeErr != nil {
				_ = client.Close() // so that the other direction ends, too
				return
			}
		}
	}()
	first, counts := true, false
	for {
		message, err := readMessage(client, first)
		if err != nil {
			return
		}
		first = false
		counts = counts || bytes.Contains(message, []byte(w.only))
		commit := bytes.Equal(message, []byte("Q\x00\x00\x00\x0bcommit\x00"))
		cut := commit && counts && w.commits.Add(1) == w.nth
		counts = counts && !commit
		if cut {
			w.broken.Store(true)
			if !w.done {
				return
			}
			swallow.Store(true)
		}
		if _, err := server.Write(message); err != nil {
			return
		}
		if cut {
			<-answered
			return
		}
	}
}

func readMessage(r io.Reader, first bool) ([]byte, error) {
	head := make([]byte, 5)
	if first {
		head = head[:4]
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[len(head)-4:])
	if length < 4 || length > 64<<20 {
		return nil, errors.New("no such length")
	}
	body := make([]byte, length-4)
	_, err := io.ReadFull(r, body)
	return append(head, body...), err
}

func TestAConnectionLostAroundAnyCommitIsCaughtUpWith(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(map[bool]string{false: "the server never got it", true: "it was done and nobody heard"}[done], func(t *testing.T) {
			t.Parallel()
			last := 0
			for _, n := range every(t, "postgres", mostCommits, stride) {
				c := busy(t, "postgres", uint64(n))
				w := c.cut(n, done, "")
				intended := c.watchIntents()
				r := c.reconcile(nil)
				c.mend()
				if !w.broken.Load() {
					if r.code != 0 {
						t.Errorf("an undisturbed run: exit code %d\n%s", r.code, r.stderr)
					}
					break
				}
				last = n
				if r.signal != 0 || r.code == 2 {
					t.Errorf("cut %d: exit code %d, signal %v\n%s", n, r.code, r.signal, r.stderr)
				}
				c.clock.move(t, afterTheLease)
				c.recover()
				intended()
				c.sound()
				if t.Failed() {
					t.Fatalf("that was cut %d", n)
				}
			}
			if last < 25 || last > mostCommits-stride {
				t.Errorf("the last commit that was cut is the %dth: this is not every commit", last)
			}
		})
	}
}

// Nothing is sent unless its intent is known to be durable, so the test fails if perform
// goes on after an error of RecordIntent.
func TestNothingIsSentWhenTheIntentWasNotHeardToBeDurable(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(map[bool]string{false: "it is not", true: "it is"}[done], func(t *testing.T) {
			t.Parallel()
			c := found(t, "postgres", simulator.Options{Calm: true})
			c.signUp(ada)
			w := c.cut(1, done, "UPDATE actions SET state = 'sent'")
			r := c.reconcile(nil)
			c.mend()
			if !w.broken.Load() {
				t.Fatalf("no intent was recorded: exit code %d\n%s", r.code, r.stderr)
			}
			if n := len(c.Effects()); n > 0 {
				t.Errorf("%d things were done all the same", n)
			}
			c.clock.move(t, afterTheLease)
			c.recover()
			c.sound()
		})
	}
}

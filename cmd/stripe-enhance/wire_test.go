package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// wire is a line to a TCP server that can be cut: the connections stay open and
// nothing passes any more, which is what a network that is lost looks like. The
// server on the far side knows nothing of it.
type wire struct {
	listener net.Listener
	target   string

	mu   sync.Mutex    // guards what follows
	open chan struct{} // closed while bytes may pass
	// trap, while it is set, cuts the line when the server answers a request that contains
	// it: then the server has done the request, and waits for more.
	trap   []byte
	sprung chan struct{} // closed when the trap has cut the line
}

// newWire lays a line to the server of a database URL and returns the URL that
// leads through it.
func newWire(tb testing.TB, database string) (*wire, string) {
	tb.Helper()
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatal(err)
	}
	w := &wire{target: u.Host, open: make(chan struct{}), sprung: make(chan struct{})}
	close(w.open)
	if w.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.listener.Close() })
	go func() {
		for {
			near, err := w.listener.Accept()
			if err != nil {
				return
			}
			go w.connect(near)
		}
	}()
	u.Host = w.listener.Addr().String()
	return w, u.String()
}

func (w *wire) connect(near net.Conn) {
	defer near.Close()
	<-w.passable()
	far, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer far.Close()
	armed := false // the last request was the one that the trap is for
	var mu sync.Mutex
	var both sync.WaitGroup
	both.Go(func() {
		w.pass(far, near, func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			armed = w.trapped(b)
		})
	})
	both.Go(func() {
		w.pass(near, far, func([]byte) {
			mu.Lock()
			defer mu.Unlock()
			if armed {
				w.spring()
			}
		})
	})
	both.Wait()
}

// pass copies until one side ends, and then ends the other. It calls seen with every piece
// before it waits for the line.
func (w *wire) pass(to, from net.Conn, seen func([]byte)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			seen(buffer[:n])
			<-w.passable()
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			<-w.passable()
			if tcp, ok := to.(*net.TCPConn); ok && errors.Is(err, io.EOF) {
				_ = tcp.CloseWrite()
			}
			return
		}
	}
}

func (w *wire) passable() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

func (w *wire) trapped(b []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.trap) > 0 && bytes.Contains(b, w.trap)
}

// spring cuts the line, once.
func (w *wire) spring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.trap) > 0 {
		w.trap, w.open = nil, make(chan struct{})
		close(w.sprung)
	}
}

// cutAfter lays the trap: the line is cut before the answer to the next request
// that contains these words comes through.
func (w *wire) cutAfter(words string) (cut <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trap = []byte(words)
	return w.sprung
}

// mend lets the bytes pass again, those that waited first.
func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.open)
}

// Package fence carries the question "may this process still write?" from the engine, which
// can answer it, to the place right before the wire.
//
// A write is decided long before it leaves: it waits for its turn in the limiter, for a
// connection, for a handshake. If a process is frozen there, or cut from its database, it
// wakes up with a request that another process may have made meanwhile. Asking at the
// decision alone therefore proves nothing; the clients ask again when the bytes are ready.
//
// It is a value of the context because the two that share it, the engine and a client, do
// not know each other, and because the answer belongs to one run: if a process lost the
// lease and acquired it again, it must not send a write that it decided on before.
package fence

import (
	"context"
	"net"
)

type key struct{}

// Around makes Passed ask check for everything that is done under the context.
// check is called from any goroutine and must not block. Its error should be
// fault.Fenced.
func Around(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, key{}, check)
}

// Passed is nil while writes under this context may leave the process; without a
// fence they always may.
func Passed(ctx context.Context) error {
	if err := Pinned(ctx); err != nil {
		return err
	}
	if check, ok := ctx.Value(key{}).(func() error); ok {
		return check()
	}
	return nil
}

type pinKey struct{}

// Pin makes Pinned, and Passed, ask check for everything that is done under the context,
// reads included. It is for what a run has made sure of, and what another request must not
// change under it: the account and the panel that the credentials lead to. Every request
// asks after it has its credential. The error of check should be fault.Fenced.
func Pin(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, pinKey{}, check)
}

// Pinned is nil while requests under this context may leave the process.
func Pinned(ctx context.Context) error {
	if check, ok := ctx.Value(pinKey{}).(func() error); ok {
		return check()
	}
	return nil
}

// Dialer makes connections that pass nothing on once the fence of the request
// they were made for is closed. It is for connections that serve one request:
// a kept one would ask on behalf of the first.
func Dialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, ctx: ctx}, nil
	}
}

type conn struct {
	net.Conn
	ctx context.Context // of the one request; asked for its fence, never for its end
}

func (c *conn) Write(b []byte) (int, error) {
	if err := Passed(c.ctx); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

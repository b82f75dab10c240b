package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Servers are a world's two services on sockets.
type Servers struct {
	StripeURL  string // http://127.0.0.1:…, for STRIPE_API_URL
	EnhanceURL string // http://127.0.0.1:…/api, for ENHANCE_API_URL

	servers []*http.Server
	closing sync.Once
	closed  error
}

// Listen serves both APIs until ctx ends or Close is called. If an address is empty it
// is 127.0.0.1 with a free port. Any address that is not loopback is refused, because a
// caller that reaches these services can do everything in them.
func (w *World) Listen(ctx context.Context, stripeAddr, enhanceAddr string) (*Servers, error) {
	s := &Servers{}
	var err error
	if s.StripeURL, err = s.serve(ctx, stripeAddr, w.StripeHandler()); err != nil {
		return nil, fmt.Errorf("stripe simulator: %w", err)
	}
	if s.EnhanceURL, err = s.serve(ctx, enhanceAddr, w.EnhanceHandler()); err != nil {
		return nil, errors.Join(fmt.Errorf("enhance simulator: %w", err), s.Close())
	}
	s.EnhanceURL += "/api"
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s, nil
}

func (s *Servers) serve(ctx context.Context, addr string, h http.Handler) (url string, err error) {
	if addr, err = loopback(addr); err != nil {
		return "", err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	s.servers = append(s.servers, srv)
	go func() { _ = srv.Serve(l) }() // ends with ErrServerClosed, by Close
	return "http://" + l.Addr().String(), nil
}

// loopback makes an address exact, or returns why it is refused. The name localhost is
// taken as 127.0.0.1 and not looked up.
func loopback(addr string) (string, error) {
	if addr == "" {
		return "127.0.0.1:0", nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: want host:port, like 127.0.0.1:12111", addr)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("address %q is not loopback; the simulators have no real credentials and listen only there: use 127.0.0.1:%s", addr, port)
	}
	return net.JoinHostPort(host, port), nil
}

// Close stops both services and breaks their connections.
func (s *Servers) Close() error {
	s.closing.Do(func() {
		for _, srv := range s.servers {
			s.closed = errors.Join(s.closed, srv.Close())
		}
	})
	return s.closed
}

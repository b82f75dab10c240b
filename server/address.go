package server

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// clientAddress returns the address of the client. Each proxy on the way has appended
// an entry to X-Forwarded-For: the last entry that is not a trusted proxy is the client,
// and all entries left of it were written by the client.
func (s *Server) clientAddress(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // if there is no address, the zero one, which is no proxy's
	from := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusted(from); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return from // no trusted proxy has written that
		}
		from = hop.Unmap()
	}
	return from
}

func (s *Server) trusted(a netip.Addr) bool {
	for _, p := range s.o.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// seconds formats a duration for Retry-After, rounded up.
func seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

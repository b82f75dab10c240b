package server

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// clientAddress is where a request comes from. A proxy that is trusted says so in
// X-Forwarded-For, whose entries were appended by each proxy on the way: the last
// one that is not itself a trusted proxy is the client, and whatever is left of it
// was written by the client.
func (s *Server) clientAddress(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusted(from); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return from // a proxy of ours would not have written that
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

// seconds is a duration for Retry-After, rounded up.
func seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

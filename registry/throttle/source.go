package throttle

import "net/netip"

// Source is the key by which an address is bounded. Whoever has one address of IPv6 has all
// of its /64 (RFC 7421) and could begin anew with each of them: they are one source. An
// address that is none is its own.
func Source(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ErrAddress says that a receiver's address is not a public one.
var ErrAddress = errors.New("the address is not public, and the endpoint does not allow private ones")

const (
	keepAlive   = 30 * time.Second
	dialTimeout = 10 * time.Second
)

// closedNets are the ranges of IPv4 that are no hosts of the Internet (IANA's
// registry of special-purpose addresses, RFC 6890), and the reserved rest.
func closedNets() []netip.Prefix {
	texts := []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/4", "240.0.0.0/4",
		// Of the global unicast range of IPv6: Teredo and other protocols' own,
		// documentation, 6to4, which all stand for other addresses or none.
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	}
	nets := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		nets[i] = netip.MustParsePrefix(text)
	}
	return nets
}

// globalUnicast is the one range of IPv6 that hosts of the Internet have.
func globalUnicast() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// public reports whether the address is one of a host of the Internet. Of IPv6
// only what is known to be is: other ranges lead to private hosts (fc00::/7), to
// the link, or through a translator (64:ff9b::/96) to an IPv4 address that was
// not looked at.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.Is6() && !globalUnicast().Contains(a) {
		return false
	}
	for _, n := range closedNets() {
		if n.Contains(a) {
			return false
		}
	}
	return true
}

// newDialer returns a dialer that connects to public addresses only, unless
// private ones are allowed. It looks at the address that is connected to,
// whatever name, number or answer of a name server it came from.
func newDialer(resolver *net.Resolver, allowPrivate bool) *net.Dialer {
	d := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, Resolver: resolver}
	if allowPrivate {
		return d
	}
	d.ControlContext = func(_ context.Context, network, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%s address %q: %w", network, address, ErrAddress)
		}
		if !public(to.Addr()) {
			return fmt.Errorf("%s: %w", to.Addr(), ErrAddress)
		}
		return nil
	}
	return d
}

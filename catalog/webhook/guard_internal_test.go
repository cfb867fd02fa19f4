package webhook

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rushes/catalog"
)

func TestMain(m *testing.M) {
	// The default, which -rapid.checks changes: SQLite without cgo is slow under
	// the race detector.
	if err := flag.Set("rapid.checks", "12"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1", "169.253.0.1", "172.15.255.255",
		"172.32.0.1", "192.0.1.1", "192.167.0.1", "192.169.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255",
		"2606:4700:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "::ffff:8.8.8.8",
	} {
		require.True(t, public(netip.MustParseAddr(text)), text)
	}
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
		"203.0.113.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::ffff:0:127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:10::1", "2001:db8::1", "2002:7f00:1::", "3fff::1",
		"5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
	} {
		require.False(t, public(netip.MustParseAddr(text)), text)
	}
	require.False(t, public(netip.Addr{}))
}

// answerWith is a resolver for which every name has that address.
func answerWith(address netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close() //nolint:errcheck // a pipe
			for {
				var size [2]byte
				if _, err := io.ReadFull(there, size[:]); err != nil {
					return
				}
				question := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(there, question); err != nil {
					return
				}
				answer := dnsAnswer(question, address)
				if _, err := there.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil { //nolint:gosec // short
					return
				}
			}
		}()
		return here, nil
	}}
}

// dnsAnswer answers a question of one name (RFC 1035 section 4.1) with the
// address, or with nothing where the other family is asked for.
func dnsAnswer(question []byte, address netip.Addr) []byte {
	const header = 12
	end := header
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	kind := binary.BigEndian.Uint16(question[end+1:])
	end += 5
	answer := append([]byte{}, question[:end]...)
	binary.BigEndian.PutUint16(answer[2:], 0x8180) // an answer, recursion available
	copy(answer[6:12], []byte{0, 0, 0, 0, 0, 0})
	raw := address.AsSlice()
	if wanted := map[int]uint16{4: 1, 16: 28}[len(raw)]; kind != wanted {
		return answer
	}
	answer[7] = 1
	answer = append(answer, 0xc0, header)
	answer = binary.BigEndian.AppendUint16(answer, kind)
	answer = append(answer, 0, 1, 0, 0, 0, 60)
	answer = binary.BigEndian.AppendUint16(answer, uint16(len(raw))) //nolint:gosec // 4 or 16
	return append(answer, raw...)
}

// TestGuard posts to every spelling of this machine: none arrives. The same
// spellings arrive where private addresses are allowed, if the system takes them
// for an address at all.
func TestGuard(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	loopback, loopback6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::ffff:127.0.0.1")
	for _, c := range []struct {
		host     string
		resolver *net.Resolver
		arrives  bool // where it is allowed
	}{
		{"127.0.0.1", nil, true}, {"[::ffff:127.0.0.1]", nil, true}, {"[::ffff:7f00:1]", nil, true}, {"0.0.0.0", nil, true},
		{"[::1]", nil, false}, {"[::]", nil, false}, {"localhost", nil, true}, {"127.9.8.7", nil, false},
		{"rebind.example.com", answerWith(loopback), true}, {"rebind6.example.com", answerWith(loopback6), true},
		{"meta.example.com", answerWith(netip.MustParseAddr("169.254.169.254")), false},
		{"10.example.com", answerWith(netip.MustParseAddr("fd00::1")), false},
		{"0x7f000001", answerWith(loopback), true}, {"0x7f.1", answerWith(loopback), true},
		// Names for Go, which looks none of them up; addresses for the system's resolver.
		{"2130706433", nil, false}, {"0177.0.0.1", nil, false}, {"127.1", nil, false}, {"017700000001", nil, false}, {"127.0.0.1.", nil, false},
	} {
		var name *net.DNSError
		for _, allow := range []bool{false, true} {
			if allow && !c.arrives {
				continue
			}
			before := hits.Load()
			d, err := New(Config{Endpoints: []Endpoint{{URL: "http://" + c.host + ":" + u.Port() + "/?token=hush", AllowPrivate: allow}},
				Resolver: c.resolver, Timeout: 5 * time.Second}, nil, fakeLinks{})
			require.NoError(t, err, c.host)
			_, err = d.post(t.Context(), d.endpoints[0], catalog.Delivery{EventID: "e"}, []byte("{}"))
			reach := d.Reach(t.Context())
			d.endpoints[0].client.CloseIdleConnections()
			if allow {
				require.NoError(t, err, c.host)
				require.Empty(t, reach, c.host)
				require.Equal(t, before+1, hits.Load(), c.host)
				continue
			}
			if c.resolver != nil || c.arrives || !errors.As(err, &name) {
				require.ErrorIs(t, err, ErrAddress, c.host)
			}
			require.NotContains(t, err.Error(), "hush")
			require.Len(t, reach, 1)
			require.Equal(t, before, hits.Load(), c.host)
		}
	}
}

// TestNoProxy: the environment's proxy would see what is sent, and connect
// where the guard does not look.
func TestNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1/")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1/")
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	d, err := New(Config{Endpoints: []Endpoint{{URL: "http://hook.example.com:" + u.Port(), AllowPrivate: true}},
		Resolver: answerWith(netip.MustParseAddr("127.0.0.1"))}, nil, fakeLinks{})
	require.NoError(t, err)
	status, err := d.post(t.Context(), d.endpoints[0], catalog.Delivery{EventID: "e"}, []byte("{}"))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	d.endpoints[0].client.CloseIdleConnections()
	require.Nil(t, d.endpoints[0].transport.Proxy)
}

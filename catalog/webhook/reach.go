package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
)

// Reach connects to the endpoint's server as a delivery would, guard and certificate
// included, and sends nothing. Errors show the host only. It is for checking an
// installation.
func Reach(ctx context.Context, e Endpoint) (err error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Hostname() == "" {
		return errors.New("webhook endpoint: its URL names no host")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	c, err := newDialer(nil, e.AllowPrivate).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return fmt.Errorf("connect to webhook endpoint %s: %w", u.Host, err)
	}
	if u.Scheme == "https" {
		secure := tls.Client(c, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			return errors.Join(fmt.Errorf("connect to webhook endpoint %s: %w", u.Host, err), c.Close())
		}
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("connect to webhook endpoint %s: %w", u.Host, err)
	}
	return nil
}

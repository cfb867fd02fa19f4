package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"rushes/catalog"
)

const (
	// version is that of the envelope (api.md).
	version = "2.0"
	// mostBody and mostHeader bound what is read of an answer, in bytes.
	mostBody   = 4 << 10
	mostHeader = 64 << 10
	// mostIdle is how many connections to an endpoint are kept for the next event.
	mostIdle = 2
	idleTime = time.Minute
)

// envelope is what is posted (api.md, "Webhooks").
type envelope struct {
	Version   string    `json:"version"`
	ID        string    `json:"id"`
	AccountID string    `json:"account_id"`
	AppID     string    `json:"app_id"`
	Timestamp time.Time `json:"timestamp"`
	Type      string    `json:"type"`
	IsReplay  bool      `json:"is_replay,omitempty"`
	Data      data      `json:"data"`
}

// receiver is an endpoint with what is needed to send to it.
type receiver struct {
	Endpoint
	signer    *standardwebhooks.Webhook // nil: not signed
	client    *http.Client
	transport *http.Transport
	wake      chan struct{} // has room for one
	counts    counters
}

func newReceiver(e Endpoint, resolver *net.Resolver) (*receiver, error) {
	r := &receiver{Endpoint: e, wake: make(chan struct{}, 1)}
	if e.Secret != "" {
		signer, err := e.signer()
		if err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", e.Name, err)
		}
		r.signer = signer
	}
	r.transport = &http.Transport{
		Proxy:                  nil, // a proxy would connect where the guard does not look
		DialContext:            newDialer(resolver, e.AllowPrivate).DialContext,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // what is read stays as short as what is sent
		MaxIdleConnsPerHost:    mostIdle,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: mostHeader,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
	r.client = &http.Client{
		Transport:     r.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

// body writes the event down as it is sent, with fresh addresses.
func (d *Deliverer) body(ctx context.Context, delivery catalog.Delivery) ([]byte, error) {
	var stored payload
	if err := json.Unmarshal(delivery.Payload, &stored); err != nil {
		return nil, fmt.Errorf("read the stored event: %w", err)
	}
	says, err := newData(delivery.Type)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(stored.Data, says); err != nil {
		return nil, fmt.Errorf("read the stored event: %w", err)
	}
	err = says.link(func(assetID, key string) (string, error) {
		address, err := d.links.PresignGet(ctx, assetID, key, d.config.LinkExpiry)
		if err != nil {
			return "", fmt.Errorf("make an address of %q: %w", key, err)
		}
		return address, nil
	})
	if err != nil {
		return nil, err
	}
	app := stored.AppID
	if app == "" {
		app = d.config.AppID
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // addresses have '&'
	err = encoder.Encode(envelope{
		Version: version, ID: delivery.EventID, AccountID: d.config.AccountID, AppID: app,
		Timestamp: delivery.At.UTC().Truncate(time.Second), Type: delivery.Type, IsReplay: delivery.Replay, Data: says,
	})
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// post sends the body and returns the status of the answer, 0 when there is
// none. Anything but 200 is an error.
func (d *Deliverer) post(ctx context.Context, r *receiver, delivery catalog.Delivery, body []byte) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return 0, r.hide(err)
	}
	for name, value := range r.Headers {
		request.Header.Set(name, value.Reveal())
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "Rushes-Webhook/"+version)
	}
	now := d.config.Now()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(standardwebhooks.HeaderWebhookID, delivery.EventID)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	if r.signer != nil {
		signature, err := r.signer.Sign(delivery.EventID, now, body)
		if err != nil {
			return 0, fmt.Errorf("sign: %w", err)
		}
		request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return 0, r.hide(err)
	}
	// The status is the answer. A little of the body is read so that the
	// connection can be used again; what goes wrong with it changes nothing.
	_, _ = io.CopyN(io.Discard, response.Body, mostBody)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, fmt.Errorf("post to %s: the answer is %d", r.where(), response.StatusCode)
	}
	return response.StatusCode, nil
}

// where is the endpoint's address without what may be secret: the path, the
// query and the user.
func (r *receiver) where() string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return r.Name
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

// hide takes the URL out of an error of net/http.
func (r *receiver) hide(err error) error {
	var withURL *url.Error
	for errors.As(err, &withURL) {
		err = withURL.Err
	}
	return fmt.Errorf("post to %s: %w", r.where(), err)
}

// Reach connects to every endpoint without sending anything, and returns what
// keeps it from doing so by the endpoints' names; endpoints that can be reached
// are not in it.
func (d *Deliverer) Reach(ctx context.Context) map[string]error {
	failed := map[string]error{}
	for _, r := range d.endpoints {
		ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
		if err := r.reach(ctx); err != nil {
			failed[r.Name] = fmt.Errorf("connect to %s: %w", r.where(), err)
		}
		cancel()
	}
	return failed
}

func (r *receiver) reach(ctx context.Context) error {
	u, err := url.Parse(r.URL)
	if err != nil {
		return errors.New("the URL cannot be read")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	c, err := r.transport.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	if u.Scheme == "https" {
		config := r.transport.TLSClientConfig.Clone()
		config.ServerName = u.Hostname()
		err = tls.Client(c, config).HandshakeContext(ctx)
	}
	return errors.Join(err, c.Close())
}

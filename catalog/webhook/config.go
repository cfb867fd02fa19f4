package webhook

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"rushes/catalog"
)

// Defaults of [Config].
const (
	DefaultTimeout     = 10 * time.Second
	DefaultConcurrency = 4
	DefaultLinkExpiry  = 24 * time.Hour
	DefaultPoll        = time.Second
	DefaultGrace       = 5 * time.Second
	DefaultKeep        = 30 * 24 * time.Hour
)

// MinSecret is the length in bytes of the shortest signing secret, decoded.
const MinSecret = 16

// Endpoint is a customer's server that is told of events.
type Endpoint struct {
	// Name tells endpoints apart, in the catalog too: deliveries that wait are
	// those of a name. It defaults to the host and a digest of the URL, so that an
	// endpoint without a name that gets another URL is another endpoint. What
	// waits for a name that is configured no more goes on waiting.
	Name string
	// URL is where events are posted, http or https. It may have a user and a
	// password, which are sent as basic authentication. Errors show its scheme and
	// host only.
	URL string
	// Secret signs what is sent, by the Standard Webhooks scheme: "whsec_" and
	// base64. Without one nothing is signed.
	Secret catalog.Secret
	// Headers are sent along with every event.
	Headers map[string]catalog.Secret
	// Events are the types of events to send; none means all.
	Events []string
	// AppID is the app whose events are sent; "" means those of all apps.
	AppID string
	// AllowPrivate allows addresses that are not public: loopback, private
	// networks, link-local ones.
	AllowPrivate bool
}

// Config says whom to tell, and how. Processes that share a catalog are given the
// same endpoints: whoever announces an event does so for all of them.
type Config struct {
	// Endpoints are who is told. At least one.
	Endpoints []Endpoint
	// AccountID is in every event.
	AccountID string
	// AppID is in the events of jobs that belong to no app of their own.
	AppID string
	// Timeout bounds one attempt, from making addresses to the answer. It defaults
	// to DefaultTimeout.
	Timeout time.Duration
	// Backoff is the wait before each further attempt; when it is used up the
	// delivery has failed. Nil means 1, 3 and 10 s (api.md), empty no further
	// attempt.
	Backoff []time.Duration
	// Concurrency is how many deliveries to one endpoint are under way at once, at
	// most. It defaults to DefaultConcurrency.
	Concurrency int
	// LinkExpiry is how long addresses are valid. It defaults to
	// DefaultLinkExpiry.
	LinkExpiry time.Duration
	// Poll is how often the catalog is looked at without being woken. It defaults
	// to DefaultPoll.
	Poll time.Duration
	// Grace is how long deliveries that are under way may go on when Run is to
	// end; what is left then is handed back. It defaults to DefaultGrace.
	Grace time.Duration
	// Keep is how long delivered deliveries are kept for a replay; failed ones
	// are kept for ever. It defaults to DefaultKeep.
	Keep time.Duration
	// Resolver looks names up. It defaults to the system's.
	Resolver *net.Resolver
	// Now is the time that signatures carry. It defaults to time.Now.
	Now func() time.Time
	// OnAttempt is told of every attempt, or nil. It may be called from several
	// goroutines at once, and should return quickly.
	OnAttempt func(Attempt)
	// OnError is told of trouble with the catalog, which passes; or nil.
	OnError func(error)
}

// Links makes addresses of objects.
type Links interface {
	// PresignGet returns an address under which anybody can read the object for
	// that long. The object belongs to the asset, and is the playlist of a
	// room-vod when its key ends in ".m3u8".
	PresignGet(ctx context.Context, assetID, key string, expires time.Duration) (string, error)
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Concurrency = cmp.Or(c.Concurrency, DefaultConcurrency)
	c.LinkExpiry = cmp.Or(c.LinkExpiry, DefaultLinkExpiry)
	c.Poll = cmp.Or(c.Poll, DefaultPoll)
	c.Grace = cmp.Or(c.Grace, DefaultGrace)
	c.Keep = cmp.Or(c.Keep, DefaultKeep)
	if c.Backoff == nil {
		c.Backoff = []time.Duration{time.Second, 3 * time.Second, 10 * time.Second}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.OnAttempt == nil {
		c.OnAttempt = func(Attempt) {}
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	c.Endpoints = slices.Clone(c.Endpoints)
	for i := range c.Endpoints {
		c.Endpoints[i].Name = c.Endpoints[i].name()
	}
	return c
}

// name is the endpoint's Name or its default.
func (e Endpoint) name() string {
	if e.Name != "" {
		return e.Name
	}
	host := "endpoint"
	if u, err := url.Parse(e.URL); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	digest := sha256.Sum256([]byte(e.URL))
	return host + "-" + hex.EncodeToString(digest[:4])
}

// Validate returns all that is wrong, joined; no part of it is a secret.
func (c Config) Validate() error {
	var errs []error
	if len(c.Endpoints) == 0 {
		errs = append(errs, errors.New("no endpoints"))
	}
	seen := map[string]bool{}
	for i, e := range c.Endpoints {
		name := e.name()
		if err := e.validate(); err != nil {
			errs = append(errs, fmt.Errorf("endpoint %d (%s): %w", i+1, name, err))
		}
		if seen[name] {
			errs = append(errs, fmt.Errorf("endpoint %d: another one has the name %s too", i+1, name))
		}
		seen[name] = true
	}
	for name, d := range map[string]time.Duration{
		"timeout": c.Timeout, "link expiry": c.LinkExpiry, "poll": c.Poll, "grace": c.Grace, "keep": c.Keep,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s %v is negative", name, d))
		}
	}
	for _, d := range c.Backoff {
		if d < 0 {
			errs = append(errs, fmt.Errorf("backoff %v is negative", d))
		}
	}
	if c.Concurrency < 0 {
		errs = append(errs, fmt.Errorf("concurrency %d is negative", c.Concurrency))
	}
	return errors.Join(errs...)
}

func (e Endpoint) validate() error {
	var errs []error
	switch u, err := url.Parse(e.URL); {
	case err != nil:
		errs = append(errs, errors.New("the URL cannot be read")) // its error repeats the URL
	case u.Scheme != "http" && u.Scheme != "https":
		errs = append(errs, errors.New("the URL is neither http nor https"))
	case u.Hostname() == "":
		errs = append(errs, errors.New("the URL has no host"))
	case u.Fragment != "":
		errs = append(errs, errors.New("the URL has a fragment"))
	}
	if e.Secret != "" {
		if _, err := e.signer(); err != nil {
			errs = append(errs, err)
		}
	}
	for name, value := range e.Headers {
		if !validHeaderName(name) {
			errs = append(errs, fmt.Errorf("header %q cannot be set", name))
		}
		if strings.ContainsFunc(value.Reveal(), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			errs = append(errs, fmt.Errorf("the value of header %q has control characters", name))
		}
	}
	for _, t := range e.Events {
		if !slices.Contains(EventTypes(), t) {
			errs = append(errs, fmt.Errorf("event %q is none of %v", t, EventTypes()))
		}
	}
	return errors.Join(errs...)
}

// signer reads the secret. The scheme asks for 24 bytes or more; less than
// MinSecret is a slip.
func (e Endpoint) signer() (*standardwebhooks.Webhook, error) {
	const wrong = "the secret is not whsec_ and base64"
	text, ok := strings.CutPrefix(e.Secret.Reveal(), "whsec_")
	if !ok {
		return nil, errors.New(wrong)
	}
	if len(text)*3/4 < MinSecret {
		return nil, fmt.Errorf("the secret has less than %d bytes", MinSecret)
	}
	signer, err := standardwebhooks.NewWebhook(e.Secret.Reveal())
	if err != nil {
		return nil, errors.New(wrong)
	}
	return signer, nil
}

// reservedHeaders are those that the deliverer or HTTP itself sets.
func reservedHeaders() []string {
	return []string{
		"content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "host", "te", "trailer",
		"upgrade", "expect", "keep-alive", "proxy-connection", standardwebhooks.HeaderWebhookID,
		standardwebhooks.HeaderWebhookTimestamp, standardwebhooks.HeaderWebhookSignature,
	}
}

// validHeaderName reports whether the name is a token (RFC 9110 section 5.6.2)
// that is not ours to set.
func validHeaderName(name string) bool {
	token := strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") == ""
	return name != "" && token && !slices.Contains(reservedHeaders(), strings.ToLower(name))
}

// wants reports whether the endpoint is told of that type of events of the app.
func (e Endpoint) wants(appID, eventType string) bool {
	return (e.AppID == "" || e.AppID == appID) && (len(e.Events) == 0 || slices.Contains(e.Events, eventType))
}

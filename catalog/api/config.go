package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
)

const (
	// DefaultBodyLimit is the size in bytes that a request's body may have.
	DefaultBodyLimit = 1 << 20
	// DefaultRate is the number of requests a second that one access key may make
	// in the long run.
	DefaultRate = 50
	// DefaultBurst is the number of requests that one access key may make at once.
	DefaultBurst = 200
	// DefaultRequestTime is how long an operation may take.
	DefaultRequestTime = 20 * time.Second
	// DefaultIdempotencyTime is how long the answer to an Idempotency-Key is kept.
	DefaultIdempotencyTime = 24 * time.Hour
	// MinLinkKey is the length in bytes of the shortest key for links.
	MinLinkKey = 16
)

// Config is what an [API] is made of.
type Config struct {
	// Catalog, Actions, Keys, Idempotency, Objects and Presigner are required.
	Catalog     Catalog
	Actions     Actions
	Keys        Keys
	Idempotency Idempotency
	Objects     Objects
	Presigner   blob.Presigner

	// PublicURL is the address under which clients reach the service, without a
	// path: it begins the links of room-vod assets. Required.
	PublicURL string
	// LinkKeys sign the links of room-vod assets: the first one new links, all of
	// them are taken for old ones. At least one, of MinLinkKey bytes.
	LinkKeys []catalog.Secret
	// Files serves the store's own signed addresses below FilesPath, or is nil
	// where the store serves them itself. It answers for its own access control.
	Files http.Handler
	// FilesPath begins and ends with '/'.
	FilesPath string

	// Metrics answers GET /metrics; nil answers 404.
	Metrics http.Handler
	// Ready are the checks behind GET /readyz.
	Ready []Check
	// Origins are the origins whose pages may read GET answers: "*", or
	// "https://player.example.com". None by default.
	Origins []string

	// BodyLimit is in bytes; 0 means DefaultBodyLimit.
	BodyLimit int64
	// Rate is in requests a second and key; 0 means DefaultRate.
	Rate float64
	// Burst is in requests; 0 means DefaultBurst.
	Burst int
	// RequestTime bounds an operation; 0 means DefaultRequestTime.
	RequestTime time.Duration
	// IdempotencyTime is how long answers are kept; 0 means
	// DefaultIdempotencyTime.
	IdempotencyTime time.Duration

	// Software is the version in the OpenAPI description; "" means "dev".
	Software string
	// Log takes the access log and the errors that callers are not told; nil
	// discards them.
	Log *slog.Logger
	// Observe is told of every request when it is over: by which route (a
	// pattern, "" for none), with which status. It may be nil.
	Observe func(route string, status int, took time.Duration)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	c.BodyLimit = cmp.Or(c.BodyLimit, DefaultBodyLimit)
	c.Rate = cmp.Or(c.Rate, DefaultRate)
	c.Burst = cmp.Or(c.Burst, DefaultBurst)
	c.RequestTime = cmp.Or(c.RequestTime, DefaultRequestTime)
	c.IdempotencyTime = cmp.Or(c.IdempotencyTime, DefaultIdempotencyTime)
	c.Software = cmp.Or(c.Software, "dev")
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(string, int, time.Duration) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// validate joins all that is wrong.
func (c Config) validate() error {
	var errs []error
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("api configuration: "+format+": %w", append(args, catalog.ErrInvalid)...))
		}
	}
	bad(c.Catalog == nil, "no catalog")
	bad(c.Actions == nil, "no actions")
	bad(c.Keys == nil, "no keys")
	bad(c.Idempotency == nil, "no idempotency")
	bad(c.Objects == nil, "no objects")
	bad(c.Presigner == nil, "no presigner")
	u, err := url.Parse(c.PublicURL)
	bad(err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Path != "" || u.RawQuery != "",
		"public URL %q is not scheme and host", c.PublicURL)
	bad(len(c.LinkKeys) == 0, "no link keys")
	for i, k := range c.LinkKeys {
		bad(len(k) < MinLinkKey, "link key %d has fewer than %d bytes", i, MinLinkKey)
	}
	bad(c.Files != nil && (len(c.FilesPath) < 3 || c.FilesPath[0] != '/' || !strings.HasSuffix(c.FilesPath, "/")),
		"files path %q", c.FilesPath)
	bad(c.BodyLimit < 0 || c.Rate < 0 || c.Burst < 0 || c.RequestTime < 0 || c.IdempotencyTime < 0, "a limit below 0")
	for _, o := range c.Origins {
		bad(!validOrigin(o), "origin %q", o)
	}
	for _, check := range c.Ready {
		bad(check.Name == "" || check.Run == nil, "a readiness check %q without a name or function", check.Name)
	}
	return errors.Join(errs...)
}

func validOrigin(o string) bool {
	if o == "*" {
		return true
	}
	u, err := url.Parse(o)
	return err == nil && u.Scheme != "" && u.Host != "" && u.Scheme+"://"+u.Host == o
}

// API is the HTTP interface. It is safe for concurrent use, starts no
// goroutines and needs no closing.
type API struct {
	config  Config
	mux     *http.ServeMux
	limiter *limiter
	vod     *linkSigner
	origins map[string]bool
	spec    []byte
}

var _ http.Handler = (*API)(nil)

// New checks the configuration and returns the API.
func New(c Config) (*API, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	a := &API{
		config:  c,
		mux:     http.NewServeMux(),
		limiter: newLimiter(c.Rate, c.Burst),
		vod:     &linkSigner{keys: c.LinkKeys},
		origins: make(map[string]bool, len(c.Origins)),
	}
	for _, o := range c.Origins {
		a.origins[o] = true
	}
	spec, err := a.routes()
	if err != nil {
		return nil, fmt.Errorf("api description: %w", err)
	}
	a.spec = spec
	return a, nil
}

// OpenAPI returns the OpenAPI 3.1 description that the API serves, as JSON. The
// caller must not change it.
func (a *API) OpenAPI() []byte { return a.spec }

// fail turns an error of a handler into its answer, and writes down what the
// caller is not told.
func (a *API) fail(ctx context.Context, err error) error {
	e := answerTo(ctx, err)
	if e.Code >= http.StatusInternalServerError {
		a.config.Log.ErrorContext(ctx, "request failed", "request_id", stateOf(ctx).id, "error", err.Error())
	}
	return e
}

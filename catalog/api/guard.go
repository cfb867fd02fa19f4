package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"golang.org/x/time/rate"
)

// adapter registers huma's operations at the mux, each behind what guards it.
type adapter struct{ *API }

var _ huma.Adapter = adapter{}

// Handle registers one operation.
func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	a.mux.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), a.config.RequestTime)
		defer cancel()
		run := func(w http.ResponseWriter, r *http.Request) {
			handler(&humaContext{humago.NewContext(op, r, w)})
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		a.guard(op, run)(w, r.WithContext(ctx))
	})
}

// embedded has another name than its method Context.
type embedded = huma.Context

// humaContext keeps huma's own error statuses and content types from going out.
type humaContext struct{ embedded }

// SetStatus sends the status.
func (c *humaContext) SetStatus(code int) { c.embedded.SetStatus(ourStatus(code)) }

// SetHeader sets a header.
func (c *humaContext) SetHeader(name, value string) {
	if name == "Content-Type" && value == "application/problem+json" {
		value = "application/json"
	}
	c.embedded.SetHeader(name, value)
}

// guard puts the token, the rate limit, the body's limits and the
// Idempotency-Key in front of an operation.
func (a *API) guard(op *huma.Operation, run http.HandlerFunc) http.HandlerFunc {
	if len(op.Security) == 0 {
		return run
	}
	return func(w http.ResponseWriter, r *http.Request) {
		key, err := a.authenticate(r)
		if err != nil {
			answerOf(a.fail(r.Context(), err)).write(w)
			return
		}
		stateOf(r.Context()).app = key.AppID
		if wait := a.limiter.take(key.AccessKey, a.config.Now()); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			refuse(http.StatusTooManyRequests, "too many requests").write(w)
			return
		}
		if r.Method != http.MethodPost {
			run(w, r)
			return
		}
		body, refused := a.readBody(w, r)
		if refused != nil {
			refused.write(w)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		a.once(body, run)(w, r)
	}
}

func answerOf(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return refuse(http.StatusInternalServerError, "internal error")
}

// readBody reads a POST's body within the limits.
func (a *API) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Error) {
	tooLarge := func() *Error {
		// The rest of it is not worth reading.
		w.Header().Set("Connection", "close")
		return refuse(http.StatusRequestEntityTooLarge, "request body too large",
			fmt.Sprintf("the limit is %d bytes", a.config.BodyLimit))
	}
	if r.ContentLength > a.config.BodyLimit {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.config.BodyLimit))
	if err != nil {
		var (
			large *http.MaxBytesError
			late  net.Error
		)
		w.Header().Set("Connection", "close")
		switch {
		case errors.As(err, &large):
			return nil, tooLarge()
		case errors.As(err, &late) && late.Timeout():
			return nil, refuse(http.StatusRequestTimeout, "request body took too long")
		}
		return nil, refuse(http.StatusBadRequest, "bad request", "the body could not be read")
	}
	if len(body) == 0 {
		return nil, nil
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || kind != "application/json" || (charset != "" && charset != "utf-8" && charset != "UTF-8") ||
		r.Header.Get("Content-Encoding") != "" {
		return nil, refuse(http.StatusUnsupportedMediaType, "unsupported media type", "the body must be application/json")
	}
	return body, nil
}

// limiter holds a bucket for each access key that was in a valid token, so
// there are no more of them than keys. It is safe for concurrent use.
type limiter struct {
	perSecond rate.Limit
	burst     int

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{perSecond: rate.Limit(perSecond), burst: burst, buckets: map[string]*rate.Limiter{}}
}

// take takes one request out of the key's bucket and returns 0, or how long it
// is until there is one.
func (l *limiter) take(key string, now time.Time) time.Duration {
	l.mu.Lock()
	bucket := l.buckets[key]
	if bucket == nil {
		bucket = rate.NewLimiter(l.perSecond, l.burst)
		l.buckets[key] = bucket
	}
	l.mu.Unlock()
	turn := bucket.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > 0 {
		turn.CancelAt(now)
	}
	return wait
}

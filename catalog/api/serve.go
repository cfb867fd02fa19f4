package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"
)

// maxRequestID is the longest X-Request-Id that is taken over, in bytes.
const maxRequestID = 64

// state is what the parts of one request's way tell each other. It belongs to
// the request's goroutine.
type state struct {
	id    string
	route string // the pattern that matched, without ids and tokens
	app   string
}

type stateKey struct{}

// stateOf returns the request's state, or an empty one outside of a request.
func stateOf(ctx context.Context) *state {
	if s, ok := ctx.Value(stateKey{}).(*state); ok {
		return s
	}
	return &state{}
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := a.config.Now()
	s := &state{id: requestID(r.Header.Get("X-Request-Id"))}
	r = r.WithContext(context.WithValue(r.Context(), stateKey{}, s))
	out := &response{ResponseWriter: w}
	defer func() { a.finish(out, r, began, recover()) }()

	h := out.Header()
	h.Set("X-Request-Id", s.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if strings.HasPrefix(a.config.PublicURL, "https://") {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if a.crossOrigin(out, r) {
		return
	}
	a.dispatch(out, r)
}

// dispatch finds the route, and answers for the mux where there is none.
func (a *API) dispatch(w *response, r *http.Request) {
	s := stateOf(r.Context())
	if !cleanPath(r.URL.Path) {
		if a.isLink(r.URL.Path) {
			refuse(http.StatusForbidden, "forbidden", "the link is not valid").write(w)
			return
		}
		refuse(http.StatusNotFound, "not found", "no such path").write(w)
		return
	}
	_, s.route = a.mux.Handler(r)
	if s.route != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	asked := &refusal{header: http.Header{}}
	a.mux.ServeHTTP(asked, r)
	if asked.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", asked.header.Get("Allow"))
		refuse(http.StatusMethodNotAllowed, "method not allowed", "allowed: "+asked.header.Get("Allow")).write(w)
		return
	}
	refuse(http.StatusNotFound, "not found", "no such path").write(w)
}

// isLink reports whether the path is one of signed links, which answer 403 to
// whatever was altered.
func (a *API) isLink(p string) bool {
	return strings.HasPrefix(p, vodPath) || (a.config.Files != nil && strings.HasPrefix(p, a.config.FilesPath))
}

// cleanPath reports whether the decoded path is what the mux would make of it,
// so that it never redirects.
func cleanPath(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	return path.Clean(p) == p || path.Clean(p)+"/" == p
}

// finish ends the request: a panic becomes an answer, and the access log gets
// its line. Paths and queries may hold tokens, so the log has the route.
func (a *API) finish(w *response, r *http.Request, began time.Time, panicked any) {
	s := stateOf(r.Context())
	if panicked != nil && panicked != http.ErrAbortHandler {
		a.config.Log.ErrorContext(r.Context(), "panic", "request_id", s.id, "route", s.route,
			"panic", panicked, "stack", string(debug.Stack()))
		if w.status == 0 {
			refuse(http.StatusInternalServerError, "internal error", requestDetail(r.Context())).write(w)
		}
	}
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	took := a.config.Now().Sub(began)
	a.config.Observe(s.route, status, took)
	level := slog.LevelInfo
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case s.route == "GET /healthz", s.route == "GET /readyz", s.route == "GET /metrics":
		level = slog.LevelDebug // asked for every few seconds
	}
	a.config.Log.Log(r.Context(), level, "request", "request_id", s.id, "method", r.Method, "route", s.route,
		"status", status, "bytes", w.bytes, "took", took, "app_id", s.app, "remote", r.RemoteAddr)
	if panicked != nil && status < http.StatusInternalServerError {
		// What was sent so far must not look whole: its end finds no way out, and
		// the server closes the connection.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	}
}

// requestID returns the id that the caller gave, if it can stand in a log, or a
// new one.
func requestID(given string) string {
	odd := func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-_.", c)
	}
	if given != "" && len(given) <= maxRequestID && !strings.ContainsFunc(given, odd) {
		return given
	}
	return randomHex()
}

func randomHex() string {
	var b [16]byte
	// It does not fail: crypto/rand ends the process instead.
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// crossOrigin lets pages of the configured origins read what GET answers; it
// reports whether the request was a preflight and is answered.
func (a *API) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	if len(a.origins) == 0 {
		return false
	}
	h := w.Header()
	if !a.origins["*"] {
		h.Add("Vary", "Origin")
	}
	origin := r.Header.Get("Origin")
	asked := r.Header.Get("Access-Control-Request-Method")
	preflight := r.Method == http.MethodOptions && asked != ""
	method := r.Method
	if preflight {
		method = asked
	}
	if origin == "" || (!a.origins["*"] && !a.origins[origin]) || (method != http.MethodGet && method != http.MethodHead) {
		return false
	}
	if a.origins["*"] {
		origin = "*"
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if !preflight {
		h.Set("Access-Control-Expose-Headers", "Accept-Ranges, Content-Length, Content-Range, ETag, X-Request-Id")
		return false
	}
	stateOf(r.Context()).route = "preflight"
	h.Set("Access-Control-Allow-Methods", "GET, HEAD")
	h.Set("Access-Control-Allow-Headers", "Authorization, If-Match, If-None-Match, If-Range, Range, X-Request-Id")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

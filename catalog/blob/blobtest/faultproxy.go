package blobtest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is what a FaultProxy does to a request.
type Fault int

const (
	// Pass forwards the request and the answer as they are.
	Pass Fault = iota
	// Unavailable answers 503 and forwards nothing.
	Unavailable
	// Reset ends the connection and forwards nothing.
	Reset
	// LoseAnswer forwards the request and ends the connection in place of the
	// answer.
	LoseAnswer
	// CutRequest forwards half of the body and ends both connections.
	CutRequest
	// DamageRequest forwards the request with one byte of its body changed.
	DamageRequest
	// CutAnswer ends the connection in the middle of the answer's body.
	CutAnswer
	// ShortAnswer leaves the last byte of the answer out and says so in its
	// Content-Length, as if the object were shorter.
	ShortAnswer
	// DamageETag forwards the answer with another ETag.
	DamageETag
	// Swallow forwards nothing and answers as if all were well.
	Swallow
	// Hang forwards nothing and does not answer before the client goes away.
	Hang
	// Slow lets a second pass before it forwards the request.
	Slow
)

// FaultProxy is an HTTP server that forwards requests to another one, but not
// all of them as they should be.
type FaultProxy struct {
	// Address is the proxy's own.
	Address string

	target    string
	transport *http.Transport
	closing   chan struct{}
	mu        sync.Mutex
	rule      func(operation string, r *http.Request) Fault
	seen      map[string]int
}

// NewFaultProxy starts a proxy in front of the server at target, an http
// address, and stops it with the test.
func NewFaultProxy(t testing.TB, target string) *FaultProxy {
	t.Helper()
	p := &FaultProxy{target: strings.TrimPrefix(target, "http://"), transport: &http.Transport{}, closing: make(chan struct{})}
	p.Set(nil)
	server := httptest.NewServer(p)
	p.Address = server.URL
	t.Cleanup(func() {
		close(p.closing)
		server.Close()
		p.transport.CloseIdleConnections()
	})
	return p
}

// Set makes rule decide about every request from now on and forgets what was
// seen; nil passes all. Operations have the names of the S3 protocol.
func (p *FaultProxy) Set(rule func(operation string, r *http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule, p.seen = rule, map[string]int{}
}

// Seen returns how many requests of the operation came since Set.
func (p *FaultProxy) Seen(operation string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[operation]
}

func (p *FaultProxy) decide(r *http.Request) Fault {
	operation := S3Operation(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[operation]++
	if p.rule == nil {
		return Pass
	}
	return p.rule(operation, r)
}

// S3Operation names the operation of the S3 protocol that a request asks for.
func S3Operation(r *http.Request) string {
	q := r.URL.Query()
	object := strings.Contains(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case !object && r.Method == http.MethodGet && q.Has("uploads"):
		return "ListMultipartUploads"
	case !object && r.Method == http.MethodGet:
		return "ListObjects"
	case !object:
		return "HeadBucket"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost:
		return "CompleteMultipartUpload"
	case r.Method == http.MethodPut && q.Has("uploadId"):
		return "UploadPart"
	case r.Method == http.MethodPut:
		return "PutObject"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "AbortMultipartUpload"
	case r.Method == http.MethodDelete:
		return "DeleteObject"
	case r.Method == http.MethodGet && q.Has("uploadId"):
		return "ListParts"
	case r.Method == http.MethodHead:
		return "HeadObject"
	}
	return "GetObject"
}

// ServeHTTP forwards a request, or does to it what the rule says.
func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		reset(w)
		return
	}
	fault := p.decide(r)
	switch fault {
	case Unavailable:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code><Message>later</Message></Error>") // the client may be gone
		return
	case Reset:
		reset(w)
		return
	case Swallow:
		w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
		return
	case Hang, Slow:
		wait := time.NewTimer(map[Fault]time.Duration{Hang: time.Hour, Slow: time.Second}[fault])
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-r.Context().Done():
			return
		case <-p.closing:
			reset(w)
			return
		}
	case DamageRequest:
		if len(body) > 0 {
			body[len(body)/2] ^= 1
		}
	}
	p.forward(w, r, body, fault)
}

// forward sends the request on and gives the answer back.
func (p *FaultProxy) forward(w http.ResponseWriter, r *http.Request, body []byte, fault Fault) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", p.target, ""
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	if fault == CutRequest {
		out.Body = io.NopCloser(bytes.NewReader(body[:len(body)/2]))
	}
	response, err := p.transport.RoundTrip(out)
	if err != nil {
		reset(w)
		return
	}
	answer, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil {
		reset(w)
		return
	}
	if err != nil || fault == LoseAnswer {
		reset(w)
		return
	}
	p.answer(w, response, answer, fault)
}

func (p *FaultProxy) answer(w http.ResponseWriter, response *http.Response, body []byte, fault Fault) {
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	length := response.ContentLength
	if fault == DamageETag {
		w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
		body = bytes.ReplaceAll(body, []byte("<ETag>"), []byte("<ETag>0"))
		length = max(length, int64(len(body)))
	}
	if fault == ShortAnswer && length > 0 {
		length--
		body = body[:max(0, len(body)-1)]
	}
	if length >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	}
	w.WriteHeader(response.StatusCode)
	if fault == CutAnswer && len(body) > 0 {
		_, _ = w.Write(body[:len(body)/2]) // the rest is cut anyway
		_ = http.NewResponseController(w).Flush()
		reset(w)
		return
	}
	_, _ = w.Write(body) // the client may be gone
}

// reset ends the connection of a request without a word.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // so that the client gets a reset
	}
	_ = conn.Close()
}

// FailFirst is a rule that does fault to the first n requests of the operation.
func FailFirst(operation string, n int, fault Fault) func(string, *http.Request) Fault {
	return func(name string, _ *http.Request) Fault {
		if name != operation || n == 0 {
			return Pass
		}
		n--
		return fault
	}
}

var _ http.Handler = (*FaultProxy)(nil)

package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CheckWeb reads a package from a web server. Names are absolute URLs. It asks for parts of files, a mebibyte at a time;
// from a server that does not give parts a file is copied to a temporary one.
type CheckWeb struct {
	client  *http.Client
	origins []string
}

// WebOptions holds the settings of NewCheckWeb; the zero value is usable.
type WebOptions struct {
	// Origins are further origins that may be asked, as "https://host:port".
	Origins []string
	// Transport sends the requests; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Timeout bounds one request with its answer; it defaults to a minute.
	Timeout time.Duration
}

const (
	webBlock     = 1 << 20
	maxRedirects = 3
)

// NewCheckWeb prepares reading the package at an http or https URL. Only its origin and those in opt are ever asked,
// whatever playlists name and redirects say.
func NewCheckWeb(address string, opt WebOptions) (*CheckWeb, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &InputError{What: "URL", Reason: "it is not an address of http or https", Err: err}
	}
	w := &CheckWeb{origins: []string{origin(u)}}
	for _, o := range opt.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, &InputError{What: "origin", Reason: "it is not the beginning of an http or https URL", Err: err}
		}
		w.origins = append(w.origins, origin(u))
	}
	w.client = &http.Client{Transport: opt.Transport, Timeout: opt.Timeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		if !slices.Contains(w.origins, origin(r.URL)) {
			return errElsewhere
		}
		return nil
	}}
	if opt.Timeout == 0 {
		w.client.Timeout = time.Minute
	}
	return w, nil
}

// origin is scheme, host and port (RFC 6454).
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// Resolve implements CheckSource.
func (w *CheckWeb) Resolve(base, uri string) (string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("resolving %q: %w", uri, err)
	}
	u, err := b.Parse(uri)
	if err != nil {
		return "", fmt.Errorf("resolving %q: %w", uri, err)
	}
	if u.Fragment = ""; !slices.Contains(w.origins, origin(u)) {
		return "", errElsewhere
	}
	return u.String(), nil
}

// Open implements Files: it reads the file's first part.
func (w *CheckWeb) Open(ctx context.Context, name string) (File, error) {
	u, err := url.Parse(name)
	if err != nil || !slices.Contains(w.origins, origin(u)) {
		return nil, errors.Join(fmt.Errorf("hls: opening a URL: %w", errElsewhere), err)
	}
	f := &webFile{ctx: ctx, w: w, name: name}
	res, err := w.get(ctx, name, 0, webBlock)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // only read
	switch res.StatusCode {
	case http.StatusOK:
		return spool(res.Body, maxSpooled)
	case http.StatusRequestedRangeNotSatisfiable: // an empty file
		return f, nil
	case http.StatusPartialContent:
	case http.StatusNotFound, http.StatusGone:
		return nil, fmt.Errorf("hls: reading %s: the server says %d: %w", u.Redacted(), res.StatusCode, fs.ErrNotExist)
	default:
		return nil, fmt.Errorf("hls: reading %s: the server says %d", u.Redacted(), res.StatusCode)
	}
	total, ok := totalOf(res.Header.Get("Content-Range"))
	if !ok {
		return nil, fmt.Errorf("hls: reading %s: the server gives a part but not of how much", u.Redacted())
	}
	f.size = total
	block := make([]byte, min(webBlock, total))
	if _, err := io.ReadFull(res.Body, block); err != nil {
		return nil, fmt.Errorf("hls: reading %s: %w", u.Redacted(), err)
	}
	f.blocks[0] = webPart{at: 0, data: block}
	return f, nil
}

// get asks for a part of a file. Whoever gets the answer closes its body.
func (w *CheckWeb) get(ctx context.Context, name string, from, length int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, name, nil)
	if err != nil {
		return nil, fmt.Errorf("hls: making a request: %w", err)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+length-1))
	res, err := w.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("hls: reading: %w", err)
	}
	return res, nil
}

// totalOf reads the whole length out of "bytes 0-9/100" (RFC 9110, 14.4).
func totalOf(header string) (int64, bool) {
	_, text, _ := strings.Cut(header, "/")
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n > 0 && strings.HasPrefix(header, "bytes 0-")
}

// webFile is a file on a server, of which the last few parts are in memory. It lives within the call of Check that
// opened it, so it keeps that call's context: ReadAt has no room for it.
type webFile struct {
	ctx    context.Context
	w      *CheckWeb
	name   string
	size   int64
	blocks [4]webPart
	next   int
}

type webPart struct {
	at   int64
	data []byte
}

func (f *webFile) Size() int64  { return f.size }
func (f *webFile) Close() error { return nil }

// ReadAt implements io.ReaderAt for one goroutine.
func (f *webFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at < 0 || at >= f.size {
			return n, io.EOF
		}
		b, err := f.block(at / webBlock * webBlock)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], b[at%webBlock:])
	}
	return n, nil
}

func (f *webFile) block(at int64) ([]byte, error) {
	for _, b := range f.blocks {
		if b.at == at && b.data != nil {
			return b.data, nil
		}
	}
	length := min(webBlock, f.size-at)
	res, err := f.w.get(f.ctx, f.name, at, length)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // only read
	if res.StatusCode != http.StatusPartialContent {
		return nil, fmt.Errorf("hls: reading a part: the server says %d", res.StatusCode)
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(res.Body, data); err != nil {
		return nil, fmt.Errorf("hls: reading a part: %w", err)
	}
	f.next = (f.next + 1) % len(f.blocks)
	f.blocks[f.next] = webPart{at: at, data: data}
	return data, nil
}

package signed

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"rushes/catalog/blob"
)

// Handler serves the objects of a store to whoever has a signed address: GET
// and HEAD, Range, If-Range, If-None-Match and their like (RFC 9110 sections 13
// and 14), with a strong ETag. It answers 403 to every address that is not
// right, expired ones too, 404 where there is no such object, and 405 to other
// methods. It is safe for concurrent use.
type Handler struct {
	signer *Signer
	store  blob.Store
	report func(*http.Request, error)
}

// NewHandler makes a handler of the signer's addresses for the store. Objects of
// a blob.Opener are sent without being copied through the process. report is
// told the errors that become a 500, and may be nil.
func NewHandler(signer *Signer, store blob.Store, report func(*http.Request, error)) *Handler {
	if report == nil {
		report = func(*http.Request, error) {}
	}
	return &Handler{signer: signer, store: store, report: report}
}

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "an address is for GET and HEAD")
		return
	}
	g, err := h.signer.open(r.URL.EscapedPath(), r.URL.RawQuery)
	if err != nil {
		refuse(w, http.StatusForbidden, err.Error())
		return
	}
	body, info, err := h.openObject(r.Context(), g.key)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		refuse(w, http.StatusNotFound, "there is no such object")
		return
	case err != nil:
		h.report(r, err)
		refuse(w, http.StatusInternalServerError, "the object cannot be read")
		return
	}
	header := w.Header()
	header.Set("ETag", etag(info))
	header.Set("Content-Type", g.options.ContentType)
	if g.options.ContentType == "" {
		header.Set("Content-Type", blob.MediaType(g.key))
	}
	if disposition := g.options.ContentDisposition(); disposition != "" {
		header.Set("Content-Disposition", disposition)
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "private, no-cache") // the ETag saves sending it again, the signature is asked for
	http.ServeContent(w, r, "", info.ModTime, body)
	if err := body.Close(); err != nil {
		h.report(r, fmt.Errorf("close %s: %w", g.key, err))
	}
}

// etag names these bytes of this key: objects change by being replaced only.
func etag(info blob.Info) string {
	sum := sha256.Sum256([]byte(strconv.FormatInt(info.Size, 10) + " " + strconv.FormatInt(info.ModTime.UnixNano(), 10) + " " + info.Key))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// refuse answers with the API's error shape.
func refuse(w http.ResponseWriter, status int, message string) {
	body, err := json.Marshal(map[string]any{"code": status, "message": message, "details": []string{}})
	if err != nil {
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

func (h *Handler) openObject(ctx context.Context, key string) (io.ReadSeekCloser, blob.Info, error) {
	if opener, ok := h.store.(blob.Opener); ok {
		return opener.OpenObject(ctx, key)
	}
	info, err := h.store.Stat(ctx, key)
	if err != nil {
		return nil, blob.Info{}, err
	}
	return &rangeReader{ctx: ctx, store: h.store, info: info}, info, nil
}

// rangeReader reads and seeks in an object of a store that gives ranges only.
type rangeReader struct {
	ctx    context.Context //nolint:containedctx // lives no longer than the request
	store  blob.Store
	info   blob.Info
	offset int64
	body   io.ReadCloser // nil when it must be asked for, at offset
}

// Seek moves to another place; what was being read there is given up.
func (r *rangeReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.info.Size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek in %s: %w", r.info.Key, blob.ErrInvalidRange)
	}
	if offset == r.offset {
		return offset, nil
	}
	r.offset = offset
	return offset, r.Close()
}

// Read reads on from where it is.
func (r *rangeReader) Read(p []byte) (int, error) {
	if r.offset >= r.info.Size {
		return 0, io.EOF
	}
	if r.body == nil {
		body, err := r.store.Get(r.ctx, r.info.Key, blob.Range{Offset: r.offset})
		if err != nil {
			return 0, err
		}
		r.body = body
		// What was opened stays; if it is another object than the one that was
		// described, its description has changed by now.
		now, err := r.store.Stat(r.ctx, r.info.Key)
		if err != nil {
			return 0, err
		}
		if now != r.info {
			return 0, fmt.Errorf("read %s: the object was replaced", r.info.Key)
		}
	}
	n, err := r.body.Read(p)
	r.offset += int64(n)
	return n, err
}

// Close gives the reading up.
func (r *rangeReader) Close() error {
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body = nil
	return body.Close()
}

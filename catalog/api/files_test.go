package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rushes/catalog/blob"
)

// fileServer signs addresses of objects and serves them, as a store does.
type fileServer struct{ world *world }

func (f *fileServer) mac(key, query string) string {
	h := hmac.New(sha256.New, []byte(fileSecret))
	h.Write([]byte(key + "\n" + query))
	return hex.EncodeToString(h.Sum(nil))
}

// PresignGet signs an address.
func (f *fileServer) PresignGet(_ context.Context, key string, expires time.Duration, o blob.PresignOptions) (string, error) {
	if err := blob.CheckKey(key); err != nil || expires <= 0 || expires > blob.MaxPresign {
		return "", fmt.Errorf("presign %q for %s: %w", key, expires, err)
	}
	query := url.Values{
		"expires": {strconv.FormatInt(f.world.clock().Add(expires).Unix(), 10)},
		"type":    {o.ContentType}, "disposition": {o.ContentDisposition()},
	}.Encode()
	path := (&url.URL{Path: "/v2/files/" + key}).EscapedPath()
	return f.world.server.URL + path + "?" + query + "&sig=" + f.mac(key, query), nil
}

func (f *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/v2/files/")
	query, sig, _ := strings.Cut(r.URL.RawQuery, "&sig=")
	expires, _ := strconv.ParseInt(r.URL.Query().Get("expires"), 10, 64)
	if !hmac.Equal([]byte(sig), []byte(f.mac(key, query))) || f.world.clock().Unix() >= expires {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	body, info, err := f.world.objects.OpenObject(r.Context(), key)
	if err != nil {
		http.Error(w, "none", http.StatusNotFound)
		return
	}
	defer body.Close() //nolint:errcheck // read only
	w.Header().Set("Content-Type", r.URL.Query().Get("type"))
	w.Header().Set("Content-Disposition", r.URL.Query().Get("disposition"))
	http.ServeContent(w, r, "", info.ModTime, body)
}

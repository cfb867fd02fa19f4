package api_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.capture(defaultApp, "room", "sfu")
	asset := w.finish(job, w.file(catalog.TrackAsset, "room/a.webm", []byte("x")))[0]
	good := w.token("key-a")
	calls := []struct{ method, path, body string }{
		{"GET", "/v2/recording-assets", ""},
		{"GET", "/v2/recording-assets/" + asset.ID + "/presigned-url", ""},
		{"DELETE", "/v2/recording-assets/" + asset.ID, ""},
		{"POST", "/v2/captures", `{"uri":"captures/of/room"}`},
		{"POST", "/v2/jobs/" + job.ID + "/retry", ""},
	}
	for name, token := range badTokens(t, w) {
		w.same(t, func() {
			for _, c := range calls {
				a := w.call(c.method, c.path, "", c.body, "Authorization", "Bearer "+token, "Idempotency-Key", "k")
				message, details := a.wrong(t, http.StatusUnauthorized)
				require.Equal(t, "Token validation error", message, name)
				require.Len(t, details, 1, name)
				require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
			}
		})
	}
	at := func(d time.Duration) int64 { return w.clock().Add(d).Unix() }
	for _, header := range []string{"", "Basic " + good, good, "Bearer", "Bearer  " + good, "Token " + good} {
		w.call("GET", "/v2/recording-assets", "", "", "Authorization", header).wrong(t, http.StatusUnauthorized)
	}
	for name, token := range map[string]string{
		"as it is": good, "a little expired": w.changed(map[string]any{"exp": at(-9 * time.Second)}),
		"a little early": w.changed(map[string]any{"nbf": at(9 * time.Second), "iat": at(9 * time.Second)}),
		"with more":      w.changed(map[string]any{"room_id": "x", "iat": float64(at(0)) + 0.5}),
	} {
		a := w.call("GET", "/v2/recording-assets", "", "", "Authorization", "bearer "+token)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", name, a.body)
	}
	w.quiet(t, w.keys["key-a"].Secret.Reveal(), good, strings.Split(good, ".")[2])
}

// changed signs the claims of a good token with some of them changed; nil
// leaves one out.
func (w *world) changed(change map[string]any) string {
	c := w.claims("key-a")
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return sign(map[string]any{"alg": "HS256", "typ": "JWT"}, c, w.keys["key-a"].Secret.Reveal())
}

// badTokens are all the ways in which a token can be wrong.
func badTokens(t *testing.T, w *world) map[string]string {
	t.Helper()
	hs := map[string]any{"alg": "HS256", "typ": "JWT"}
	key := w.keys["key-a"].Secret.Reveal()
	at := func(d time.Duration) int64 { return w.clock().Add(d).Unix() }
	with := w.changed
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	good := w.token("key-a")
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	rsHead := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + parts[1]
	digest := sha256.Sum256([]byte(rsHead))
	rsSig, err := rsa.SignPKCS1v15(rand.Reader, rs, crypto.SHA256, digest[:])
	require.NoError(t, err)

	return map[string]string{
		"none":              "",
		"alg none":          none + "." + parts[1] + ".",
		"alg none, signed":  none + "." + parts[1] + "." + parts[2],
		"alg RS256":         rsHead + "." + base64.RawURLEncoding.EncodeToString(rsSig),
		"alg HS512":         sign(map[string]any{"alg": "HS512"}, w.claims("key-a"), key),
		"alg hs256":         sign(map[string]any{"alg": "hs256"}, w.claims("key-a"), key),
		"no alg":            sign(map[string]any{}, w.claims("key-a"), key),
		"other app's key":   sign(hs, w.claims("key-a"), w.keys["key-b"].Secret.Reveal()),
		"empty key":         sign(hs, w.claims("key-a"), ""),
		"no such key":       sign(hs, w.claims("key-z"), key),
		"no access key":     with(map[string]any{"access_key": nil}),
		"access key number": with(map[string]any{"access_key": 1}),
		"type app":          with(map[string]any{"type": "app"}),
		"no type":           with(map[string]any{"type": nil}),
		"version 1":         with(map[string]any{"version": 1}),
		"version text":      with(map[string]any{"version": "2"}),
		"version 2.5":       with(map[string]any{"version": 2.5}),
		"no version":        with(map[string]any{"version": nil}),
		"no jti":            with(map[string]any{"jti": nil}),
		"empty jti":         with(map[string]any{"jti": ""}),
		"no iat":            with(map[string]any{"iat": nil}),
		"no nbf":            with(map[string]any{"nbf": nil}),
		"no exp":            with(map[string]any{"exp": nil}),
		"exp text":          with(map[string]any{"exp": "tomorrow"}),
		"expired":           with(map[string]any{"exp": at(-11 * time.Second)}),
		"not yet valid":     with(map[string]any{"nbf": at(12 * time.Second)}),
		"from the future":   with(map[string]any{"iat": at(12 * time.Second)}),
		"altered":           parts[0] + "." + parts[1] + "x." + parts[2],
		"two parts":         parts[0] + "." + parts[1],
		"four parts":        good + ".x",
		"text":              "secret",
		"huge":              parts[0] + "." + strings.Repeat("A", 20_000) + "." + parts[2],
	}
}

// TestOtherApp: what is another app's is forbidden, and not to be seen.
func TestOtherApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.capture(defaultApp, "room", "sfu")
	asset := w.finish(job, w.file(catalog.TrackAsset, "room/a.webm", []byte("x")))[0]
	w.same(t, func() {
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/v2/recording-assets/" + asset.ID, ""},
			{"GET", "/v2/recording-assets/" + asset.ID + "/presigned-url", ""},
			{"GET", "/v2/recording-assets?room_id=room", ""},
			{"GET", "/v2/recordings?room_id=room", ""},
			{"GET", "/v2/live-streams?room_id=room", ""},
			{"GET", "/v2/jobs?room_id=room", ""},
			{"GET", "/v2/recordings/" + job.ID, ""},
			{"GET", "/v2/jobs/" + job.ID, ""},
			{"DELETE", "/v2/recording-assets/" + asset.ID, ""},
			{"POST", "/v2/recording-assets/" + asset.ID + "/reprocess", `{}`},
			{"POST", "/v2/jobs/" + job.ID + "/retry", ""},
			{"POST", "/v2/jobs/" + job.ID + "/cancel", ""},
		} {
			w.call(c.method, c.path, "key-b", c.body).wrong(t, http.StatusForbidden)
		}
	})
	w.call("POST", "/v2/captures", "key-b", `{"uri":"captures/of/room"}`).wrong(t, http.StatusForbidden)
	w.quiet(t, w.keys["key-b"].Secret.Reveal())
}

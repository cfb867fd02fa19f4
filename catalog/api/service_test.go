package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/api"
)

func TestServiceRoutes(t *testing.T) {
	t.Parallel()
	healthy := true
	w := newWorld(t, func(c *api.Config) {
		c.Ready = []api.Check{
			{Name: "database", Run: func(context.Context) error { return nil }},
			{Name: "store", Run: func(context.Context) error {
				if healthy {
					return nil
				}
				return errors.New("bucket is gone")
			}},
		}
		c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("rushes_up 1\n")) })
	})
	require.JSONEq(t, `{"status":"ok"}`, string(w.call("GET", "/healthz", "", "").body))
	require.JSONEq(t, `{"status":"ready"}`, string(w.call("GET", "/readyz", "", "").body))
	require.Equal(t, "rushes_up 1\n", string(w.call("GET", "/metrics", "", "").body))
	healthy = false
	_, details := w.call("GET", "/readyz", "", "").wrong(t, http.StatusServiceUnavailable)
	require.Equal(t, []string{"store"}, details)
	require.Equal(t, http.StatusOK, w.call("GET", "/healthz", "", "").status)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *api.Config) { c.Origins = []string{"https://player.example.com"} })
	a := w.call("GET", "/v2/jobs", "key-a", "", "X-Request-Id", "from-the_caller.1")
	require.Equal(t, "from-the_caller.1", a.header.Get("X-Request-Id"))
	require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.Equal(t, "no-referrer", a.header.Get("Referrer-Policy"))
	require.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Contains(t, w.log.String(), `"request_id":"from-the_caller.1","method":"GET","route":"GET /v2/jobs","status":200`)
	for _, odd := range []string{"a b", "a\tb", `"`, "ü", strings.Repeat("x", 65), "<script>"} {
		id := w.call("GET", "/healthz", "", "", "X-Request-Id", odd).header.Get("X-Request-Id")
		require.Regexp(t, `^[0-9a-f]{32}$`, id)
	}

	address := w.vodURL(w.vod(defaultApp, vodFiles()).ID)
	for _, path := range []string{address, "/v2/jobs", "/healthz", "/nowhere"} {
		a = w.call("GET", path, "key-a", "", "Origin", "https://player.example.com")
		require.Equal(t, "https://player.example.com", a.header.Get("Access-Control-Allow-Origin"), path)
		require.Contains(t, a.header.Values("Vary"), "Origin")
		require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"))
		a = w.call("GET", path, "key-a", "", "Origin", "https://evil.example.com")
		require.Empty(t, a.header.Get("Access-Control-Allow-Origin"), path)
		a = w.call("OPTIONS", path, "", "", "Origin", "https://player.example.com", "Access-Control-Request-Method", "GET")
		require.Equal(t, http.StatusNoContent, a.status)
		require.Contains(t, a.header.Get("Access-Control-Allow-Headers"), "Range")
	}
	for _, method := range []string{"POST", "DELETE"} {
		a = w.call("OPTIONS", "/v2/captures", "", "", "Origin", "https://player.example.com", "Access-Control-Request-Method", method)
		a.wrong(t, http.StatusMethodNotAllowed)
		require.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
	}
	open := newWorld(t, func(c *api.Config) { c.Origins, c.PublicURL = []string{"*"}, "https://rushes.example.com/" })
	a = open.call("GET", "/healthz", "", "", "Origin", "https://anywhere.example.com")
	require.Equal(t, "*", a.header.Get("Access-Control-Allow-Origin"))
	require.NotEmpty(t, a.header.Get("Strict-Transport-Security"))
	require.Empty(t, newWorld(t).call("GET", "/healthz", "", "", "Origin", "https://a.example.com").header.Get("Access-Control-Allow-Origin"))
}

// TestOpenAPI holds the description against its golden copy, and the routes
// against the description.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *api.Config) {
		c.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	})
	a := w.call("GET", "/openapi.json", "", "")
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	file := filepath.Join("testdata", "openapi.json")
	if api.Update() {
		require.NoError(t, os.WriteFile(file, append(a.body, '\n'), 0o644)) //nolint:gosec // a test's file
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(a.body)+"\n")

	var spec struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			OperationID string              `json:"operationId"`
			Security    []map[string][]any  `json:"security"`
			Responses   map[string]struct{} `json:"responses"`
			Parameters  []struct{ Name, In string }
		} `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(a.body, &spec))
	require.Equal(t, "3.1.0", spec.OpenAPI)
	var described []string
	for path, operations := range spec.Paths {
		for method, op := range operations {
			method = strings.ToUpper(method)
			described = append(described, method+" "+path)
			require.NotEmpty(t, op.OperationID)
			got := w.call(method, strings.ReplaceAll(path, "{id}", "0123456789abcdef01234567"), "", "")
			require.NotEqual(t, http.StatusMethodNotAllowed, got.status, path)
			require.Equal(t, op.Security != nil, got.status == http.StatusUnauthorized, "%s %s: %d", method, path, got.status)
			for _, status := range []string{"401", "429"} {
				require.Equal(t, op.Security != nil, slices.Contains(keysOf(op.Responses), status), path)
			}
			require.NotContains(t, op.Responses, "default", path)
			if method == http.MethodPost {
				require.Contains(t, keysOf(op.Responses), "422")
			}
		}
	}
	slices.Sort(described)
	// The table of api.md, both halves.
	require.Equal(t, []string{
		"DELETE /v2/recording-assets/{id}",
		"GET /healthz",
		"GET /metrics",
		"GET /openapi.json",
		"GET /readyz",
		"GET /v2/jobs",
		"GET /v2/jobs/{id}",
		"GET /v2/live-streams",
		"GET /v2/live-streams/{id}",
		"GET /v2/recording-assets",
		"GET /v2/recording-assets/{id}",
		"GET /v2/recording-assets/{id}/presigned-url",
		"GET /v2/recordings",
		"GET /v2/recordings/{id}",
		"GET /v2/vod/{token}/{path}",
		"POST /v2/captures",
		"POST /v2/jobs/{id}/cancel",
		"POST /v2/jobs/{id}/retry",
		"POST /v2/recording-assets/{id}/reprocess",
	}, described)
}

func keysOf[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := newWorld(t).config
	for name, spoil := range map[string]func(*api.Config){
		"catalog":      func(c *api.Config) { c.Catalog = nil },
		"actions":      func(c *api.Config) { c.Actions = nil },
		"keys":         func(c *api.Config) { c.Keys = nil },
		"idempotency":  func(c *api.Config) { c.Idempotency = nil },
		"objects":      func(c *api.Config) { c.Objects = nil },
		"presigner":    func(c *api.Config) { c.Presigner = nil },
		"public URL":   func(c *api.Config) { c.PublicURL = "rushes.example.com" },
		"path":         func(c *api.Config) { c.PublicURL = "https://rushes.example.com/api" },
		"no link key":  func(c *api.Config) { c.LinkKeys = nil },
		"a short key":  func(c *api.Config) { c.LinkKeys = []catalog.Secret{linkSecret, "tiny-key"} },
		"files path":   func(c *api.Config) { c.FilesPath = "files" },
		"origin":       func(c *api.Config) { c.Origins = []string{"https://a.example.com/x"} },
		"origin 2":     func(c *api.Config) { c.Origins = []string{"player"} },
		"a limit":      func(c *api.Config) { c.BodyLimit = -1 },
		"a check":      func(c *api.Config) { c.Ready = []api.Check{{Name: "x"}} },
		"negative":     func(c *api.Config) { c.RequestTime = -time.Second },
		"public query": func(c *api.Config) { c.PublicURL = "https://a?b" },
	} {
		c := good
		spoil(&c)
		_, err := api.New(c)
		require.ErrorIs(t, err, catalog.ErrInvalid, name)
		require.NotContains(t, err.Error(), "tiny-key")
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	s := api.Timeouts{Read: time.Second}.Server(http.NotFoundHandler(), nil)
	require.Equal(t, time.Second, s.ReadTimeout)
	require.Positive(t, s.ReadHeaderTimeout)
	require.Positive(t, s.WriteTimeout)
	require.Positive(t, s.IdleTimeout)
	require.Positive(t, s.MaxHeaderBytes)
}

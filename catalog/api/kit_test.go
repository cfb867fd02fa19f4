package api_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rushes/catalog"
	"rushes/catalog/api"
	"rushes/catalog/blob"
	"rushes/catalog/blob/dir"
	"rushes/catalog/blob/signed"
	"rushes/catalog/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	defaultApp = "default"
	otherApp   = "other"
	linkSecret = "the key that signs the addresses"
	fileSecret = "the key that signs the objects"
)

// world is a service over a real catalog and a real folder of objects.
type world struct {
	t        testing.TB
	store    *sqlstore.Store
	objects  *dir.Store
	catalog  *owned
	keys     keyring
	once     *rows
	actions  *actions
	config   api.Config
	log      *lockedBuffer
	server   *httptest.Server
	captures int

	mu  sync.Mutex
	now time.Time
}

// newWorld starts the service; change may alter its configuration first.
func newWorld(t testing.TB, change ...func(*api.Config)) *world {
	t.Helper()
	w := &world{t: t, log: &lockedBuffer{}, now: time.Now().Truncate(time.Second)}
	var err error
	w.store, err = sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "catalog.db"), Now: w.clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	w.objects, err = dir.Open(filepath.Join(t.TempDir(), "objects"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.objects.Close()) })
	w.catalog = &owned{Store: w.store, rooms: map[string]string{}, jobs: map[string]string{}}
	w.keys = keyring{
		"key-a": {AccessKey: "key-a", AppID: defaultApp, Secret: "secret of the default app 0123456789"},
		"key-b": {AccessKey: "key-b", AppID: otherApp, Secret: "secret of the other app 0123456789"},
	}
	w.once = &rows{rows: map[[2]string]catalog.Request{}}
	w.actions = &actions{world: w}
	handler := &latest{}
	w.server = httptest.NewServer(handler)
	t.Cleanup(w.server.Close)
	files, err := signed.New(signed.Config{
		BaseURL: w.server.URL + "/v2/files", Now: w.clock,
		Keys: []signed.Key{{ID: "1", Secret: catalog.Secret(fileSecret).Reveal}},
	})
	require.NoError(t, err)
	w.config = api.Config{
		Catalog: w.catalog, Actions: w.actions, Keys: w.keys, Idempotency: w.once,
		Objects: w.objects, Presigner: files,
		PublicURL: w.server.URL, LinkKeys: []catalog.Secret{linkSecret},
		Files: signed.NewHandler(files, w.objects, nil), FilesPath: "/v2/files/",
		Rate: 1e6, Burst: 1e6,
		Log: slog.New(slog.NewJSONHandler(w.log, nil)), Now: w.clock,
	}
	for _, c := range change {
		c(&w.config)
	}
	t.Cleanup(func() {
		// Whatever a test does: no secret, token or signature gets into the log.
		for _, s := range []string{linkSecret, fileSecret, "secret of the", "Bearer", "eyJ", "&s="} {
			require.NotContains(t, w.log.String(), s)
		}
	})
	handler.Handler, err = api.New(w.config)
	require.NoError(t, err)
	return w
}

type latest struct{ http.Handler }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// capture is a job of a capture that the test made up.
func (w *world) capture(app, room, source string) catalog.Job {
	w.t.Helper()
	w.captures++
	job, _, err := w.store.AddJob(context.Background(), catalog.Job{
		CaptureKey: fmt.Sprint("capture-", w.captures), CaptureURI: fmt.Sprint("captures/", w.captures),
		RoomID: room, SessionID: "session-of-" + room, Source: source,
		StartedAt: w.clock().Add(-time.Hour), StoppedAt: w.clock(),
	}, true)
	require.NoError(w.t, err)
	w.catalog.give(job, app)
	return job
}

// finish runs a job to its end with the given assets.
func (w *world) finish(job catalog.Job, assets ...catalog.Asset) []catalog.Asset {
	w.t.Helper()
	ctx := context.Background()
	claimed, err := w.store.ClaimJob(ctx, job.ID, "worker")
	require.NoError(w.t, err)
	claim := catalog.Claim{JobID: job.ID, Fence: claimed.Fence}
	for i := range assets {
		assets[i].RoomID, assets[i].SessionID = job.RoomID, job.SessionID
		if assets[i].Key == "" {
			assets[i].Key = catalog.AssetKey(job.CaptureKey, assets[i].Type, strconv.Itoa(i))
		}
	}
	registered, err := w.store.RegisterAssets(ctx, claim, assets)
	require.NoError(w.t, err)
	_, err = w.store.EndAttempt(ctx, claim, catalog.Attempt{Ending: catalog.EndCompleted})
	require.NoError(w.t, err)
	return registered
}

// file puts an object and returns a completed asset of it.
func (w *world) file(kind catalog.AssetType, key string, content []byte) catalog.Asset {
	w.t.Helper()
	w.put(key, content)
	return catalog.Asset{
		Type: kind, Status: catalog.AssetCompleted, Path: key, Size: int64(len(content)),
		Duration: 55*time.Second + 400*time.Millisecond, StartedAt: w.clock().Add(-time.Hour),
		Metadata: catalog.Metadata{Resolution: &catalog.Resolution{Width: 1280, Height: 720}},
	}
}

func (w *world) put(key string, content []byte) {
	w.t.Helper()
	require.NoError(w.t, w.objects.Put(context.Background(), key, bytes.NewReader(content), blob.PutOptions{Size: int64(len(content))}))
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// sign makes a token by hand, as any client may: the API's own library is not
// to agree with itself only.
func sign(header, claims map[string]any, secret string) string {
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(header) + "." + part(claims)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (w *world) claims(accessKey string) map[string]any {
	now := w.clock()
	return map[string]any{
		"access_key": accessKey, "type": "management", "version": 2, "jti": "6b1f",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(24 * time.Hour).Unix(),
	}
}

func (w *world) token(accessKey string) string {
	return sign(map[string]any{"alg": "HS256", "typ": "JWT"}, w.claims(accessKey), w.keys[accessKey].Secret.Reveal())
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) into(t testing.TB, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.body, v), "%s", a.body)
}

// wrong checks the one shape of errors and returns it.
func (a answer) wrong(t testing.TB, status int) (message string, details []string) {
	t.Helper()
	require.Equal(t, status, a.status, "%s", a.body)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	var shape struct {
		Code    *int      `json:"code"`
		Message *string   `json:"message"`
		Details *[]string `json:"details"`
	}
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&shape), "%s", a.body)
	require.NotNil(t, shape.Code, "%s", a.body)
	require.NotNil(t, shape.Message, "%s", a.body)
	require.NotNil(t, shape.Details, "%s", a.body)
	require.Equal(t, status, *shape.Code)
	require.NotEmpty(t, *shape.Message)
	require.NotEmpty(t, a.header.Get("X-Request-Id"))
	return *shape.Message, *shape.Details
}

// call makes a request with a token of the key ("" for none) and pairs of
// headers.
func (w *world) call(method, path, accessKey, body string, headers ...string) answer {
	w.t.Helper()
	if !strings.Contains(path, "://") {
		path = w.server.URL + path
	}
	r, err := http.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	require.NoError(w.t, err)
	if accessKey != "" {
		r.Header.Set("Authorization", "Bearer "+w.token(accessKey))
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.do(r)
}

func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	client := *w.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(r)
	require.NoError(w.t, err)
	defer res.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	a := answer{status: res.StatusCode, header: res.Header, body: body}
	if strings.HasPrefix(r.URL.String(), w.server.URL) && !strings.HasPrefix(r.URL.Path, "/v2/files/") {
		fits(w.t, r.Method, r.URL.EscapedPath(), a)
	}
	return a
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
	"rushes/pipeline"
)

// TestElsewhere takes a capture from one bucket to another by process, and a second one by enqueue and serve, with the
// catalog in PostgreSQL and the queue in Redis; then by every link, and to its deletion. No secret is told on the way.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	redis := newRedis(t)
	inName := s.s3.Bucket(t)
	in, assets := s.bucket(inName), s.bucket(s.store)
	folder := copied(t)
	s.upload(in, folder, "2026/call")
	s.upload(in, twoParts(t), "2026/parts")
	before := s.keys(in)

	made := parse[document](t, s.ok("process", "--json", "s3://"+inName+"/2026/call/"))
	require.Len(t, made.Assets, 1)
	a := made.Assets[0]
	require.Equal(t, "s3://"+s.store+"/assets/"+a.Path, a.File)
	require.Empty(t, a.Metadata.Defects)
	require.Empty(t, s.leftovers(), "everything is elsewhere")
	local := process(t, t.TempDir(), folder).Assets[0]
	require.Equal(t, local.Path, a.Path)
	require.Equal(t, local.Size, a.Size)
	require.Equal(t, "s3://"+inName+"/2026/call/", parse[map[string]any](t, s.ok("jobs", "show", made.Job.ID))["capture_uri"])

	link := parse[assetLink](t, s.ok("assets", "link", "--json", a.ID))
	require.EqualValues(t, 72*3600, link.Expiry)
	status, body := s.get(link.URL)
	require.Equal(t, 200, status)
	want, err := os.ReadFile(local.File)
	require.NoError(t, err)
	require.Equal(t, want, body)
	status, _ = s.get(strings.Replace(link.URL, path.Base(a.Path), "capture.json", 1))
	require.Equal(t, 403, status)

	s.enqueueAndServe(redis, "s3://"+inName+"/2026/parts/capture.json")
	list := parse[[]assetJSON](t, s.ok("assets", "list", "--json"))
	require.Len(t, list, 2)
	require.ElementsMatch(t, []string{"assets/" + a.Path, "assets/" + a.Thumbnails[0], "assets/" + list[0].Path, "assets/" + list[0].Thumbnails[0]}, s.keys(assets))

	require.Contains(t, s.ok("assets", "delete", "--dry-run", a.ID), "would be deleted")
	require.Contains(t, s.ok("assets", "delete", a.ID), "deleted")
	require.Contains(t, s.ok("assets", "delete", a.ID), "is not there")
	require.Contains(t, s.ok("assets", "expire", "--retain", "track=1,room-composite=1", "--dry-run", "--json"), "[]")
	require.ElementsMatch(t, []string{"assets/" + list[0].Path, "assets/" + list[0].Thumbnails[0]}, s.keys(assets))
	require.ElementsMatch(t, before, s.keys(in), "captures are never changed")
	s.requireNoSecrets("in-the-url", "in-the-header", webhookSecret)
}

// enqueueAndServe queues a capture, and serves until its job is over.
func (s *site) enqueueAndServe(redis *redisServer, capture string) {
	s.Helper()
	jobs := parse[[]struct {
		ID    string `json:"id"`
		State string `json:"state"`
	}](s.T, s.ok("enqueue", "--json", capture))
	require.Len(s, jobs, 1)
	require.Equal(s, "queued", jobs[0].State)
	hooks := filepath.Join(s.TempDir(), "webhooks.yaml") // nobody listens there
	require.NoError(s, os.WriteFile(hooks, []byte("endpoints: [{url: 'http://user:in-the-url@127.0.0.1:1/', secret: "+webhookSecret+", headers: {X-Key: in-the-header}, allow_private: true}]"), 0o600))
	serve := s.command(s.Context(), nil, "serve", "--webhooks", hooks, "--redis", redis.url(), "--listen", "127.0.0.1:0", "--retain", "track=30")
	stderr, err := serve.StderrPipe()
	require.NoError(s, err)
	require.NoError(s, serve.Start())
	address, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.heard(lines.Text())
			if m := regexp.MustCompile(`"msg":"listening","address":"([^"]+)"`).FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
	}()
	select {
	case at := <-address:
		for _, p := range []string{"/readyz", "/metrics", "/v2/recording-assets", "/openapi.json", "/files/x?e=1&k=k1&s=x"} {
			_, body := s.get("http://" + at + p)
			s.heard(string(body))
		}
	case <-ended:
		s.Fatal("serve has ended")
	}
	require.Eventually(s, func() bool {
		var shown struct{ State, Stage string }
		require.NoError(s, json.Unmarshal([]byte(s.ok("jobs", "show", jobs[0].ID)), &shown))
		require.NotEqual(s, "failed", shown.State)
		return shown.State == "completed"
	}, time.Minute, 200*time.Millisecond)
	require.Eventually(s, func() bool { return strings.Contains(s.ok("webhooks", "list"), "connection refused") }, time.Minute, 200*time.Millisecond)
	require.NoError(s, serve.Process.Signal(syscall.SIGTERM))
	<-ended
	require.NoError(s, serve.Wait())
}

// assetOnDiskJSON is what show says of where an asset is.
type assetOnDiskJSON struct {
	File     string `json:"file"`
	BackedUp bool   `json:"backed_up"`
}

// TestBackedUp lets a bucket refuse an asset, which waits in the backup store, can be had from there, and is brought to
// the bucket when that takes it.
func TestBackedUp(t *testing.T) { //nolint:paralleltest // its credentials are in the environment
	s := newSite(t)
	backup := filepath.Join(t.TempDir(), "backup")
	s.env = append(s.env, "RUSHES_BACKUP_STORE="+backup)
	wrong := []string{"AWS_SECRET_ACCESS_KEY=not-" + s.s3.SecretKey[:8]}
	got := s.run(wrong, "process", "--json", copied(t))
	require.Equal(t, pipeline.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stderr, "it waits in the backup store")
	a := parse[document](t, got.stdout).Assets[0]
	require.ElementsMatch(t, append(a.Thumbnails, a.Path), files(t, backup))
	assets := s.bucket(s.store)
	require.Empty(t, s.keys(assets))
	shown := parse[assetOnDiskJSON](t, s.ok("assets", "show", a.ID))
	require.True(t, shown.BackedUp)
	require.Equal(t, filepath.Join(backup, a.Path), shown.File)
	link := strings.TrimSpace(s.ok("assets", "link", a.ID))
	require.True(t, strings.HasPrefix(link, "http://127.0.0.1:8470/files/"), link)
	requireOneLine(t, s.run(wrong, "assets", "show", strings.Repeat("0", 24)), pipeline.ExitOther, "no asset")

	for _, v := range s.env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	flags := &dataFlag{Data: s.data, Store: "s3://" + s.store + "/assets", BackupStore: backup,
		s3Flags: s3Flags{Endpoint: s.s3.Endpoint, PathStyle: true, Region: s.s3.Region}}
	d, err := flags.open(t.Context())
	require.NoError(t, err)
	for _, chore := range d.storeChores(slog.New(slog.DiscardHandler)) {
		require.NoError(t, chore(t.Context()))
	}
	require.NoError(t, d.Close())
	require.Empty(t, files(t, backup))
	require.ElementsMatch(t, []string{"assets/" + a.Path, "assets/" + a.Thumbnails[0]}, s.keys(assets))
	r, err := assets.Get(t.Context(), "assets/"+a.Path, blob.Range{})
	require.NoError(t, err)
	bytes, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Len(t, bytes, int(a.Size))
	shown = parse[assetOnDiskJSON](t, s.ok("assets", "show", a.ID))
	require.False(t, shown.BackedUp)
	require.Equal(t, "s3://"+s.store+"/assets/"+a.Path, shown.File)
	s.requireNoSecrets()
}

// TestNoSecrets lets commands fail on wrong passwords, keys, hosts and files, and looks for what they must not say.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.run(nil, "keys", "create", "--app", "one", "--json")
	requireSuccess(t, got)
	key := parse[struct {
		AccessKey string `json:"access_key"`
		Secret    string
	}](t, got.stdout)
	require.GreaterOrEqual(t, len(key.Secret), 64)
	s.said.Reset() // that once
	const secret = "p%40ss-of-somebody"
	config := filepath.Join(t.TempDir(), "rushes.yaml")
	write := func(text string) string {
		require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
		return config
	}
	hooks := func(url string) string {
		file := filepath.Join(t.TempDir(), "webhooks.yaml")
		text := fmt.Sprintf("endpoints: [{url: %q, secret: %s, headers: {X-Key: %s}, allow_private: true}]", url, webhookSecret, secret)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	folder := copied(t)
	for name, tc := range map[string]struct {
		env  []string
		args []string
		code int
	}{
		"keys":            {nil, []string{"keys", "list"}, 0},
		"keys, json":      {nil, []string{"keys", "list", "--json"}, 0},
		"doctor":          {nil, []string{"doctor", "--redis", "redis://:" + secret + "@127.0.0.1:1"}, 1},
		"no database":     {[]string{"RUSHES_CATALOG=postgres://me:" + secret + "@127.0.0.1:1/x"}, []string{"assets", "list"}, 1},
		"doctor, no db":   {[]string{"RUSHES_CATALOG=postgres://me:" + secret + "@127.0.0.1:1/x"}, []string{"doctor"}, 1},
		"no such scheme":  {[]string{"RUSHES_CATALOG=mysql://me:" + secret + "@127.0.0.1:1/x"}, []string{"assets", "list"}, 2},
		"no address":      {[]string{"RUSHES_CATALOG=postgres://me:" + secret + "@[::1/x"}, []string{"assets", "list"}, 1},
		"wrong port":      {[]string{"RUSHES_CATALOG=postgres://me:" + secret + "@h:port/x"}, []string{"jobs", "list"}, 1},
		"on the line":     {nil, []string{"jobs", "list", "--catalog", "postgres://me:" + secret + "@127.0.0.1:1/x"}, 1},
		"s3 key":          {[]string{"AWS_SECRET_ACCESS_KEY=" + secret}, []string{"process", folder}, 1},
		"doctor, s3 key":  {[]string{"AWS_SECRET_ACCESS_KEY=" + secret}, []string{"doctor"}, 1},
		"s3 capture":      {[]string{"AWS_SECRET_ACCESS_KEY=" + secret}, []string{"enqueue", "s3://" + s.store + "/x/"}, 1},
		"signing key":     {[]string{"RUSHES_SIGNING_KEYS=" + secret}, []string{"assets", "link", strings.Repeat("0", 24)}, 1},
		"signing, doctor": {[]string{"RUSHES_SIGNING_KEYS=k=" + secret + ",k=short", "RUSHES_STORE="}, []string{"doctor"}, 1},
		"webhooks":        {nil, []string{"doctor", "--webhooks", hooks("http://user:" + secret + "@127.0.0.1:1/" + secret)}, 1},
		"webhooks, wrong": {nil, []string{"doctor", "--webhooks", hooks("gopher://user:" + secret + "@127.0.0.1:1/" + secret)}, 1},
		"redis":           {nil, []string{"serve", "--redis", "redis://:" + secret + "@127.0.0.1:port"}, 1},
		"configuration":   {nil, []string{"assets", "list", "--config", write("catalog: postgres://me:" + secret + "@127.0.0.1:1/x\nno-such: " + secret + "\n")}, 2},
		"flag unknown":    {nil, []string{"assets", "list", "--secret-key=" + "x"}, 2},
	} {
		got := s.run(tc.env, tc.args...)
		require.Equal(t, tc.code, got.code, "%s: %s%s", name, got.stdout, got.stderr)
	}
	for _, text := range []string{"catalog: [" + secret, "- " + secret, "catalog: {" + secret + ": 1}", "catalog:\n\t" + secret, "store: [" + fmt.Sprintf("%q", secret+",x") + "]"} {
		require.Equal(t, pipeline.ExitUsage, s.run(nil, "assets", "list", "--config", write(text)).code, text)
	}
	for _, known := range []string{secret, "p@ss-of-somebody", key.Secret, webhookSecret} {
		s.requireNoSecrets(known)
	}
}

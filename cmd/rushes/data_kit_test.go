package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
	"rushes/catalog/blob/blobtest"
	"rushes/catalog/blob/s3"
	"rushes/catalog/storetest"
)

// site is a machine whose catalog is in a PostgreSQL and whose assets are in S3, all of a test's own. Its commands run
// in processes of their own, because credentials come from the environment.
type site struct {
	*testing.T
	data  string
	s3    *blobtest.S3Server
	store string // bucket of the assets
	env   []string

	mu   sync.Mutex
	said strings.Builder // all that commands have written, and services have answered
}

// newSite starts the servers; the test skips where their programs are missing.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t, data: t.TempDir(), s3: blobtest.StartS3(t)}
	pg, err := storetest.StartPostgres(t.Context())
	if errors.Is(err, storetest.ErrNoPostgres) {
		t.Skip("there is no PostgreSQL")
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop()) })
	s.store = s.s3.Bucket(t)
	s.env = []string{
		"RUSHES_DATA=" + s.data, "RUSHES_CATALOG=" + pg.URL("") + "&password=" + dbPassword, "RUSHES_STORE=s3://" + s.store + "/assets",
		"RUSHES_S3_ENDPOINT=" + s.s3.Endpoint, "RUSHES_S3_PATH_STYLE=true", "RUSHES_S3_REGION=" + s.s3.Region,
		"AWS_ACCESS_KEY_ID=" + s.s3.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.s3.SecretKey,
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true",
		"RUSHES_SIGNING_KEYS=k1=" + signingSecret, "RUSHES_PRESET=ultrafast",
	}
	return s
}

const (
	dbPassword    = "correct-horse-of-the-database"
	signingSecret = "battery-staple-of-the-links"
	webhookSecret = "whsec_b25lIHNlY3JldCBvZiBhIHdlYmhvb2s="
)

// command gives a process for the command line, with more variables.
func (s *site) command(ctx context.Context, variables []string, args ...string) *exec.Cmd {
	cmd := child(ctx, s, args...)
	cmd.Env = append(append(cmd.Env, s.env...), variables...)
	return cmd
}

// run runs a command to its end.
func (s *site) run(variables []string, args ...string) outcome {
	s.Helper()
	cmd := s.command(s.Context(), variables, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(s, err)
	}
	s.heard(stdout.String(), stderr.String())
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ok runs a command to success, with nothing on standard error.
func (s *site) ok(args ...string) string {
	s.Helper()
	got := s.run(nil, args...)
	requireSuccess(s.T, got)
	return got.stdout
}

func (s *site) heard(texts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range texts {
		s.said.WriteString(t)
		s.said.WriteString("\n")
	}
}

// bucket opens a bucket of the site.
func (s *site) bucket(name string) *s3.Store {
	s.Helper()
	b, err := s3.Open(s.Context(), s3.Config{Bucket: name, Endpoint: s.s3.Endpoint, Region: s.s3.Region, PathStyle: true,
		AccessKey: s.s3.AccessKey, SecretKey: func() string { return s.s3.SecretKey }})
	require.NoError(s, err)
	s.Cleanup(func() { require.NoError(s, b.Close()) })
	return b
}

// upload puts the files of a folder below a prefix.
func (s *site) upload(b *s3.Store, folder, prefix string) {
	s.Helper()
	for _, name := range files(s.T, folder) {
		info, err := os.Stat(filepath.Join(folder, name))
		require.NoError(s, err)
		require.NoError(s, b.PutFile(s.Context(), path.Join(prefix, filepath.ToSlash(name)), filepath.Join(folder, name), blob.PutOptions{Size: info.Size()}))
	}
}

// keys lists a bucket.
func (s *site) keys(b *s3.Store) (keys []string) {
	s.Helper()
	for info, err := range b.List(s.Context(), "") {
		require.NoError(s, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// get reads an address.
func (s *site) get(link string) (status int, body []byte) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, link, nil)
	require.NoError(s, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := client.Do(req)
	require.NoError(s, err)
	defer func() { require.NoError(s, resp.Body.Close()) }()
	var text bytes.Buffer
	_, err = text.ReadFrom(resp.Body)
	require.NoError(s, err)
	return resp.StatusCode, text.Bytes()
}

// requireNoSecrets wants none of the secrets in anything that was said.
func (s *site) requireNoSecrets(secrets ...string) {
	s.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range append(secrets, dbPassword, signingSecret, s.s3.SecretKey) {
		at := strings.Index(s.said.String(), secret)
		require.Negative(s, at, "a secret was told: …%s…", excerpt(s.said.String(), at))
	}
}

func excerpt(text string, at int) string {
	if at < 0 {
		return ""
	}
	return text[max(at-200, 0):min(at+100, len(text))]
}

// leftovers lists what is in the data folder.
func (s *site) leftovers() []string {
	s.Helper()
	var found []string
	for _, name := range files(s.T, s.data) {
		if info, err := os.Lstat(filepath.Join(s.data, name)); !errors.Is(err, fs.ErrNotExist) && !info.IsDir() {
			found = append(found, name)
		}
	}
	return found
}

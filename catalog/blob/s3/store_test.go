package s3_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
	"rushes/catalog/blob/blobtest"
	"rushes/catalog/blob/s3"
)

// settings are those of a new, empty bucket.
func settings(t testing.TB, server *blobtest.S3Server) s3.Config {
	t.Helper()
	return s3.Config{
		Endpoint: server.Endpoint, Region: server.Region, Bucket: server.Bucket(t), PathStyle: true,
		AccessKey: server.AccessKey, SecretKey: func() string { return server.SecretKey },
		PartSize: 5 << 20, Concurrency: 2, MaxAttempts: 3, MaxBackoff: time.Millisecond,
	}
}

func open(t testing.TB, cfg s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func read(t testing.TB, s blob.Store, key string, r blob.Range) []byte {
	t.Helper()
	rc, err := s.Get(t.Context(), key, r)
	require.NoError(t, err)
	b, err := io.ReadAll(rc)
	require.NoError(t, err)
	require.NoError(t, rc.Close())
	return b
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*s3.Config)
		options []string // of the server
	}{
		"WhenSupported":  {func(*s3.Config) {}, nil},
		"WhenRequired":   {func(c *s3.Config) { c.ChecksumMode, c.Prefix = s3.WhenRequired, "some/prefix" }, nil},
		"ETagsAreNoMD5s": {func(*s3.Config) {}, []string{"--data-integrity-etag"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := blobtest.StartS3(t, c.options...)
			blobtest.Run(t, func(t *testing.T) blob.Store {
				t.Helper()
				cfg := settings(t, server)
				cfg.MaxAttempts = 10 // versitygw's folders come and go
				c.change(&cfg)
				s := open(t, cfg)
				t.Cleanup(func() { requireNoUploads(t, cfg) })
				return s
			})
		})
	}
}

// requireNoUploads: calls that have returned leave no upload behind.
func requireNoUploads(t *testing.T, cfg s3.Config) {
	t.Helper()
	s, err := s3.Open(context.Background(), cfg)
	require.NoError(t, err)
	n, err := s.AbortStale(context.Background(), -time.Hour)
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, s.Close())
}

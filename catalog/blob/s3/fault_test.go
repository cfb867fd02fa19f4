package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
	"rushes/catalog/blob/blobtest"
	"rushes/catalog/blob/s3"
)

const large = 5<<20 + 70_000 // bytes, two parts

func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	return b
}

var faults = map[string]blobtest.Fault{
	"unavailable": blobtest.Unavailable, "reset": blobtest.Reset, "lost answer": blobtest.LoseAnswer,
	"cut request": blobtest.CutRequest, "damaged request": blobtest.DamageRequest, "cut answer": blobtest.CutAnswer,
	"short answer": blobtest.ShortAnswer, "wrong ETag": blobtest.DamageETag, "swallowed": blobtest.Swallow, "hangs": blobtest.Hang,
}

// way is a way to put an object, and the requests that it makes.
type way struct {
	name       string
	body       []byte
	operations []string
	put        func(ctx context.Context, s *s3.Store, key string, body []byte) error
}

func ways(t *testing.T) []way {
	t.Helper()
	folder := t.TempDir()
	stream := func(o blob.PutOptions) func(context.Context, *s3.Store, string, []byte) error {
		return func(ctx context.Context, s *s3.Store, key string, body []byte) error {
			return s.Put(ctx, key, io.MultiReader(bytes.NewReader(body)), o)
		}
	}
	file := func(ctx context.Context, s *s3.Store, key string, body []byte) error {
		path := filepath.Join(folder, filepath.Base(key))
		if err := os.WriteFile(path, body, 0o600); err != nil {
			return err
		}
		return s.PutFile(ctx, key, path, blob.PutOptions{Size: blob.UnknownSize})
	}
	parts := []string{"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject"}
	small, big := content(1, 70_000), content(2, large)
	return []way{
		{"small", small, []string{"PutObject", "HeadObject"}, stream(blob.PutOptions{Size: int64(len(small))})},
		{"small, if absent", small, []string{"PutObject", "HeadObject"}, stream(blob.PutOptions{Size: int64(len(small)), IfAbsent: true})},
		{"large", big, parts, stream(blob.PutOptions{Size: large})},
		{"large, if absent", big, parts, stream(blob.PutOptions{Size: blob.UnknownSize, IfAbsent: true})},
		{"file", big, append(parts, "ListMultipartUploads"), file},
	}
}

// TestFaults does every fault to every request of every way to put an object,
// once, and as often as it is repeated: a Put that reports success has stored
// these very bytes, one that reports an error has stored all of them or none,
// and a Put without faults after it succeeds.
func TestFaults(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	for _, w := range ways(t) {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			proxy := blobtest.NewFaultProxy(t, server.Endpoint)
			cfg := settings(t, server)
			direct := open(t, cfg)
			cfg.Endpoint, cfg.ResponseTimeout, cfg.MaxAttempts = proxy.Address, 200*time.Millisecond, 2
			s := open(t, cfg)
			passed := 0
			for name, fault := range faults {
				for _, operation := range w.operations {
					sends := operation == "PutObject" || operation == "UploadPart" || operation == "CompleteMultipartUpload"
					if !sends && (fault == blobtest.CutRequest || fault == blobtest.DamageRequest) {
						continue // nothing to damage
					}
					for _, times := range []int{1, 1000} {
						what := fmt.Sprintf("%s %s %d times", operation, name, times)
						key := fmt.Sprintf("%s/%s/%d", operation, name, times)
						proxy.Set(blobtest.FailFirst(operation, times, fault))
						err := w.put(t.Context(), s, key, w.body)
						if err == nil {
							passed++
						}
						requireWhole(t, direct, key, w.body, err, what)
						if err == nil {
							continue
						}
						if err = w.put(t.Context(), direct, key, w.body); !errors.Is(err, blob.ErrExists) {
							require.NoError(t, err, what)
						}
						requireWhole(t, direct, key, w.body, nil, what)
					}
				}
			}
			require.Greater(t, passed, 10, "most single faults are overcome")
		})
	}
}

// requireWhole: the object is whole, or, after an error, not there.
func requireWhole(t *testing.T, s *s3.Store, key string, want []byte, err error, what string) {
	t.Helper()
	if _, statErr := s.Stat(t.Context(), key); err != nil && errors.Is(statErr, blob.ErrNotFound) {
		return
	}
	require.True(t, bytes.Equal(want, read(t, s, key, blob.Range{})), "%s: other bytes after %v", what, err)
}

// TestFaultsLeaveNoUpload: a Put that failed has aborted its upload.
func TestFaultsLeaveNoUpload(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	proxy := blobtest.NewFaultProxy(t, server.Endpoint)
	cfg := settings(t, server)
	direct := cfg
	cfg.Endpoint = proxy.Address
	s := open(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for operation, rule := range map[string]func(string, *http.Request) blobtest.Fault{
		"UploadPart":              blobtest.FailFirst("UploadPart", 1000, blobtest.Unavailable),
		"CompleteMultipartUpload": blobtest.FailFirst("CompleteMultipartUpload", 1000, blobtest.Reset),
		"cancelled": func(operation string, _ *http.Request) blobtest.Fault {
			if operation == "UploadPart" {
				cancel()
				return blobtest.Hang
			}
			return blobtest.Pass
		},
	} {
		proxy.Set(rule)
		use := t.Context()
		if operation == "cancelled" {
			use = ctx
		}
		err := s.Put(use, "a/b", bytes.NewReader(content(1, large)), blob.PutOptions{Size: large})
		require.Error(t, err, operation)
		if operation == "cancelled" {
			require.ErrorIs(t, err, context.Canceled)
		}
		requireNoUploads(t, direct)
	}
}

// TestReadFaults: what a reader gives without an error are the object's bytes,
// and single faults are overcome.
func TestReadFaults(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	proxy := blobtest.NewFaultProxy(t, server.Endpoint)
	cfg := settings(t, server)
	cfg.Endpoint, cfg.ResponseTimeout = proxy.Address, 1500*time.Millisecond
	s := open(t, cfg)
	body := content(3, 2_000_000)
	require.NoError(t, s.Put(t.Context(), "a/b", bytes.NewReader(body), blob.PutOptions{Size: 2_000_000}))
	for name, c := range map[string]struct {
		fault    blobtest.Fault
		overcome bool
	}{
		"unavailable": {blobtest.Unavailable, true}, "reset": {blobtest.Reset, true}, "lost": {blobtest.LoseAnswer, true},
		"cut": {blobtest.CutAnswer, true}, "hangs": {blobtest.Hang, true}, "slow": {blobtest.Slow, true},
		"short": {blobtest.ShortAnswer, false}, "wrong ETag": {blobtest.DamageETag, true},
	} {
		for _, r := range []blob.Range{{}, {Offset: 1000}, {Offset: 5, Length: 1_500_000}} {
			want := body[r.Offset:]
			if r.Length > 0 {
				want = want[:r.Length]
			}
			for _, times := range []int{1, 1000} {
				if times > 1 && (c.fault == blobtest.Hang || c.fault == blobtest.Slow) {
					continue // takes its time
				}
				proxy.Set(blobtest.FailFirst("GetObject", times, c.fault))
				got, err := tryRead(t, s, "a/b", r)
				if times == 1 && c.overcome {
					require.NoError(t, err, "%s %+v", name, r)
				}
				if err == nil {
					require.True(t, bytes.Equal(want, got), "%s %+v: %d bytes instead of %d", name, r, len(got), len(want))
				}
			}
		}
	}
}

func tryRead(t *testing.T, s *s3.Store, key string, r blob.Range) ([]byte, error) {
	t.Helper()
	rc, err := s.Get(t.Context(), key, r)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(rc)
	return b, errors.Join(err, rc.Close())
}

// TestReadOfReplaced: a read that breaks off and finds another object ends in
// an error and does not go on in that one.
func TestReadOfReplaced(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	proxy := blobtest.NewFaultProxy(t, server.Endpoint)
	cfg := settings(t, server)
	cfg.Endpoint = proxy.Address
	s := open(t, cfg)
	put := func(seed uint64) {
		require.NoError(t, s.Put(t.Context(), "a/b", bytes.NewReader(content(seed, 2_000_000)), blob.PutOptions{Size: 2_000_000}))
	}
	put(1)
	proxy.Set(func(operation string, _ *http.Request) blobtest.Fault {
		if operation == "GetObject" {
			return blobtest.CutAnswer
		}
		return blobtest.Pass
	})
	rc, err := s.Get(t.Context(), "a/b", blob.Range{})
	require.NoError(t, err)
	put(2)
	_, err = io.ReadAll(rc)
	require.ErrorContains(t, err, "replaced")
	require.NoError(t, rc.Close())
}

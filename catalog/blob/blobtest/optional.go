package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
)

// testIfAbsent: a conditional put never replaces anything, and of several at a
// time one succeeds.
func testIfAbsent(t *testing.T, s blob.Store) {
	t.Helper()
	try := func(key string, body []byte, size int64) error {
		return s.Put(t.Context(), key, io.MultiReader(bytes.NewReader(body)), blob.PutOptions{Size: size, IfAbsent: true})
	}
	for _, n := range []int{0, 100, largeSize} {
		key := fmt.Sprintf("a/once-%d", n)
		body := content(1, n)
		require.NoError(t, try(key, body, int64(n)))
		require.ErrorIs(t, try(key, content(2, n), int64(n)), blob.ErrExists)
		require.ErrorIs(t, try(key, content(3, n), blob.UnknownSize), blob.ErrExists)
		requireObject(t, s, key, body)
		require.NoError(t, s.Delete(t.Context(), key))
		require.NoError(t, try(key, content(4, n), blob.UnknownSize))
		requireObject(t, s, key, content(4, n))
		put(t, s, key, body)
		requireObject(t, s, key, body)
	}
	require.ErrorIs(t, try("a/short", []byte("xy"), 3), blob.ErrSizeMismatch)
	requireMissing(t, s, "a/short")

	const writers, rounds = 6, 5
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		var wg sync.WaitGroup
		var won atomic.Int64
		won.Store(-1)
		for w := range writers {
			wg.Go(func() {
				switch err := try(key, content(uint64(w), 1000), 1000); {
				case err == nil && !won.CompareAndSwap(-1, int64(w)):
					t.Errorf("%s was put twice", key)
				case err != nil && !errors.Is(err, blob.ErrExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.GreaterOrEqual(t, won.Load(), int64(0))
		requireObject(t, s, key, content(uint64(won.Load()), 1000)) //nolint:gosec // not negative
	}
}

func testPutFile(t *testing.T, s blob.Store) {
	t.Helper()
	p, ok := s.(blob.FilePutter)
	if !ok {
		return // an optional part of the contract
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "finished.mp4")
	for i, n := range []int{0, 100, largeSize, 2*largeSize + 1} {
		body := content(uint64(i), n)
		require.NoError(t, os.WriteFile(file, body, 0o600))
		for _, o := range []blob.PutOptions{{Size: int64(n)}, {Size: blob.UnknownSize, ContentType: "video/mp4"}} {
			require.NoError(t, p.PutFile(t.Context(), "a/file", file, o))
			requireObject(t, s, "a/file", body)
		}
		require.FileExists(t, file)
		require.ErrorIs(t, p.PutFile(t.Context(), "a/file", file, blob.PutOptions{Size: int64(n), IfAbsent: true}), blob.ErrExists)
		require.ErrorIs(t, p.PutFile(t.Context(), "a/other", file, blob.PutOptions{Size: int64(n) + 1}), blob.ErrSizeMismatch)
	}
	unknown := blob.PutOptions{Size: blob.UnknownSize}
	require.ErrorIs(t, p.PutFile(t.Context(), "a/other", filepath.Join(folder, "none"), unknown), os.ErrNotExist)
	require.Error(t, p.PutFile(t.Context(), "a/other", folder, unknown))
	require.ErrorIs(t, p.PutFile(t.Context(), "../other", file, unknown), blob.ErrInvalidKey)
	require.Equal(t, []string{"a/file"}, list(t, s, ""))
}

// testOpenObject: what was opened stays as it was, with its description.
func testOpenObject(t *testing.T, s blob.Store) {
	t.Helper()
	o, ok := s.(blob.Opener)
	if !ok {
		return // an optional part of the contract
	}
	old := content(1, 100_000)
	put(t, s, "a/open", old)
	stat, err := s.Stat(t.Context(), "a/open")
	require.NoError(t, err)
	f, info, err := o.OpenObject(t.Context(), "a/open")
	require.NoError(t, err)
	require.Equal(t, stat, info)
	put(t, s, "a/open", content(2, 50))
	for _, offset := range []int64{99_000, 0, 5} {
		_, err := f.Seek(offset, io.SeekStart)
		require.NoError(t, err)
		got, err := io.ReadAll(f)
		require.NoError(t, err)
		require.True(t, bytes.Equal(old[offset:], got))
	}
	require.NoError(t, f.Close())
	_, _, err = o.OpenObject(t.Context(), "a/none")
	require.ErrorIs(t, err, blob.ErrNotFound)
	_, _, err = o.OpenObject(t.Context(), "a")
	require.ErrorIs(t, err, blob.ErrNotFound)
	_, _, err = o.OpenObject(t.Context(), "../a")
	require.ErrorIs(t, err, blob.ErrInvalidKey)
}

package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
)

func testOverwrite(t *testing.T, s blob.Store) {
	t.Helper()
	for i, n := range []int{1000, 10, 0, 5000} {
		put(t, s, "same/key", content(uint64(i), n))
		requireObject(t, s, "same/key", content(uint64(i), n))
	}
	require.Equal(t, []string{"same/key"}, list(t, s, ""))
}

// testOpenReader: a reader that was opened before an object was replaced or
// deleted gives the old object whole, or an error, and never a mixture.
func testOpenReader(t *testing.T, s blob.Store) {
	t.Helper()
	old := content(1, 200_000)
	for _, change := range []func(){
		func() { put(t, s, "k", content(2, 200_000)) },
		func() { require.NoError(t, s.Delete(t.Context(), "k")) },
	} {
		put(t, s, "k", old)
		rc, err := s.Get(t.Context(), "k", blob.Range{})
		require.NoError(t, err)
		head := make([]byte, 100)
		_, err = io.ReadFull(rc, head)
		require.NoError(t, err)
		change()
		if rest, err := io.ReadAll(rc); err == nil {
			require.True(t, bytes.Equal(old, append(head, rest...)))
		}
		require.NoError(t, rc.Close())
	}
}

// testOverwriteIsAtomic reads an object over and over while it is replaced:
// every reading is one of the versions, whole.
func testOverwriteIsAtomic(t *testing.T, s blob.Store) {
	t.Helper()
	const versions, readers = 40, 3
	version := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 50_000+i) }
	put(t, s, "k", version(0))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for {
				if err := readOneVersion(t, s, version); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := 1; i < versions; i++ {
		put(t, s, "k", version(i))
	}
	close(done)
	wg.Wait()
	requireObject(t, s, "k", version(versions-1))
}

func readOneVersion(t *testing.T, s blob.Store, version func(int) []byte) error {
	rc, err := s.Get(t.Context(), "k", blob.Range{})
	if err != nil {
		return err
	}
	b, err := io.ReadAll(rc)
	if err := errors.Join(err, rc.Close()); err != nil {
		return err
	}
	if len(b) == 0 || !bytes.Equal(b, version(int(b[0]))) {
		return fmt.Errorf("read %d bytes that are no version", len(b))
	}
	return nil
}

func testSizeMismatch(t *testing.T, s blob.Store) {
	t.Helper()
	put(t, s, "kept", []byte("old"))
	for _, c := range []struct{ have, said int }{{10, 9}, {10, 11}, {0, 1}, {1, 0}, {300_000, 299_999}, {300_000, 300_001}} {
		for _, key := range []string{"kept", "new/object"} {
			body := io.MultiReader(bytes.NewReader(content(1, c.have)))
			err := s.Put(t.Context(), key, body, blob.PutOptions{Size: int64(c.said)})
			require.ErrorIs(t, err, blob.ErrSizeMismatch, "%+v", c)
		}
	}
	requireObject(t, s, "kept", []byte("old"))
	requireMissing(t, s, "new/object")
	require.Equal(t, []string{"kept"}, list(t, s, ""))
}

func testBodyError(t *testing.T, s blob.Store) {
	t.Helper()
	broken := errors.New("the camera fell off")
	put(t, s, "kept", []byte("old"))
	for _, n := range []int{0, 1, 100_000, 6 << 20} {
		for _, size := range []int64{int64(n), int64(n) + 10, blob.UnknownSize} {
			for _, key := range []string{"kept", "new/object"} {
				body := io.MultiReader(bytes.NewReader(content(1, n)), iotest.ErrReader(broken))
				require.ErrorIs(t, s.Put(t.Context(), key, body, blob.PutOptions{Size: size}), broken)
			}
		}
	}
	requireObject(t, s, "kept", []byte("old"))
	requireMissing(t, s, "new/object")
	require.Equal(t, []string{"kept"}, list(t, s, ""))
}

func testConcurrentPuts(t *testing.T, s blob.Store) {
	t.Helper()
	const writers, rounds = 8, 4
	bodies := make([][]byte, writers)
	for i := range bodies {
		bodies[i] = content(uint64(i), 70_000+i)
	}
	for range rounds {
		var wg sync.WaitGroup
		for _, body := range bodies {
			wg.Go(func() {
				if err := s.Put(t.Context(), "a/b/same", bytes.NewReader(body), blob.PutOptions{Size: int64(len(body))}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got := read(t, s, "a/b/same", blob.Range{})
		require.Contains(t, bodies, got)
	}
	require.Equal(t, []string{"a/b/same"}, list(t, s, ""))
}

// testPutBesideDelete: the cleaning up after one object must not take away the
// ground under another.
func testPutBesideDelete(t *testing.T, s blob.Store) {
	t.Helper()
	const workers, rounds = 4, 30
	var wg sync.WaitGroup
	for w := range workers {
		key := fmt.Sprintf("a/b/c/%d", w)
		wg.Go(func() {
			for i := range rounds {
				body := content(uint64(i), 100)
				err := s.Put(t.Context(), key, bytes.NewReader(body), blob.PutOptions{Size: 100})
				if err == nil && i < rounds-1 {
					_, err = s.Stat(t.Context(), key)
					err = errors.Join(err, s.Delete(t.Context(), key))
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for w := range workers {
		requireObject(t, s, fmt.Sprintf("a/b/c/%d", w), content(rounds-1, 100))
	}
}

func testAdopt(t *testing.T, s blob.Store) {
	t.Helper()
	a, ok := s.(blob.Adopter)
	if !ok {
		return // an optional part of the contract
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "finished.mp4")
	put(t, s, "a/adopted", []byte("old"))
	for i, n := range []int{0, 100, 300_000} {
		body := content(uint64(i), n)
		require.NoError(t, os.WriteFile(file, body, 0o600))
		require.NoError(t, a.Adopt(t.Context(), "a/adopted", file))
		requireObject(t, s, "a/adopted", body)
		require.NoFileExists(t, file)
	}
	require.ErrorIs(t, a.Adopt(t.Context(), "a/other", file), os.ErrNotExist)
	require.Error(t, a.Adopt(t.Context(), "a/other", folder))
	require.NoError(t, os.WriteFile(file, []byte("secret"), 0o600))
	link := filepath.Join(folder, "link")
	require.NoError(t, os.Symlink(file, link))
	require.Error(t, a.Adopt(t.Context(), "a/other", link))
	require.FileExists(t, file)
	require.Equal(t, []string{"a/adopted"}, list(t, s, ""))
}

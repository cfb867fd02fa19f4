package dir_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
	"rushes/catalog/blob/blobtest"
	"rushes/catalog/blob/dir"
)

func newStore(t *testing.T) (*dir.Store, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "new", "blobs")
	s, err := dir.Open(root)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, temporaries(t, root), "temporary files of calls that have returned")
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
	})
	return s, root
}

func TestConformance(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store {
		t.Helper()
		s, _ := newStore(t)
		return s
	})
}

func TestPath(t *testing.T) {
	t.Parallel()
	s, root := newStore(t)
	require.NoError(t, s.Put(t.Context(), "a/%2F b.mp4", bytes.NewReader([]byte("x")), blob.PutOptions{Size: 1}))
	p, err := s.Path("a/%2F b.mp4")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "a", "%2F b.mp4"), p)
	got, err := os.ReadFile(p)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	info, err := os.Stat(p)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o444), info.Mode()&0o444, "others may read an object")
	_, err = s.Path("../x")
	require.ErrorIs(t, err, blob.ErrInvalidKey)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, err := dir.Open("")
	require.Error(t, err)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = dir.Open(file)
	require.ErrorContains(t, err, file)
}

func TestOpenSweepsTheDeadOnly(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	in := filepath.Join(root, ".incoming")
	require.NoError(t, os.MkdirAll(filepath.Join(in, "folder"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(in, "dead.tmp"), []byte("x"), 0o600))
	f, err := os.Create(filepath.Join(in, "living.tmp"))
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	for range 2 {
		s, err := dir.Open(root)
		require.NoError(t, err)
		require.Equal(t, []string{"folder", "living.tmp"}, temporaries(t, root))
		for info, err := range s.List(t.Context(), "") {
			t.Errorf("listed %v, %v", info, err)
		}
		require.NoError(t, s.Close())
	}
	require.NoError(t, f.Close())
}

// TestOpenBesidePuts: a store that is opened over and over must not sweep what
// another one of the same folder has just begun.
func TestOpenBesidePuts(t *testing.T) {
	t.Parallel()
	s, root := newStore(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			other, err := dir.Open(root)
			if err == nil {
				err = other.Close()
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 200 {
		if err := s.Put(t.Context(), "a/b", bytes.NewReader([]byte("x")), blob.PutOptions{Size: 1}); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	wg.Wait()
}

func TestSymlinksDoNotLeadOutside(t *testing.T) {
	t.Parallel()
	s, root := newStore(t)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(root, "folder")))
	require.NoError(t, os.Symlink(secret, filepath.Join(root, "file")))
	require.NoError(t, os.Symlink("../../..", filepath.Join(root, "up")))
	for _, key := range []string{"folder/secret", "file", "up/x"} {
		_, err := s.Get(t.Context(), key, blob.Range{})
		require.Error(t, err, key)
		_, err = s.Stat(t.Context(), key)
		require.Error(t, err, key)
	}
	for _, key := range []string{"folder/new", "folder/secret", "up/new"} {
		require.Error(t, s.Put(t.Context(), key, bytes.NewReader([]byte("x")), blob.PutOptions{Size: 1}), key)
		require.Error(t, s.Delete(t.Context(), key), key)
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("listed %v, %v", info, err)
	}
	// A link at the place of an object is replaced or deleted, not followed.
	require.NoError(t, s.Put(t.Context(), "file", bytes.NewReader([]byte("x")), blob.PutOptions{Size: 1}))
	require.NoError(t, s.Delete(t.Context(), "file"))
	got, err := os.ReadFile(secret)
	require.NoError(t, err)
	require.Equal(t, "secret", string(got))
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestNamedPipeIsNoObject(t *testing.T) {
	t.Parallel()
	s, root := newStore(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	_, err := s.Get(t.Context(), "pipe", blob.Range{})
	require.ErrorIs(t, err, blob.ErrNotFound)
	require.Error(t, s.Adopt(t.Context(), "x", filepath.Join(root, "pipe")))
}

func TestConflict(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	one := func(key string) error {
		return s.Put(t.Context(), key, bytes.NewReader([]byte("x")), blob.PutOptions{Size: 1})
	}
	require.NoError(t, one("a/b"))
	require.ErrorIs(t, one("a"), blob.ErrConflict)
	require.ErrorIs(t, one("a/b/c"), blob.ErrConflict)
	for key, want := range map[string]error{"a": blob.ErrConflict, "a/b": blob.ErrExists, "a/b/c": blob.ErrConflict, "a/b/c/d": blob.ErrConflict} {
		err := s.Put(t.Context(), key, bytes.NewReader(nil), blob.PutOptions{IfAbsent: true})
		require.ErrorIs(t, err, want, key)
	}
	require.NoError(t, s.Delete(t.Context(), "a/b"))
	require.NoError(t, one("a"))
}

func TestDeleteRemovesEmptyFolders(t *testing.T) {
	t.Parallel()
	s, root := newStore(t)
	for _, key := range []string{"a/b/c/d", "a/e"} {
		require.NoError(t, s.Put(t.Context(), key, bytes.NewReader(nil), blob.PutOptions{}))
	}
	require.NoError(t, s.Delete(t.Context(), "a/b/c/d"))
	require.NoDirExists(t, filepath.Join(root, "a", "b"))
	require.FileExists(t, filepath.Join(root, "a", "e"))
	require.NoError(t, s.Delete(t.Context(), "a/e"))
	require.NoDirExists(t, filepath.Join(root, "a"))
	require.DirExists(t, root)
}

// TestFailedPutLeavesNothing: not even folders that only the failed object
// would have needed.
func TestFailedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	s, root := newStore(t)
	body := io.MultiReader(bytes.NewReader(make([]byte, 1000)), iotest.ErrReader(errors.New("broken")))
	require.Error(t, s.Put(t.Context(), "a/b/c", body, blob.PutOptions{Size: blob.UnknownSize}))
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, ".incoming", entries[0].Name())
}

// TestAdoptLinks: on one file system the very file is taken over, also when a
// crash before had left it under both names.
func TestAdoptLinks(t *testing.T) {
	t.Parallel()
	s, root := newStore(t)
	file := filepath.Join(filepath.Dir(root), "finished")
	require.NoError(t, os.WriteFile(file, []byte("bytes"), 0o600))
	before, err := os.Stat(file)
	require.NoError(t, err)
	require.NoError(t, s.Adopt(t.Context(), "a/b", file))
	p, err := s.Path("a/b")
	require.NoError(t, err)
	after, err := os.Stat(p)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))

	require.NoError(t, os.Link(p, file))
	require.NoError(t, s.Adopt(t.Context(), "a/b", file))
	require.NoFileExists(t, file)
	require.FileExists(t, p)
}

// TestAdoptFromAnotherFileSystem copies.
func TestAdoptFromAnotherFileSystem(t *testing.T) {
	t.Parallel()
	s, root := newStore(t)
	const shm = "/dev/shm"
	var a, b syscall.Stat_t
	if syscall.Stat(shm, &a) != nil || syscall.Stat(root, &b) != nil || a.Dev == b.Dev {
		t.Skip("there is no second file system")
	}
	folder, err := os.MkdirTemp(shm, "rushes-adopt-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	file := filepath.Join(folder, "finished")
	body := bytes.Repeat([]byte("x"), 600_000)
	require.NoError(t, os.WriteFile(file, body, 0o600))
	require.NoError(t, s.Adopt(t.Context(), "a/b", file))
	require.NoFileExists(t, file)
	rc, err := s.Get(t.Context(), "a/b", blob.Range{})
	require.NoError(t, err)
	got, err := io.ReadAll(rc)
	require.NoError(t, err)
	require.NoError(t, rc.Close())
	require.True(t, bytes.Equal(body, got))
}

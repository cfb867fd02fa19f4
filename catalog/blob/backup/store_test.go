package backup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
	"rushes/catalog/blob/backup"
	"rushes/catalog/blob/blobtest"
	"rushes/catalog/blob/dir"
)

var errAway = errors.New("the store is away")

// moody is a store that refuses, in the middle of a body, while away is set,
// every other Put while sometimes is, and changes a byte while damages is.
type moody struct {
	blob.Store
	away, sometimes, damages, asleep atomic.Bool
	puts                             atomic.Int64
}

// Put refuses or stores.
func (m *moody) Put(ctx context.Context, key string, body io.Reader, o blob.PutOptions) error {
	if m.away.Load() || m.sometimes.Load() && m.puts.Add(1)%2 == 0 {
		if err := errors.Join(blob.CheckKey(key), ctx.Err()); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, body, 50_000); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return errAway
	}
	if m.damages.Load() {
		b, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		b[len(b)/2] ^= 1
		body = bytes.NewReader(b)
	}
	return m.Store.Put(ctx, key, body, o)
}

// Stat is refused while asleep.
func (m *moody) Stat(ctx context.Context, key string) (blob.Info, error) {
	if m.asleep.Load() {
		return blob.Info{}, errAway
	}
	return m.Store.Stat(ctx, key)
}

// Get is refused while asleep.
func (m *moody) Get(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error) {
	if m.asleep.Load() {
		return nil, errAway
	}
	return m.Store.Get(ctx, key, r)
}

// Delete is refused while asleep.
func (m *moody) Delete(ctx context.Context, key string) error {
	if m.asleep.Load() {
		return errAway
	}
	return m.Store.Delete(ctx, key)
}

type kit struct {
	main, second *moody
	store        *backup.Store
	mu           sync.Mutex
	backedUp     []string
	moved        []string
	spool        string
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{spool: t.TempDir()}
	open := func() *moody {
		s, err := dir.Open(filepath.Join(t.TempDir(), "blobs"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return &moody{Store: s}
	}
	k.main, k.second = open(), open()
	k.store = backup.New(k.main, k.second, backup.Options{
		SpoolDir: k.spool,
		OnBackup: func(_ context.Context, key string, cause error) error {
			if !errors.Is(cause, errAway) {
				t.Errorf("%s went to the backup for %v", key, cause)
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			k.backedUp = append(k.backedUp, key)
			return nil
		},
		OnMove: func(_ context.Context, key string) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.moved = append(k.moved, key)
			return nil
		},
	})
	t.Cleanup(func() {
		left, err := os.ReadDir(k.spool)
		require.NoError(t, err)
		require.Empty(t, left, "temporary files")
	})
	return k
}

// put puts a body that cannot be read twice.
func put(t *testing.T, s blob.Store, key, body string) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, io.MultiReader(strings.NewReader(body)), blob.PutOptions{Size: int64(len(body))}))
}

func read(t *testing.T, s blob.Store, key string) string {
	t.Helper()
	rc, err := s.Get(t.Context(), key, blob.Range{})
	require.NoError(t, err)
	b, err := io.ReadAll(rc)
	require.NoError(t, err)
	require.NoError(t, rc.Close())
	return string(b)
}

func keys(t *testing.T, s blob.Store) []string {
	t.Helper()
	found := []string{}
	for info, err := range s.List(t.Context(), "") {
		require.NoError(t, err)
		found = append(found, info.Key)
	}
	return found
}

// TestConformance: the pair is a blob store, whatever the main one does.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, mood := range map[string]func(*moody){
		"main store well":     func(*moody) {},
		"refuses every other": func(m *moody) { m.sometimes.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blobtest.Run(t, func(t *testing.T) blob.Store {
				t.Helper()
				k := newKit(t)
				mood(k.main)
				return unconditional{k.store}
			})
		})
	}
}

// unconditional repeats a conditional put that the main store refused, as its
// caller would: it is never backed up.
type unconditional struct{ *backup.Store }

// Put puts, twice if need be.
func (u unconditional) Put(ctx context.Context, key string, body io.Reader, o blob.PutOptions) error {
	if !o.IfAbsent {
		return u.Store.Put(ctx, key, body, o)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	for {
		if err := u.Store.Put(ctx, key, bytes.NewReader(b), o); !errors.Is(err, errAway) {
			return err
		}
	}
}

// PutFile puts, twice if need be.
func (u unconditional) PutFile(ctx context.Context, key, path string, o blob.PutOptions) error {
	for {
		if err := u.Store.PutFile(ctx, key, path, o); !o.IfAbsent || !errors.Is(err, errAway) {
			return err
		}
	}
}

func TestBackupAndMove(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	body := strings.Repeat("0123456789", 20_000)
	put(t, k.store, "b/well", body)
	require.Equal(t, []string{"b/well"}, keys(t, k.main.Store))

	k.main.away.Store(true)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(body+"file"), 0o600))
	put(t, k.store, "a/stream", body+"stream")
	require.NoError(t, k.store.Put(t.Context(), "c/seeker", strings.NewReader(body+"seeker"), blob.PutOptions{Size: blob.UnknownSize}))
	require.NoError(t, k.store.PutFile(t.Context(), "d/file", file, blob.PutOptions{Size: blob.UnknownSize}))
	waiting := []string{"a/stream", "c/seeker", "d/file"}
	all := []string{"a/stream", "b/well", "c/seeker", "d/file"}
	require.Equal(t, waiting, k.backedUp)
	require.Equal(t, waiting, keys(t, k.second.Store))
	require.Equal(t, all, keys(t, k.store))
	backedUp, err := k.store.BackedUp(t.Context(), "a/stream")
	require.NoError(t, err)
	require.True(t, backedUp)

	moved, err := k.store.Move(t.Context())
	require.ErrorIs(t, err, errAway)
	require.Equal(t, backup.Moved{Left: 3}, moved)
	require.Equal(t, waiting, keys(t, k.second.Store))

	k.main.away.Store(false)
	moved, err = k.store.Move(t.Context())
	require.NoError(t, err)
	require.Equal(t, backup.Moved{Objects: 3, Bytes: 600_000 + 16}, moved)
	require.Equal(t, waiting, k.moved)
	require.Empty(t, keys(t, k.second.Store))
	require.Equal(t, all, keys(t, k.main.Store))
	for _, name := range waiting {
		require.Equal(t, body+name[2:], read(t, k.store, name))
	}
	moved, err = k.store.Move(t.Context())
	require.NoError(t, err)
	require.Zero(t, moved)
}

// TestMoveVerifies: what the main store damages stays in the backup, and is
// what readers get.
func TestMoveVerifies(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.main.away.Store(true)
	put(t, k.store, "a", "precious")
	k.main.away.Store(false)
	k.main.damages.Store(true)
	_, err := k.store.Move(t.Context())
	require.ErrorContains(t, err, "not the 8 that were put")
	require.Equal(t, "precious", read(t, k.store, "a"))
	require.Empty(t, k.moved)
	k.main.damages.Store(false)
	_, err = k.store.Move(t.Context())
	require.NoError(t, err)
	require.Equal(t, "precious", read(t, k.main.Store, "a"))
}

// TestNewest: of two objects under one key readers get the newer one, and Move
// never replaces a newer one by an older.
func TestNewest(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	put(t, k.store, "a", "first")
	k.main.away.Store(true)
	put(t, k.store, "a", "second")
	require.Equal(t, "second", read(t, k.store, "a"))
	require.Equal(t, []string{"a"}, keys(t, k.store))
	info, err := k.store.Stat(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, int64(6), info.Size)

	k.main.away.Store(false)
	put(t, k.store, "a", "third")
	require.Equal(t, "third", read(t, k.store, "a"))
	require.Empty(t, keys(t, k.second.Store))

	// The older one cannot be taken out of the backup while that is away.
	k.main.away.Store(true)
	put(t, k.store, "a", "fourth")
	k.main.away.Store(false)
	k.second.asleep.Store(true)
	put(t, k.store, "a", "fifth")
	require.Equal(t, "fifth", read(t, k.store, "a"))
	k.second.asleep.Store(false)
	require.Equal(t, "fifth", read(t, k.store, "a"))
	moved, err := k.store.Move(t.Context())
	require.NoError(t, err)
	require.Zero(t, moved)
	require.Equal(t, "fifth", read(t, k.main.Store, "a"))
	require.Empty(t, keys(t, k.second.Store))

	// Nor is one that this process knows nothing of moved over a newer one.
	put(t, k.second, "a", "sixth, older")
	require.NoError(t, os.Chtimes(path(t, k.second, "a"), time.Time{}, time.Now().Add(-time.Hour)))
	_, err = k.store.Move(t.Context())
	require.ErrorContains(t, err, "newer")
	require.Equal(t, "fifth", read(t, k.main.Store, "a"))
}

func path(t *testing.T, m *moody, key string) string {
	t.Helper()
	p, err := m.Store.(*dir.Store).Path(key)
	require.NoError(t, err)
	return p
}

// TestCallersFaults are not backed up.
func TestCallersFaults(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.main.away.Store(true)
	broken := errors.New("broken")
	require.ErrorIs(t, k.store.Put(t.Context(), "../a", strings.NewReader("x"), blob.PutOptions{Size: 1}), blob.ErrInvalidKey)
	require.ErrorIs(t, k.store.Put(t.Context(), "a", io.MultiReader(strings.NewReader("x"), errorReader{broken}), blob.PutOptions{Size: 9}), broken)
	require.ErrorIs(t, k.store.Put(t.Context(), "a", strings.NewReader("xy"), blob.PutOptions{Size: 9}), blob.ErrSizeMismatch)
	require.ErrorIs(t, k.store.Put(t.Context(), "a", strings.NewReader("x"), blob.PutOptions{Size: 1, IfAbsent: true}), errAway)
	require.ErrorIs(t, k.store.PutFile(t.Context(), "a", "/nothing", blob.PutOptions{}), os.ErrNotExist)
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, k.store.Put(dead, "a", strings.NewReader("x"), blob.PutOptions{Size: 1}), context.Canceled)
	require.Empty(t, keys(t, k.store))
	require.Empty(t, k.backedUp)
	_, err := k.store.PresignGet(t.Context(), "a", time.Minute, blob.PresignOptions{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

type errorReader struct{ err error }

// Read fails.
func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// TestBackupAway: with the backup away the main store answers, but nothing is
// said to be missing.
func TestBackupAway(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.second.asleep.Store(true)
	put(t, k.store, "a", "x")
	require.Equal(t, "x", read(t, k.store, "a"))
	_, err := k.store.Stat(t.Context(), "b")
	require.ErrorIs(t, err, errAway)
	require.NotErrorIs(t, err, blob.ErrNotFound)
}

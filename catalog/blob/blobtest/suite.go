package blobtest

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
)

// largeSize is the size of the large object of the suite, in bytes: more than
// one buffer or one part of any backend.
const largeSize = 8 << 20

// Run tests the store that newStore returns. Each test asks for a store of its
// own, which must be empty; newStore registers its cleanup with t and may be
// called from several tests at once.
func Run(t *testing.T, newStore func(t *testing.T) blob.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, blob.Store)
	}{
		{"RoundTrip", testRoundTrip},
		{"Large", testLarge},
		{"Keys", testKeys},
		{"HostileKeys", testHostileKeys},
		{"Ranges", testRanges},
		{"Missing", testMissing},
		{"Overwrite", testOverwrite},
		{"OpenReaderKeepsItsObject", testOpenReader},
		{"OverwriteIsAtomic", testOverwriteIsAtomic},
		{"SizeMismatch", testSizeMismatch},
		{"CancelledContext", testCancelled},
		{"BodyError", testBodyError},
		{"ConcurrentPuts", testConcurrentPuts},
		{"PutBesideDelete", testPutBesideDelete},
		{"List", testList},
		{"ListStops", testListStops},
		{"Delete", testDelete},
		{"Adopt", testAdopt},
		{"IfAbsent", testIfAbsent},
		{"PutFile", testPutFile},
		{"OpenObject", testOpenObject},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, newStore(t))
		})
	}
}

// content returns n bytes that depend on seed and compress badly.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, uint64(n))) //nolint:gosec // test data
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func put(t *testing.T, s blob.Store, key string, b []byte) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, bytes.NewReader(b), blob.PutOptions{Size: int64(len(b))}))
}

// read returns the object, having held its size against Stat.
func read(t *testing.T, s blob.Store, key string, r blob.Range) []byte {
	t.Helper()
	rc, err := s.Get(t.Context(), key, r)
	require.NoError(t, err)
	b, err := io.ReadAll(rc)
	require.NoError(t, err)
	require.NoError(t, rc.Close())
	return b
}

func requireObject(t *testing.T, s blob.Store, key string, want []byte) {
	t.Helper()
	got := read(t, s, key, blob.Range{})
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: read %d bytes, not the %d bytes that were put", key, len(got), len(want))
	}
	info, err := s.Stat(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, key, info.Key)
	require.Equal(t, int64(len(want)), info.Size)
}

func requireMissing(t *testing.T, s blob.Store, key string) {
	t.Helper()
	_, err := s.Stat(t.Context(), key)
	require.ErrorIs(t, err, blob.ErrNotFound, key)
	_, err = s.Get(t.Context(), key, blob.Range{})
	require.ErrorIs(t, err, blob.ErrNotFound, key)
}

func list(t *testing.T, s blob.Store, prefix string) []string {
	t.Helper()
	keys := []string{}
	for info, err := range s.List(t.Context(), prefix) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

func testRoundTrip(t *testing.T, s blob.Store) {
	t.Helper()
	before := time.Now().Add(-time.Hour)
	for i, n := range []int{0, 1, 4095, 4096, 300_000} {
		key := "beam/room/" + string(rune('a'+i)) + ".mp4"
		put(t, s, key, content(uint64(n), n))
		requireObject(t, s, key, content(uint64(n), n))
		info, err := s.Stat(t.Context(), key)
		require.NoError(t, err)
		require.True(t, info.ModTime.After(before) && info.ModTime.Before(time.Now().Add(time.Hour)), info.ModTime)
	}
	body := content(7, 1000)
	require.NoError(t, s.Put(t.Context(), "unknown", io.MultiReader(bytes.NewReader(body)), blob.PutOptions{Size: blob.UnknownSize, ContentType: "video/mp4"}))
	requireObject(t, s, "unknown", body)
}

func testLarge(t *testing.T, s blob.Store) {
	t.Helper()
	body := content(1, largeSize)
	put(t, s, "large.mp4", body)
	requireObject(t, s, "large.mp4", body)
	require.True(t, bytes.Equal(body[largeSize-5:], read(t, s, "large.mp4", blob.Range{Offset: largeSize - 5})))
	require.NoError(t, s.Put(t.Context(), "streamed.mp4", io.MultiReader(bytes.NewReader(body)), blob.PutOptions{Size: blob.UnknownSize}))
	requireObject(t, s, "streamed.mp4", body)
}

func testRanges(t *testing.T, s blob.Store) {
	t.Helper()
	body := content(3, 1000)
	put(t, s, "a/ranged", body)
	put(t, s, "a/empty", nil)
	for _, c := range []struct {
		r    blob.Range
		want []byte
	}{
		{blob.Range{}, body},
		{blob.Range{Length: 1}, body[:1]},
		{blob.Range{Offset: 10}, body[10:]},
		{blob.Range{Offset: 10, Length: 20}, body[10:30]},
		{blob.Range{Offset: 999}, body[999:]},
		{blob.Range{Offset: 990, Length: 1 << 40}, body[990:]},
	} {
		require.Equal(t, c.want, read(t, s, "a/ranged", c.r), "%+v", c.r)
	}
	require.Empty(t, read(t, s, "a/empty", blob.Range{}))
	for _, r := range []blob.Range{{Offset: 1000}, {Offset: 5000, Length: 1}, {Offset: -1}, {Length: -1}} {
		_, err := s.Get(t.Context(), "a/ranged", r)
		require.ErrorIs(t, err, blob.ErrInvalidRange, "%+v", r)
	}
	_, err := s.Get(t.Context(), "a/empty", blob.Range{Offset: 1})
	require.ErrorIs(t, err, blob.ErrInvalidRange)
}

func testMissing(t *testing.T, s blob.Store) {
	t.Helper()
	put(t, s, "a/b/c", []byte("x"))
	for _, key := range []string{"nothing", "a", "a/b", "a/b/d", "a/b/c/d", "z/y/x"} {
		requireMissing(t, s, key)
		require.NoError(t, s.Delete(t.Context(), key))
	}
	requireObject(t, s, "a/b/c", []byte("x"))
}

func testDelete(t *testing.T, s blob.Store) {
	t.Helper()
	put(t, s, "a/b/one", []byte("1"))
	put(t, s, "a/b/two", []byte("2"))
	for range 2 {
		require.NoError(t, s.Delete(t.Context(), "a/b/one"))
		requireMissing(t, s, "a/b/one")
	}
	requireObject(t, s, "a/b/two", []byte("2"))
	require.NoError(t, s.Delete(t.Context(), "a/b/two"))
	require.Empty(t, list(t, s, ""))
	// What was a folder may become an object, and the other way round.
	put(t, s, "a/b", []byte("3"))
	requireObject(t, s, "a/b", []byte("3"))
	require.NoError(t, s.Delete(t.Context(), "a/b"))
	put(t, s, "a/b/one", []byte("4"))
	requireObject(t, s, "a/b/one", []byte("4"))
}

func testCancelled(t *testing.T, s blob.Store) {
	t.Helper()
	put(t, s, "kept", []byte("old"))
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	for _, key := range []string{"kept", "new/one"} {
		require.ErrorIs(t, s.Put(dead, key, bytes.NewReader([]byte("new")), blob.PutOptions{Size: 3}), context.Canceled)
	}
	_, err := s.Get(dead, "kept", blob.Range{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Stat(dead, "kept")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Delete(dead, "kept"), context.Canceled)
	for _, err := range s.List(dead, "") {
		require.ErrorIs(t, err, context.Canceled)
	}

	// Cancelled in the middle of the body, which itself never fails or ends.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := &endless{after: 4 << 20, do: cancel}
	require.ErrorIs(t, s.Put(ctx, "new/two", body, blob.PutOptions{Size: 1 << 40}), context.Canceled)

	// Cancelled while reading.
	put(t, s, "read", content(9, 100_000))
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	rc, err := s.Get(ctx, "read", blob.Range{})
	require.NoError(t, err)
	_, err = io.ReadFull(rc, make([]byte, 10))
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(rc)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, rc.Close())

	requireObject(t, s, "kept", []byte("old"))
	require.Equal(t, []string{"kept", "read"}, list(t, s, ""))
}

// endless gives zeros for ever and calls do once after a number of bytes.
type endless struct {
	after int
	do    func()
}

// Read fills p.
func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	if e.after -= len(p); e.after < 0 && e.do != nil {
		e.do()
		e.do = nil
	}
	return len(p), nil
}

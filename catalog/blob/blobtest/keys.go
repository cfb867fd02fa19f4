package blobtest

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
)

// oddKeys are valid keys that careless backends get wrong.
func oddKeys() []string {
	return []string{
		"%/%2E%2E/%2F.mp4",
		"%252F",
		"%2F",
		"a b+c&d=e?f#g.mp4",
		"a-b",
		"a/b",
		"a/b-c",
		"a0",
		"q'\"<>|*:;$(x)`~.webm",
		"x" + strings.Repeat("y", blob.MaxElement-1),
		"\u00e9/日本/🎬.mp4", // composed
		"e\u0301",         // decomposed: another name than the composed one
	}
}

func testKeys(t *testing.T, s blob.Store) {
	t.Helper()
	keys := oddKeys()
	for i, key := range keys {
		require.NoError(t, blob.CheckKey(key))
		put(t, s, key, content(uint64(i), 100+i))
	}
	for i, key := range keys {
		requireObject(t, s, key, content(uint64(i), 100+i))
	}
	require.Equal(t, slices.Sorted(slices.Values(keys)), list(t, s, ""))
	for _, key := range keys {
		require.NoError(t, s.Delete(t.Context(), key))
		requireMissing(t, s, key)
	}
	require.Empty(t, list(t, s, ""))
}

// hostileKeys are keys that lead somewhere else, or nowhere.
func hostileKeys() []string {
	return []string{
		"", ".", "..", "/", "/etc/passwd", "../escape", "a/../../escape", "a/..", "a/./b", "a//b", "a/",
		".hidden", "a/.hidden", ".incoming/x.tmp", "a\x00b", "a\nb", "a\x7fb", `..\escape`, `C:\x`, "a\xff",
		strings.Repeat("e", blob.MaxElement+1), strings.Repeat("abcdefg/", blob.MaxKey/8) + "x",
	}
}

func testHostileKeys(t *testing.T, s blob.Store) {
	t.Helper()
	ctx := t.Context()
	for _, key := range hostileKeys() {
		require.ErrorIs(t, s.Put(ctx, key, bytes.NewReader([]byte("x")), blob.PutOptions{Size: 1}), blob.ErrInvalidKey, "%q", key)
		_, err := s.Get(ctx, key, blob.Range{})
		require.ErrorIs(t, err, blob.ErrInvalidKey, "%q", key)
		_, err = s.Stat(ctx, key)
		require.ErrorIs(t, err, blob.ErrInvalidKey, "%q", key)
		require.ErrorIs(t, s.Delete(ctx, key), blob.ErrInvalidKey, "%q", key)
		if a, ok := s.(blob.Adopter); ok {
			require.ErrorIs(t, a.Adopt(ctx, key, "nothing"), blob.ErrInvalidKey, "%q", key)
		}
	}
	for _, prefix := range []string{"..", "../", "/", "a/../", "a//", "\x00"} {
		n := 0
		for _, err := range s.List(ctx, prefix) {
			require.ErrorIs(t, err, blob.ErrInvalidKey, "%q", prefix)
			n++
		}
		require.Equal(t, 1, n, "%q", prefix)
	}
	require.Empty(t, list(t, s, ""))
}

func testList(t *testing.T, s blob.Store) {
	t.Helper()
	require.Empty(t, list(t, s, ""))
	keys := []string{"a", "b-c", "b.d", "b/a", "b/a-a", "b/a0/x", "b/b/c/d", "b/bb", "b0", "c/1", "c/10", "c/2"}
	for i := range keys {
		key := keys[(i*7)%len(keys)]
		put(t, s, key, []byte(key))
	}
	for prefix, want := range map[string][]string{
		"":         keys,
		"b":        keys[1:9],
		"b/":       keys[3:8],
		"b/a":      keys[3:6],
		"b/b":      keys[6:8],
		"b/b/":     keys[6:7],
		"b/b/c/d":  keys[6:7],
		"c/1":      keys[9:11],
		"a/":       {},
		"b/b/c/d/": {},
		"nothing":  {},
		"zz/yy/":   {},
		"b/a0/x":   keys[5:6],
	} {
		require.Equal(t, want, list(t, s, prefix), "prefix %q", prefix)
	}
	for info, err := range s.List(t.Context(), "b") {
		require.NoError(t, err)
		require.Equal(t, int64(len(info.Key)), info.Size)
		require.False(t, info.ModTime.IsZero())
	}
}

func testListStops(t *testing.T, s blob.Store) {
	t.Helper()
	for _, key := range []string{"a/1", "a/2", "b/1"} {
		put(t, s, key, nil)
	}
	n := 0
	for range s.List(t.Context(), "") {
		if n++; n == 2 {
			break
		}
	}
	require.Equal(t, 2, n)
}

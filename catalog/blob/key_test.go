package blob_test

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
)

func TestCheckKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("e", blob.MaxElement)
	for key, want := range map[string]bool{
		"a":                                true,
		"beam/room/20261122/Rec-1.mp4":     true,
		"%/%2E%2E/ü ö.webm":                true,
		long:                               true,
		strings.Repeat(long+"/", 4)[:1023]: true,
		"a.b/c..d/e.":                      true,

		"":                                  false,
		"/a":                                false,
		"a/":                                false,
		"a//b":                              false,
		".":                                 false,
		"..":                                false,
		"a/../b":                            false,
		"a/.hidden":                         false,
		".incoming/x":                       false,
		"a\x00b":                            false,
		"a\nb":                              false,
		"a\u0085b":                          false,
		`a\b`:                               false,
		"a\xffb":                            false,
		long + "e":                          false,
		strings.Repeat(long+"/", 4) + "abc": false,
	} {
		err := blob.CheckKey(key)
		if want {
			require.NoError(t, err, "%q", key)
		} else {
			require.ErrorIs(t, err, blob.ErrInvalidKey, "%q", key)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]bool{
		"": true, "a": true, "a/": true, "a/b": true,
		"/": false, "a//": false, "..": false, "../": false, "a/../": false, "\x00": false,
	} {
		require.Equal(t, want, blob.CheckPrefix(prefix) == nil, "%q", prefix)
	}
}

func TestRangeResolve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r                    blob.Range
		size, offset, length int64
		ok                   bool
	}{
		{blob.Range{}, 10, 0, 10, true},
		{blob.Range{}, 0, 0, 0, true},
		{blob.Range{Offset: 3}, 10, 3, 7, true},
		{blob.Range{Offset: 3, Length: 2}, 10, 3, 2, true},
		{blob.Range{Offset: 9, Length: 1 << 62}, 10, 9, 1, true},
		{blob.Range{Offset: 10}, 10, 0, 0, false},
		{blob.Range{Offset: -1}, 10, 0, 0, false},
		{blob.Range{Length: -1}, 10, 0, 0, false},
	} {
		offset, length, err := c.r.Resolve(c.size)
		if !c.ok {
			require.ErrorIs(t, err, blob.ErrInvalidRange)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, [2]int64{c.offset, c.length}, [2]int64{offset, length})
	}
}

// FuzzCheckKey: a key that passes stays below any folder it is joined to.
func FuzzCheckKey(f *testing.F) {
	for _, seed := range []string{"a/b", "../a", "a/./b", "/a", "a//b", "ü/%2F", "a\\..\\b", ".", strings.Repeat("x", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if blob.CheckKey(key) != nil {
			return
		}
		if joined := path.Join("/store", key); joined != "/store/"+key {
			t.Fatalf("%q becomes %q", key, joined)
		}
		if err := blob.CheckPrefix(key); err != nil {
			t.Fatalf("key %q is no prefix: %v", key, err)
		}
	})
}

package catalog_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"sort"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func TestNewIDShape(t *testing.T) {
	t.Parallel()
	at := time.Unix(0x65000000, 0)
	s, err := catalog.NewIDSource(func() time.Time { return at }, bytes.NewReader([]byte{1, 2, 3, 4, 0xff}))
	require.NoError(t, err)
	require.Equal(t, "6500000001020304ff000000", s.NewID())
	require.Equal(t, "6500000001020304ff000001", s.NewID())
	at = at.Add(time.Second)
	require.Equal(t, "6500000101020304ff000000", s.NewID())
	at = at.Add(-time.Hour) // a clock that is set back must not break the order
	require.Equal(t, "6500000101020304ff000001", s.NewID())
}

func TestNewIDConcurrent(t *testing.T) {
	t.Parallel()
	const sources, goroutines, each = 3, 4, 2000
	var (
		mu  sync.Mutex
		all []string
		wg  sync.WaitGroup
	)
	for range sources {
		s, err := catalog.NewIDSource(nil, nil)
		require.NoError(t, err)
		for range goroutines {
			wg.Go(func() {
				ids := make([]string, each)
				for i := range ids {
					ids[i] = s.NewID()
				}
				mu.Lock()
				defer mu.Unlock()
				if !sort.StringsAreSorted(ids) {
					t.Error("ids of one source are out of order")
				}
				all = append(all, ids...)
			})
		}
	}
	wg.Wait()
	seen := make(map[string]bool, len(all))
	for _, id := range all {
		require.True(t, catalog.ValidID(id), id)
		require.False(t, seen[id], id)
		seen[id] = true
	}
	require.Len(t, seen, sources*goroutines*each)
}

func TestNewIDSourceWithoutRandomness(t *testing.T) {
	t.Parallel()
	broken := errors.New("no entropy")
	_, err := catalog.NewIDSource(nil, iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	_, err = catalog.NewIDSource(nil, bytes.NewReader([]byte{1, 2}))
	require.Error(t, err)
	_, err = catalog.NewIDSource(nil, rand.Reader)
	require.NoError(t, err)
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"6500000001020304ff000000":  true,
		"6500000001020304FF000000":  false,
		"6500000001020304ff00000":   false,
		"6500000001020304ff0000000": false,
		"6500000001020304ff00000g":  false,
		"":                          false,
	} {
		require.Equal(t, want, catalog.ValidID(id), id)
	}
}

package stage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/pipeline/stage"
)

// shelf is a catalog with assets of given ages, and their bytes.
type shelf struct {
	catalog *testCatalog
	blobs   *memoryStore
	claim   catalog.Claim
	assets  map[string]catalog.Asset
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{catalog: newTestCatalog(t), blobs: newMemoryStore(), assets: map[string]catalog.Asset{}}
	job, _, err := s.catalog.Store.AddJob(t.Context(), catalog.Job{CaptureURI: "/c", CaptureKey: "k", RoomID: "r", SessionID: "s", Source: "sfu"}, false)
	require.NoError(t, err)
	job, err = s.catalog.Store.SeizeJob(t.Context(), job.ID, "test")
	require.NoError(t, err)
	s.claim = catalog.Claim{JobID: job.ID, Fence: job.Fence}
	return s
}

// add registers an asset of an age, with its bytes and a thumbnail.
func (s *shelf) add(t *testing.T, name string, kind catalog.AssetType, status catalog.AssetStatus, age time.Duration, path string, more ...string) {
	t.Helper()
	a := catalog.Asset{Key: "k/" + name, RoomID: "r", SessionID: "s", Type: kind, Status: status, CreatedAt: time.Now().Add(-age), Path: path}
	if status == catalog.AssetFailed {
		a.Error = &catalog.AssetError{Kind: "bad-input", Message: "no"}
	}
	ids, err := catalog.NewIDSource(func() time.Time { return a.CreatedAt }, nil)
	require.NoError(t, err)
	a.ID = ids.NewID()
	if path != "" {
		a.Thumbnails = []string{catalog.ThumbnailPath(path, 0, 2*time.Second, ".png")}
		for _, key := range append(append([]string{path}, a.Thumbnails...), more...) {
			require.NoError(t, s.blobs.Put(t.Context(), key, strings.NewReader("x"), blob.PutOptions{Size: 1}))
		}
		a.Size = 1
	}
	out, err := s.catalog.Store.RegisterAssets(t.Context(), s.claim, []catalog.Asset{a})
	require.NoError(t, err)
	s.assets[name] = out[0]
}

// TestDelete deletes bytes, thumbnails and row of one asset and of a package, says so twice, and touches nothing else.
func TestDelete(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.add(t, "track", catalog.TrackAsset, catalog.AssetCompleted, time.Hour, "r/d/s/p/st/one.webm")
	s.add(t, "other", catalog.TrackAsset, catalog.AssetCompleted, time.Hour, "r/d/s/p/st/one-more.webm", "r/d/s/p/st/one-thumb-x.txt")
	s.add(t, "vod", catalog.RoomVOD, catalog.AssetCompleted, time.Hour, "hls/r/20261122/1/vod/master.m3u8", "hls/r/20261122/1/vod/720p/1.m4s", "hls/r/20261122/1/vod/Rec-r-1.zip", "hls/r/20261122/1/vod/720p/index.m3u8")
	s.add(t, "layer", catalog.RoomComposite, catalog.AssetCompleted, time.Hour, "hls/r/20261122/1/file-recording/Rec-r-1-0.mp4")
	s.add(t, "zip", catalog.RoomVOD, catalog.AssetCompleted, time.Hour, "hls/r/20261122/2/vod/Rec-r-2.zip", "hls/r/20261122/2/vod/of-somebody-else")
	s.add(t, "failed", catalog.StreamAsset, catalog.AssetFailed, time.Hour, "")
	for _, name := range []string{"track", "vod", "zip", "failed"} {
		for n := range 2 {
			a, found, err := stage.Delete(t.Context(), s.catalog.Store, s.blobs, s.assets[name].ID)
			require.NoError(t, err, name)
			require.Equal(t, n == 0, found, name)
			if found {
				require.Equal(t, s.assets[name].ID, a.ID)
			}
		}
		_, err := s.catalog.Store.AssetByID(t.Context(), s.assets[name].ID)
		require.ErrorIs(t, err, catalog.ErrNotFound)
	}
	require.ElementsMatch(t, []string{
		"r/d/s/p/st/one-more.webm", "r/d/s/p/st/one-more-thumb-0-2000.png", "r/d/s/p/st/one-thumb-x.txt",
		"hls/r/20261122/1/file-recording/Rec-r-1-0.mp4", "hls/r/20261122/1/file-recording/Rec-r-1-0-thumb-0-2000.png",
		"hls/r/20261122/2/vod/of-somebody-else", "hls/r/20261122/1/vod/Rec-r-1.zip", // another asset
	}, s.blobs.keys())
}

// TestDeleteInterrupted deletes while the store is away: the row stays until the bytes are gone, and nothing is left.
func TestDeleteInterrupted(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.add(t, "track", catalog.TrackAsset, catalog.AssetCompleted, time.Hour, "r/d/s/p/st/one.webm")
	s.blobs.name, s.blobs.nth, s.blobs.often = "Delete", 1, tooOften
	_, _, err := stage.Delete(t.Context(), s.catalog.Store, s.blobs, s.assets["track"].ID)
	require.ErrorIs(t, err, errFault)
	require.NotEmpty(t, s.blobs.keys())
	s.blobs.heal()
	_, found, err := stage.Delete(t.Context(), s.catalog.Store, s.blobs, s.assets["track"].ID)
	require.NoError(t, err)
	require.True(t, found)
	require.Empty(t, s.blobs.keys())
	_, err = s.catalog.Store.EndAttempt(t.Context(), s.claim, catalog.Attempt{Ending: catalog.EndCompleted})
	require.NoError(t, err)
	require.NoError(t, stage.CleanStrays(t.Context(), s.catalog.Store, s.blobs))
	strays, err := s.catalog.Store.Strays(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, strays)
}

// TestExpire deletes by type and age, and first only says what it would.
func TestExpire(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	s := newShelf(t)
	for n, age := range []time.Duration{time.Hour, 6 * day, 8 * day, 400 * day} {
		s.add(t, fmt.Sprintf("track-%d", n), catalog.TrackAsset, catalog.AssetCompleted, age, fmt.Sprintf("r/d/s/p/st/t%d.webm", n))
		s.add(t, fmt.Sprintf("stream-%d", n), catalog.StreamAsset, catalog.AssetFailed, age, "")
		s.add(t, fmt.Sprintf("composite-%d", n), catalog.RoomComposite, catalog.AssetCompleted, age, fmt.Sprintf("beam/r/d/c%d.mp4", n))
	}
	keep := stage.Retention{catalog.TrackAsset: 7 * day, catalog.StreamAsset: 30 * day}
	expire := func(dry bool) (gone []string) {
		require.NoError(t, stage.Expire(t.Context(), s.catalog.Store, s.blobs, keep, time.Now(), dry, func(a catalog.Asset) error {
			gone = append(gone, strings.TrimPrefix(a.Key, "k/"))
			return nil
		}))
		slices.Sort(gone)
		return gone
	}
	want := []string{"stream-3", "track-2", "track-3"}
	before := s.blobs.keys()
	require.Equal(t, want, expire(true))
	require.Equal(t, before, s.blobs.keys())
	require.Equal(t, want, expire(false))
	require.Empty(t, expire(false))
	require.Len(t, s.catalog.all(), 9)
	require.Len(t, s.blobs.keys(), len(before)-4)
	for _, key := range s.blobs.keys() {
		require.NotContains(t, []string{"r/d/s/p/st/t2.webm", "r/d/s/p/st/t3.webm"}, key)
	}
}

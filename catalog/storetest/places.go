package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func testPlaces(k *kit) {
	j, other := k.begin("c"), k.begin("d")
	for range 2 {
		require.NoError(k, k.s.ReservePlace(k.ctx(), claimOf(j), "a", "beam/a.mp4"))
	}
	require.ErrorIs(k, k.s.ReservePlace(k.ctx(), claimOf(other), "a", "beam/a.mp4"), catalog.ErrPlaceTaken)
	require.ErrorIs(k, k.s.ReservePlace(k.ctx(), claimOf(j), "a", ""), catalog.ErrInvalid)

	// The next attempt at the same job is another claim.
	k.end(j, catalog.Attempt{Ending: catalog.EndHandBack})
	j = k.claim(j.ID)
	require.ErrorIs(k, k.s.ReservePlace(k.ctx(), claimOf(j), "a", "beam/a.mp4"), catalog.ErrPlaceTaken)
	require.NoError(k, k.s.ReservePlace(k.ctx(), claimOf(j), "a", "beam/a-2.mp4"))

	// What lies there is the asset's.
	a := completed("a")
	a.Path = "beam/a-2.mp4"
	k.register(j, a)
	require.ErrorIs(k, k.s.ReservePlace(k.ctx(), claimOf(j), "b", "beam/a-2.mp4"), catalog.ErrPlaceTaken)
	b := completed("b")
	b.Path = "beam/a-2.mp4"
	_, err := k.s.RegisterAssets(k.ctx(), claimOf(j), []catalog.Asset{b})
	require.ErrorIs(k, err, catalog.ErrPlaceTaken)
	_, err = k.s.RegisterAssets(k.ctx(), claimOf(other), []catalog.Asset{b})
	require.ErrorIs(k, err, catalog.ErrPlaceTaken)
	b.Path = "beam/b.mp4" // never reserved: it is the claim's from now on
	k.register(other, b)
	require.ErrorIs(k, k.s.ReservePlace(k.ctx(), claimOf(j), "b", "beam/b.mp4"), catalog.ErrPlaceTaken)

	handles := []Store{k.s, k.open()}
	claims := []catalog.Claim{claimOf(j), claimOf(other)}
	for _, path := range []string{"1", "2", "3", "4", "5"} {
		var wins atomic.Int64
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				err := handles[i%2].ReservePlace(k.ctx(), claims[i/2], "x", path)
				if err == nil {
					wins.Add(1)
				} else if !errors.Is(err, catalog.ErrPlaceTaken) {
					k.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(k, int64(2), wins.Load(), "both of one claim, none of the other")
	}
}

func testStrays(k *kit) {
	strays := func() []string {
		list, err := k.s.Strays(k.ctx(), 100)
		require.NoError(k, err)
		paths := []string{}
		for _, p := range list {
			paths = append(paths, p.Path)
		}
		return paths
	}
	j := k.begin("c")
	require.NoError(k, k.s.ReservePlace(k.ctx(), claimOf(j), "a", "old"))
	require.NoError(k, k.s.ReservePlace(k.ctx(), claimOf(j), "b", "kept"))
	b := completed("b")
	b.Path = "kept"
	b = k.register(j, b)[0]
	require.Empty(k, strays(), "the claim is still at work")
	k.end(j, catalog.Attempt{Ending: catalog.EndHandBack})
	require.Empty(k, strays(), "nobody has claimed it again yet")
	j = k.claim(j.ID)
	list, err := k.s.Strays(k.ctx(), 100)
	require.NoError(k, err)
	require.Equal(k, []catalog.Place{{Path: "old", Claim: catalog.Claim{JobID: j.ID, Fence: j.Fence - 1}, AssetKey: "a"}}, list)
	require.NoError(k, k.s.ReservePlace(k.ctx(), claimOf(j), "a", "new"))
	require.Equal(k, []string{"old"}, strays())
	k.clock.Add(time.Minute)
	k.end(j, catalog.Attempt{Ending: catalog.EndFailed, Failure: failure()})
	require.Equal(k, []string{"new", "old"}, strays())
	limited, err := k.s.Strays(k.ctx(), 1)
	require.NoError(k, err)
	require.Len(k, limited, 1)
	for range 2 {
		require.NoError(k, k.s.ForgetPlaces(k.ctx(), []string{"old", "kept", "none"}))
		require.Equal(k, []string{"new"}, strays())
	}
	// A deleted asset leaves its bytes to be swept; until then the place is taken.
	require.NoError(k, k.s.DeleteAsset(k.ctx(), b.ID))
	require.Equal(k, []string{"kept", "new"}, strays())
	again, err := k.s.SeizeJob(k.ctx(), j.ID, "w")
	require.NoError(k, err)
	require.ErrorIs(k, k.s.ReservePlace(k.ctx(), claimOf(again), "b", "kept"), catalog.ErrPlaceTaken)
	require.NoError(k, k.s.ForgetPlaces(k.ctx(), strays()))
	require.NoError(k, k.s.ReservePlace(k.ctx(), claimOf(again), "b", "kept"))
	require.Empty(k, strays())
}

package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func completed(key string) catalog.Asset {
	return catalog.Asset{
		RoomID: "room", SessionID: "session", Type: catalog.RoomComposite, Status: catalog.AssetCompleted,
		Path: "beam/" + key + ".mp4", Size: 1000, Duration: 12345 * time.Millisecond, Key: key, Software: "v1",
	}
}

func failed(key string) catalog.Asset {
	a := completed(key)
	a.Status, a.Path, a.Size, a.Error = catalog.AssetFailed, "", 0, failure()
	return a
}

func (k *kit) register(j catalog.Job, assets ...catalog.Asset) []catalog.Asset {
	k.Helper()
	got, err := k.s.RegisterAssets(k.ctx(), claimOf(j), assets)
	require.NoError(k, err)
	require.Len(k, got, len(assets))
	for _, a := range got {
		require.Equal(k, a, k.asset(a.ID))
	}
	return got
}

func (k *kit) asset(id string) catalog.Asset {
	k.Helper()
	a, err := k.s.AssetByID(k.ctx(), id)
	require.NoError(k, err)
	return a
}

func testAssetRoundTrip(k *kit) {
	j := k.begin("c")
	in := completed("key")
	in.StartedAt = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	in.CreatedAt = in.StartedAt.Add(time.Hour)
	in.Thumbnails = []string{"a.png", "b.png"}
	in.Supersedes, in.Version = "6921f0a801020304050000a9", 3
	in.Metadata = catalog.Metadata{
		Resolution: &catalog.Resolution{Width: 1, Height: 2}, OffsetMS: 7,
		Defects: []catalog.Defect{{Kind: "k", Detail: "d", Track: "t"}}, Sync: json.RawMessage(`{"a":[1,2]}`),
	}
	got := k.register(j, in)[0]
	want := in
	want.ID, want.JobID = got.ID, j.ID
	require.Equal(k, want, got)
	require.True(k, catalog.ValidID(got.ID))
	again, err := k.s.AssetByKey(k.ctx(), "key")
	require.NoError(k, err)
	require.Equal(k, got, again)
	for _, read := range []func(context.Context, string) (catalog.Asset, error){k.s.AssetByID, k.s.AssetByKey} {
		_, err := read(k.ctx(), "none")
		require.ErrorIs(k, err, catalog.ErrNotFound)
	}
	require.Empty(k, k.register(j))
}

// testRegisterSettles: within a job an asset is one asset, however often it is
// registered.
func testRegisterSettles(k *kit) {
	j := k.begin("c")
	processing := completed("k")
	processing.Status, processing.Path, processing.Size = catalog.AssetProcessing, "", 0
	a := k.register(j, processing)[0]
	require.Equal(k, 1, a.Version)
	k.clock.Add(time.Second)
	b := k.register(j, failed("k"))[0]
	require.Equal(k, []any{a.ID, "disk full", 1}, []any{b.ID, b.Error.Message, b.Version})
	k.end(j, catalog.Attempt{Ending: catalog.EndHandBack})
	j = k.claim(j.ID)
	c := k.register(j, completed("k"), completed("other"))
	require.Equal(k, []any{a.ID, a.CreatedAt, catalog.AssetCompleted, int64(1000)}, []any{c[0].ID, c[0].CreatedAt, c[0].Status, c[0].Size})
	require.Nil(k, c[0].Error)
	require.NotEqual(k, c[0].ID, c[1].ID)
	for _, next := range []catalog.Asset{failed("k"), processing, completed("k")} {
		next.Software = "v2"
		require.Equal(k, c[0], k.register(j, next)[0])
	}

	// A version that is given is kept.
	v5 := completed("k")
	v5.Version, v5.Supersedes, v5.Path = 5, c[0].ID, "beam/5.mp4"
	d := k.register(j, v5)[0]
	require.NotEqual(k, a.ID, d.ID)
	require.Equal(k, d, k.register(j, v5)[0])
	latest, err := k.s.AssetByKey(k.ctx(), "k")
	require.NoError(k, err)
	require.Equal(k, d, latest)
	require.Equal(k, d.ID, k.asset(c[0].ID).SupersededBy)
}

// testRegisterSupersedes: what a later job makes replaces what is there in the
// step that registers it, and not before it is completed.
func testRegisterSupersedes(k *kit) {
	remake := func() catalog.Job {
		j, err := k.s.AddGeneration(k.ctx(), jobOf("c"), false)
		require.NoError(k, err)
		return k.claim(j.ID)
	}
	at := func(path string) catalog.Asset {
		a := completed("k")
		a.Path = path
		return a
	}
	current := func() string {
		list, err := k.s.ListAssets(k.ctx(), catalog.Filter{Status: catalog.AssetCompleted})
		require.NoError(k, err)
		require.Len(k, list, 1)
		byKey, err := k.s.AssetByKey(k.ctx(), "k")
		require.NoError(k, err)
		require.Equal(k, list[0], byKey)
		return list[0].ID
	}
	first := k.register(k.begin("c"), at("1"))[0]
	require.Equal(k, []any{1, "", ""}, []any{first.Version, first.Supersedes, first.SupersededBy})

	j := remake()
	bad := k.register(j, failed("k"))[0]
	require.Equal(k, []any{2, ""}, []any{bad.Version, bad.Supersedes})
	require.Equal(k, first.ID, current(), "a failed asset replaces nothing")
	second := k.register(j, at("2"))[0]
	require.Equal(k, []any{bad.ID, 2, first.ID}, []any{second.ID, second.Version, second.Supersedes})
	require.Equal(k, second.ID, current())
	require.Equal(k, second.ID, k.asset(first.ID).SupersededBy)

	third := k.register(remake(), at("3"))[0]
	require.Equal(k, []any{3, second.ID}, []any{third.Version, third.Supersedes})
	require.Equal(k, third.ID, current())
	require.Equal(k, []string{second.ID, third.ID}, []string{k.asset(first.ID).SupersededBy, k.asset(second.ID).SupersededBy})
	all, err := k.s.ListAssets(k.ctx(), catalog.Filter{Superseded: true})
	require.NoError(k, err)
	require.Len(k, all, 3)
}

func testRegisterRefusals(k *kit) {
	j := k.begin("c")
	taken := k.register(j, completed("taken"))[0]
	clash := completed("clash")
	clash.ID = taken.ID
	dead, cancel := context.WithCancel(k.ctx())
	cancel()
	for name, c := range map[string]struct {
		ctx   context.Context //nolint:containedctx // a table of contexts
		claim catalog.Claim
		last  catalog.Asset
		want  error
	}{
		"id in use":   {k.ctx(), claimOf(j), clash, nil},
		"invalid":     {k.ctx(), claimOf(j), completed(""), catalog.ErrInvalid},
		"twice":       {k.ctx(), claimOf(j), completed("one"), catalog.ErrInvalid},
		"unknown job": {k.ctx(), catalog.Claim{JobID: "none"}, completed("two"), catalog.ErrNotFound},
		"lost":        {k.ctx(), catalog.Claim{JobID: j.ID, Fence: 7}, completed("two"), catalog.ErrClaimLost},
		"cancelled":   {dead, claimOf(j), completed("two"), context.Canceled},
	} {
		_, err := k.s.RegisterAssets(c.ctx, c.claim, []catalog.Asset{completed("one"), c.last})
		require.Error(k, err, name)
		if c.want != nil {
			require.ErrorIs(k, err, c.want, name)
		}
		_, err = k.s.AssetByKey(k.ctx(), "one")
		require.ErrorIs(k, err, catalog.ErrNotFound, name)
	}
}

// testRegisterAtOnce: jobs that make the same thing at the same time, over
// several handles, make versions of it that follow each other without a gap.
func testRegisterAtOnce(k *kit) {
	handles := []Store{k.s, k.open(), k.open()}
	const rounds = 5
	var wg sync.WaitGroup
	for g, s := range handles {
		wg.Go(func() {
			for i := range rounds {
				a := completed("k")
				a.Path = fmt.Sprint("k/", g, "/", i)
				j, err := s.AddGeneration(k.ctx(), jobOf("c"), false)
				if err == nil {
					j, err = s.ClaimJob(k.ctx(), j.ID, "w")
				}
				if err == nil {
					_, err = s.RegisterAssets(k.ctx(), claimOf(j), []catalog.Asset{a})
				}
				if err != nil {
					k.Error(err)
				}
			}
		})
	}
	wg.Wait()
	current, err := k.s.ListAssets(k.ctx(), catalog.Filter{})
	require.NoError(k, err)
	require.Len(k, current, 1)
	a := current[0]
	for version := len(handles) * rounds; version > 1; version-- {
		require.Equal(k, version, a.Version)
		before := k.asset(a.Supersedes)
		require.Equal(k, a.ID, before.SupersededBy)
		a = before
	}
	require.Equal(k, []any{1, ""}, []any{a.Version, a.Supersedes})
}

func testDeleteAsset(k *kit) {
	j := k.begin("c")
	a := k.register(j, completed("k"))[0]
	for range 2 {
		require.NoError(k, k.s.DeleteAsset(k.ctx(), a.ID))
		_, err := k.s.AssetByID(k.ctx(), a.ID)
		require.ErrorIs(k, err, catalog.ErrNotFound)
	}
	require.NoError(k, k.s.DeleteAsset(k.ctx(), "none"))
}

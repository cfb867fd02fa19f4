package sqlstore_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func TestAssetRoundTrip(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	j := beginJob(t, s, "c")
	in := completed("key")
	in.StartedAt = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	in.CreatedAt = in.StartedAt.Add(time.Hour)
	in.Thumbnails = []string{"a.png", "b.png"}
	in.Supersedes, in.Version = "6921f0a801020304050000a9", 3
	in.Metadata = catalog.Metadata{
		Resolution: &catalog.Resolution{Width: 1, Height: 2}, OffsetMS: 7,
		Defects: []catalog.Defect{{Kind: "k", Detail: "d", Track: "t"}}, Sync: json.RawMessage(`{"a":[1,2]}`),
	}
	got := register(t, s, j, in)[0]
	want := in
	want.ID, want.JobID = got.ID, j.ID
	require.Equal(t, want, got)
	require.True(t, catalog.ValidID(got.ID))
	for _, read := range []func() (catalog.Asset, error){
		func() (catalog.Asset, error) { return s.AssetByID(t.Context(), got.ID) },
		func() (catalog.Asset, error) { return s.AssetByKey(t.Context(), "key") },
	} {
		again, err := read()
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	_, err := s.AssetByID(t.Context(), "none")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	_, err = s.AssetByKey(t.Context(), "none")
	require.ErrorIs(t, err, catalog.ErrNotFound)
}

func TestRegisterIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	j := beginJob(t, s, "c")
	taken := register(t, s, j, completed("taken"))[0]
	clash := completed("clash")
	clash.ID = taken.ID
	invalid := completed("")
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx   context.Context //nolint:containedctx // a table of contexts
		claim catalog.Claim
		last  catalog.Asset
		want  error
	}{
		"id in use":   {t.Context(), claimOf(j), clash, nil},
		"invalid":     {t.Context(), claimOf(j), invalid, catalog.ErrInvalid},
		"twice":       {t.Context(), claimOf(j), completed("one"), catalog.ErrInvalid},
		"unknown job": {t.Context(), catalog.Claim{JobID: "none"}, completed("two"), catalog.ErrNotFound},
		"cancelled":   {dead, claimOf(j), completed("two"), context.Canceled},
	} {
		_, err := s.RegisterAssets(c.ctx, c.claim, []catalog.Asset{completed("one"), c.last})
		require.Error(t, err, name)
		if c.want != nil {
			require.ErrorIs(t, err, c.want, name)
		}
		_, err = s.AssetByKey(t.Context(), "one")
		require.ErrorIs(t, err, catalog.ErrNotFound, name)
	}
	require.Empty(t, register(t, s, j))
}

package storetest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func testBackfills(k *kit) {
	in := catalog.Backfill{
		Selection: json.RawMessage(`{"room_id":"r"}`), Options: json.RawMessage(`{"layout":"grid"}`), Rate: 2.5, MaxInFlight: 8,
	}
	var assets []string
	for i := range 30 {
		assets = append(assets, fmt.Sprintf("6921f0a8010203040500%04x", i))
	}
	b, err := k.s.CreateBackfill(k.ctx(), in, append(assets, assets[0]))
	require.NoError(k, err)
	want := in
	want.ID, want.CreatedAt, want.State = b.ID, k.clock.Now(), catalog.BackfillRunning
	require.Equal(k, want, b)
	k.clock.Add(time.Second)
	other, err := k.s.CreateBackfill(k.ctx(), catalog.Backfill{}, nil)
	require.NoError(k, err)
	got, err := k.s.Backfill(k.ctx(), b.ID)
	require.NoError(k, err)
	require.Equal(k, want, got)
	list, err := k.s.Backfills(k.ctx())
	require.NoError(k, err)
	require.Equal(k, []catalog.Backfill{other, b}, list)

	items, err := k.s.NextItems(k.ctx(), b.ID, 5)
	require.NoError(k, err)
	require.Len(k, items, 5)
	require.Equal(k, catalog.BackfillItem{BackfillID: b.ID, AssetID: assets[0], State: catalog.ItemPending}, items[0])
	update := []catalog.BackfillItem{
		{AssetID: assets[0], JobID: "j0", State: catalog.ItemQueued},
		{AssetID: assets[1], State: catalog.ItemSkipped, Reason: "superseded"},
		{AssetID: assets[2], State: catalog.ItemSkipped, Reason: "superseded"},
		{AssetID: assets[3], JobID: "j3", State: catalog.ItemFailed, Reason: "the capture is gone"},
		{AssetID: assets[4], JobID: "j4", State: catalog.ItemDone},
	}
	for _, item := range update {
		item.BackfillID = b.ID
		require.NoError(k, k.s.UpdateItem(k.ctx(), item))
	}
	next, err := k.s.NextItems(k.ctx(), b.ID, 1)
	require.NoError(k, err)
	require.Equal(k, assets[5], next[0].AssetID)
	queued, err := k.s.Items(k.ctx(), b.ID, catalog.ItemQueued, "", 10)
	require.NoError(k, err)
	require.Equal(k, []catalog.BackfillItem{{BackfillID: b.ID, AssetID: assets[0], JobID: "j0", State: catalog.ItemQueued}}, queued)
	skipped, err := k.s.Items(k.ctx(), b.ID, catalog.ItemSkipped, assets[1], 10)
	require.NoError(k, err)
	require.Len(k, skipped, 1)
	counts, err := k.s.CountItems(k.ctx(), b.ID)
	require.NoError(k, err)
	require.Equal(k, []catalog.BackfillCount{
		{State: catalog.ItemDone, Count: 1}, {State: catalog.ItemFailed, Reason: "the capture is gone", Count: 1},
		{State: catalog.ItemPending, Count: 25}, {State: catalog.ItemQueued, Count: 1},
		{State: catalog.ItemSkipped, Reason: "superseded", Count: 2},
	}, counts)

	require.NoError(k, k.s.SetBackfillState(k.ctx(), b.ID, catalog.BackfillStopped))
	got, err = k.s.Backfill(k.ctx(), b.ID)
	require.NoError(k, err)
	require.Equal(k, catalog.BackfillStopped, got.State)

	_, err = k.s.Backfill(k.ctx(), "none")
	require.ErrorIs(k, err, catalog.ErrNotFound)
	require.ErrorIs(k, k.s.SetBackfillState(k.ctx(), "none", catalog.BackfillDone), catalog.ErrNotFound)
	require.ErrorIs(k, k.s.SetBackfillState(k.ctx(), b.ID, "x"), catalog.ErrInvalid)
	require.ErrorIs(k, k.s.UpdateItem(k.ctx(), catalog.BackfillItem{BackfillID: b.ID, AssetID: "x", State: catalog.ItemDone}), catalog.ErrNotFound)
	require.ErrorIs(k, k.s.UpdateItem(k.ctx(), catalog.BackfillItem{BackfillID: b.ID, AssetID: assets[0]}), catalog.ErrInvalid)
	for _, bad := range []catalog.Backfill{{ID: "7"}, {Rate: -1}, {MaxInFlight: -1}, {State: "x"}, {Options: json.RawMessage("{")}} {
		_, err := k.s.CreateBackfill(k.ctx(), bad, assets)
		require.ErrorIs(k, err, catalog.ErrInvalid)
	}
}

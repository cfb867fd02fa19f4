package stage

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/catalog/blob/dir"
	"rushes/transcode"
)

// TestAgain holds the options of a making again to those of the makings before it and to what is to be other.
func TestAgain(t *testing.T) {
	t.Parallel()
	job := func(id, options string) catalog.Job { return catalog.Job{ID: id, Options: json.RawMessage(options)} }
	track, composite := catalog.Asset{Key: "k/track/1", Type: catalog.TrackAsset}, catalog.Asset{Key: "k/comp", Type: catalog.RoomCompositeLegacy}
	for name, tc := range map[string]struct {
		made     []catalog.Job
		change   Options
		assets   []catalog.Asset
		outputs  string
		settings Settings
		only     []string
	}{
		"as it was": {made: []catalog.Job{job("1", "")}, assets: []catalog.Asset{track}, outputs: `{"assets":["track"]}`, only: []string{"k/track/1"}},
		"with its options": {made: []catalog.Job{job("1", `{"outputs":{"assets":["room-composite"],"composition":{"fps":15,"layout":"grid"}},"settings":{"Video":{"CRF":30}},"only":["x"]}`)},
			assets: []catalog.Asset{composite, track, track}, outputs: `{"assets":["room-composite-legacy","track"],"composition":{"fps":15,"layout":"grid"}}`,
			settings: Settings{Video: transcode.VideoSettings{CRF: 30}}, only: []string{"k/comp", "k/track/1"}},
		"the later one counts, and the change most": {
			made: []catalog.Job{job("2", `{"outputs":{"composition":{"layout":"pip","names":false}}}`),
				job("1", `{"outputs":{"track_format":"mp4","composition":{"layout":"grid","width":640}},"settings":{"Video":{"CRF":30,"Preset":"fast"}}}`)},
			change: Options{Outputs: json.RawMessage(`{"composition":{"width":1280,"roles":["host"]}}`), Settings: Settings{Video: transcode.VideoSettings{CRF: 20}}},
			assets: []catalog.Asset{composite}, settings: Settings{Video: transcode.VideoSettings{CRF: 20, Preset: "fast"}}, only: []string{"k/comp"},
			outputs: `{"assets":["room-composite-legacy"],"track_format":"mp4","composition":{"layout":"pip","names":false,"width":1280,"roles":["host"]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, err := json.Marshal(tc.made)
			require.NoError(t, err)
			got, err := Again(tc.made, tc.change, tc.assets)
			require.NoError(t, err)
			require.JSONEq(t, tc.outputs, string(got.Outputs))
			require.Equal(t, tc.settings, got.Settings)
			require.Equal(t, tc.only, got.Only)
			after, err := json.Marshal(tc.made)
			require.NoError(t, err)
			require.Equal(t, before, after, "the jobs are left alone")
		})
	}
	_, err := Again([]catalog.Job{job("1", `{"outputs":[]}`)}, Options{}, nil)
	require.ErrorContains(t, err, "outputs of job 1")
	_, err = Again([]catalog.Job{job("1", `7`)}, Options{}, nil)
	require.ErrorContains(t, err, "options of job 1")
}

// TestNotMade finds the reason of one asset among the defects of a job.
func TestNotMade(t *testing.T) {
	t.Parallel()
	a := &attempt{job: catalog.Job{Generation: 1}, opened: &opened{}, works: []*work{
		{before: "aaa", failure: errors.New("torn\nfile")}, {before: "bbb"}, {failure: errors.New("never made before")}}}
	job := catalog.Job{Defects: append(a.defects(), catalog.Defect{Kind: "truncated", Detail: "bbb: a file"})}
	require.Equal(t, "torn file", NotMade(job, "aaa"))
	require.Empty(t, NotMade(job, "bbb"))
	require.Empty(t, NotMade(job, ""))
	a.job.Generation = 0
	require.Empty(t, a.defects())
}

// oneKey is a catalog with one newest asset of every key.
type oneKey struct {
	PurgeCatalog
	newest  catalog.Asset
	err     error
	deleted []string
}

func (c *oneKey) AssetByKey(context.Context, string) (catalog.Asset, error) { return c.newest, c.err }
func (c *oneKey) DeleteAsset(_ context.Context, id string) error {
	c.deleted = append(c.deleted, id)
	return nil
}

// TestPurge lets an asset go only when a newer, completed one is whole in its place.
func TestPurge(t *testing.T) {
	t.Parallel()
	store, err := dir.Open(t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	newest := catalog.Asset{ID: "new", Version: 3, Status: catalog.AssetCompleted, Path: "new.mp4", Size: 3}
	failed, older, lost, torn := newest, newest, newest, newest
	failed.Status, older.Version, lost.Path, torn.Size = catalog.AssetFailed, 1, "lost.mp4", 4
	old := catalog.Asset{ID: "old", Version: 1, SupersededBy: "between", Path: "old.mp4"}
	current := old
	current.SupersededBy = ""
	for _, name := range []string{"new.mp4", "old.mp4", "old-thumb-0-2000.png", "old-thumb-1-4000.jpg", "old-thumb-nail.png", "older.mp4"} {
		require.NoError(t, store.Put(t.Context(), name, strings.NewReader("abc"), blob.PutOptions{Size: 3}))
	}
	for reason, c := range map[string]*oneKey{
		"is not in the catalog any more":            {err: catalog.ErrNotFound},
		"no completed asset is newer":               {newest: failed},
		"no completed asset is newer ":              {newest: older},
		"asset new, which has replaced it, are not": {newest: lost},
		"the bytes of asset new":                    {newest: torn},
	} {
		require.ErrorContains(t, Purge(t.Context(), c, store, old), strings.TrimSpace(reason))
		require.Empty(t, c.deleted)
	}
	require.ErrorContains(t, Purge(t.Context(), &oneKey{newest: newest}, store, current), "no other asset has replaced it")
	require.ErrorIs(t, Purge(t.Context(), &oneKey{err: blob.ErrInvalidKey}, store, old), blob.ErrInvalidKey)
	for range 2 {
		c := &oneKey{newest: newest}
		require.NoError(t, Purge(t.Context(), c, store, old))
		require.Equal(t, []string{"old"}, c.deleted)
		var left []string
		for info, err := range store.List(t.Context(), "") {
			require.NoError(t, err)
			left = append(left, info.Key)
		}
		require.ElementsMatch(t, []string{"new.mp4", "old-thumb-nail.png", "older.mp4"}, left)
	}
}

package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

var update = flag.Bool("update", false, "write the golden files")

var errSample = errors.New("sample")

func sampleAssets() []catalog.Asset {
	created := time.Date(2026, 11, 22, 17, 45, 0, 250_000_000, time.UTC)
	base := catalog.Asset{
		ID: "6921f0a801020304050000aa", JobID: "6921f0a80102030405000001", RoomID: "room", SessionID: "session",
		Size: 123456, Duration: 12*time.Second + 500*time.Millisecond, Status: catalog.AssetCompleted,
		CreatedAt: created, StartedAt: created.Add(-time.Hour), Version: 1, Software: "v0.1.0", Key: "k",
	}
	composite := base
	composite.Type, composite.Path = catalog.RoomComposite, "beam/room/20261122/Rec-room-1.mp4"
	composite.Thumbnails = []string{"beam/room/20261122/Rec-room-1-thumb-0-2000.png"}
	composite.Metadata = catalog.Metadata{
		Resolution: &catalog.Resolution{Width: 1280, Height: 720}, Layer: "0",
		Defects: []catalog.Defect{{Kind: "truncated", Detail: "the last cluster is torn", File: "beam.webm"}},
		Sync:    json.RawMessage(`{"tracks":[]}`),
	}
	legacy := base
	legacy.Type, legacy.Path = catalog.RoomCompositeLegacy, "room/20261122/session/Rec-session-1.mp4"
	legacy.Version, legacy.Supersedes = 2, "6921f0a801020304050000a9"
	legacy.Metadata = catalog.Metadata{Resolution: &catalog.Resolution{Width: 640, Height: 360}, Layout: "auto"}
	vod := base
	vod.Type, vod.Path = catalog.RoomVOD, "hls/room/20261122/1/vod/master.m3u8"
	vod.Metadata = catalog.Metadata{NumLayers: "3", MaxWidth: 1920, MaxHeight: 1080}
	track := base
	track.Type, track.Path, track.Duration = catalog.TrackAsset, "room/20261122/session/p/s/t.webm", 499*time.Millisecond
	track.Metadata = catalog.Metadata{
		TrackID: "t", StreamID: "s", PeerID: "p", TrackType: "audio", OffsetMS: 1500, ThumbnailNote: "audio only",
	}
	stream := base
	stream.Type, stream.Path, stream.Size = catalog.StreamAsset, "", 0
	stream.Status, stream.Duration, stream.StartedAt = catalog.AssetFailed, 0, time.Time{}
	stream.Error = &catalog.AssetError{Kind: "bad-input", Message: "cam.ivf: no frames"}
	stream.Metadata = catalog.Metadata{StreamID: "s", PeerID: "p", UserID: "u", StreamType: "screen"}
	return []catalog.Asset{composite, legacy, vod, track, stream}
}

// TestAssetJSON holds the JSON of one asset of each type against a golden
// file, which in turn was held against api.md by eye, and the field names of
// 100ms against a list.
func TestAssetJSON(t *testing.T) {
	t.Parallel()
	assets := sampleAssets()
	got, err := json.MarshalIndent(assets, "", "  ")
	require.NoError(t, err)
	golden := filepath.Join("testdata", "assets.golden.json")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(bytes.TrimSpace(want)), string(got))

	var documents []map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(got, &documents))
	names := []string{
		"id", "job_id", "room_id", "session_id", "type", "path", "size", "duration", "status",
		"created_at", "thumbnails", "metadata", "version",
	}
	for i, d := range documents {
		allowed := append([]string{"error", "supersedes"}, names...)
		for name := range d {
			require.Contains(t, allowed, name)
		}
		for _, name := range names {
			require.Contains(t, d, name, "asset %d", i)
		}
	}
	require.JSONEq(t, "13", string(documents[0]["duration"]), "12.5 s are rounded to nearest")
	require.JSONEq(t, "0", string(documents[3]["duration"]))
	require.JSONEq(t, "null", string(documents[1]["thumbnails"]))
}

func TestAssetJSONReadsBack(t *testing.T) {
	t.Parallel()
	for _, want := range sampleAssets() {
		raw, err := json.Marshal(want)
		require.NoError(t, err)
		var got catalog.Asset
		require.NoError(t, json.Unmarshal(raw, &got))
		want.Software, want.Key = "", ""
		if want.Metadata.Defects == nil {
			want.Metadata.Defects = []catalog.Defect{}
		}
		require.Equal(t, want, got)
	}
}

func TestDocumentCanBeExtended(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(struct {
		catalog.AssetDocument
		File string `json:"file"`
	}{sampleAssets()[0].Document(), "blobs/x.mp4"})
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m))
	require.Equal(t, "blobs/x.mp4", m["file"])
	require.Equal(t, "room-composite", m["type"])
}

func TestAssetValidate(t *testing.T) {
	t.Parallel()
	for i, a := range sampleAssets() {
		require.NoError(t, a.Validate(), "sample %d", i)
	}
	for name, spoil := range map[string]func(*catalog.Asset){
		"key":                  func(a *catalog.Asset) { a.Key = "" },
		"id":                   func(a *catalog.Asset) { a.ID = "x" },
		"type":                 func(a *catalog.Asset) { a.Type = "movie" },
		"size":                 func(a *catalog.Asset) { a.Size = -1 },
		"duration":             func(a *catalog.Asset) { a.Duration = -1 },
		"version":              func(a *catalog.Asset) { a.Version = -1 },
		"status":               func(a *catalog.Asset) { a.Status = "done" },
		"metadata.sync":        func(a *catalog.Asset) { a.Metadata.Sync = json.RawMessage("{") },
		"without bytes":        func(a *catalog.Asset) { a.Size = 0 },
		"with error":           func(a *catalog.Asset) { a.Error = &catalog.AssetError{} },
		"failed without error": func(a *catalog.Asset) { a.Status = catalog.AssetFailed },
	} {
		a := sampleAssets()[0]
		spoil(&a)
		err := a.Validate()
		require.ErrorIs(t, err, catalog.ErrInvalid, name)
		require.ErrorContains(t, err, name)
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	next := sampleAssets()[0]
	next.ID, next.CreatedAt = "", time.Time{}
	for _, c := range []struct {
		status  catalog.AssetStatus
		changed bool
	}{
		{catalog.AssetCompleted, false}, {catalog.AssetFailed, true}, {catalog.AssetProcessing, true},
	} {
		old := sampleAssets()[0]
		old.Status, old.Path, old.Supersedes = c.status, "old", "6921f0a801020304050000a1"
		got, changed := old.Settle(next)
		require.Equal(t, c.changed, changed, c.status)
		require.Equal(t, old.ID, got.ID)
		require.Equal(t, old.CreatedAt, got.CreatedAt)
		require.Equal(t, old.Supersedes, got.Supersedes)
		if changed {
			require.Equal(t, next.Path, got.Path)
		} else {
			require.Equal(t, old, got)
		}
	}
}

func TestJobJSONAndValidate(t *testing.T) {
	t.Parallel()
	j := catalog.Job{ID: "6921f0a80102030405000001", CaptureURI: "call/", CaptureKey: "c", State: catalog.JobRunning}
	require.NoError(t, j.Validate())
	raw, err := json.Marshal(j)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "stopped_at")
	require.ErrorIs(t, catalog.Job{}.Validate(), catalog.ErrInvalid)
	require.ErrorIs(t, catalog.Job{CaptureKey: "c", ID: "7"}.Validate(), catalog.ErrInvalid)
}

package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

type fakeLinks struct{}

func (fakeLinks) PresignGet(_ context.Context, assetID, key string, expires time.Duration) (string, error) {
	return fmt.Sprintf("https://bucket.example.com/%s?asset=%s&expires=%d", key, assetID, int(expires.Seconds())), nil
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func jobFrom(source string) catalog.Job {
	return catalog.Job{
		ID: "6921f0a80102030405000001", CaptureKey: "key", RecordingID: "rec-1", RoomID: "room-1", SessionID: "session-1",
		TemplateID: "template-1", Source: source,
		StartedAt: at("2026-11-22T10:00:00.5Z"), StoppedAt: at("2026-11-22T10:10:00.25Z"),
	}
}

func asset(n int, t catalog.AssetType, path string, m catalog.Metadata) catalog.Asset {
	return catalog.Asset{
		ID: fmt.Sprintf("6921f0a8010203040500%04x", n), Type: t, Path: path, Size: 10024, Duration: 79600 * time.Millisecond,
		Status: catalog.AssetCompleted, CreatedAt: at("2026-11-22T10:12:00.123456Z"), StartedAt: at("2026-11-22T10:00:01Z"), Metadata: m,
	}
}

func broken(a catalog.Asset) catalog.Asset {
	a.Status, a.Path, a.Size, a.Duration = catalog.AssetFailed, "", 0, 0
	a.Error = &catalog.AssetError{Kind: "bad-input", Message: "a.ivf: no frames"}
	return a
}

func samples() (beam, composite, vod, layer0, layer1, track, stream catalog.Asset) {
	hd := &catalog.Resolution{Width: 1280, Height: 720}
	beam = asset(1, catalog.RoomComposite, "beam/room-1/20261122/Rec-room-1-1.mp4", catalog.Metadata{Resolution: hd})
	composite = asset(2, catalog.RoomCompositeLegacy, "room-1/20261122/session-1/Rec-session-1-1.mp4", catalog.Metadata{Resolution: hd})
	vod = asset(3, catalog.RoomVOD, "hls/room-1/20261122/1/vod/master.m3u8", catalog.Metadata{NumLayers: "2", MaxWidth: 1920, MaxHeight: 1080})
	// Registered in another order than that of the layers.
	layer1 = asset(4, catalog.RoomComposite, "hls/room-1/20261122/1/file-recording/Rec-room-1-1-1.mp4", catalog.Metadata{Layer: "1", Resolution: hd})
	layer0 = asset(5, catalog.RoomComposite, "hls/room-1/20261122/1/file-recording/Rec-room-1-1-0.mp4",
		catalog.Metadata{Layer: "0", Resolution: &catalog.Resolution{Width: 1920, Height: 1080}})
	layer0.Thumbnails = []string{catalog.ThumbnailPath(layer0.Path, 0, 2*time.Second, ".png"), "odd.png"}
	track = asset(6, catalog.TrackAsset, "room-1/20261122/session-1/p/s/t.webm",
		catalog.Metadata{PeerID: "p", StreamID: "s", TrackID: "t", TrackType: "video"})
	stream = asset(7, catalog.StreamAsset, "room-1/20261122/session-1/p/s/s.mp4",
		catalog.Metadata{PeerID: "p", StreamID: "s", UserID: "u", StreamType: "regular"})
	return beam, composite, vod, layer0, layer1, track, stream
}

// TestEvents holds what is sent against golden files: one for each message.
func TestEvents(t *testing.T) {
	t.Parallel()
	beam, composite, vod, layer0, layer1, track, stream := samples()
	silent := jobFrom("beam")
	silent.StartedAt, silent.StoppedAt, silent.RecordingID, silent.AppID = time.Time{}, time.Time{}, "", "app-of-the-room"
	wrong := &catalog.AssetError{Kind: "permanent", Message: "no encoder"}
	input := &catalog.AssetError{Kind: "bad-input", Message: "capture.json: no files"}
	for name, c := range map[string]struct {
		job    catalog.Job
		state  catalog.JobState
		stage  string
		err    *catalog.AssetError
		assets []catalog.Asset
		want   []string
	}{
		"beam":          {job: jobFrom("beam"), state: catalog.JobCompleted, assets: []catalog.Asset{beam}, want: []string{BeamRecordingSuccess}},
		"beam-silent":   {job: silent, state: catalog.JobCompleted, assets: []catalog.Asset{beam}, want: []string{BeamRecordingSuccess}},
		"beam-broken":   {job: jobFrom("beam"), state: catalog.JobCompleted, assets: []catalog.Asset{broken(beam)}, want: []string{BeamFailure}},
		"beam-failed":   {job: jobFrom("beam"), state: catalog.JobFailed, stage: "publish", err: wrong, want: []string{BeamFailure}},
		"beam-canceled": {job: jobFrom("beam"), state: catalog.JobCanceled},
		"live": {job: jobFrom("live-stream"), state: catalog.JobCompleted, assets: []catalog.Asset{vod, layer1, layer0},
			want: []string{HLSRecordingSuccess}},
		"live-in-part": {job: jobFrom("live-stream"), state: catalog.JobCompleted, assets: []catalog.Asset{broken(vod), layer1},
			want: []string{HLSFailure, HLSRecordingSuccess}},
		"live-failed": {job: jobFrom("live-stream"), state: catalog.JobFailed, stage: "render", err: wrong, want: []string{HLSFailure}},
		"sfu": {job: jobFrom("sfu"), state: catalog.JobCompleted, assets: []catalog.Asset{composite, track, stream},
			want: []string{RecordingSuccess, TrackRecordingSuccess, StreamRecordingSuccess}},
		"sfu-broken": {job: jobFrom("sfu"), state: catalog.JobFailed, err: wrong, assets: []catalog.Asset{broken(composite), broken(track), broken(stream)},
			want: []string{RecordingFailed, TrackRecordingFailure, StreamRecordingFailure}},
		"sfu-failed":   {job: jobFrom("sfu"), state: catalog.JobFailed, stage: "plan", err: input, want: []string{RecordingFailed}},
		"sfu-upload":   {job: jobFrom("sfu"), state: catalog.JobFailed, stage: "publish", err: wrong, want: []string{RecordingFailed}},
		"sfu-internal": {job: jobFrom("sfu"), state: catalog.JobFailed, want: []string{RecordingFailed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := catalog.Event{
				ID: "6921f0a80102030405009999", JobID: c.job.ID, CaptureKey: "key", State: c.state, Stage: c.stage, Error: c.err,
				At: at("2026-11-22T10:12:01.654321Z"),
			}
			d, err := New(Config{Endpoints: []Endpoint{{URL: "https://example.com/"}}, AccountID: "account-1", AppID: "app-1"}, nil, fakeLinks{})
			require.NoError(t, err)
			deliveries, err := d.deliveries(event, c.job, messages(event, c.job, slices.Clone(c.assets)))
			require.NoError(t, err)
			var types []string
			var all bytes.Buffer
			for _, delivery := range deliveries {
				types = append(types, delivery.Type)
				require.Contains(t, EventTypes(), delivery.Type)
				require.NotContains(t, string(delivery.Payload), "bucket.example.com", "no address is stored")
				delivery.Replay = name == "beam-silent"
				body, err := d.body(t.Context(), delivery)
				require.NoError(t, err)
				require.NoError(t, json.Indent(&all, body, "", "  "))
				all.WriteString("\n")
			}
			require.Equal(t, c.want, types)
			golden(t, name+".json", all.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update")
	require.Equal(t, string(want), string(got))
}

// TestSubjects: what was made is told once, however often its job ends; what
// could not be made is told each time.
func TestSubjects(t *testing.T) {
	t.Parallel()
	beam, _, vod, layer0, _, track, _ := samples()
	subjects := func(id string, job catalog.Job, assets ...catalog.Asset) (all []string) {
		for _, m := range messages(catalog.Event{ID: id, State: catalog.JobFailed}, job, assets) {
			all = append(all, m.subject)
		}
		return all
	}
	require.Equal(t, subjects("1", jobFrom("beam"), beam)[1:], subjects("2", jobFrom("beam"), beam)[1:])
	require.NotEqual(t, subjects("1", jobFrom("beam"), broken(beam)), subjects("2", jobFrom("beam"), broken(beam)))
	require.NotEqual(t, subjects("1", jobFrom("sfu"), broken(track)), subjects("2", jobFrom("sfu"), broken(track)))
	one, two := subjects("1", jobFrom("live-stream"), vod), subjects("2", jobFrom("live-stream"), vod, layer0)
	require.NotEqual(t, one[1], two[1], "there is more to tell")
}

func TestEndpointsGetWhatTheyWant(t *testing.T) {
	t.Parallel()
	d, err := New(Config{Endpoints: []Endpoint{
		{Name: "all", URL: "https://example.com/"},
		{Name: "tracks", URL: "https://example.com/", Events: []string{TrackRecordingSuccess}},
		{Name: "mine", URL: "https://example.com/", AppID: "mine"},
		{Name: "other", URL: "https://example.com/", AppID: "other"},
	}}, nil, fakeLinks{})
	require.NoError(t, err)
	_, composite, _, _, _, track, _ := samples()
	job := jobFrom("sfu")
	job.AppID = "mine"
	event := catalog.Event{ID: "e", State: catalog.JobCompleted}
	deliveries, err := d.deliveries(event, job, messages(event, job, []catalog.Asset{composite, track}))
	require.NoError(t, err)
	got := map[string][]string{}
	for _, delivery := range deliveries {
		got[delivery.Endpoint] = append(got[delivery.Endpoint], delivery.EventID)
	}
	require.Equal(t, map[string][]string{"all": {"e-0", "e-1"}, "tracks": {"e-1"}, "mine": {"e-0", "e-1"}}, got)
}

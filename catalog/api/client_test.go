package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

// The shapes below are those that 100ms documents, field for field. A client
// of 100ms knows no others and ignores what it does not know.

type theirResolution struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

type theirAsset struct {
	ID         string   `json:"id"`
	JobID      string   `json:"job_id"`
	RoomID     string   `json:"room_id"`
	SessionID  string   `json:"session_id"`
	Type       string   `json:"type"`
	Path       string   `json:"path"`
	Size       int64    `json:"size"`
	Duration   int64    `json:"duration"`
	Status     string   `json:"status"`
	CreatedAt  string   `json:"created_at"`
	Thumbnails []string `json:"thumbnails"`
	Metadata   struct {
		Resolution *theirResolution `json:"resolution"`
		Layer      string           `json:"layer"`
		NumLayers  string           `json:"num_layers"`
		MaxWidth   int              `json:"max_width"`
		MaxHeight  int              `json:"max_height"`
	} `json:"metadata"`
}

type theirRecording struct {
	ID              string       `json:"id"`
	RoomID          string       `json:"room_id"`
	SessionID       string       `json:"session_id"`
	Status          string       `json:"status"`
	CreatedAt       string       `json:"created_at"`
	StartedAt       *string      `json:"started_at"`
	UpdatedAt       string       `json:"updated_at"`
	StoppedAt       *string      `json:"stopped_at"`
	MeetingURL      string       `json:"meeting_url"`
	Destination     string       `json:"destination"`
	StartedBy       string       `json:"started_by"`
	StoppedBy       string       `json:"stopped_by"`
	AssetTypes      []string     `json:"asset_types"`
	RecordingAssets []theirAsset `json:"recording_assets"`
	Playback        *struct {
		URL string `json:"url"`
	} `json:"playback"`
	Recording *struct {
		HLSVOD             bool `json:"hls_vod"`
		SingleFilePerLayer bool `json:"single_file_per_layer"`
	} `json:"recording"`
}

type theirPage[T any] struct {
	Limit int     `json:"limit"`
	Data  []T     `json:"data"`
	Last  *string `json:"last"`
}

type theirLink struct {
	ID     string `json:"id"`
	Path   string `json:"path"`
	URL    string `json:"url"`
	Expiry int64  `json:"expiry"`
}

// all reads a list to its last page and checks each page on the way.
func all[T any](t *testing.T, w *world, key, path string, limit int, query url.Values) []T {
	t.Helper()
	var found []T
	if query == nil {
		query = url.Values{}
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	for {
		a := w.call("GET", path+"?"+query.Encode(), key, "")
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		var p theirPage[T]
		a.into(t, &p)
		require.NotNil(t, p.Last, "%s", a.body)
		require.NotNil(t, p.Data, "%s", a.body)
		if limit == 0 {
			require.Equal(t, 10, p.Limit)
		} else {
			require.Equal(t, limit, p.Limit)
		}
		require.LessOrEqual(t, len(p.Data), p.Limit)
		found = append(found, p.Data...)
		if *p.Last == "" {
			return found
		}
		require.Len(t, p.Data, p.Limit)
		query.Set("start", *p.Last)
	}
}

func (w *world) composite(room string, n int) []catalog.Asset {
	assets := make([]catalog.Asset, n)
	for i := range assets {
		kind := []catalog.AssetType{catalog.RoomCompositeLegacy, catalog.TrackAsset, catalog.StreamAsset}[i%3]
		assets[i] = w.file(kind, fmt.Sprintf("%s/%d/%03d.mp4", room, w.captures, i), fmt.Appendf(nil, "bytes of %s %d %d", room, w.captures, i))
	}
	return assets
}

func TestClientListsAssets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, room := range []string{"room-1", "room-2"} {
		w.finish(w.capture(defaultApp, room, "sfu"), w.composite(room, 17)...)
	}
	w.finish(w.capture(otherApp, "room-3", "sfu"), w.composite("room-3", 5)...)
	failed := catalog.Asset{Type: catalog.TrackAsset, Status: catalog.AssetFailed, Error: &catalog.AssetError{Kind: "bad-input", Message: "no packets"}}
	w.finish(w.capture(defaultApp, "room-1", "sfu"), failed)

	every := all[theirAsset](t, w, "key-a", "/v2/recording-assets", 0, nil)
	require.Len(t, every, 35)
	for i, a := range every {
		require.True(t, catalog.ValidID(a.ID) && catalog.ValidID(a.JobID), "%+v", a)
		if i > 0 {
			require.Greater(t, every[i-1].ID, a.ID, "newest first")
		}
		at, err := time.Parse(time.RFC3339Nano, a.CreatedAt)
		require.NoError(t, err)
		require.Equal(t, time.UTC, at.Location())
	}
	require.Equal(t, every, all[theirAsset](t, w, "key-a", "/v2/recording-assets", 100, nil))
	require.Equal(t, every, all[theirAsset](t, w, "key-a", "/v2/recording-assets", 12, nil))
	require.Equal(t, "failed", every[0].Status)
	require.Equal(t, "completed", every[1].Status)
	require.Equal(t, int64(55), every[1].Duration)
	require.Equal(t, &theirResolution{1280, 720}, every[1].Metadata.Resolution)

	for query, want := range map[string]int{
		"room_id=room-1":                              18,
		"room_id=room-2":                              17,
		"room_id=nowhere":                             0,
		"session_id=session-of-room-2":                17,
		"session_id=session-of-room-3":                0,
		"room_id=room-1&session_id=session-of-room-2": 0,
		"status=failed":                               1,
		"status=processing":                           0,
		"type=track":                                  13,
		"type=track&status=completed&room_id=room-1":  6,
		"type=room-vod":                               0,
		"room_id=&status=&type=&start=":               35,
		"status=completed&some_parameter_of_tomorrow=something": 34,
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		require.Len(t, all[theirAsset](t, w, "key-a", "/v2/recording-assets", 10, values), want, query)
	}
	require.Len(t, all[theirAsset](t, w, "key-b", "/v2/recording-assets", 0, nil), 5)

	var one theirAsset
	w.call("GET", "/v2/recording-assets/"+every[3].ID, "key-a", "").into(t, &one)
	require.Equal(t, every[3], one)
}

// TestPagesStayRight: what is added, replaced and deleted while a client reads
// page after page neither hides nor repeats anything that was there.
func TestPagesStayRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.capture(defaultApp, "room", "sfu")
	there := w.finish(job, w.composite("room", 30)...)
	var seen []string
	start := ""
	for round := 0; ; round++ {
		var p theirPage[theirAsset]
		w.call("GET", "/v2/recording-assets?start="+start, "key-a", "").into(t, &p)
		for _, a := range p.Data {
			seen = append(seen, a.ID)
		}
		if *p.Last == "" {
			break
		}
		start = *p.Last
		w.finish(w.capture(defaultApp, "room", "sfu"), w.composite("room", 3)...)
		if round == 0 {
			require.Equal(t, http.StatusNoContent, w.call("DELETE", "/v2/recording-assets/"+start, "key-a", "").status)
		}
	}
	require.Len(t, seen, 30)
	for i, id := range seen {
		require.Equal(t, there[29-i].ID, id)
	}
}

func TestSupersededAssets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.capture(defaultApp, "room", "sfu")
	first := w.file(catalog.RoomCompositeLegacy, "room/one.mp4", []byte("one"))
	first.Key = "the composite"
	old := w.finish(job, first)[0]

	a := w.call("POST", "/v2/recording-assets/"+old.ID+"/reprocess", "key-a", `{"composition":{"layout":"grid"}}`)
	require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
	require.Equal(t, []string{"reprocess " + old.ID + ` {"layout":"grid"}`}, w.actions.calls)
	var queued struct {
		ID         string `json:"id"`
		State      string `json:"state"`
		Generation int    `json:"generation"`
	}
	a.into(t, &queued)
	require.Equal(t, "queued", queued.State)
	require.Equal(t, 1, queued.Generation)
	again, err := w.store.JobByID(t.Context(), queued.ID)
	require.NoError(t, err)
	second := w.file(catalog.RoomCompositeLegacy, "room/two.mp4", []byte("two"))
	second.Key = "the composite"
	replacing := w.finish(again, second)[0]

	listed := all[theirAsset](t, w, "key-a", "/v2/recording-assets", 0, nil)
	require.Len(t, listed, 1)
	require.Equal(t, replacing.ID, listed[0].ID)
	var shown struct {
		Version    int    `json:"version"`
		Supersedes string `json:"supersedes"`
	}
	w.call("GET", "/v2/recording-assets/"+replacing.ID, "key-a", "").into(t, &shown)
	require.Equal(t, old.ID, shown.Supersedes)
	require.Equal(t, 2, shown.Version)
	require.Equal(t, http.StatusOK, w.call("GET", "/v2/recording-assets/"+old.ID, "key-a", "").status)
	require.Equal(t, []byte("one"), w.follow(t, old.ID, ""))

	// One recording, which has the new asset, whichever of its jobs is asked for.
	recordings := all[theirRecording](t, w, "key-a", "/v2/recordings", 0, nil)
	require.Len(t, recordings, 1)
	require.Equal(t, job.ID, recordings[0].ID)
	for _, id := range []string{job.ID, again.ID} {
		var r theirRecording
		w.call("GET", "/v2/recordings/"+id, "key-a", "").into(t, &r)
		require.Len(t, r.RecordingAssets, 1)
		require.Equal(t, replacing.ID, r.RecordingAssets[0].ID)
	}
}

// follow asks for an asset's link and returns what lies behind it.
func (w *world) follow(t *testing.T, id, query string) []byte {
	t.Helper()
	a := w.call("GET", "/v2/recording-assets/"+id+"/presigned-url"+query, "key-a", "")
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	var l theirLink
	a.into(t, &l)
	require.Equal(t, id, l.ID)
	got := w.call("GET", l.URL, "", "")
	require.Equal(t, http.StatusOK, got.status, "%s", got.body)
	return got.body
}

func TestLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	zip := []byte("PK archive")
	key := "beam/r%2F1/20261122/Rec-r%2F1-1.mp4"
	job := w.capture(defaultApp, "r/1", "beam")
	assets := w.finish(job,
		w.file(catalog.RoomComposite, key, content),
		w.file(catalog.RoomVOD, "hls/r/20261122/1/vod/Rec-r-1.zip", zip),
		catalog.Asset{Type: catalog.TrackAsset, Status: catalog.AssetFailed, Error: &catalog.AssetError{Kind: "k", Message: "m"}})

	var l theirLink
	w.call("GET", "/v2/recording-assets/"+assets[0].ID+"/presigned-url", "key-a", "").into(t, &l)
	require.Equal(t, theirLink{ID: assets[0].ID, Path: key, URL: l.URL, Expiry: 3 * 24 * 3600}, l)
	got := w.call("GET", l.URL, "", "")
	require.Equal(t, sha256.Sum256(content), sha256.Sum256(got.body))
	require.Equal(t, "video/mp4", got.header.Get("Content-Type"))
	require.Contains(t, got.header.Get("Content-Disposition"), "inline; filename=")
	part := w.call("GET", l.URL, "", "", "Range", "bytes=16-31")
	require.Equal(t, http.StatusPartialContent, part.status)
	require.Equal(t, "0123456789abcdef", string(part.body))
	require.Equal(t, http.StatusOK, w.call("HEAD", l.URL, "", "").status)

	// As long as was asked for, and no longer.
	w.call("GET", "/v2/recording-assets/"+assets[0].ID+"/presigned-url?presign_duration=60", "key-a", "").into(t, &l)
	require.Equal(t, int64(60), l.Expiry)
	require.Equal(t, http.StatusOK, w.call("GET", l.URL, "", "").status)
	w.pass(61 * time.Second)
	require.Equal(t, http.StatusForbidden, w.call("GET", l.URL, "", "").status)

	require.Equal(t, zip, w.follow(t, assets[1].ID, "?presign_duration=604800"))
	w.call("GET", "/v2/recording-assets/"+assets[1].ID+"/presigned-url", "key-a", "").into(t, &l)
	require.Contains(t, w.call("GET", l.URL, "", "").header.Get("Content-Disposition"), "attachment")

	w.call("GET", "/v2/recording-assets/"+assets[2].ID+"/presigned-url", "key-a", "").wrong(t, http.StatusNotFound)
	for _, d := range []string{"59", "604801", "0", "-1", "1e3", "soon", "99999999999999999999"} {
		a := w.call("GET", "/v2/recording-assets/"+assets[0].ID+"/presigned-url?presign_duration="+d, "key-a", "")
		_, details := a.wrong(t, http.StatusBadRequest)
		require.Contains(t, fmt.Sprint(details), "query.presign_duration")
	}
}

func TestRecordings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	done := w.capture(defaultApp, "room-1", "beam")
	w.finish(done, w.file(catalog.RoomComposite, "beam/1.mp4", []byte("x")))
	waiting := w.capture(defaultApp, "room-1", "sfu")
	canceled := w.capture(defaultApp, "room-2", "sfu")
	_, err := w.store.CancelJob(t.Context(), canceled.ID)
	require.NoError(t, err)
	live := w.capture(defaultApp, "room-1", "live-stream")
	w.finish(live,
		w.file(catalog.RoomVOD, "hls/1/vod/master.m3u8", []byte("#EXTM3U\n")),
		w.file(catalog.RoomComposite, "hls/1/file-recording/0.mp4", []byte("x")))
	w.capture(otherApp, "room-9", "beam")

	ids := func(path string) (ids []string) {
		u, err := url.Parse(path)
		require.NoError(t, err)
		for _, r := range all[theirRecording](t, w, "key-a", u.Path, 10, u.Query()) {
			ids = append(ids, r.ID)
			require.Nil(t, r.RecordingAssets, "lists are without assets")
		}
		return ids
	}
	for path, want := range map[string][]string{
		"/v2/recordings":                                  {canceled.ID, waiting.ID, done.ID},
		"/v2/recordings?room_id=room-1":                   {waiting.ID, done.ID},
		"/v2/recordings?session_id=session-of-room-2":     {canceled.ID},
		"/v2/recordings?status=completed":                 {done.ID},
		"/v2/recordings?status=failed":                    {canceled.ID},
		"/v2/recordings?status=post_processing":           {waiting.ID},
		"/v2/recordings?status=starting":                  nil,
		"/v2/recordings?status=running":                   nil,
		"/v2/recordings?status=stopping":                  nil,
		"/v2/live-streams":                                {live.ID},
		"/v2/live-streams?room_id=room-1&status=failed":   nil,
		"/v2/live-streams?session_id=session-of-room-1":   {live.ID},
		"/v2/recordings?room_id=room-1&status=completed":  {done.ID},
		"/v2/live-streams?status=completed&room_id=other": nil,
	} {
		require.Equal(t, want, ids(path), path)
	}

	var r theirRecording
	w.call("GET", "/v2/recordings/"+done.ID, "key-a", "").into(t, &r)
	require.Equal(t, "completed", r.Status)
	require.Equal(t, []string{"room-composite"}, r.AssetTypes)
	require.Len(t, r.RecordingAssets, 1)
	require.Equal(t, done.StartedAt.UTC().Format(time.RFC3339), *r.StartedAt)
	require.Nil(t, r.Playback)
	r = theirRecording{}
	w.call("GET", "/v2/live-streams/"+live.ID, "key-a", "").into(t, &r)
	require.Equal(t, []string{"room-composite", "room-vod"}, r.AssetTypes)
	require.NotNil(t, r.Playback)
	require.True(t, r.Recording.HLSVOD && r.Recording.SingleFilePerLayer)
	var raw map[string]json.RawMessage
	w.call("GET", "/v2/recordings/"+waiting.ID, "key-a", "").into(t, &raw)
	require.JSONEq(t, `[]`, string(raw["recording_assets"]))
	require.JSONEq(t, `[]`, string(raw["asset_types"]))

	for _, path := range []string{
		"/v2/recordings/" + live.ID, "/v2/live-streams/" + done.ID,
		"/v2/recordings/0123456789abcdef01234567", "/v2/recordings/nothing",
	} {
		w.call("GET", path, "key-a", "").wrong(t, http.StatusNotFound)
	}
}

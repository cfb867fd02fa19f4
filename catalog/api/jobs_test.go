package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

type shownJob struct {
	ID         string            `json:"id"`
	Kind       string            `json:"kind"`
	State      string            `json:"state"`
	Stage      string            `json:"stage"`
	Progress   int               `json:"progress"`
	Attempts   int               `json:"attempts"`
	RoomID     string            `json:"room_id"`
	Options    map[string]any    `json:"options"`
	Defects    []catalog.Defect  `json:"defects"`
	Error      map[string]string `json:"error"`
	AttemptLog []struct {
		Ending string            `json:"ending"`
		Error  map[string]string `json:"error"`
	} `json:"attempt_log"`
}

func TestJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.call("POST", "/v2/captures", "key-a", `{"uri":"captures/of/room","outputs":{"tracks":true}}`)
	require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
	var queued shownJob
	a.into(t, &queued)
	require.Equal(t, "queued", queued.State)
	require.Equal(t, "room", queued.RoomID)
	require.Equal(t, map[string]any{"tracks": true}, queued.Options)
	path := "/v2/jobs/" + queued.ID
	require.Equal(t, queued.ID, all[shownJob](t, w, "key-a", "/v2/jobs", 0, nil)[0].ID)
	require.Empty(t, all[shownJob](t, w, "key-b", "/v2/jobs", 0, nil))
	w.call("POST", path+"/retry", "key-a", "").wrong(t, http.StatusConflict)

	// It fails, and its log says why.
	claimed, err := w.store.ClaimJob(t.Context(), queued.ID, "host-of-a-worker")
	require.NoError(t, err)
	claim := catalog.Claim{JobID: queued.ID, Fence: claimed.Fence}
	require.NoError(t, w.store.UpdateJob(t.Context(), claim, "render", 250))
	_, err = w.store.EndAttempt(t.Context(), claim, catalog.Attempt{
		Ending: catalog.EndFailed, Failure: &catalog.AssetError{Kind: "bad-input", Message: "no packets"},
		Defects: []catalog.Defect{{Kind: "truncated", Detail: "cut", File: "a.mjr"}},
	})
	require.NoError(t, err)
	var failed shownJob
	a = w.call("GET", path, "key-a", "")
	a.into(t, &failed)
	require.Equal(t, "failed", failed.State)
	require.Equal(t, "render", failed.Stage)
	require.Equal(t, 250, failed.Progress)
	require.Equal(t, "no packets", failed.Error["message"])
	require.Equal(t, []catalog.Defect{{Kind: "truncated", Detail: "cut", File: "a.mjr"}}, failed.Defects)
	require.Len(t, failed.AttemptLog, 1)
	require.Equal(t, "failed", failed.AttemptLog[0].Ending)
	require.NotContains(t, string(a.body), "host-of-a-worker")
	w.call("POST", path+"/cancel", "key-a", "").wrong(t, http.StatusConflict)

	var retried, canceled shownJob
	w.call("POST", path+"/retry", "key-a", "").into(t, &retried)
	require.Equal(t, "queued", retried.State)
	for range 2 { // the second one has what it wants
		w.call("POST", path+"/cancel", "key-a", "").into(t, &canceled)
		require.Equal(t, "canceled", canceled.State)
	}
	for query, want := range map[string]int{
		"?state=canceled": 1, "?state=queued": 0, "?room_id=room": 1, "?room_id=none": 0,
		"?parent_id=" + queued.ID: 0, "?start=" + queued.ID: 0,
	} {
		var p theirPage[shownJob]
		w.call("GET", "/v2/jobs"+query, "key-a", "").into(t, &p)
		require.Len(t, p.Data, want, query)
	}
}

func TestDeleteAsset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asset := w.finish(w.capture(defaultApp, "room", "sfu"), w.file(catalog.TrackAsset, "room/a.webm", []byte("x")))[0]
	path := "/v2/recording-assets/" + asset.ID
	w.call("DELETE", path, "key-b", "").wrong(t, http.StatusForbidden)
	a := w.call("DELETE", path, "key-a", "")
	require.Equal(t, http.StatusNoContent, a.status)
	require.Empty(t, a.body)
	w.call("GET", path, "key-a", "").wrong(t, http.StatusNotFound)
	w.call("DELETE", path, "key-a", "").wrong(t, http.StatusNotFound)
	require.Equal(t, []string{"delete " + asset.ID}, w.actions.calls)
}

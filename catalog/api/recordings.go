package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rushes/catalog"
)

// liveSource is the catalog.Job.Source of a live stream's capture.
const liveSource = "live-stream"

// RecordingStatus says how far a recording is, in the words of 100ms.
type RecordingStatus string

// The states of a recording. Rushes takes captures over when they are complete,
// so that the first three never come up; as filters they choose nothing.
const (
	RecordingStarting       RecordingStatus = "starting"
	RecordingRunning        RecordingStatus = "running"
	RecordingStopping       RecordingStatus = "stopping"
	RecordingPostProcessing RecordingStatus = "post_processing"
	RecordingCompleted      RecordingStatus = "completed"
	RecordingFailed         RecordingStatus = "failed"
)

// jobStates returns the states of jobs that a recording's status stands for.
func jobStates(s RecordingStatus) []catalog.JobState {
	switch s {
	case RecordingPostProcessing:
		return []catalog.JobState{catalog.JobQueued, catalog.JobRunning, catalog.JobWaiting}
	case RecordingCompleted:
		return []catalog.JobState{catalog.JobCompleted}
	case RecordingFailed:
		return []catalog.JobState{catalog.JobFailed, catalog.JobCanceled}
	}
	return nil
}

func statusOf(s catalog.JobState) RecordingStatus {
	switch s {
	case catalog.JobCompleted:
		return RecordingCompleted
	case catalog.JobFailed, catalog.JobCanceled:
		return RecordingFailed
	}
	return RecordingPostProcessing
}

// Recording is a capture as 100ms shows the recording that it is of. What the
// recorder did not leave in the capture is empty.
type Recording struct {
	ID              string                  `json:"id" doc:"Id of the job"`
	RoomID          string                  `json:"room_id"`
	SessionID       string                  `json:"session_id"`
	Status          RecordingStatus         `json:"status" enum:"starting,running,stopping,post_processing,completed,failed"`
	MeetingURL      string                  `json:"meeting_url"`
	Destination     string                  `json:"destination"`
	AssetTypes      []catalog.AssetType     `json:"asset_types" nullable:"false"`
	CreatedAt       time.Time               `json:"created_at"`
	UpdatedAt       time.Time               `json:"updated_at"`
	StartedAt       *time.Time              `json:"started_at"`
	StoppedAt       *time.Time              `json:"stopped_at"`
	StartedBy       string                  `json:"started_by"`
	StoppedBy       string                  `json:"stopped_by"`
	RecordingAssets []catalog.AssetDocument `json:"recording_assets" doc:"Null in lists"`
}

// LiveStream is a capture of a live stream as 100ms shows the stream.
type LiveStream struct {
	Recording
	// Playback is empty: the stream is over. A room-vod asset plays it.
	Playback Playback `json:"playback"`
	// Recording says what was made of it.
	RecordingFlags RecordingFlags `json:"recording"`
}

// Playback is where a running live stream plays.
type Playback struct {
	URL string `json:"url"`
}

// RecordingFlags says what a live stream was recorded as.
type RecordingFlags struct {
	HLSVOD             bool `json:"hls_vod"`
	SingleFilePerLayer bool `json:"single_file_per_layer"`
}

type recordingsInput struct {
	PageQuery
	RoomID    string `query:"room_id" maxLength:"1024"`
	SessionID string `query:"session_id" maxLength:"1024"`
	Status    string `query:"status" enum:"starting,running,stopping,post_processing,completed,failed"`
}

type recordingInput struct {
	ID string `path:"id" doc:"Id of the job: 24 hex digits"`
}

func (a *API) registerRecordings(api huma.API) {
	list := []int{http.StatusBadRequest, http.StatusForbidden}
	get := []int{http.StatusForbidden, http.StatusNotFound}
	register(a, api, operation(api, http.MethodGet, "/v2/recordings", "list-recordings", "List recordings", "Recordings", list...),
		func(ctx context.Context, in *recordingsInput) (*reply[Page[Recording]], error) {
			return listRecordings(ctx, a, in, false, asRecording)
		})
	register(a, api, operation(api, http.MethodGet, "/v2/recordings/{id}", "get-recording", "Get a recording with its assets", "Recordings", get...),
		func(ctx context.Context, in *recordingInput) (*reply[Recording], error) {
			return getRecording(ctx, a, in.ID, false, asRecording)
		})
	register(a, api, operation(api, http.MethodGet, "/v2/live-streams", "list-live-streams", "List live streams", "Live streams", list...),
		func(ctx context.Context, in *recordingsInput) (*reply[Page[LiveStream]], error) {
			return listRecordings(ctx, a, in, true, asLiveStream)
		})
	register(a, api, operation(api, http.MethodGet, "/v2/live-streams/{id}", "get-live-stream", "Get a live stream with its assets", "Live streams", get...),
		func(ctx context.Context, in *recordingInput) (*reply[LiveStream], error) {
			return getRecording(ctx, a, in.ID, true, asLiveStream)
		})
}

func asRecording(r Recording) Recording { return r }

func asLiveStream(r Recording) LiveStream {
	return LiveStream{Recording: r, RecordingFlags: RecordingFlags{
		HLSVOD:             slices.Contains(r.AssetTypes, catalog.RoomVOD),
		SingleFilePerLayer: slices.Contains(r.AssetTypes, catalog.RoomComposite),
	}}
}

func listRecordings[T any](
	ctx context.Context, a *API, in *recordingsInput, live bool, show func(Recording) T,
) (*reply[Page[T]], error) {
	if err := a.checkRoom(ctx, in.RoomID); err != nil {
		return nil, err
	}
	if err := a.checkJobStart(ctx, in.Start); err != nil {
		return nil, err
	}
	var found []catalog.Job
	states := jobStates(RecordingStatus(in.Status))
	if in.Status == "" || states != nil {
		var err error
		found, err = a.config.Catalog.ListRecordings(ctx, appOf(ctx), catalog.RecordingFilter{
			Live: live, RoomID: in.RoomID, SessionID: in.SessionID, States: states,
			After: in.Start, Limit: in.Limit + 1,
		})
		if err != nil {
			return nil, fmt.Errorf("list recordings: %w", err)
		}
	}
	keys := make([]string, 0, len(found))
	for _, j := range found[:min(len(found), in.Limit)] {
		keys = append(keys, j.CaptureKey)
	}
	var types map[string][]catalog.AssetType
	if len(keys) > 0 {
		var err error
		if types, err = a.config.Catalog.AssetTypesOfCaptures(ctx, keys); err != nil {
			return nil, fmt.Errorf("asset types of recordings: %w", err)
		}
	}
	return page(in.Limit, found, jobID, func(j catalog.Job) T { return show(recordingOf(j, types[j.CaptureKey])) }), nil
}

func jobID(j catalog.Job) string { return j.ID }

func getRecording[T any](ctx context.Context, a *API, id string, live bool, show func(Recording) T) (*reply[T], error) {
	what := "recording"
	if live {
		what = "live stream"
	}
	job, err := a.ownJob(ctx, what, id)
	if err != nil {
		return nil, err
	}
	if job.Kind == catalog.PartJob || (job.Source == liveSource) != live {
		return nil, refuse(http.StatusNotFound, what+" not found")
	}
	assets, err := a.config.Catalog.AssetsOfCapture(ctx, job.CaptureKey)
	if err != nil {
		return nil, fmt.Errorf("assets of %s %s: %w", what, id, err)
	}
	var types []catalog.AssetType
	documents := make([]catalog.AssetDocument, len(assets))
	for i, asset := range assets {
		types = append(types, asset.Type)
		documents[i] = asset.Document()
	}
	recording := recordingOf(job, types)
	recording.RecordingAssets = documents
	return &reply[T]{Body: show(recording)}, nil
}

// recordingOf shows a job as a recording, with the types in api.md's order.
func recordingOf(j catalog.Job, types []catalog.AssetType) Recording {
	ordered := []catalog.AssetType{}
	for _, t := range catalog.AssetTypes() {
		if slices.Contains(types, t) {
			ordered = append(ordered, t)
		}
	}
	return Recording{
		ID: j.ID, RoomID: j.RoomID, SessionID: j.SessionID, Status: statusOf(j.State), AssetTypes: ordered,
		CreatedAt: j.CreatedAt.UTC(), UpdatedAt: j.UpdatedAt.UTC(),
		StartedAt: timeOrNull(j.StartedAt), StoppedAt: timeOrNull(j.StoppedAt),
	}
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// JobKind says what a job is for.
type JobKind string

// The kinds of jobs. A part belongs to a capture's job, is queued by it and is
// joined by it; both kinds are claimed, watched, retried and swept alike.
const (
	CaptureJob JobKind = "capture" // one capture into its assets
	PartJob    JobKind = "part"    // a run of chunks, or the sound, of a long composite
)

// JobState says how far a job is.
type JobState string

// The states of a job. Completed, failed and canceled are final: only an
// explicit retry leaves them.
const (
	JobQueued    JobState = "queued"    // waits for a worker, not before its RunAt
	JobRunning   JobState = "running"   // a worker holds the claim and its heartbeat is fresh
	JobWaiting   JobState = "waiting"   // for its parts; no worker holds it
	JobCompleted JobState = "completed" // all that can be made is made
	JobFailed    JobState = "failed"    // Error says why
	JobCanceled  JobState = "canceled"  // somebody asked for it
)

// JobStates returns all states, in the order of a job's life.
func JobStates() []JobState {
	return []JobState{JobQueued, JobRunning, JobWaiting, JobCompleted, JobFailed, JobCanceled}
}

// Final reports whether a job in this state is over.
func (s JobState) Final() bool {
	return s == JobCompleted || s == JobFailed || s == JobCanceled
}

// QueueName is the queue that a job waits in. Queues share the workers by
// weight: chunks before default before backfill.
type QueueName string

// The queues.
const (
	QueueDefault  QueueName = "default"  // captures of rooms that have just ended
	QueueBackfill QueueName = "backfill" // captures that are made again
	QueueChunks   QueueName = "chunks"   // parts of jobs that have begun
)

// QueueNames returns all queues, the most urgent one first.
func QueueNames() []QueueName { return []QueueName{QueueChunks, QueueDefault, QueueBackfill} }

// ProgressDone is the progress of a finished job; progress is in thousandths.
const ProgressDone = 1000

// DefaultMaxAttempts is how often a job is tried when nobody says otherwise.
const DefaultMaxAttempts = 5

// Cost is what a job takes of a machine while it runs.
type Cost struct {
	// CPU is in thousandths of a core.
	CPU int `json:"cpu_milli"`
	// Memory is in bytes.
	Memory int64 `json:"memory_bytes"`
}

// Job is the work of turning one capture into its assets, or a part of that
// work. It is a plain value.
type Job struct {
	// ID is 24 hex digits; the store gives one to a job that has none.
	ID string `json:"id"`
	// Kind says what the job is for; "" means CaptureJob.
	Kind JobKind `json:"kind"`
	// ParentID is the id of the job that a part belongs to, or "".
	ParentID string `json:"parent_id,omitempty"`
	// CaptureURI is where the capture lies.
	CaptureURI string `json:"capture_uri"`
	// CaptureKey is a digest of what makes the capture itself, wherever it
	// lies; of a part, it names the part within its parent. There is one job
	// for each CaptureKey and Generation.
	CaptureKey string `json:"capture_key"`
	// Generation counts how often the capture was given to be made again: 0 is
	// the first making.
	Generation int `json:"generation,omitempty"`
	// AppID is the id of the app that the job, and what it makes, belongs to; ""
	// is the app of whatever is queued without one.
	AppID string `json:"app_id,omitempty"`
	// RecordingID is the job_id that the recorder gave, or "".
	RecordingID string `json:"recording_id,omitempty"`
	// RoomID is the recorder's id of the room.
	RoomID string `json:"room_id"`
	// SessionID is the recorder's id of the session.
	SessionID string `json:"session_id"`
	// TemplateID is the recorder's id of the room's template, or "".
	TemplateID string `json:"template_id,omitempty"`
	// Source is the capture's source: "beam", "sfu" or "live-stream".
	Source string `json:"source"`
	// Options is what was asked for beside the capture's manifest, or what a
	// part is to do: JSON that the catalog keeps and does not read. It is
	// empty or valid JSON.
	Options json.RawMessage `json:"options,omitempty"`
	// Result is what a completed part has made, for its parent: JSON that the
	// catalog does not read.
	Result json.RawMessage `json:"result,omitempty"`
	// Queue is the queue that the job waits in; "" means QueueDefault.
	Queue QueueName `json:"queue"`
	// Priority puts jobs of a queue in front of others: higher is earlier, 0 is
	// usual.
	Priority int `json:"priority"`
	// Cost is what the job takes of a machine.
	Cost Cost `json:"cost"`
	// State says how far the job is.
	State JobState `json:"state"`
	// Stage is the name of the stage that runs or ran last.
	Stage string `json:"stage,omitempty"`
	// Progress is in thousandths of the whole job, 0 to ProgressDone.
	Progress int `json:"progress"`
	// Attempts counts the attempts that were begun, less those that were
	// interrupted.
	Attempts int `json:"attempts"`
	// MaxAttempts is how many attempts the job has; 0 means DefaultMaxAttempts.
	MaxAttempts int `json:"max_attempts"`
	// Takeovers counts the attempts whose worker died.
	Takeovers int `json:"takeovers,omitempty"`
	// Fence is raised by every claim and every takeover. Writes with another
	// fence are refused.
	Fence int64 `json:"fence"`
	// Worker names who holds the claim, or held it last.
	Worker string `json:"worker,omitempty"`
	// HeartbeatAt is when the holder of the claim last said that it lives.
	HeartbeatAt time.Time `json:"heartbeat_at,omitzero"`
	// RunAt is when the job may run at the earliest.
	RunAt time.Time `json:"run_at,omitzero"`
	// CancelRequested says that the running job is to end as canceled.
	CancelRequested bool `json:"cancel_requested,omitempty"`
	// BackfillID is the backfill that queued the job, or "".
	BackfillID string `json:"backfill_id,omitempty"`
	// CreatedAt is when the job was first begun or queued.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when the job's row was last written.
	UpdatedAt time.Time `json:"updated_at"`
	// FinishedAt is when the job came to its final state, or zero.
	FinishedAt time.Time `json:"finished_at,omitzero"`
	// StartedAt is when the session began, or zero.
	StartedAt time.Time `json:"started_at,omitzero"`
	// StoppedAt is when the session ended, or zero when the recorder did not say.
	StoppedAt time.Time `json:"stopped_at,omitzero"`
	// Defects is what was wrong with the capture.
	Defects []Defect `json:"defects"`
	// Error is why the job failed, or why its last attempt did while it waits
	// for the next one; nil otherwise.
	Error *AssetError `json:"error,omitempty"`
}

// Validate reports, as an error that wraps [ErrInvalid], what keeps the job
// from being stored.
func (j Job) Validate() error {
	bad := func(field string, value any) error {
		return fmt.Errorf("job of capture %q: %s %q: %w", j.CaptureURI, field, fmt.Sprint(value), ErrInvalid)
	}
	switch {
	case j.CaptureKey == "":
		return bad("capture key", j.CaptureKey)
	case j.ID != "" && !ValidID(j.ID):
		return bad("id", j.ID)
	case j.Kind != "" && j.Kind != CaptureJob && j.Kind != PartJob:
		return bad("kind", j.Kind)
	case (j.Kind == PartJob) != (j.ParentID != ""):
		return bad("parent of a "+string(j.Kind), j.ParentID)
	case j.Queue != "" && !slices.Contains(QueueNames(), j.Queue):
		return bad("queue", j.Queue)
	case j.Generation < 0:
		return bad("generation", j.Generation)
	case j.MaxAttempts < 0:
		return bad("max_attempts", j.MaxAttempts)
	case j.Cost.CPU < 0 || j.Cost.Memory < 0:
		return bad("cost", j.Cost)
	case len(j.Options) > 0 && !json.Valid(j.Options):
		return bad("options", "not JSON")
	}
	return nil
}

// JobFilter chooses jobs, as [Filter] chooses assets.
type JobFilter struct {
	// Kind is a kind of jobs; "" chooses all.
	Kind JobKind
	// State is a state of jobs.
	State JobState
	// Queue is a queue.
	Queue QueueName
	// RoomID is the recorder's id of a room.
	RoomID string
	// ParentID is the id of the job whose parts are chosen.
	ParentID string
	// BackfillID is the id of a backfill.
	BackfillID string
	// After is the id of the last job of the page before, or "".
	After string
	// Limit is the number of jobs at most, up to MaxPage; 0 means MaxPage.
	Limit int
}

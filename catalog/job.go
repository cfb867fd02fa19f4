package catalog

import (
	"fmt"
	"time"
)

// JobState says how far a job is.
type JobState string

// The states of a job.
const (
	JobQueued    JobState = "queued"
	JobRunning   JobState = "running"
	JobCompleted JobState = "completed"
	JobFailed    JobState = "failed"
)

// ProgressDone is the progress of a finished job; progress is in thousandths.
const ProgressDone = 1000

// Job is the work of turning one capture into its assets. It is a plain value.
type Job struct {
	// ID is 24 hex digits; the store gives one to a job that has none.
	ID string `json:"id"`
	// CaptureURI is where the capture lies.
	CaptureURI string `json:"capture_uri"`
	// CaptureKey is a digest of what makes the capture itself, wherever it
	// lies. There is one job for each.
	CaptureKey string `json:"capture_key"`
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
	// State says how far the job is.
	State JobState `json:"state"`
	// Stage is the name of the stage that runs or ran last.
	Stage string `json:"stage,omitempty"`
	// Progress is in thousandths of the whole job, 0 to ProgressDone.
	Progress int `json:"progress"`
	// Attempts counts how often the job was begun.
	Attempts int `json:"attempts"`
	// CreatedAt is when the job was first begun.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when the job's row was last written.
	UpdatedAt time.Time `json:"updated_at"`
	// StartedAt is when the session began, or zero.
	StartedAt time.Time `json:"started_at,omitzero"`
	// StoppedAt is when the session ended, or zero when the recorder did not say.
	StoppedAt time.Time `json:"stopped_at,omitzero"`
	// Defects is what was wrong with the capture.
	Defects []Defect `json:"defects"`
	// Error is set on a failed job and nil on any other.
	Error *AssetError `json:"error,omitempty"`
}

// Validate reports, as an error that wraps [ErrInvalid], what keeps the job
// from being begun.
func (j Job) Validate() error {
	switch {
	case j.CaptureKey == "":
		return fmt.Errorf("job of capture %q: empty capture key: %w", j.CaptureURI, ErrInvalid)
	case j.ID != "" && !ValidID(j.ID):
		return fmt.Errorf("job of capture %q: id %q: %w", j.CaptureURI, j.ID, ErrInvalid)
	}
	return nil
}

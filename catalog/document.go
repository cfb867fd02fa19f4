package catalog

import (
	"encoding/json"
	"time"
)

// AssetDocument is an asset as the API and the command line write it (api.md):
// the fields of 100ms first, then those that Rushes adds. Embed it to add
// fields; embedding Asset itself would hide them behind its MarshalJSON.
type AssetDocument struct {
	ID         string      `json:"id"`
	JobID      string      `json:"job_id"`
	RoomID     string      `json:"room_id"`
	SessionID  string      `json:"session_id"`
	Type       AssetType   `json:"type"`
	Path       string      `json:"path"`
	Size       int64       `json:"size"`     // bytes
	Duration   int64       `json:"duration"` // whole seconds
	Status     AssetStatus `json:"status"`
	CreatedAt  time.Time   `json:"created_at"` // UTC
	Thumbnails []string    `json:"thumbnails"` // storage keys, or null
	Metadata   Metadata    `json:"metadata"`
	Error      *AssetError `json:"error,omitempty"`
	Version    int         `json:"version"`
	Supersedes string      `json:"supersedes,omitempty"`
}

// Document returns the asset in the shape of api.md: the duration rounded to
// the nearest second, times in UTC, no thumbnails as null, and the exact
// duration and start beside the other metadata.
func (a Asset) Document() AssetDocument {
	m := a.Metadata
	m.DurationMS = a.Duration.Round(time.Millisecond).Milliseconds()
	m.StartedAt = nil
	if !a.StartedAt.IsZero() {
		at := a.StartedAt.UTC()
		m.StartedAt = &at
	}
	if m.Defects == nil {
		m.Defects = []Defect{}
	}
	thumbnails := a.Thumbnails
	if len(thumbnails) == 0 {
		thumbnails = nil
	}
	return AssetDocument{
		ID: a.ID, JobID: a.JobID, RoomID: a.RoomID, SessionID: a.SessionID,
		Type: a.Type, Path: a.Path, Size: a.Size,
		Duration:   int64(a.Duration.Round(time.Second) / time.Second),
		Status:     a.Status,
		CreatedAt:  a.CreatedAt.UTC(),
		Thumbnails: thumbnails,
		Metadata:   m,
		Error:      a.Error,
		Version:    a.Version,
		Supersedes: a.Supersedes,
	}
}

// MarshalJSON writes the asset's [Asset.Document].
func (a Asset) MarshalJSON() ([]byte, error) { return json.Marshal(a.Document()) }

// UnmarshalJSON reads what MarshalJSON wrote. Software and Key are not part of
// it; the duration is taken from metadata.duration_ms where that is given.
func (a *Asset) UnmarshalJSON(data []byte) error {
	var d AssetDocument
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	m := d.Metadata
	duration := time.Duration(d.Duration) * time.Second
	if m.DurationMS > 0 {
		duration = time.Duration(m.DurationMS) * time.Millisecond
	}
	var startedAt time.Time
	if m.StartedAt != nil {
		startedAt = *m.StartedAt
	}
	m.DurationMS, m.StartedAt = 0, nil
	*a = Asset{
		ID: d.ID, JobID: d.JobID, RoomID: d.RoomID, SessionID: d.SessionID,
		Type: d.Type, Path: d.Path, Size: d.Size, Duration: duration,
		Status: d.Status, CreatedAt: d.CreatedAt, StartedAt: startedAt,
		Thumbnails: d.Thumbnails, Metadata: m, Error: d.Error,
		Version: d.Version, Supersedes: d.Supersedes,
	}
	return nil
}

package catalog

import (
	"encoding/json"
	"time"
)

// Defect is something wrong with a capture that did not stop an asset from
// being made: a file that is missing, a torn tail, times that had to be
// guessed (capture.md).
type Defect struct {
	// Kind is a short fixed word, such as "truncated" or "no-timestamps".
	Kind string `json:"kind"`
	// Detail says in one sentence what was found and what was done about it.
	Detail string `json:"detail"`
	// File is the path of the file inside the capture, or "".
	File string `json:"file,omitempty"`
	// Track is the id of the track, or "".
	Track string `json:"track,omitempty"`
}

// Resolution is the size of a picture.
type Resolution struct {
	// Width is in pixels.
	Width int `json:"width"`
	// Height is in pixels.
	Height int `json:"height"`
}

// Metadata is what is known about an asset beyond the fields that all types
// share. Which fields are set depends on the asset's type (api.md); the zero
// value of a field leaves it out of the JSON, except for Defects.
type Metadata struct {
	// Resolution is the size of the picture, of room-composite,
	// room-composite-legacy, and track and stream assets with video.
	Resolution *Resolution `json:"resolution,omitempty"`
	// Layer is the layer of a live stream that a room-composite was made from;
	// "0" is the highest.
	Layer string `json:"layer,omitempty"`
	// Layout is the layout of a room-composite-legacy.
	Layout string `json:"layout,omitempty"`
	// Scenes is how many scenes a room-composite-legacy has.
	Scenes int `json:"scenes,omitempty"`
	// NumLayers is the number of layers of a room-vod, in decimal digits.
	NumLayers string `json:"num_layers,omitempty"`
	// MaxWidth is the width, in pixels, of the highest layer of a room-vod.
	MaxWidth int `json:"max_width,omitempty"`
	// MaxHeight is the height, in pixels, of the highest layer of a room-vod.
	MaxHeight int `json:"max_height,omitempty"`
	// TrackID is the recorder's id of the track, of a track asset.
	TrackID string `json:"track_id,omitempty"`
	// StreamID is the recorder's id of the stream, of track and stream assets.
	StreamID string `json:"stream_id,omitempty"`
	// PeerID is the recorder's id of the peer, of track and stream assets.
	PeerID string `json:"peer_id,omitempty"`
	// UserID is the customer's id of the peer, of a stream asset.
	UserID string `json:"user_id,omitempty"`
	// TrackType is "video" or "audio", of a track asset.
	TrackType string `json:"track_type,omitempty"`
	// StreamType is "regular", "screen" or "audio", of a stream asset.
	StreamType string `json:"stream_type,omitempty"`
	// StartedAt is the session time at which the asset's media begins. It is
	// filled in from Asset.StartedAt when the asset is written as JSON.
	StartedAt *time.Time `json:"started_at,omitempty"`
	// OffsetMS is where on the session clock the asset's media begins, in
	// milliseconds after the start of the capture.
	OffsetMS int64 `json:"offset_ms,omitempty"`
	// DurationMS is the duration in milliseconds. It is filled in from
	// Asset.Duration when the asset is written as JSON.
	DurationMS int64 `json:"duration_ms,omitempty"`
	// ThumbnailNote says why there are no thumbnails, or other ones than were
	// asked for.
	ThumbnailNote string `json:"thumbnail_note,omitempty"`
	// Defects is what was wrong with the part of the capture that this asset
	// was made from. It is always an array in the JSON, empty when all was well.
	Defects []Defect `json:"defects"`
	// Sync is the sync report: how the asset's tracks were laid on the session
	// clock. It is kept as it is and must be valid JSON, or empty.
	Sync json.RawMessage `json:"sync,omitempty"`
}

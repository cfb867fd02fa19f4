package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AssetType says what an asset is, in the words of api.md.
type AssetType string

// The types of assets.
const (
	RoomComposite       AssetType = "room-composite"        // the recording of a browser or of a live stream's layer
	RoomCompositeLegacy AssetType = "room-composite-legacy" // a composition of the tracks of a session
	RoomVOD             AssetType = "room-vod"              // a live stream as a VOD package
	TrackAsset          AssetType = "track"                 // one track of one peer
	StreamAsset         AssetType = "stream"                // one peer's audio and video together
)

// AssetTypes returns all types, in the order of api.md.
func AssetTypes() []AssetType {
	return []AssetType{RoomComposite, RoomCompositeLegacy, RoomVOD, TrackAsset, StreamAsset}
}

// AssetStatus says how far an asset is.
type AssetStatus string

// The states of an asset. A completed asset never changes again.
const (
	AssetProcessing AssetStatus = "processing"
	AssetCompleted  AssetStatus = "completed"
	AssetFailed     AssetStatus = "failed"
)

// AssetError says why an asset or a job failed.
type AssetError struct {
	// Kind is a short fixed word for programs.
	Kind string `json:"kind"`
	// Message is one line for people; it names the file or field.
	Message string `json:"message"`
}

// Asset is one finished (or failed) piece of a capture. It is a plain value;
// nothing in it is shared with the store that returned it.
type Asset struct {
	// ID is 24 hex digits; the store gives one to an asset that has none.
	ID string
	// JobID is the id of the job that made the asset.
	JobID string
	// RoomID is the recorder's id of the room.
	RoomID string
	// SessionID is the recorder's id of the session.
	SessionID string
	// Type says what the asset is.
	Type AssetType
	// Path is the storage key of the asset's bytes, or, for a package of many
	// files, of the file that a player opens. It is "" while there are none.
	Path string
	// Size is in bytes; for a package, of all its files.
	Size int64
	// Duration is that of the media, to the nanosecond. The JSON field
	// "duration" is rounded to whole seconds.
	Duration time.Duration
	// Status says how far the asset is.
	Status AssetStatus
	// CreatedAt is when the asset was first registered; the store sets it when
	// it is zero and keeps microseconds.
	CreatedAt time.Time
	// StartedAt is the session time at which the asset's media begins, or zero.
	StartedAt time.Time
	// Thumbnails holds the storage keys of the thumbnails, in order of time.
	Thumbnails []string
	// Metadata is what only some types have.
	Metadata Metadata
	// Error is set on a failed asset and nil on any other.
	Error *AssetError
	// Version counts the makings of the same thing from 1; the store takes 0
	// as 1.
	Version int
	// Supersedes is the id of the asset that this one replaces, or "".
	Supersedes string
	// SupersededBy is the id of the completed asset that replaces this one, or
	// "". Only the store sets it.
	SupersededBy string
	// Software is the version of Rushes that made the asset.
	Software string
	// Key says what the asset is of: two assets of one Key and Version are the
	// same asset. [AssetKey] makes it.
	Key string
}

// AssetKey returns the identity of an asset: of which capture, of what type,
// and, where one capture gives several assets of a type, which of them (the
// layer; or peer, stream and track). Different arguments never give the same
// key.
func AssetKey(captureKey string, t AssetType, which ...string) string {
	parts := append([]string{captureKey, string(t)}, which...)
	for i, p := range parts {
		parts[i] = escape(p)
	}
	return strings.Join(parts, "/")
}

// Validate reports, as errors that wrap [ErrInvalid], what keeps the asset
// from being registered.
func (a Asset) Validate() error {
	bad := func(field string, value any) error {
		return fmt.Errorf("asset %q: %s %q: %w", a.Key, field, fmt.Sprint(value), ErrInvalid)
	}
	switch {
	case a.Key == "":
		return bad("key", a.Key)
	case a.ID != "" && !ValidID(a.ID):
		return bad("id", a.ID)
	case !slices.Contains(AssetTypes(), a.Type):
		return bad("type", a.Type)
	case a.Size < 0:
		return bad("size", a.Size)
	case a.Duration < 0:
		return bad("duration", a.Duration)
	case a.Version < 0:
		return bad("version", a.Version)
	case len(a.Metadata.Sync) > 0 && !json.Valid(a.Metadata.Sync):
		return bad("metadata.sync", "not JSON")
	}
	switch a.Status {
	case AssetCompleted:
		if a.Path == "" || a.Size == 0 {
			return bad("completed without bytes, path", a.Path)
		}
		if a.Error != nil {
			return bad("completed with error", a.Error.Message)
		}
	case AssetFailed:
		if a.Error == nil {
			return bad("failed without error, path", a.Path)
		}
	case AssetProcessing:
	default:
		return bad("status", a.Status)
	}
	return nil
}

// Settle decides what the catalog holds after next is registered where a is
// already there under the same Key and Version. A completed asset stays as it
// is; any other one is replaced by next, which takes over its id, its time of
// registration and what it supersedes, so that whoever saw the id before finds the finished
// asset under it. It reports whether anything changed.
func (a Asset) Settle(next Asset) (result Asset, changed bool) {
	if a.Status == AssetCompleted {
		return a, false
	}
	next.ID = a.ID
	next.CreatedAt = a.CreatedAt
	if next.Supersedes == "" {
		next.Supersedes = a.Supersedes
	}
	return next, true
}

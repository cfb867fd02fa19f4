package capture

// Version is the only manifest version there is.
const Version = 1

// ManifestName is the manifest's name inside a capture folder.
const ManifestName = "capture.json"

// Source says what kind of recorder made a capture.
type Source string

// The sources of capture.md.
const (
	// SourceBeam is a browser that joined the room and recorded its own page.
	SourceBeam Source = "beam"
	// SourceSFU is a media server that dumped what it received, track by track.
	SourceSFU Source = "sfu"
	// SourceLiveStream is the output of a live HLS encoder.
	SourceLiveStream Source = "live-stream"
)

// Manifest is capture.json (specification: capture.md), checked, with defaults
// filled in. Which of the lists are used depends on Source. A Manifest is not
// changed after Parse; its slices are shared, not copied.
type Manifest struct {
	// Version is always 1.
	Version int `json:"version"`
	// Source says which of the fields below are used.
	Source Source `json:"source"`
	// RoomID is the room; "unknown-" and a digest when the recorder gave none.
	RoomID string `json:"room_id"`
	// RoomName is the room's name for people; optional.
	RoomName string `json:"room_name,omitempty"`
	// SessionID is the session; derived like RoomID when missing.
	SessionID string `json:"session_id"`
	// JobID is the recorder's own recording or stream job; optional.
	JobID string `json:"job_id,omitempty"`
	// TemplateID is the room's template; optional.
	TemplateID string `json:"template_id,omitempty"`
	// StartedAt is zero of the session clock.
	StartedAt Time `json:"started_at,omitzero"`
	// StoppedAt is the end of the session; zero when the recorder died.
	StoppedAt Time `json:"stopped_at,omitzero"`
	// Paused are the intervals to cut out, as written; Capture.Session has them
	// merged and clipped.
	Paused []Interval `json:"paused,omitempty"`

	// Peers are the stays of people in the room (sfu). The same id appears twice
	// for a peer that left and came back.
	Peers []Peer `json:"peers,omitempty"`
	// Tracks are the recorded tracks (sfu).
	Tracks []Track `json:"tracks,omitempty"`
	// Events are the events of known type with a usable time, in time order (sfu).
	Events []Event `json:"events,omitempty"`

	// Files are the recording's parts in order (beam).
	Files []File `json:"files,omitempty"`
	// Width is the width in pixels that the browser was asked for; 0 unknown. The
	// media decides (beam).
	Width int `json:"width,omitempty"`
	// Height is the height in pixels that the browser was asked for; see Width.
	Height int `json:"height,omitempty"`

	// Layers are the renditions of a live stream, highest first.
	Layers []Layer `json:"layers,omitempty"`

	// Outputs says what to make, with the defaults of the source filled in.
	Outputs Outputs `json:"outputs"`
}

// Interval is a stretch of wall-clock time, From included, To not.
type Interval struct {
	// From is the beginning.
	From Time `json:"from,omitzero"`
	// To is the end; a pause without one lasts until the session stops.
	To Time `json:"to,omitzero"`
}

// Peer is one stay of one person in the room.
type Peer struct {
	// ID is the peer's id in the session.
	ID string `json:"id"`
	// UserID is the customer's id of the person; optional.
	UserID string `json:"user_id,omitempty"`
	// Name is shown on tiles; optional.
	Name string `json:"name,omitempty"`
	// Role is the peer's role, such as "host"; optional.
	Role string `json:"role,omitempty"`
	// JoinedAt is when the peer came; the session's start when not given.
	JoinedAt Time `json:"joined_at,omitzero"`
	// LeftAt is when the peer went; zero when it stayed to the end.
	LeftAt Time `json:"left_at,omitzero"`
}

// The types of events that are used; others are dropped by Parse.
const (
	// EventActiveSpeaker says that PeerID is the one who speaks.
	EventActiveSpeaker = "active-speaker"
	// EventPin says that PeerID or TrackID was pinned.
	EventPin = "pin"
	// EventUnpin takes a pin back.
	EventUnpin = "unpin"
)

// Event is something that happened in the room.
type Event struct {
	// At is when it happened.
	At Time `json:"at,omitzero"`
	// Type is one of the Event constants.
	Type string `json:"type"`
	// PeerID is the peer it is about; optional.
	PeerID string `json:"peer_id,omitempty"`
	// TrackID is the track it is about; optional.
	TrackID string `json:"track_id,omitempty"`
}

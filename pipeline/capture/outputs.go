package capture

import "encoding/json"

// Asset types of api.md that a capture can ask for.
const (
	// AssetRoomComposite is a beam recording, or one layer of a live stream, as MP4.
	AssetRoomComposite = "room-composite"
	// AssetRoomCompositeLegacy is composed by Rushes from the tracks of an SFU.
	AssetRoomCompositeLegacy = "room-composite-legacy"
	// AssetRoomVOD is a live stream as an HLS package.
	AssetRoomVOD = "room-vod"
	// AssetTrack is one file per track.
	AssetTrack = "track"
	// AssetStream is one file per peer and stream.
	AssetStream = "stream"
)

// TrackFormatMP4 is the Outputs.TrackFormat of tracks that are encoded as H.264 and AAC in MP4.
const TrackFormatMP4 = "mp4"

// Outputs says what to make of a capture.
type Outputs struct {
	// Assets are the asset types to make, without repeats. Default: beam
	// room-composite; sfu track and room-composite-legacy; live-stream room-vod
	// and room-composite.
	Assets []string `json:"assets"`
	// TrackFormat is "" for tracks that are copied into the container of their
	// codec, or TrackFormatMP4.
	TrackFormat string `json:"track_format,omitempty"`
	// Composition is the picture of room-composite-legacy.
	Composition Composition `json:"composition"`
	// Thumbnails are the stills of every asset that has a picture.
	Thumbnails Thumbnails `json:"thumbnails"`
	// VOD is the packaging of room-vod.
	VOD VOD `json:"vod"`
}

// Composition is the canvas and layout of a legacy composite (layouts.md).
type Composition struct {
	// Layout is auto (default), grid, sidebar, spotlight, single, pip or regions.
	Layout string `json:"layout"`
	// Width of the canvas in pixels, even; default 1280.
	Width int `json:"width"`
	// Height of the canvas in pixels, even; default 720. The short side is 144 to
	// 1920, the long side at most 3840.
	Height int `json:"height"`
	// FPS is frames per second, 1 to 60, or "auto" (AutoFPS); default 30.
	FPS FrameRate `json:"fps"`
	// Roles are the roles that are seen and heard; empty means all.
	Roles []string `json:"roles,omitempty"`
	// Background is the colour behind the tiles as #rrggbb; default #000000.
	Background string `json:"background"`
	// Names says whether tiles carry the peer's name; default true.
	Names bool `json:"names"`
	// Regions are the rectangles of the layout "regions".
	Regions []Region `json:"regions,omitempty"`
}

// FrameRate is a number of frames per second, or AutoFPS.
type FrameRate int

// AutoFPS stands for the lowest usual rate that no visible camera exceeds; "auto" in JSON.
const AutoFPS FrameRate = -1

// UnmarshalJSON reads a whole number or "auto".
func (f *FrameRate) UnmarshalJSON(data []byte) error {
	if string(data) == `"auto"` {
		*f = AutoFPS
		return nil
	}
	return json.Unmarshal(data, (*int)(f))
}

// MarshalJSON writes what UnmarshalJSON reads.
func (f FrameRate) MarshalJSON() ([]byte, error) {
	if f == AutoFPS {
		return []byte(`"auto"`), nil
	}
	return json.Marshal(int(f))
}

// Region is one rectangle of the layout "regions": pixels on the canvas, even.
type Region struct {
	// X is the left edge.
	X int `json:"x"`
	// Y is the upper edge.
	Y int `json:"y"`
	// Width in pixels.
	Width int `json:"width"`
	// Height in pixels.
	Height int `json:"height"`
	// Z is the stacking order, higher in front.
	Z int `json:"z"`
	// Show is peer:ID, role:NAME, screen, speaker or rest.
	Show string `json:"show"`
}

// Thumbnails says which stills to take.
type Thumbnails struct {
	// Enabled says whether there are any; default true.
	Enabled bool `json:"enabled"`
	// Width of the still in pixels; default 1280.
	Width int `json:"width"`
	// Height of the still in pixels; default 720.
	Height int `json:"height"`
	// Offsets are the times from the asset's beginning; default one at 2 s.
	Offsets []Seconds `json:"offsets"`
}

// How the segments of a room-vod are stored.
const (
	// SegmentsSeparate stores each segment as a file.
	SegmentsSeparate = "separate"
	// SegmentsSingleFile stores all segments of a track in one file, of which playlists name byte ranges.
	SegmentsSingleFile = "single-file"
)

// VOD says how a room-vod is stored, and which layers it has.
type VOD struct {
	// Zip stores the package as one zip archive instead of a folder; default false.
	Zip bool `json:"zip"`
	// Segments is SegmentsSeparate (default) or SegmentsSingleFile.
	Segments string `json:"segments,omitempty"`
	// Ladder lists the heights, in pixels, of the layers that are encoded beside the recording's own, of those that are
	// lower; beam and sfu only, empty for none.
	Ladder []int `json:"ladder,omitempty"`
}

package capture

import "path"

// Layer is one rendition of a live stream.
type Layer struct {
	// Name is the layer's name, such as "720p".
	Name string `json:"name"`
	// Width in pixels; 0 unknown, the media decides.
	Width int `json:"width,omitempty"`
	// Height in pixels; 0 unknown, the media decides.
	Height int `json:"height,omitempty"`
	// Bandwidth in bit/s as the live multivariant playlist declared it (BANDWIDTH).
	Bandwidth int64 `json:"bandwidth,omitempty"`
	// Playlist is the path of the live playlist as last seen; it may be missing
	// or rolled over.
	Playlist string `json:"playlist,omitempty"`
	// Segments is the recorder's log of every segment; wins over the playlist.
	Segments []Segment `json:"segments,omitempty"`
}

// Segment is one media segment of a layer.
type Segment struct {
	// Path is relative to the manifest.
	Path string `json:"path"`
	// URI is the name in the live playlist; it is compared, never opened.
	URI string `json:"uri,omitempty"`
	// Map is the init segment (EXT-X-MAP), relative to the segment's folder;
	// empty for MPEG-TS. MapPath gives it relative to the manifest.
	Map string `json:"map,omitempty"`
	// ProgramDateTime is the wall time of the first sample
	// (EXT-X-PROGRAM-DATE-TIME); zero unknown.
	ProgramDateTime Time `json:"program_date_time,omitzero"`
	// Duration as the playlist says (EXTINF); zero unknown.
	Duration Seconds `json:"duration,omitzero"`
	// Discontinuity says that timestamps start afresh with this segment
	// (EXT-X-DISCONTINUITY).
	Discontinuity bool `json:"discontinuity,omitempty"`
}

// MapPath returns the init segment's path relative to the manifest, or "" when
// the segment has none.
func (s *Segment) MapPath() string {
	if s.Map == "" {
		return ""
	}
	return path.Join(path.Dir(s.Path), s.Map)
}

package capture

import (
	"errors"
	"io/fs"
	"path"
	"slices"
)

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

// maxBeside bounds how many files of a folder are looked at.
const maxBeside = 1_000_000

// Beside lists the regular files in the folder of a file of the capture, as paths relative to the manifest, sorted. The
// file itself need not be there. A folder that is not there has none. Names that CheckPath refuses are left out.
func (c *Capture) Beside(name string) (names []string, err error) {
	if err := c.checkName(name); err != nil {
		return nil, err
	}
	folder := path.Dir(name)
	d, err := c.root.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, c.fileError(name, err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	entries, err := d.ReadDir(maxBeside)
	if err != nil && len(entries) == 0 && !errors.Is(err, fs.ErrNotExist) {
		entries = nil // the end of an empty folder, or no folder
	}
	for _, e := range entries {
		if n := path.Join(folder, e.Name()); e.Type().IsRegular() && CheckPath(n) == "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names, nil
}

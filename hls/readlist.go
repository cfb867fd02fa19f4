package hls

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxListSegments = 1_000_000

// ReadPlaylist lists the segments of a media playlist (RFC 8216) that was stored
// under the given name; theirs are relative to its folder. URIs that lead outside of
// the dump or to another place are left out, as is what is not understood. Wall
// times are carried on by the durations up to the next discontinuity.
func ReadPlaylist(name string, data []byte) ([]Segment, error) {
	if !bytes.HasPrefix(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), []byte("#EXTM3U")) {
		return nil, &InputError{What: "playlist " + strconv.Quote(name), Reason: "it does not begin with #EXTM3U"}
	}
	r := listReader{dir: path.Dir(name), ends: make(map[string]int64)}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch tag, value, _ := strings.Cut(line, ":"); {
		case line == "":
		case !strings.HasPrefix(line, "#"):
			if len(r.out) == maxListSegments {
				return nil, &InputError{What: "playlist " + strconv.Quote(name), Reason: "it has more than a million segments"}
			}
			r.uri(line)
		case tag == "#EXT-X-STREAM-INF":
			return nil, &InputError{What: "playlist " + strconv.Quote(name), Reason: "it is a multivariant playlist"}
		default:
			r.tag(tag, value)
		}
	}
	return r.out, nil
}

// listReader collects the tags in front of a URI.
type listReader struct {
	dir  string
	next Segment
	rng  string
	out  []Segment
	ends map[string]int64 // where the last byte range of a file ended
	wall time.Time        // of the next segment, as far as known

	mapName              string
	mapOffset, mapLength int64
}

func (r *listReader) tag(tag, value string) {
	switch tag {
	case "#EXTINF":
		value, _, _ = strings.Cut(value, ",")
		if s, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && s > 0 && s < 1e6 {
			r.next.Duration = time.Duration(s * float64(time.Second))
		}
	case "#EXT-X-BYTERANGE":
		r.rng = value
	case "#EXT-X-DISCONTINUITY":
		r.next.Discontinuity = true
		r.wall = time.Time{}
	case "#EXT-X-GAP":
		r.next.Gap = true
	case "#EXT-X-PROGRAM-DATE-TIME":
		if t, ok := parseWall(value); ok {
			r.wall = t
		}
	case "#EXT-X-MAP":
		r.mapName, r.mapOffset, r.mapLength = "", 0, 0
		if name, ok := r.resolve(attribute(value, "URI")); ok {
			length, offset, hasOffset := parseRange(attribute(value, "BYTERANGE"))
			if !hasOffset {
				offset = 0
			}
			r.mapName, r.mapOffset, r.mapLength = name, offset, length
		}
	}
}

func (r *listReader) uri(line string) {
	s := r.next
	r.next = Segment{}
	s.WallTime = r.wall
	if !r.wall.IsZero() {
		r.wall = r.wall.Add(s.Duration)
	}
	if s.Duration == 0 {
		r.wall = time.Time{}
	}
	rng := r.rng
	r.rng = ""
	name, ok := r.resolve(line)
	if !ok {
		return
	}
	s.Name = name
	if rng != "" {
		length, offset, hasOffset := parseRange(rng)
		if length <= 0 {
			return
		}
		if !hasOffset {
			offset = r.ends[name]
		}
		s.Offset, s.Length = offset, length
		r.ends[name] = offset + length
	}
	s.Map, s.MapOffset, s.MapLength = r.mapName, r.mapOffset, r.mapLength
	r.out = append(r.out, s)
}

// resolve turns a URI into a name in the dump. A query is no part of it.
func (r *listReader) resolve(uri string) (string, bool) {
	uri, _, _ = strings.Cut(uri, "?")
	uri, _, _ = strings.Cut(uri, "#")
	if uri == "" || strings.Contains(uri, "://") || strings.HasPrefix(uri, "/") || strings.ContainsAny(uri, "\\\x00") {
		return "", false
	}
	name := path.Join(r.dir, uri)
	if name == ".." || strings.HasPrefix(name, "../") || strings.HasPrefix(name, "/") {
		return "", false
	}
	return name, true
}

// attribute is an attribute's value without quotes, empty when it is not there (RFC 8216, 4.2).
func attribute(list, name string) string {
	for list != "" {
		key, rest, ok := strings.Cut(list, "=")
		if !ok {
			return ""
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest, _ = strings.Cut(rest[1:], `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		if strings.TrimSpace(key) == name {
			return value
		}
		list = rest
	}
	return ""
}

// parseRange reads "length[@offset]".
func parseRange(s string) (length, offset int64, hasOffset bool) {
	a, b, hasOffset := strings.Cut(strings.TrimSpace(s), "@")
	length, err := strconv.ParseInt(a, 10, 62)
	if err != nil || length < 0 {
		return 0, 0, false
	}
	if hasOffset {
		if offset, err = strconv.ParseInt(b, 10, 62); err != nil || offset < 0 {
			return 0, 0, false
		}
	}
	return length, offset, hasOffset
}

// parseWall reads a date in the forms that packagers write.
func parseWall(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil && t.Year() > 1970 && t.Year() < 9999 {
			return t, true
		}
	}
	return time.Time{}, false
}

// FromNames makes the segments of a layer out of nothing but the names of the files
// in its folder: media files in natural order, each with the init segment among
// them. A file is taken for an init segment when its name says so.
func FromNames(names []string) []Segment {
	var out []Segment
	initName := ""
	sorted := slices.Clone(names)
	slices.SortFunc(sorted, func(a, b string) int { return compareNames(splitName(a), splitName(b)) })
	for _, n := range sorted {
		switch ext := strings.ToLower(path.Ext(n)); {
		case strings.Contains(strings.ToLower(path.Base(n)), "init") && (ext == ".mp4" || ext == ".m4s" || ext == ".m4v" || ext == ".m4a" || ext == ".cmfv" || ext == ".cmfa"):
			if initName == "" {
				initName = n
			}
		case slices.Contains([]string{".ts", ".m4s", ".mp4", ".m4v", ".m4a", ".m4f", ".cmfv", ".cmfa", ".aac"}, ext):
			out = append(out, Segment{Name: n})
		}
	}
	for i := range out {
		if !strings.HasSuffix(strings.ToLower(out[i].Name), ".ts") {
			out[i].Map = initName
		}
	}
	return out
}

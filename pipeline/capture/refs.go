package capture

import (
	"fmt"
	"iter"
)

// ref is one place of the manifest that names a file.
type ref struct {
	field string // the manifest field, such as tracks[0].files[1].path
	path  string // relative to the manifest
	track string // track id or layer name, for defects
	may   bool   // the file may be absent without a defect
}

// refs yields every file that the manifest names, in its order. It is the one
// list of them: what is not here is neither checked nor part of the Key.
func (m *Manifest) refs() iter.Seq[ref] {
	return func(yield func(ref) bool) {
		_ = fileRefs("files", "", m.Files, yield) && m.trackRefs(yield) && m.layerRefs(yield)
	}
}

// Paths yields the path of every file that the manifest names, relative to the
// manifest and in its order; one that is named twice comes twice.
func (m *Manifest) Paths() iter.Seq[string] {
	return func(yield func(string) bool) {
		for r := range m.refs() {
			if !yield(r.path) {
				return
			}
		}
	}
}

func (m *Manifest) trackRefs(yield func(ref) bool) bool {
	for i := range m.Tracks {
		t := &m.Tracks[i]
		if !fileRefs(fmt.Sprintf("tracks[%d].files", i), t.ID, t.Files, yield) {
			return false
		}
	}
	return true
}

func fileRefs(list, track string, files []File, yield func(ref) bool) bool {
	for i := range files {
		f := &files[i]
		if !yield(ref{field: fmt.Sprintf("%s[%d].path", list, i), path: f.Path, track: track}) {
			return false
		}
		if f.Frames != "" && !yield(ref{field: fmt.Sprintf("%s[%d].frames", list, i), path: f.Frames, track: track}) {
			return false
		}
	}
	return true
}

func (m *Manifest) layerRefs(yield func(ref) bool) bool {
	for i := range m.Layers {
		l := &m.Layers[i]
		// A live playlist is expected to be gone when the segments are logged.
		if l.Playlist != "" && !yield(ref{field: fmt.Sprintf("layers[%d].playlist", i),
			path: l.Playlist, track: l.Name, may: len(l.Segments) > 0}) {
			return false
		}
		for j := range l.Segments {
			s := &l.Segments[j]
			if !yield(ref{field: fmt.Sprintf("layers[%d].segments[%d].path", i, j), path: s.Path, track: l.Name}) {
				return false
			}
			if s.Map != "" && !yield(ref{field: fmt.Sprintf("layers[%d].segments[%d].map", i, j), path: s.MapPath(), track: l.Name}) {
				return false
			}
		}
	}
	return true
}

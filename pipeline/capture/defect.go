package capture

import "fmt"

// DefectKind names a class of defect; the values are stable, they are written to
// metadata.defects of assets.
type DefectKind string

// The defects that opening a capture can find. Readers of dump formats add their
// own kinds beside these.
const (
	// DefectMissingFile is a listed file that does not exist.
	DefectMissingFile DefectKind = "missing-file"
	// DefectEmptyFile is a listed file of zero bytes.
	DefectEmptyFile DefectKind = "empty-file"
	// DefectUnreadableFile is a listed file that is a folder, a device, or may
	// not be read.
	DefectUnreadableFile DefectKind = "unreadable-file"
	// DefectMissingField is a field that was derived because it was absent.
	DefectMissingField DefectKind = "missing-field"
	// DefectUnknownFormat is a file whose format no reader knows.
	DefectUnknownFormat DefectKind = "unknown-format"
	// DefectUnknownPeer is a track whose peer is not in the list of peers.
	DefectUnknownPeer DefectKind = "unknown-peer"
	// DefectTruncated is a file with a torn end.
	DefectTruncated DefectKind = "truncated"
	// DefectTimestamps is a file whose own timestamps are wrong and were corrected.
	DefectTimestamps DefectKind = "timestamps"
	// DefectNoFiles is a track or layer that lists no file at all.
	DefectNoFiles DefectKind = "no-files"
	// DefectBadTime is a time that was left out of account because it cannot be
	// right (not a time, or an end before its beginning).
	DefectBadTime DefectKind = "bad-time"
	// DefectPauseOutside is a pause that reached beyond the session and was
	// clipped to it or dropped.
	DefectPauseOutside DefectKind = "pause-outside-session"
	// DefectNoTimestamps is an Annex B file without its frames file: its access
	// units are spread evenly.
	DefectNoTimestamps DefectKind = "no-timestamps"
)

// Defect is something wrong with a capture that does not stop it from being
// processed.
type Defect struct {
	// Kind is the class of defect.
	Kind DefectKind `json:"kind"`
	// Detail is one sentence for a person, naming the field where there is one.
	Detail string `json:"detail"`
	// File is the path inside the capture, if the defect is about one file.
	File string `json:"file,omitempty"`
	// Track is the id of the track, or the name of the live-stream layer, that is
	// affected; empty when all of the capture is.
	Track string `json:"track,omitempty"`
}

// String returns the defect as one line.
func (d Defect) String() string { return fmt.Sprintf("%s: %s", d.Kind, d.Detail) }

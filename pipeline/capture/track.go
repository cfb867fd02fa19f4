package capture

import (
	"path"
	"strings"
)

// Kind is the kind of media of a track.
type Kind string

// The kinds of tracks.
const (
	// KindAudio is a sound track.
	KindAudio Kind = "audio"
	// KindVideo is a picture track.
	KindVideo Kind = "video"
)

// SourceScreen is the Track.Source of a shared screen and its sound; every other
// value is treated as a camera or microphone.
const SourceScreen = "screen"

// sourceRegular is the Track.Source of cameras and microphones.
const sourceRegular = "regular"

// Track is one media track that an SFU received.
type Track struct {
	// ID is the track's id, unique in the capture.
	ID string `json:"id"`
	// PeerID is the peer that sent it.
	PeerID string `json:"peer_id"`
	// StreamID groups the tracks that belong together (camera with microphone).
	// When the recorder gives none it is PeerID with "-screen" or "-regular".
	StreamID string `json:"stream_id"`
	// Kind is audio or video.
	Kind Kind `json:"kind"`
	// Source is "regular", "screen" or a name of the customer's.
	Source string `json:"source"`
	// Codec is the codec's name as the recorder wrote it: VP8, VP9, H264, AV1,
	// OPUS, PCMU, PCMA; empty when it did not.
	Codec string `json:"codec,omitempty"`
	// ClockRate is the RTP clock in ticks per second; filled in from Codec and
	// Kind when missing.
	ClockRate int `json:"clock_rate"`
	// Files are the dump files in time order.
	Files []File `json:"files,omitempty"`
	// Muted are the intervals in which the sender was muted.
	Muted []Interval `json:"muted,omitempty"`
}

// Screen reports whether the track is part of a screen share.
func (t *Track) Screen() bool { return t.Source == SourceScreen }

// Format names the container or dump format of a file.
type Format string

// The formats of capture.md.
const (
	// FormatIVF is IVF as Pion writes it.
	FormatIVF Format = "ivf"
	// FormatOgg is Opus in Ogg.
	FormatOgg Format = "ogg"
	// FormatH264 is an H.264 elementary stream (Annex B).
	FormatH264 Format = "h264"
	// FormatWebM is WebM.
	FormatWebM Format = "webm"
	// FormatMKV is Matroska.
	FormatMKV Format = "mkv"
	// FormatMP4 is MP4, fragmented or not.
	FormatMP4 Format = "mp4"
	// FormatTS is an MPEG transport stream.
	FormatTS Format = "ts"
	// FormatFLV is Flash video (beam only).
	FormatFLV Format = "flv"
	// FormatRTPDump is rtpplay's dump of RTP and RTCP packets.
	FormatRTPDump Format = "rtpdump"
	// FormatMJR is the recording of the Janus server.
	FormatMJR Format = "mjr"
)

// formatOfExt returns the format that a file's extension stands for, or "".
func formatOfExt(name string) Format {
	switch ext := strings.ToLower(strings.TrimPrefix(path.Ext(name), ".")); ext {
	case "ivf", "ogg", "h264", "webm", "mkv", "mp4", "ts", "flv", "rtpdump", "mjr":
		return Format(ext)
	case "opus", "oga":
		return FormatOgg
	case "264", "avc":
		return FormatH264
	case "m4s", "m4v", "m4a", "mov", "cmfv", "cmfa":
		return FormatMP4
	case "m2ts", "mts":
		return FormatTS
	case "rtp":
		return FormatRTPDump
	}
	return ""
}

// known reports whether the format is one of the constants.
func (f Format) known() bool { return f != "" && formatOfExt("x."+string(f)) == f }

// arrivalTimed reports whether the dump carries its own arrival times.
func (f Format) arrivalTimed() bool { return f == FormatRTPDump || f == FormatMJR }

// File is one raw file: a part of a beam recording, or a dump file of a track.
type File struct {
	// Path is relative to the manifest, with '/', inside the capture.
	Path string `json:"path"`
	// Format is the container; taken from the extension when not given, empty
	// when that says nothing either (a beam's media is probed anyway).
	Format Format `json:"format,omitempty"`
	// StartedAt is the wall time of the file's first packet. Zero: for the first
	// file the session's start, for a later beam part the end of the one before.
	StartedAt Time `json:"started_at,omitzero"`
	// EndedAt is the wall time of the last packet; zero when unknown.
	EndedAt Time `json:"ended_at,omitzero"`
	// FirstRTP is the RTP timestamp of the first packet where the container lost
	// it; nil when unknown.
	FirstRTP *uint32 `json:"first_rtp,omitempty"`
	// Width of the first frame in pixels; 0 unknown, the media decides.
	Width int `json:"width,omitempty"`
	// Height of the first frame in pixels; 0 unknown, the media decides.
	Height int `json:"height,omitempty"`
	// SenderReports are the RTCP sender reports in the order of arrival.
	SenderReports []SenderReport `json:"sender_reports,omitempty"`
	// Frames is the path of the list "rtp_timestamp byte_length" per access unit
	// beside an h264 file; empty when there is none.
	Frames string `json:"frames,omitempty"`
}

// SenderReport pairs a track's RTP clock with its sender's wall clock (RFC 3550,
// section 6.4.1).
type SenderReport struct {
	// RTP is the RTP timestamp.
	RTP uint32 `json:"rtp"`
	// NTP is the sender's wall clock at RTP; it may be hours off.
	NTP Time `json:"ntp,omitzero"`
	// ReceivedAt is the recorder's clock when the report arrived; zero unknown.
	ReceivedAt Time `json:"received_at,omitzero"`
}

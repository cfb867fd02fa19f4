package capture

import (
	"io"
	"time"
)

// Unit is one access unit of a track: a picture, or one packet of sound. Its bytes have the codec's elementary
// form: a VP8 or VP9 frame, H.264 in Annex B with start codes, an AV1 temporal unit of OBUs that have size
// fields and without its temporal delimiter, an Opus packet, G.711 bytes, a raw AAC frame.
type Unit struct {
	// Data is good until the next call of the reader that gave it.
	Data []byte
	// Ticks is the unit's media time in ticks of the track's clock rate. In RTP formats (rtpdump, mjr) it is the
	// RTP timestamp, unwrapped, less that of the file's first packet; elsewhere the file's own timestamp less the
	// first one. It is in the order of decoding and may run backwards where the sender reorders pictures.
	Ticks int64
	// Duration is how many ticks of sound the unit holds; 0 for pictures and where it is not known.
	Duration int64
	// Arrival is when the unit's last packet came, from the file's first packet on; negative where the format
	// does not tell.
	Arrival time.Duration
	// Key says that decoding can begin here.
	Key bool
	// Lost is how many packets are known to be missing between the unit before and this one.
	Lost int
	// Damaged says that packets of the unit itself are missing.
	Damaged bool
	// Width and Height are the picture's size in pixels, of a key frame whose header tells; else 0.
	Width, Height int
}

// UnitReader gives the access units of one file in the order of decoding. It holds a bounded part of the file in
// memory. It serves one goroutine at a time.
type UnitReader interface {
	// Next gives the next unit, io.EOF after the last. What is torn or foreign at the end of a file is no error:
	// it ends the file and is counted in Stats. An *InputError says that the file is not what it should be.
	Next() (*Unit, error)
	// Stats tells what was met so far.
	Stats() ReadStats
	// Close frees what the reader holds; it does not close the file.
	Close() error
}

// ReadStats is what a reader met in its file.
type ReadStats struct {
	// Packets are RTP packets or container frames that were read.
	Packets int
	// Lost are RTP packets that never came.
	Lost int
	// Duplicates are RTP packets that came again and were dropped.
	Duplicates int
	// Reordered are RTP packets that came late but within the window.
	Reordered int
	// Late are RTP packets that came after the window and were dropped.
	Late int
	// PaddingOnly are RTP packets without payload.
	PaddingOnly int
	// SourceChanges counts changes of the SSRC.
	SourceChanges int
	// FirstRTP is the RTP timestamp of the first packet; nil where the format has none or rewrites it (mjr).
	FirstRTP *uint32
	// FirstWall is the wall time of the first packet as the file itself says (mjr's header, rtpdump's header);
	// zero when it does not.
	FirstWall time.Time
	// Reports are the sender reports inside the file (rtpdump), by Ticks of this file's time.
	Reports []ReportPoint
	// TornBytes is what was left at the end of the file and could not be used.
	TornBytes int64
	// Defects are what else was wrong, a line each; File and Track are filled in by the caller.
	Defects []Defect
}

// ReportPoint is one RTCP sender report: at NTP, the sender's wall clock, its RTP clock stood at Ticks.
type ReportPoint struct {
	Ticks int64
	NTP   time.Time
	// ReceivedAt is when it came, by the recorder's clock; zero when unknown.
	ReceivedAt time.Time
}

// FileReader is what a reader reads from; *os.File is one.
type FileReader interface {
	io.Reader
	io.ReaderAt
	io.Seeker
}

// ReaderConfig tells a reader what the manifest knows of its file.
type ReaderConfig struct {
	// Name is the file's path, for messages.
	Name string
	// Kind is audio or video.
	Kind Kind
	// Codec is the manifest's name in upper case: VP8, VP9, H264, AV1, OPUS, PCMU, PCMA, AAC.
	Codec string
	// ClockRate is the ticks per second of Unit.Ticks.
	ClockRate int
	// Size is the file's size in bytes.
	Size int64
	// Frames is the open frames list beside an h264 file, or nil.
	Frames io.Reader
	// Length is about how long the file lasts, for formats without timestamps; 0 = unknown.
	Length time.Duration

	point []byte // the resume point to go on at; nil begins at the first unit
}

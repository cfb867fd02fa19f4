package stage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// Inspection is what is in a capture, for people and (as JSON) for programs. All times are milliseconds.
type Inspection struct {
	Capture    string            `json:"capture"`
	Source     string            `json:"source"`
	RoomID     string            `json:"room_id"`
	SessionID  string            `json:"session_id"`
	StartedAt  time.Time         `json:"started_at,omitzero"`
	StoppedAt  time.Time         `json:"stopped_at,omitzero"`
	DurationMS int64             `json:"duration_ms"` // from the first packet of the first file to the end of the last
	PausedMS   int64             `json:"paused_ms"`
	Files      []FileInspection  `json:"files,omitzero"`  // of a beam capture
	Peers      []PeerInspection  `json:"peers,omitzero"`  // of an sfu capture
	Tracks     []TrackInspection `json:"tracks,omitzero"` // of an sfu capture
	Defects    []catalog.Defect  `json:"defects"`         // of an sfu capture those that are no track's own
}

// FileInspection is what is in one file.
type FileInspection struct {
	Path       string             `json:"path"`
	Bytes      int64              `json:"bytes"`
	Format     string             `json:"format,omitempty"`
	OffsetMS   int64              `json:"offset_ms"` // of its first packet in the session
	DurationMS int64              `json:"duration_ms"`
	Streams    []StreamInspection `json:"streams"`
	Error      string             `json:"error,omitempty"` // why nothing is known of it
}

// StreamInspection is what is in one stream of a file.
type StreamInspection struct {
	transcode.StreamInfo
	StartMS int64            `json:"start_ms"`
	EndMS   int64            `json:"end_ms"`
	Sizes   []SizeInspection `json:"sizes,omitempty"`
	Gaps    []GapInspection  `json:"gaps,omitempty"`
}

// SizeInspection is a picture size and when it begins.
type SizeInspection struct {
	AtMS   int64 `json:"at_ms"`
	Width  int   `json:"width"`
	Height int   `json:"height"`
}

// GapInspection is a stretch in which a stream has nothing.
type GapInspection struct {
	FromMS int64 `json:"from_ms"`
	ToMS   int64 `json:"to_ms"`
}

// Inspect reads all files of an open beam or sfu capture from end to end and writes nothing. A file or track that
// cannot be read is described by its error; the error returned is for trouble of the machine, for a capture of which
// not one file can be read, and (a *capture.InputError) for a source that this version does not know to read.
func Inspect(ctx context.Context, c *capture.Capture) (Inspection, error) {
	m := c.Manifest
	in := Inspection{Capture: c.Name, Source: string(m.Source), RoomID: m.RoomID, SessionID: m.SessionID, StartedAt: m.StartedAt.Time, StoppedAt: m.StoppedAt.Time,
		PausedMS: c.Session.PausedTotal().Milliseconds(), Defects: captureDefects(c.Defects)}
	switch m.Source {
	case capture.SourceBeam:
		return inspectFiles(ctx, c, in)
	case capture.SourceSFU:
		return inspectTracks(ctx, c, in)
	}
	return in, &capture.InputError{Field: "source", File: c.Name, Reason: fmt.Sprintf("%q captures cannot be read by this version; nothing is made of them yet", m.Source), Hint: "use a beam or an sfu capture"}
}

// inspectFiles reads the parts of a beam capture.
func inspectFiles(ctx context.Context, c *capture.Capture, in Inspection) (Inspection, error) {
	m := c.Manifest
	in.Files = []FileInspection{}
	var firstErr error
	read := 0
	end := time.Duration(0)
	for i := range m.Files {
		f := &m.Files[i]
		offset := partStart(c, f, i)
		if i > 0 && f.StartedAt.IsZero() {
			offset = end
		}
		info, size, err := scanFile(ctx, c, f.Path)
		fi := FileInspection{Path: f.Path, Bytes: size, Format: info.Format, OffsetMS: offset.Milliseconds(), DurationMS: info.Duration.Milliseconds(), Streams: []StreamInspection{}}
		if err != nil {
			if pipeline.KindOf(err) != pipeline.KindBadInput {
				return in, err
			}
			fi.Error = strings.TrimPrefix(oneLine(err), c.Name+": ")
			firstErr = errors.Join(firstErr, withHint(err))
		} else {
			read++
			end = offset + info.Duration
			in.DurationMS = max(in.DurationMS, end.Milliseconds())
		}
		for _, s := range info.Streams {
			fi.Streams = append(fi.Streams, inspectStream(s))
		}
		in.Defects = append(in.Defects, mediaDefects(info.Defects)...)
		in.Files = append(in.Files, fi)
	}
	if read == 0 && firstErr != nil {
		return in, firstErr
	}
	return in, nil
}

func scanFile(ctx context.Context, c *capture.Capture, path string) (info transcode.Info, size int64, err error) {
	src, f, err := openMedia(c, path)
	if err != nil {
		return info, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err = transcode.Scan(ctx, src, true)
	return info, src.Size, err
}

func inspectStream(s transcode.StreamInfo) StreamInspection {
	si := StreamInspection{StreamInfo: s, StartMS: s.Start.Milliseconds(), EndMS: s.End.Milliseconds()}
	for _, c := range s.Sizes {
		si.Sizes = append(si.Sizes, SizeInspection{AtMS: c.At.Milliseconds(), Width: c.Width, Height: c.Height})
	}
	for _, g := range s.Gaps {
		si.Gaps = append(si.Gaps, GapInspection{FromMS: g.From.Milliseconds(), ToMS: g.To.Milliseconds()})
	}
	return si
}

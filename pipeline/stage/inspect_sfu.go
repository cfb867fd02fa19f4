package stage

import (
	"context"
	"slices"
	"time"

	"rushes/catalog"
	"rushes/pipeline/capture"
)

// PeerInspection is a person in the room, with all stays under one id, and what it did when. A peer that only tracks
// name has none of the texts and stays as long as its tracks last.
type PeerInspection struct {
	ID       string          `json:"id"`
	UserID   string          `json:"user_id,omitempty"`
	Name     string          `json:"name,omitempty"`
	Role     string          `json:"role,omitempty"`
	Stays    []GapInspection `json:"stays"`
	Camera   []GapInspection `json:"camera"`   // pictures came, and the manifest does not say muted
	Muted    []GapInspection `json:"muted"`    // its microphone, by the manifest
	Speaking []GapInspection `json:"speaking"` // by the active-speaker events, while there and not muted
	Screen   []GapInspection `json:"screen"`   // it shared its screen
}

// TrackInspection is what is in one track of an sfu capture. Times are milliseconds of the session.
type TrackInspection struct {
	ID            string                `json:"id"`
	PeerID        string                `json:"peer_id"`
	StreamID      string                `json:"stream_id"`
	Kind          string                `json:"kind"`   // audio or video
	Source        string                `json:"source"` // regular, screen or a name of the customer's
	Codec         string                `json:"codec"`
	ClockRate     int                   `json:"clock_rate"`
	Error         string                `json:"error,omitempty"` // why nothing in it can be played
	Files         []TrackFileInspection `json:"files"`
	BeginMS       int64                 `json:"begin_ms"`
	EndMS         int64                 `json:"end_ms"`
	DurationMS    int64                 `json:"duration_ms"`
	Sizes         []SizeInspection      `json:"sizes"` // the first, and every change that a key frame told
	Units         int                   `json:"units"` // frames, or packets of sound
	Bytes         int64                 `json:"bytes"` // of all units
	KeyFrames     int                   `json:"key_frames"`
	Damaged       int                   `json:"damaged"` // units that lack packets
	Packets       int                   `json:"packets"` // of RTP, or frames of a container
	Lost          int                   `json:"lost"`
	Duplicates    int                   `json:"duplicates"`
	Reordered     int                   `json:"reordered"`
	Late          int                   `json:"late"` // too late to be put in order
	Gaps          []GapInspection       `json:"gaps"`
	Muted         []GapInspection       `json:"muted"`   // by the manifest
	Mapping       string                `json:"mapping"` // what laid it on the session clock: sender-reports, file or arrival
	Pieces        []PieceInspection     `json:"pieces"`
	Points        int                   `json:"points"`   // sender reports or arrival windows that the mapping was made of
	Rejected      int                   `json:"rejected"` // of them left out
	ResidualMS    float64               `json:"residual_ms"`
	DriftPPM      float64               `json:"drift_ppm"`
	ClockOffsetMS float64               `json:"clock_offset_ms"` // added to the sender's wall clock
	Defects       []catalog.Defect      `json:"defects"`
}

// TrackFileInspection is a file of a track. Its times are those of its first unit and of its last one's end.
type TrackFileInspection struct {
	Path    string `json:"path"`
	Format  string `json:"format"`
	Units   int    `json:"units"`
	BeginMS int64  `json:"begin_ms"`
	EndMS   int64  `json:"end_ms"`
}

// PieceInspection is a stretch of a track on which its clock and the session's run together.
type PieceInspection struct {
	FromTicks int64   `json:"from_ticks"`
	AtMS      float64 `json:"at_ms"`
	PPM       float64 `json:"ppm"`
}

// inspectTracks reads all tracks of an sfu capture.
func inspectTracks(ctx context.Context, c *capture.Capture, in Inspection) (Inspection, error) {
	ix, err := capture.BuildIndex(ctx, c)
	if err != nil {
		return in, err
	}
	in.Tracks, in.Peers = []TrackInspection{}, []PeerInspection{}
	in.Defects = captureDefects(slices.DeleteFunc(slices.Clone(c.Defects), func(d capture.Defect) bool { return d.Track != "" }))
	var end time.Duration
	for _, t := range ix.Tracks {
		in.Tracks = append(in.Tracks, inspectTrack(c, t))
		end = max(end, t.End)
	}
	in.DurationMS = end.Milliseconds()
	if length, known := c.Session.Length(); known {
		end = length
	}
	in.Peers = inspectPeers(c, ix, end)
	for _, t := range ix.Tracks {
		if t.Units > 0 {
			return in, nil
		}
	}
	if len(ix.Tracks) > 0 {
		return in, nothingIn(ix.Tracks[0])
	}
	return in, nil
}

func inspectTrack(c *capture.Capture, t *capture.TrackIndex) TrackInspection {
	track, sync := t.Track, newSyncReport(t, nil, 0)
	in := TrackInspection{ID: track.ID, PeerID: track.PeerID, StreamID: track.StreamID, Kind: string(track.Kind), Source: track.Source,
		Codec: track.Codec, ClockRate: track.ClockRate, Files: []TrackFileInspection{}, Sizes: []SizeInspection{}, Gaps: spans(t.Gaps),
		BeginMS: sync.BeginMS, EndMS: sync.EndMS, DurationMS: (t.End - t.Begin).Milliseconds(),
		Units: t.Units, Bytes: t.Bytes, KeyFrames: len(t.Keys), Damaged: t.Damaged,
		Packets: t.Stats.Packets, Lost: t.Stats.Lost, Duplicates: t.Stats.Duplicates, Reordered: t.Stats.Reordered, Late: t.Stats.Late,
		Mapping: sync.Mapping, Pieces: []PieceInspection{}, Points: sync.Points, Rejected: sync.Rejected,
		ResidualMS: sync.ResidualMS, DriftPPM: sync.DriftPPM, ClockOffsetMS: sync.ClockOffsetMS, Defects: trackDefects(c, t)}
	if t.Units == 0 {
		in.Error = oneLine(nothingIn(t))
	}
	for _, p := range sync.Pieces {
		in.Pieces = append(in.Pieces, PieceInspection(p))
	}
	for _, s := range t.Sizes {
		in.Sizes = append(in.Sizes, SizeInspection{AtMS: s.At.Milliseconds(), Width: s.Width, Height: s.Height})
	}
	for _, f := range t.Files {
		in.Files = append(in.Files, TrackFileInspection{Path: f.File.Path, Format: string(f.File.Format), Units: f.Units,
			BeginMS: t.Mapping.Session(f.First).Milliseconds(), EndMS: t.Mapping.Session(f.Last).Milliseconds()})
	}
	in.Muted = spans(mutes(c, t))
	return in
}

// mutes are the stretches in which the sender of a track was muted. One without an end lasts as long as the track.
func mutes(c *capture.Capture, t *capture.TrackIndex) []capture.Gap {
	var out []capture.Gap
	for _, m := range t.Track.Muted {
		g := capture.Gap{From: c.Session.Offset(m.From.Time), To: t.End}
		if !m.To.IsZero() {
			g.To = c.Session.Offset(m.To.Time)
		}
		if g.To > g.From {
			out = append(out, g)
		}
	}
	return out
}

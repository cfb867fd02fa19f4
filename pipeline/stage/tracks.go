package stage

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"rushes/catalog"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// tracksOf is tracks that are made into one asset.
type tracksOf []*capture.TrackIndex

// playable gives the tracks of a kind that have something in them, in order of time. Only those of the first
// one's codec: one output track has one decoder.
func (g tracksOf) playable(kind capture.Kind) tracksOf {
	var out tracksOf
	for _, t := range g {
		if t.Units > 0 && t.Track.Kind == kind {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b *capture.TrackIndex) int { return int(a.Begin - b.Begin) })
	return slices.DeleteFunc(out, func(t *capture.TrackIndex) bool { return t.Track.Codec != out[0].Track.Codec })
}

func (g tracksOf) span() (begin, end time.Duration) {
	begin = -1
	for _, t := range g {
		if t.Units > 0 && (begin < 0 || t.Begin < begin) {
			begin = t.Begin
		}
		end = max(end, t.End)
	}
	return max(begin, 0), end
}

// streamType is api.md's stream_type.
func (g tracksOf) streamType() string {
	kind := "audio"
	for _, t := range g {
		if t.Track.Screen() {
			return "screen"
		}
		if t.Track.Kind == capture.KindVideo {
			kind = "regular"
		}
	}
	return kind
}

// trackInput fits the capture's readers to what transcode reads from. Several tracks follow on each other.
func trackInput(c *capture.Capture, g tracksOf) *transcode.TrackInput {
	track := g[0].Track
	in := &transcode.TrackInput{Name: track.ID, Codec: codecNames[track.Codec], Config: g[0].Config}
	if track.Kind == capture.KindVideo {
		in.Width, in.Height = pictureSize(g)
		in.FrameRate = g[0].Rate()
	} else {
		in.SampleRate, in.Channels = track.ClockRate, 1
		for _, t := range g {
			if t.Stereo {
				in.Channels = 2
			}
		}
	}
	in.Open = func() (transcode.Units, error) { return &units{c: c, tracks: g}, nil }
	if len(g) == 1 {
		in.OpenAt = func(unit int) (transcode.Units, error) { return &units{c: c, tracks: g, from: unit}, nil }
	}
	return in
}

// pictureSize is the size that a picture has longest, of those that its key frames tell.
func pictureSize(g tracksOf) (w, h int) {
	lasts := map[[2]int]time.Duration{}
	longest := time.Duration(-1)
	for _, t := range g {
		for i, s := range t.Sizes {
			until := t.End
			if i+1 < len(t.Sizes) {
				until = t.Sizes[i+1].At
			}
			size := [2]int{s.Width, s.Height}
			lasts[size] += until - s.At
			if lasts[size] > longest {
				longest, w, h = lasts[size], s.Width, s.Height
			}
		}
	}
	if w == 0 && len(g[0].Track.Files) > 0 {
		w, h = g[0].Track.Files[0].Width, g[0].Track.Files[0].Height
	}
	if w == 0 {
		w, h = 640, 480
	}
	return w, h
}

// units reads tracks one after the other as transcode.Units.
type units struct {
	c      *capture.Capture
	tracks tracksOf
	next   int
	from   int // number of the first track's unit to begin at
	r      *capture.TrackReader
	unit   transcode.Unit
	fresh  bool // the next unit is the first of its track
}

var _ transcode.Units = (*units)(nil)

// Next gives the next unit of the track at hand, or of the one after it.
func (u *units) Next() (*transcode.Unit, error) {
	for {
		if u.r == nil {
			if u.next >= len(u.tracks) {
				return nil, io.EOF
			}
			u.r = u.c.OpenTrackAt(u.tracks[u.next], u.from)
			u.from = 0
			u.next++
			u.fresh = true
		}
		a, err := u.r.Next()
		if errors.Is(err, io.EOF) {
			if err := u.Close(); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		rate := int64(u.tracks[u.next-1].Mapping.Rate)
		u.unit = transcode.Unit{Data: a.Data, At: a.At, Duration: time.Duration(a.Duration * int64(time.Second) / rate), Key: a.Key, Lost: a.Lost, Damaged: a.Damaged}
		if u.fresh && u.next > 1 {
			u.unit.Lost = max(u.unit.Lost, 1) // nothing of the track before helps to decode this one
		}
		u.fresh = false
		return &u.unit, nil
	}
}

// Close closes the track at hand. It may be called again.
func (u *units) Close() error {
	if u.r == nil {
		return nil
	}
	r := u.r
	u.r = nil
	return r.Close()
}

// syncReport is how a track was laid on the session clock, for metadata.sync. Times are milliseconds of the session.
type syncReport struct {
	TrackID       string         `json:"track_id"`
	Mapping       string         `json:"mapping"`
	Pieces        []syncPiece    `json:"pieces"`
	Points        int            `json:"points"`   // sender reports or arrival windows that it was made of
	Rejected      int            `json:"rejected"` // of them left out
	ResidualMS    float64        `json:"residual_ms"`
	DriftPPM      float64        `json:"drift_ppm"`
	ClockOffsetMS float64        `json:"clock_offset_ms"` // added to the sender's wall clock
	BeginMS       int64          `json:"begin_ms"`
	EndMS         int64          `json:"end_ms"`
	Gaps          []syncGap      `json:"gaps"`
	SilenceMS     int64          `json:"silence_ms"` // put in
	PacketsLost   int            `json:"packets_lost"`
	Duplicates    int            `json:"duplicates"`
	Dropped       map[string]int `json:"dropped"` // units that are not in the asset, by reason
}

type syncPiece struct {
	FromTicks int64   `json:"from_ticks"`
	AtMS      float64 `json:"at_ms"`
	PPM       float64 `json:"ppm"`
}

type syncGap struct {
	FromMS int64 `json:"from_ms"`
	ToMS   int64 `json:"to_ms"`
}

const mostSyncGaps = 200

func newSyncReport(t *capture.TrackIndex, dropped map[string]int, silence time.Duration) syncReport {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	r := syncReport{TrackID: t.Track.ID, Mapping: string(t.Mapping.Kind), Points: t.Mapping.Points, Rejected: t.Mapping.Rejected,
		ResidualMS: ms(t.Mapping.Residual), DriftPPM: t.Drift(), ClockOffsetMS: ms(t.Mapping.ClockOffset),
		BeginMS: t.Begin.Milliseconds(), EndMS: t.End.Milliseconds(), SilenceMS: silence.Milliseconds(),
		PacketsLost: t.Stats.Lost, Duplicates: t.Stats.Duplicates, Dropped: dropped, Gaps: []syncGap{}, Pieces: []syncPiece{}}
	for _, p := range t.Mapping.Pieces {
		r.Pieces = append(r.Pieces, syncPiece{FromTicks: p.From, AtMS: ms(p.At), PPM: float64(int64(p.PPM*10)) / 10})
	}
	for i, g := range t.Gaps {
		if i == mostSyncGaps {
			break
		}
		r.Gaps = append(r.Gaps, syncGap{g.From.Milliseconds(), g.To.Milliseconds()})
	}
	return r
}

func heldCounts(h transcode.Held) map[string]int {
	out := map[string]int{}
	for name, n := range map[string]int{"before-key": h.BeforeKey, "damaged": h.Damaged, "after-loss": h.AfterLoss} {
		if n > 0 {
			out[name] = n
		}
	}
	return out
}

// lossDefects says what of a track could not be shown.
func lossDefects(t *capture.TrackIndex, h transcode.Held) []catalog.Defect {
	var out []catalog.Defect
	add := func(kind, detail string) {
		out = append(out, catalog.Defect{Kind: kind, Detail: detail, Track: t.Track.ID})
	}
	if t.Stats.Lost > 0 {
		add("lost-packets", fmt.Sprintf("%d of %d packets never came", t.Stats.Lost, t.Stats.Lost+t.Stats.Packets))
	}
	if h.BeforeKey > 0 {
		add("no-keyframe", fmt.Sprintf("%d pictures before the first key frame are left out", h.BeforeKey))
	}
	if n := h.Damaged + h.AfterLoss; n > 0 {
		add("undecodable", fmt.Sprintf("%d pictures are damaged or follow a loss; the last good one stays", n))
	}
	return out
}

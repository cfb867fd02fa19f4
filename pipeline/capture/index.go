package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"time"
)

// Index is what a pass over all tracks of an sfu capture has found: how each lies on the session clock, and what
// is in it. It holds no media.
type Index struct {
	Tracks []*TrackIndex // in the manifest's order

	print fingerprint // of the capture as it was
}

// TrackIndex is what is known of one track.
type TrackIndex struct {
	Track   *Track
	Mapping Mapping
	Files   []FileIndex
	Stats   ReadStats // of all its files
	Units   int
	Bytes   int64  // of all units
	Damaged int    // units that lack packets
	Stereo  bool   // a packet of sound has two channels
	Config  []byte // codec configuration of the container, such as an AudioSpecificConfig
	// Begin and End are the session times of the first unit and of the last one's end.
	Begin, End time.Duration
	Keys       []KeyUnit // every unit that decoding can begin at
	Sizes      []SizeAt  // the first picture size and every change that a key frame told
	Gaps       []Gap     // stretches without units: of sound from 40 ms on, of pictures from 1 s on
	Defects    []Defect

	limit time.Duration // units after it are left out

	// What follows is noted while the index is built and gone afterwards.
	mutes    []Gap // in session time
	reports  []report
	arrivals arrivalLog
	holes    []hole
	sizes    []hole // ticks and width<<32|height
	squeezed bool   // timestamps add durations up, so that gaps have vanished from them
}

// FileIndex is what is known of one file of a track.
type FileIndex struct {
	File        *File
	Base        int64 // ticks from the track's first file to this one's zero
	First, Last int64 // ticks of the first unit and of the last one's end, on the track's axis
	Units       int
	// num and den stretch the file's ticks where its header lies about their length.
	num, den int64
	started  time.Duration // of the first packet in the session
	offset   time.Duration // of the first unit on the file's own clock, which its other tracks share
	length   time.Duration // wall time from the first to the last packet, 0 = unknown
	marks    []unitMark    // what the container does not tell of its units, in their order
	points   []resumePoint // where reading can go on in the middle
}

// KeyUnit is a unit that decoding can begin at.
type KeyUnit struct {
	Unit int // its number in the track, from 0
	At   time.Duration
}

// SizeAt says from when on a picture has a size.
type SizeAt struct {
	At            time.Duration
	Width, Height int
}

// Gap is a stretch of the session.
type Gap struct{ From, To time.Duration }

// hole is a stretch of ticks.
type hole struct{ from, to int64 }

const (
	soundHole   = 40 * time.Millisecond
	pictureHole = time.Second
	mostHoles   = 100_000
)

// BuildIndex reads all tracks of an sfu capture once and lays them on the session clock. Files that are missing or
// broken are defects of their tracks; the error is ctx's or the machine's. Encode and DecodeIndex spare another process
// the reading.
func BuildIndex(ctx context.Context, c *Capture, options ...IndexOption) (*Index, error) {
	m := &meter{}
	for _, o := range options {
		o(m)
	}
	print, size, err := c.fingerprint()
	if err != nil {
		return nil, err
	}
	ix := &Index{print: print}
	m.total = size
	for i := range c.Manifest.Tracks {
		t, err := c.indexTrack(ctx, m, &c.Manifest.Tracks[i])
		if err != nil {
			return nil, err
		}
		ix.Tracks = append(ix.Tracks, t)
	}
	ix.shareFiles()
	for _, g := range groups(ix.Tracks) {
		g.align()
	}
	for _, t := range ix.Tracks {
		t.place()
		t.bound(c.believable())
		t.forget()
	}
	return ix, nil
}

// forget drops the notes that the track was placed by.
func (t *TrackIndex) forget() {
	t.mutes, t.reports, t.arrivals, t.holes, t.sizes, t.squeezed = nil, nil, arrivalLog{}, nil, nil, false
}

const (
	sessionSlack   = time.Minute    // by which tracks may outlast the session
	longestSession = 24 * time.Hour // that is believed where nobody says when the session stopped
)

// believable is the session time after which no unit of a track can lie.
func (c *Capture) believable() time.Duration {
	if length, known := c.Session.Length(); known {
		return length + sessionSlack
	}
	return longestSession
}

// bound leaves out what timestamps put so far ahead that it cannot be true: filling the time up to it would take for
// ever. The gap before it tells where the track really ended.
func (t *TrackIndex) bound(limit time.Duration) {
	t.limit = limit
	if t.Units == 0 || t.End <= limit {
		return
	}
	end := min(t.End, limit)
	for i, g := range t.Gaps {
		if g.To > limit {
			end = min(end, g.From)
			t.Gaps = t.Gaps[:i:i]
			break
		}
	}
	for len(t.Keys) > 0 && t.Keys[len(t.Keys)-1].At > limit {
		t.Keys = t.Keys[:len(t.Keys)-1]
	}
	for len(t.Sizes) > 1 && t.Sizes[len(t.Sizes)-1].At > limit {
		t.Sizes = t.Sizes[:len(t.Sizes)-1]
	}
	t.defect(DefectTimestamps, "", fmt.Sprintf("its timestamps go on to %v; what lies after %v is left out", t.End.Round(time.Second), limit.Round(time.Second)))
	t.End = max(end, t.Begin)
}

// shareFiles brings tracks that lie in one file into the file's order: started_at is that of its first packet,
// whichever track that belongs to.
func (ix *Index) shareFiles() {
	first := map[string]time.Duration{}
	for _, t := range ix.Tracks {
		for _, f := range t.Files {
			if least, ok := first[f.File.Path]; !ok || f.offset < least {
				first[f.File.Path] = f.offset
			}
		}
	}
	for _, t := range ix.Tracks {
		for i := range t.Files {
			t.Files[i].started += t.Files[i].offset - first[t.Files[i].File.Path]
		}
	}
}

func (c *Capture) indexTrack(ctx context.Context, m *meter, track *Track) (*TrackIndex, error) {
	t := &TrackIndex{Track: track, Mapping: Mapping{Rate: track.ClockRate}, arrivals: arrivalLog{rate: track.ClockRate}}
	for _, m := range track.Muted {
		from, to := c.Session.Offset(m.From.Time), time.Duration(math.MaxInt64)
		if !m.To.IsZero() {
			to = c.Session.Offset(m.To.Time)
		}
		t.mutes = append(t.mutes, Gap{from, to})
	}
	t.believeCodec()
	for i := range track.Files {
		f := FileIndex{File: &track.Files[i], num: 1, den: 1}
		err := c.indexFile(ctx, m, t, &f)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			if !badFile(err) {
				return nil, err
			}
			t.defect(DefectUnreadableFile, f.File.Path, "the file gives nothing: "+err.Error())
			continue
		}
		t.Files = append(t.Files, f)
	}
	return t, nil
}

// believeCodec takes a track's codec at its word where its kind contradicts it: nobody writes OPUS by mistake.
func (t *TrackIndex) believeCodec() {
	kind := t.Track.Kind
	switch t.Track.Codec {
	case "OPUS", "PCMU", "PCMA", "AAC":
		kind = KindAudio
	case "VP8", "VP9", "AV1", "H264":
		kind = KindVideo
	}
	if kind != t.Track.Kind {
		t.defect(DefectWrongKind, "", fmt.Sprintf("the manifest says %s, but %s is %s", t.Track.Kind, t.Track.Codec, kind))
		t.become(kind, t.Track.Codec, t.Track.ClockRate)
	}
}

// openFirst opens a file as openUnits does. A track's first file that cannot be of the track's kind decides what
// the track is, if it says so itself.
func (c *Capture) openFirst(t *TrackIndex, file *File, how opening) (UnitReader, func() error, error) {
	r, closeAll, err := c.openUnits(t.Track, file, how)
	if err == nil || len(t.Files) > 0 || !badFile(err) {
		return r, closeAll, err
	}
	track := *t.Track
	track.Kind, track.Codec, track.ClockRate = KindAudio, "OPUS", defaultClockRate(KindAudio, "OPUS")
	if t.Track.Kind == KindAudio {
		track.Kind, track.Codec, track.ClockRate = KindVideo, "VP8", defaultClockRate(KindVideo, "VP8")
	}
	r, closeAll, again := c.openUnits(&track, file, how)
	if again != nil {
		return nil, nil, err
	}
	if _, ok := r.(interface{ Codec() string }); !ok {
		return nil, nil, errors.Join(err, closeAll())
	}
	t.defect(DefectWrongKind, file.Path, fmt.Sprintf("the manifest says %s, the file holds %s", t.Track.Kind, track.Kind))
	t.become(track.Kind, track.Codec, track.ClockRate)
	return r, closeAll, nil
}

// badFile tells whether an error is the capture's and not the machine's.
func badFile(err error) bool {
	var input *InputError
	return errors.As(err, &input) || errors.Is(err, fs.ErrNotExist)
}

func (t *TrackIndex) defect(kind DefectKind, file, detail string) {
	if len(t.Defects) < 100 {
		t.Defects = append(t.Defects, Defect{Kind: kind, Detail: detail, File: file, Track: t.Track.ID})
	}
}

// indexFile reads one file to its end.
func (c *Capture) indexFile(ctx context.Context, m *meter, t *TrackIndex, f *FileIndex) (err error) {
	m.pass(c.sizeOf(f.File.Path), true)
	defer m.end()
	r, closeAll, err := c.openFirst(t, f.File, opening{ctx: ctx.Err, meter: m})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	s := &fileScan{t: t, f: f, c: c, firstKey: len(t.Keys), firstHole: len(t.holes), firstSize: len(t.sizes)}
	watch, points := newLossWatch(t.Track, r), newPointScan(r)
	for {
		if s.units%512 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		points.before()
		u, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if s.units == 0 || !badFile(err) {
				return err
			}
			t.defect(DefectUnreadableFile, f.File.Path, "reading ended early: "+err.Error())
			break
		}
		points.after(s.units, u)
		s.unit(u, r)
		watch.unit(u)
	}
	if s.units == 0 {
		return &InputError{File: f.File.Path, Reason: "no access unit is in it"}
	}
	f.points = points.found
	if err := s.finish(r); err != nil || !watch.sign {
		return err
	}
	m.end()
	return c.findLoss(ctx, m, t, f)
}

// place gives everything that was noted in ticks its session time.
func (t *TrackIndex) place() {
	if t.Units == 0 {
		return
	}
	for i := range t.Keys {
		t.Keys[i].At = t.Mapping.Session(int64(t.Keys[i].At))
	}
	for _, s := range t.sizes {
		t.Sizes = append(t.Sizes, SizeAt{At: t.Mapping.Session(s.from), Width: int(s.to >> 32), Height: int(s.to & math.MaxUint32)})
	}
	for _, h := range t.holes {
		t.Gaps = append(t.Gaps, Gap{t.Mapping.Session(h.from), t.Mapping.Session(h.to)})
	}
	for i := 1; i < len(t.Mapping.Pieces); i++ { // the clock stood still: a gap that ticks do not show
		at := t.Mapping.Pieces[i]
		before := t.Mapping.Pieces[i-1].session(at.From, t.Mapping.Rate)
		if at.At-before >= soundHole {
			t.Gaps = append(t.Gaps, Gap{before, at.At})
		}
	}
	first, last := t.Files[0], t.Files[len(t.Files)-1]
	t.Begin, t.End = t.Mapping.Session(first.First), t.Mapping.Session(last.Last)
}

// Drift is how much faster session time runs than the track's own clock, in millionths, to a tenth.
func (t *TrackIndex) Drift() float64 {
	if t.Units == 0 {
		return 0
	}
	return math.Round(t.Mapping.Drift(t.Files[len(t.Files)-1].Last)*10) / 10
}

// Rate is about how many pictures a second the track has, over the time in which it has any.
func (t *TrackIndex) Rate() float64 {
	time := t.End - t.Begin
	for _, g := range t.Gaps {
		time -= g.To - g.From
	}
	if time <= 0 {
		return 0
	}
	return float64(t.Units) / time.Seconds()
}

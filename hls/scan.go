package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"

	"rushes/transcode/mp4"
)

// piece is a segment that can be read, with what a look at it told. Its times are on
// the line of its run: the segment's own, plus base.
type piece struct {
	layer int
	seg   *Segment
	spare *Segment     // init segment in place of its own, nil mostly
	name  *naturalName // nil when the order is settled
	size  int64

	video, audio   int        // indices of the tracks, -1 none
	vspec, aspec   *mp4.Track // shared by all pieces that have the same
	base           Tick       // unwraps the segment's own times
	vStart, aStart Tick       // presentation of the first unit
	vEnd, aEnd     Tick
	vStep, aStep   Tick   // how long a unit lasts
	delay          Tick   // first picture's PTS minus DTS
	syncs          []Tick // presentation of pictures from which decoding can start
	hasV, hasA     bool
	ended          bool // the ends are known, not derived from the segment after
	torn           bool
	lastDTS        Tick // of the last picture that did not tell its duration
	vClock, aClock clock
	odd            bool // some times cannot be true

	sound []span // what of its sound is used
}

// span is a part of a line's time, put elsewhere by shift.
type span struct{ from, to, shift Tick }

// clock follows the times of one track in one segment and refuses those that cannot be true.
type clock struct {
	last    Tick
	started bool
}

func (c *clock) admit(t Tick) bool {
	if abs(t) > maxTick || c.started && abs(t-c.last) > maxForward {
		return false
	}
	c.last, c.started = t, true
	return true
}

// maxLip is the most that sound and pictures of one segment may begin apart.
const maxLip = Tick(10 * Timescale)

// frameTime is how long a frame of sound lasts: what the file says, if that can be true.
func frameTime(duration int64, t *mp4.Track) Tick {
	if step := fromScale(duration, t.Timescale); step >= Timescale/250 && step < Timescale {
		return step
	}
	return fromScale(1024, uint32(t.Audio.SampleRate))
}

// pictureTime is how long a picture lasts, 0 when the file does not say or it cannot be true.
func pictureTime(duration int64, t *mp4.Track) Tick {
	if step := fromScale(duration, t.Timescale); step > 0 && step < 60*Timescale {
		return step
	}
	return 0
}

// minSyncStep keeps few of the key frames of material that has nothing else.
const minSyncStep = Tick(Timescale / 2)

// start is where the segment begins.
func (p *piece) start() Tick {
	if p.hasV {
		return p.vStart
	}
	return p.aStart
}

// end is where it ends, if that is known.
func (p *piece) end() Tick {
	if p.hasV {
		return p.vEnd
	}
	return p.aEnd
}

// move puts the piece elsewhere on its line.
func (p *piece) move(by Tick) {
	p.base += by
	for _, t := range []*Tick{&p.vStart, &p.vEnd, &p.aStart, &p.aEnd} {
		*t += by
	}
	for i := range p.syncs {
		p.syncs[i] += by
	}
}

// scan looks at a segment: at all of it if that is cheap or asked for, else at its beginning.
func (o *opener) scan(ctx context.Context, p *piece, full bool) (noMap bool, err error) {
	r, err := o.open(ctx, p.seg, p.spare)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	p.size = r.file.Size()
	if p.seg.Length > 0 {
		p.size = p.seg.Length
	}
	if err := o.choose(p, r.Tracks()); err != nil {
		return r.noMap, err
	}
	if s, ok := r.Reader.(interface{ Suspect() bool }); ok {
		full = full || s.Suspect()
	}
	full = full || r.cheap
	p.hasV, p.hasA, p.syncs, p.vClock, p.aClock = false, false, p.syncs[:0], clock{}, clock{}
	for {
		u, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			p.ended = true
			break
		}
		if ctx.Err() != nil {
			return r.noMap, ctx.Err()
		}
		if err != nil { // what came before is good
			p.torn, p.ended = true, true
			break
		}
		p.note(&u)
		if !full && (p.hasV || p.video < 0) && (p.hasA || p.audio < 0) {
			break
		}
	}
	if p.hasV && p.hasA && abs(p.aStart-p.vStart) > maxLip {
		p.hasA, p.odd = false, true
	}
	if !p.hasV && !p.hasA {
		return r.noMap, &fileError{DefectUnreadableFile, errors.New("the segment has no whole picture and no sound")}
	}
	return r.noMap, nil
}

// choose picks the first track of pictures and the first of sound.
func (o *opener) choose(p *piece, tracks []mp4.Track) error {
	p.video, p.audio = -1, -1
	for i := range tracks {
		t := &tracks[i]
		if t.Timescale == 0 {
			continue
		}
		if t.Video != nil && p.video < 0 {
			p.video, p.vspec = i, o.intern(t)
		}
		if t.Audio != nil && p.audio < 0 {
			p.audio, p.aspec = i, o.intern(t)
		}
	}
	var err error
	if p.video >= 0 {
		err = checkVideo(p.vspec.Video)
	}
	if p.audio >= 0 {
		err = errors.Join(err, checkAudio(p.aspec.Audio))
	}
	if err == nil && p.video < 0 && p.audio < 0 {
		err = errors.New("the segment has neither pictures nor sound")
	}
	if err != nil {
		return &fileError{DefectUnreadableFile, err}
	}
	return nil
}

// maxSpecs bounds the search for a specification that is known.
const maxSpecs = 32

// intern gives the one copy of a specification: thousands of segments have the same.
func (o *opener) intern(t *mp4.Track) *mp4.Track {
	for _, known := range o.specs[max(0, len(o.specs)-maxSpecs):] {
		if reflect.DeepEqual(known, t) {
			return known
		}
	}
	c := *t
	o.specs = append(o.specs, &c)
	return &c
}

// note learns from a unit.
func (p *piece) note(u *Unit) {
	if u.Torn {
		p.torn = true
		return
	}
	switch u.Track {
	case p.video:
		pts := fromScale(u.PTS, p.vspec.Timescale) + p.base
		if !p.vClock.admit(pts) {
			p.odd = true
			return
		}
		step := pictureTime(u.Duration, p.vspec)
		if dts := fromScale(u.DTS, p.vspec.Timescale); step <= 0 {
			if step = p.vStep; p.hasV && dts > p.lastDTS {
				step = dts - p.lastDTS
			}
			p.lastDTS = dts
		}
		if step > 0 && (p.vStep == 0 || step < p.vStep) {
			p.vStep = step
		}
		if !p.hasV {
			p.hasV, p.vStart, p.vEnd = true, pts, pts
			p.delay = fromScale(u.PTS-u.DTS, p.vspec.Timescale)
		}
		p.vStart, p.vEnd = min(p.vStart, pts), max(p.vEnd, pts+step)
		if n := len(p.syncs); u.Sync && (n == 0 || pts >= p.syncs[n-1]+minSyncStep) {
			p.syncs = append(p.syncs, pts)
		}
	case p.audio:
		pts := fromScale(u.PTS, p.aspec.Timescale) + p.base
		if !p.aClock.admit(pts) {
			p.odd = true
			return
		}
		step := frameTime(u.Duration, p.aspec)
		if !p.hasA {
			p.hasA, p.aStart, p.aEnd, p.aStep = true, pts, pts, step
		}
		p.aStart, p.aEnd = min(p.aStart, pts), max(p.aEnd, pts+step)
	}
}

// checkVideo refuses pictures that this package cannot put into a package.
func checkVideo(v *mp4.Video) error {
	if v.Codec != "avc1" && v.Codec != "avc3" {
		return fmt.Errorf("pictures in %q cannot be packaged without encoding them again", v.Codec)
	}
	if len(v.Config) < 7 || v.Config[0] != 1 || v.Width < 1 || v.Height < 1 {
		return errors.New("the H.264 configuration is damaged")
	}
	return nil
}

// checkAudio refuses sound that this package cannot put into a package.
func checkAudio(a *mp4.Audio) error {
	if a.Codec != "mp4a" || len(a.Config) < 2 || a.SampleRate < 7000 || a.SampleRate > 192000 || a.Channels < 1 {
		return fmt.Errorf("sound in %q cannot be packaged without encoding it again", a.Codec)
	}
	switch audioObjectType(a.Config) {
	case 2, 5, 29:
		return nil
	}
	return fmt.Errorf("sound of MPEG-4 object type %d cannot be packaged without encoding it again", audioObjectType(a.Config))
}

// audioObjectType is the first field of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
func audioObjectType(config []byte) int {
	t := int(config[0] >> 3)
	if t == 31 {
		t = 32 + int(config[0]&7)<<3 + int(config[1]>>5)
	}
	return t
}

// sameVideo reports whether a decoder need not be told anything new.
func sameVideo(a, b *mp4.Track) bool {
	if a == b {
		return true
	}
	if a.Video.Width != b.Video.Width || a.Video.Height != b.Video.Height {
		return false
	}
	x, y := a.Video.Config, b.Video.Config
	return bytes.Equal(x, y) || bytes.Equal(x[:5], y[:5]) && bytes.Equal(trimmedSets(x), trimmedSets(y))
}

func sameAudio(a, b *mp4.Track) bool {
	return bytes.Equal(a.Audio.Config, b.Audio.Config) && a.Audio.SampleRate == b.Audio.SampleRate && a.Audio.Channels == b.Audio.Channels
}

// sameMedia reports whether one of two segments holds the beginning of the other, or all of it.
func (o *opener) sameMedia(ctx context.Context, a, b *piece) (same bool, err error) {
	if !sameTracks(a, b) {
		return false, nil
	}
	ra, err := o.open(ctx, a.seg, a.spare)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, ra.Close()) }()
	rb, err := o.open(ctx, b.seg, b.spare)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rb.Close()) }()
	for n := 0; ; n++ {
		ua, errA := ra.Next(ctx)
		ub, errB := rb.Next(ctx)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if errA != nil || errB != nil || ua.Torn || ub.Torn {
			return n > 0, nil
		}
		if ua.Track != ub.Track {
			return false, nil
		}
		pa, errA := ra.Data(ua.Track)
		pb, errB := rb.Data(ub.Track)
		if errA != nil || errB != nil {
			return n > 0, nil
		}
		if !bytes.Equal(pa, pb) {
			return false, nil
		}
	}
}

func sameTracks(a, b *piece) bool {
	return a.video == b.video && a.audio == b.audio &&
		(a.video < 0 || sameVideo(a.vspec, b.vspec)) && (a.audio < 0 || sameAudio(a.aspec, b.aspec))
}

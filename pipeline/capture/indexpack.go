package capture

import (
	"math"
	"time"
)

func (p *packer) time(d time.Duration) { p.int(int64(d)) }

func (u *unpacker) time() time.Duration { return time.Duration(u.int()) }

// wall writes a wall-clock time, which may be none.
func (p *packer) wall(t time.Time) {
	p.bool(!t.IsZero())
	if !t.IsZero() {
		p.int(t.Unix())
		p.uint(uint64(t.Nanosecond()))
	}
}

func (u *unpacker) wall() time.Time {
	if !u.bool() {
		return time.Time{}
	}
	const years = 1 << 40 // in seconds
	seconds, nanos := u.within(years), u.number()
	if nanos >= int(time.Second) {
		u.fail()
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

// pack writes what is known of a track. The Track itself is the manifest's but for what the media knew better.
func (t *TrackIndex) pack(p *packer) {
	p.text(string(t.Track.Kind))
	p.text(t.Track.Codec)
	p.uint(uint64(t.Track.ClockRate))
	t.Mapping.pack(p)
	p.uint(uint64(len(t.Files)))
	file := 0
	for i := range t.Files {
		at := file // a file that gives nothing is left out
		for at+1 < len(t.Track.Files) && t.Files[i].File != &t.Track.Files[at] {
			at++
		}
		p.uint(uint64(at - file))
		t.Files[i].pack(p)
		file = at + 1
	}
	t.Stats.pack(p)
	p.uint(uint64(t.Units))
	p.int(t.Bytes)
	p.uint(uint64(t.Damaged))
	p.bool(t.Stereo)
	p.bytes(t.Config)
	p.time(t.Begin)
	p.time(t.End)
	unit, at := 0, time.Duration(0)
	p.uint(uint64(len(t.Keys)))
	for _, k := range t.Keys {
		p.uint(uint64(k.Unit - unit))
		p.time(k.At - at)
		unit, at = k.Unit, k.At
	}
	p.uint(uint64(len(t.Sizes)))
	for _, s := range t.Sizes {
		p.time(s.At)
		p.uint(uint64(s.Width))
		p.uint(uint64(s.Height))
	}
	p.uint(uint64(len(t.Gaps)))
	for _, g := range t.Gaps {
		p.time(g.From)
		p.time(g.To - g.From)
	}
	packDefects(p, t.Defects)
}

// unpackTrack reads what is known of a track of the manifest.
func unpackTrack(u *unpacker, track *Track) *TrackIndex {
	t := &TrackIndex{Track: track}
	kind, codec, rate := Kind(u.text()), u.text(), u.number()
	if rate <= 0 || rate > math.MaxInt32 || kind != KindAudio && kind != KindVideo {
		u.fail()
		return t
	}
	if kind != track.Kind || codec != track.Codec || rate != track.ClockRate {
		other := *track
		other.Kind, other.Codec, other.ClockRate = kind, codec, rate
		t.Track = &other
	}
	t.Mapping = unpackMapping(u)
	units, file := 0, 0
	for range u.count(1) {
		if file += u.number(); file < 0 || file >= len(track.Files) {
			u.fail()
			return t
		}
		f := unpackFile(u, &track.Files[file])
		t.Files = append(t.Files, f)
		units += f.Units
		file++
	}
	t.Stats = unpackStats(u)
	t.Units, t.Bytes, t.Damaged, t.Stereo, t.Config = u.number(), u.int(), u.number(), u.bool(), cloned(u.bytes())
	t.Begin, t.End = u.time(), u.time()
	k := KeyUnit{}
	for range u.count(2) {
		k.Unit, k.At = k.Unit+u.number(), k.At+u.time()
		if k.Unit >= t.Units {
			u.fail()
			return t
		}
		t.Keys = append(t.Keys, k)
	}
	for range u.count(3) {
		t.Sizes = append(t.Sizes, SizeAt{At: u.time(), Width: int(uint16(u.uint())), Height: int(uint16(u.uint()))})
	}
	for range u.count(2) {
		from := u.time()
		t.Gaps = append(t.Gaps, Gap{from, from + u.time()})
	}
	t.Defects = unpackDefects(u)
	if t.Units > 0 && (units != t.Units || len(t.Mapping.Pieces) == 0 || t.Mapping.Rate != rate) {
		u.fail()
	}
	return t
}

func (m *Mapping) pack(p *packer) {
	p.text(string(m.Kind))
	p.uint(uint64(m.Rate))
	p.uint(uint64(len(m.Pieces)))
	for _, piece := range m.Pieces {
		p.int(piece.From)
		p.time(piece.At)
		p.float(piece.PPM)
	}
	p.time(m.Residual)
	p.uint(uint64(m.Points))
	p.uint(uint64(m.Rejected))
	p.time(m.ClockOffset)
}

func unpackMapping(u *unpacker) Mapping {
	m := Mapping{Kind: MappingKind(u.text()), Rate: u.number()}
	for range u.count(10) {
		m.Pieces = append(m.Pieces, Piece{From: u.int(), At: u.time(), PPM: u.float()})
	}
	m.Residual, m.Points, m.Rejected, m.ClockOffset = u.time(), u.number(), u.number(), u.time()
	return m
}

func (f *FileIndex) pack(p *packer) {
	p.int(f.Base)
	p.int(f.First)
	p.int(f.Last)
	p.uint(uint64(f.Units))
	p.int(f.num)
	p.int(f.den)
	p.time(f.started)
	p.time(f.offset)
	p.time(f.length)
	unit := 0
	p.uint(uint64(len(f.marks)))
	for _, m := range f.marks {
		p.uint(uint64(m.unit - unit))
		p.bool(m.damaged)
		unit = m.unit
	}
	unit = 0
	p.uint(uint64(len(f.points)))
	for _, r := range f.points {
		p.uint(uint64(r.unit - unit))
		p.bytes(r.state)
		unit = r.unit
	}
}

func unpackFile(u *unpacker, file *File) FileIndex {
	f := FileIndex{File: file, Base: u.int(), First: u.int(), Last: u.int(), Units: u.number(), num: u.int(), den: u.int(),
		started: u.time(), offset: u.time(), length: u.time()}
	if f.num <= 0 || f.den <= 0 {
		u.fail()
		return f
	}
	unit := 0
	next := func() int {
		if unit += u.number(); unit >= f.Units {
			u.fail()
			unit = 0
		}
		return unit
	}
	for range u.count(2) {
		f.marks = append(f.marks, unitMark{unit: next(), damaged: u.bool()})
	}
	unit = 0
	for range u.count(2) {
		f.points = append(f.points, resumePoint{unit: next(), state: cloned(u.bytes())})
	}
	return f
}

func (s *ReadStats) pack(p *packer) {
	for _, n := range []int{s.Packets, s.Lost, s.Duplicates, s.Reordered, s.Late, s.PaddingOnly, s.SourceChanges} {
		p.int(int64(n))
	}
	p.bool(s.FirstRTP != nil)
	if s.FirstRTP != nil {
		p.uint(uint64(*s.FirstRTP))
	}
	p.wall(s.FirstWall)
	p.uint(uint64(len(s.Reports)))
	for _, r := range s.Reports {
		p.int(r.Ticks)
		p.wall(r.NTP)
		p.wall(r.ReceivedAt)
	}
	p.int(s.TornBytes)
	packDefects(p, s.Defects)
}

func unpackStats(u *unpacker) (s ReadStats) {
	for _, n := range []*int{&s.Packets, &s.Lost, &s.Duplicates, &s.Reordered, &s.Late, &s.PaddingOnly, &s.SourceChanges} {
		*n = int(u.int())
	}
	if u.bool() {
		first := uint32(u.uint())
		s.FirstRTP = &first
	}
	s.FirstWall = u.wall()
	for range u.count(3) {
		s.Reports = append(s.Reports, ReportPoint{Ticks: u.int(), NTP: u.wall(), ReceivedAt: u.wall()})
	}
	s.TornBytes = u.int()
	s.Defects = unpackDefects(u)
	return s
}

func packDefects(p *packer, defects []Defect) {
	p.uint(uint64(len(defects)))
	for _, d := range defects {
		for _, s := range []string{string(d.Kind), d.Detail, d.File, d.Track} {
			p.text(s)
		}
	}
}

func unpackDefects(u *unpacker) (defects []Defect) {
	for range u.count(4) {
		defects = append(defects, Defect{Kind: DefectKind(u.text()), Detail: u.text(), File: u.text(), Track: u.text()})
	}
	return defects
}

// cloned copies bytes, so that the whole that they are a part of can go.
func cloned(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

package mp4

import (
	"cmp"
	"math"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
)

// movie is everything Close needs to lay out the file's head.
type movie struct {
	tracks   []*trackWriter // those that are not left out
	stats    []trackStats
	edits    []edit
	duration int64 // movie ticks
}

// gather looks at all tracks; those with nothing to present are left out.
func (w *Writer) gather() (movie, []TrackSummary) {
	var m movie
	summaries := make([]TrackSummary, len(w.tracks))
	for i, t := range w.tracks {
		if t.log.len() == 0 {
			continue
		}
		s := t.gather()
		e := t.edit(&s)
		if e.duration == 0 {
			continue
		}
		m.tracks, m.stats, m.edits = append(m.tracks, t), append(m.stats, s), append(m.edits, e)
		m.duration = max(m.duration, e.empty+e.duration)
		summaries[i] = TrackSummary{
			Samples:  s.samples,
			Duration: ticksToDuration(e.endTicks-e.startTicks, t.spec.Timescale),
			Start:    ticksToDuration(e.startTicks, t.spec.Timescale),
		}
	}
	return m, summaries
}

// wide reports whether a chunk would begin beyond 4 GiB.
func (m *movie) wide(payload int64) bool {
	for i := range m.stats {
		if payload+m.stats[i].lastChunkOff > math.MaxUint32 {
			return true
		}
	}
	return false
}

func (m *movie) ftyp() *mp4ff.FtypBox {
	brands := []string{"isom", "iso2"}
	negative, avc := false, false
	for i, t := range m.tracks {
		negative = negative || m.stats[i].hasCTS() && m.stats[i].minCTS+m.stats[i].shift < 0
		avc = avc || t.spec.Video != nil && t.spec.Video.Codec == "avc1"
	}
	if negative {
		brands = append(brands, "iso4")
	}
	if avc {
		brands = append(brands, "avc1")
	}
	return mp4ff.NewFtyp("isom", 0x200, append(brands, "mp41", "mp42"))
}

// moov builds the movie box for media that begins at payload.
func (m *movie) moov(payload int64) *mp4ff.MoovBox {
	moov := mp4ff.NewMoovBox()
	mvhd := mp4ff.CreateMvhd()
	mvhd.Timescale = MovieTimescale
	mvhd.Duration = uint64(m.duration)
	mvhd.NextTrackID = uint32(len(m.tracks) + 1)
	mvhd.Version = versionFor(m.duration)
	moov.AddChild(mvhd)
	wide := m.wide(payload)
	for i, t := range m.tracks {
		s := &m.stats[i]
		moov.AddChild(t.trak(uint32(i+1), s, &m.edits[i], t.stbl(s, payload, wide)))
	}
	return moov
}

// versionFor is the version of a header box that has to hold the value.
func versionFor(v int64) byte {
	if v > math.MaxUint32 {
		return 1
	}
	return 0
}

func (t *trackWriter) trak(id uint32, s *trackStats, e *edit, stbl *mp4ff.StblBox) *mp4ff.TrakBox {
	trak := mp4ff.NewTrakBox()
	tkhd := mp4ff.CreateTkhd()
	tkhd.Flags = 3 // enabled, in movie
	tkhd.TrackID = id
	tkhd.Duration = uint64(e.empty + e.duration)
	tkhd.Version = versionFor(e.empty + e.duration)
	if v := t.spec.Video; v != nil {
		tkhd.Matrix = v.Matrix
		tkhd.Width, tkhd.Height = displaySize(v)
	} else {
		tkhd.Volume = 0x0100
		tkhd.AlternateGroup = 1
	}
	trak.AddChild(tkhd)
	if e.needed(s) {
		edts := &mp4ff.EdtsBox{}
		edts.AddChild(e.elst())
		trak.AddChild(edts)
	}
	mdia := mp4ff.NewMdiaBox()
	mdhd := &mp4ff.MdhdBox{Timescale: t.spec.Timescale, Duration: uint64(s.mediaTicks), Version: versionFor(s.mediaTicks)}
	mdhd.SetLanguage(language(t.spec.Language))
	mdia.AddChild(mdhd)
	mdia.AddChild(t.hdlr())
	minf := mp4ff.NewMinfBox()
	if t.spec.Video != nil {
		minf.AddChild(mp4ff.CreateVmhd())
	} else {
		minf.AddChild(mp4ff.CreateSmhd())
	}
	dinf := &mp4ff.DinfBox{}
	dinf.AddChild(mp4ff.CreateDref())
	minf.AddChild(dinf)
	minf.AddChild(stbl)
	mdia.AddChild(minf)
	trak.AddChild(mdia)
	return trak
}

func (t *trackWriter) stbl(s *trackStats, payload int64, wide bool) *mp4ff.StblBox {
	stbl := mp4ff.NewStblBox()
	stbl.AddChild(t.stsd(s))
	stbl.AddChild(t.stts(s))
	if s.hasCTS() {
		stbl.AddChild(t.ctts(s))
	}
	if s.nonSync > 0 {
		stbl.AddChild(t.stss(s))
	}
	stbl.AddChild(t.stsc(s))
	stbl.AddChild(t.stsz(s))
	stbl.AddChild(t.chunkOffsets(payload, wide))
	if t.spec.Audio != nil {
		// AAC needs the frame before for its overlap: roll distance -1 (8.9, 10.1).
		stbl.AddChild(&mp4ff.SgpdBox{
			Version: 1, GroupingType: "roll", DefaultLength: 2,
			SampleGroupEntries: []mp4ff.SampleGroupEntry{&mp4ff.RollSampleGroupEntry{RollDistance: -1}},
		})
		stbl.AddChild(&mp4ff.SbgpBox{
			GroupingType: "roll", SampleCounts: []uint32{uint32(s.samples)}, GroupDescriptionIndices: []uint32{1},
		})
	}
	return stbl
}

func (e *edit) elst() *mp4ff.ElstBox {
	elst := &mp4ff.ElstBox{}
	if e.empty > 0 {
		elst.Entries = append(elst.Entries, mp4ff.ElstEntry{SegmentDuration: uint64(e.empty), MediaTime: -1, MediaRateInteger: 1})
	}
	elst.Entries = append(elst.Entries, mp4ff.ElstEntry{SegmentDuration: uint64(e.duration), MediaTime: e.mediaTime, MediaRateInteger: 1})
	for _, entry := range elst.Entries {
		if entry.SegmentDuration > math.MaxUint32 || entry.MediaTime > math.MaxInt32 {
			elst.Version = 1
		}
	}
	return elst
}

// displaySize is the picture's size in square pixels, 16.16 fixed point.
func displaySize(v *Video) (width, height mp4ff.Fixed32) {
	w := uint64(v.Width) << 16
	if v.SAR.Num > 0 && v.SAR.Den > 0 {
		w = min(w*uint64(v.SAR.Num)/uint64(v.SAR.Den), math.MaxUint32)
	}
	return mp4ff.Fixed32(w), mp4ff.Fixed32(v.Height << 16)
}

func language(s string) string {
	if len(s) != 3 {
		return "und"
	}
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return "und"
		}
	}
	return s
}

func (t *trackWriter) hdlr() *mp4ff.HdlrBox {
	if t.spec.Video != nil {
		return &mp4ff.HdlrBox{HandlerType: "vide", Name: cmp.Or(t.spec.Name, "VideoHandler")}
	}
	return &mp4ff.HdlrBox{HandlerType: "soun", Name: cmp.Or(t.spec.Name, "SoundHandler")}
}

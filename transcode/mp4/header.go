package mp4

import (
	"bytes"
	"fmt"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
)

// FragmentTrackID is the number of the only track in a header that
// FragmentHeader makes.
const FragmentTrackID = 1

// FragmentHeader makes the CMAF header (ISO/IEC 23000-19, 7.3.1) of a file that
// holds one track in fragments: ftyp with the brands iso6 and cmfc, and a moov
// without samples whose durations are zero. skip, in ticks of the track, is
// where on the media line the presentation begins; when it is positive an edit
// list of one entry says so, because nothing else is allowed in CMAF.
func FragmentHeader(t Track, skip int64) ([]byte, error) {
	if err := t.validate(); err != nil {
		return nil, fmt.Errorf("mp4: fragment header: %w", err)
	}
	if skip < 0 {
		return nil, fmt.Errorf("mp4: fragment header: the presentation cannot begin at media time %d", skip)
	}
	w := trackWriter{spec: t}
	stats := trackStats{}
	e := edit{mediaTime: skip}
	moov := mp4ff.NewMoovBox()
	mvhd := mp4ff.CreateMvhd()
	mvhd.Timescale, mvhd.Duration, mvhd.NextTrackID = MovieTimescale, 0, FragmentTrackID+1
	moov.AddChild(mvhd)
	moov.AddChild(w.trak(FragmentTrackID, &stats, &e, w.emptyStbl(&stats)))
	mvex := mp4ff.NewMvexBox()
	mvex.AddChild(mp4ff.CreateTrex(FragmentTrackID))
	moov.AddChild(mvex)
	var out bytes.Buffer
	for _, b := range []mp4ff.Box{mp4ff.NewFtyp("iso6", 0, []string{"iso6", "cmfc", "mp41"}), moov} {
		if err := b.Encode(&out); err != nil {
			return nil, fmt.Errorf("mp4: fragment header: %w", err)
		}
	}
	return out.Bytes(), nil
}

// emptyStbl describes the samples of fragments, which have no tables.
func (t *trackWriter) emptyStbl(s *trackStats) *mp4ff.StblBox {
	stbl := mp4ff.NewStblBox()
	stbl.AddChild(t.stsd(s))
	stbl.AddChild(&mp4ff.SttsBox{})
	stbl.AddChild(&mp4ff.StscBox{})
	stbl.AddChild(&mp4ff.StszBox{})
	stbl.AddChild(&mp4ff.StcoBox{})
	return stbl
}

package capture

import (
	"bytes"
	"encoding/binary"
)

// mp4Track is what of a trak box and its trex is used.
type mp4Track struct {
	id        uint32
	kind      Kind
	entry     string // the sample entry's four characters
	codec     string // our name, "" when it is not read
	timescale int64
	config    []byte // body of avcC, av1C, vpcC or dOps; AAC's AudioSpecificConfig
	samples   *mp4Samples
	// shift is what the edit list adds to a presentation time, in ticks of timescale: an empty edit in front less
	// what is cut off the beginning.
	shift int64

	trexDuration, trexSize, trexFlags uint32
}

// parseMP4Tracks reads the body of moov. The tracks refer to it.
func parseMP4Tracks(moov []byte) (tracks []*mp4Track) {
	movieScale := timescale(mp4Find(moov, "mvhd"))
	mp4Children(moov, func(kind string, body []byte) {
		if kind == "trak" && len(tracks) < 256 {
			tracks = append(tracks, parseMP4Track(body, movieScale))
		}
	})
	mp4Children(mp4Find(moov, "mvex"), func(kind string, b []byte) {
		if kind != "trex" || len(b) < 24 {
			return
		}
		for _, t := range tracks {
			if t.id == binary.BigEndian.Uint32(b[4:]) {
				t.trexDuration = binary.BigEndian.Uint32(b[12:])
				t.trexSize = binary.BigEndian.Uint32(b[16:])
				t.trexFlags = binary.BigEndian.Uint32(b[20:])
			}
		}
	})
	return tracks
}

// timescale reads the ticks per second of an mvhd or mdhd box, 0 when it has none.
func timescale(b []byte) int64 {
	at := 12
	if len(b) > 0 && b[0] == 1 {
		at = 20
	}
	if len(b) < at+4 {
		return 0
	}
	return int64(binary.BigEndian.Uint32(b[at:]))
}

func parseMP4Track(trak []byte, movieScale int64) *mp4Track {
	t := &mp4Track{timescale: timescale(mp4Find(trak, "mdia", "mdhd"))}
	if b := mp4Find(trak, "tkhd"); len(b) >= 24 {
		at := 12
		if b[0] == 1 {
			at = 20
		}
		t.id = binary.BigEndian.Uint32(b[at:])
	}
	if b := mp4Find(trak, "mdia", "hdlr"); len(b) >= 12 {
		switch string(b[8:12]) {
		case "vide":
			t.kind = KindVideo
		case "soun":
			t.kind = KindAudio
		}
	}
	stbl := mp4Find(trak, "mdia", "minf", "stbl")
	t.samples = newMP4Samples(stbl)
	if stsd := mp4Find(stbl, "stsd"); len(stsd) > 8 {
		t.sampleEntry(stsd[8:])
	}
	t.edits(mp4Find(trak, "edts", "elst"), movieScale)
	return t
}

// sampleEntry reads the first sample entry: the codec and its configuration.
func (t *mp4Track) sampleEntry(b []byte) {
	kind, size, head := mp4Head(b)
	if head == 0 || size == 0 || size > int64(len(b)) {
		return
	}
	b, t.entry = b[head:size], kind
	skip := 78 // VisualSampleEntry
	if t.kind == KindAudio {
		skip = 28
		if len(b) > 10 { // QuickTime's longer forms
			skip += map[byte]int{1: 16, 2: 36}[b[9]]
		}
	}
	if len(b) < skip {
		return
	}
	boxes := b[skip:]
	switch kind {
	case "avc1", "avc3":
		t.codec, t.config = "H264", mp4Find(boxes, "avcC")
	case "vp08":
		t.codec, t.config = "VP8", mp4Find(boxes, "vpcC")
	case "vp09":
		t.codec, t.config = "VP9", mp4Find(boxes, "vpcC")
	case "av01":
		t.codec, t.config = "AV1", mp4Find(boxes, "av1C")
	case "Opus":
		t.codec, t.config = "OPUS", mp4Find(boxes, "dOps")
	case "mp4a":
		t.codec, t.config = "AAC", esdsConfig(mp4Find(boxes, "esds"))
	}
}

// edits reads the start of the edit list (ISO/IEC 14496-12, section 8.6.6); what comes after the first real edit is
// not made by recorders.
func (t *mp4Track) edits(b []byte, movieScale int64) {
	if len(b) < 8 || movieScale <= 0 || t.timescale <= 0 {
		return
	}
	width := 12
	if b[0] == 1 {
		width = 20
	}
	list := newMP4Table(b, width)
	for i := range list.len() {
		length, media := int64(list.at(i, 0)), int64(int32(list.at(i, 1)))
		if width == 20 {
			e := list.entries[i*width:]
			length, media = int64(binary.BigEndian.Uint64(e)), int64(binary.BigEndian.Uint64(e[8:]))
		}
		if media >= 0 {
			t.shift -= min(media, maxTicks)
			return
		}
		t.shift = min(t.shift+rescale(length, t.timescale, movieScale), maxTicks)
	}
}

// esdsConfig finds the AudioSpecificConfig in an esds box (ISO/IEC 14496-1, section 7.2.6).
func esdsConfig(b []byte) []byte {
	if len(b) < 4 {
		return nil
	}
	b = b[4:]
	for len(b) > 1 {
		tag, size, n := b[0], 0, 1
		for ; n < len(b) && n <= 4; n++ {
			size = size<<7 | int(b[n]&0x7f)
			if b[n]&0x80 == 0 {
				n++
				break
			}
		}
		b = b[min(n, len(b)):]
		skip := 0
		switch tag {
		case 3: // ES_Descriptor: id and flags, then what the flags say
			skip = 3
			if len(b) >= 3 {
				skip += int(b[2]>>7)*2 + int(b[2]>>5&1)*2
				if b[2]&0x40 != 0 && len(b) >= 4 {
					skip += 1 + int(b[3])
				}
			}
		case 4: // DecoderConfigDescriptor
			skip = 13
		case 5: // DecoderSpecificInfo
			return bytes.Clone(b[:min(size, len(b))])
		default:
			skip = size
		}
		b = b[min(skip, len(b)):]
	}
	return nil
}

// mp4Fragment walks the samples of one track in a moof box (ISO/IEC 14496-12, section 8.8).
type mp4Fragment struct {
	track *mp4Track
	start int64    // file offset of the moof
	runs  [][]byte // bodies of trun, by the traf boxes they are in
	base  int64    // offset that the runs' data offsets count from
	known bool     // the first run has or had a place
	dts   int64
	next  int64 // where the next sample lies

	duration, size, flags uint32
	run                   []byte // rest of the run in work
	left                  uint32 // samples of it
	runFlags              uint32
	firstFlags            uint32
	firstLeft             bool
}

// newMP4Fragment reads a moof. dts is where the track stands, for fragments that do not tell.
func newMP4Fragment(t *mp4Track, moof []byte, start, end, dts int64) *mp4Fragment {
	f := &mp4Fragment{track: t, start: start, dts: dts}
	previousEnd := start
	mp4Children(moof, func(kind string, traf []byte) {
		tfhd := mp4Find(traf, "tfhd")
		if kind != "traf" || len(tfhd) < 8 || binary.BigEndian.Uint32(tfhd[4:]) != t.id || len(f.runs) > 0 {
			return
		}
		f.head(tfhd, previousEnd)
		if b := mp4Find(traf, "tfdt"); len(b) >= 8 {
			f.dts = int64(binary.BigEndian.Uint32(b[4:]))
			if b[0] == 1 && len(b) >= 12 {
				f.dts = int64(min(binary.BigEndian.Uint64(b[4:]), maxTicks))
			}
		}
		mp4Children(traf, func(kind string, b []byte) {
			if kind == "trun" && len(b) >= 8 {
				f.runs = append(f.runs, b)
			}
		})
	})
	f.next = end + 8 // a first run without an offset begins behind the head of the mdat
	return f
}

// head reads tfhd: defaults of the fragment over those of the track.
func (f *mp4Fragment) head(b []byte, start int64) {
	flags := binary.BigEndian.Uint32(b) & 0xffffff
	f.duration, f.size, f.flags = f.track.trexDuration, f.track.trexSize, f.track.trexFlags
	f.base = start
	rest := b[8:]
	if flags&1 != 0 && len(rest) >= 8 {
		f.base = int64(min(binary.BigEndian.Uint64(rest), maxTicks))
		rest = rest[8:]
	}
	for _, field := range []struct {
		flag uint32
		to   *uint32
	}{{2, new(uint32)}, {8, &f.duration}, {16, &f.size}, {32, &f.flags}} {
		if flags&field.flag != 0 && len(rest) >= 4 {
			*field.to = binary.BigEndian.Uint32(rest)
			rest = rest[4:]
		}
	}
}

// nextSample gives the next sample, false at the fragment's end.
func (f *mp4Fragment) nextSample() (m mp4Sample, ok bool) {
	for f.left == 0 {
		if len(f.runs) == 0 {
			return m, false
		}
		f.begin(f.runs[0])
		f.runs = f.runs[1:]
	}
	m = mp4Sample{offset: f.next, dts: f.dts}
	duration, size, flags := f.duration, f.size, f.flags
	if f.firstLeft {
		flags, f.firstLeft = f.firstFlags, false
	}
	var cts uint32
	for _, field := range []struct {
		flag uint32
		to   *uint32
	}{{0x100, &duration}, {0x200, &size}, {0x400, &flags}, {0x800, &cts}} {
		if f.runFlags&field.flag == 0 {
			continue
		}
		if len(f.run) < 4 {
			f.left, f.runs = 0, nil
			return m, false
		}
		*field.to = binary.BigEndian.Uint32(f.run)
		f.run = f.run[4:]
	}
	f.left--
	m.size, m.duration, m.cts = int64(size), int64(duration), int64(int32(cts))
	m.sync = flags&0x10000 == 0 // sample_is_non_sync_sample
	f.dts = min(f.dts+m.duration, maxTicks)
	f.next += m.size
	if m.size == 0 && f.runFlags&0x200 == 0 {
		f.left = 0 // a run of nothing, however long it says it is
	}
	return m, true
}

func (f *mp4Fragment) begin(b []byte) {
	f.runFlags, f.left, f.run = binary.BigEndian.Uint32(b)&0xffffff, binary.BigEndian.Uint32(b[4:]), b[8:]
	if f.runFlags&1 != 0 && len(f.run) >= 4 {
		f.next = f.base + int64(int32(binary.BigEndian.Uint32(f.run)))
		f.run = f.run[4:]
	}
	if f.firstLeft = f.runFlags&4 != 0 && len(f.run) >= 4; f.firstLeft {
		f.firstFlags = binary.BigEndian.Uint32(f.run)
		f.run = f.run[4:]
	}
}

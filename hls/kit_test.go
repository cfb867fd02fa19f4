package hls_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
	"go.uber.org/goleak"

	"rushes/hls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a dump in memory.
type memory map[string][]byte

type memoryFile struct{ *bytes.Reader }

func (f memoryFile) Close() error { return nil }
func (f memoryFile) Size() int64  { return f.Reader.Size() }

func (m memory) Open(_ context.Context, name string) (hls.File, error) {
	p, ok := m[name]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return memoryFile{bytes.NewReader(p)}, nil
}

// tree is a sink in memory that notes the order in which files were finished.
type tree struct {
	files map[string][]byte
	order []string
}

func newTree() *tree { return &tree{files: map[string][]byte{}} }

type treeFile struct {
	bytes.Buffer
	t    *tree
	name string
}

func (t *tree) Create(_ context.Context, name string) (io.WriteCloser, error) {
	if _, ok := t.files[name]; ok {
		return nil, fs.ErrExist
	}
	t.files[name] = nil
	return &treeFile{t: t, name: name}, nil
}

func (f *treeFile) Close() error {
	f.t.files[f.name] = f.Bytes()
	f.t.order = append(f.t.order, f.name)
	return nil
}

// disk is an mp4.File in memory.
type disk struct{ p []byte }

func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(d.p).ReadAt(p, off)
}

func (d *disk) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(d.p) {
		d.p = append(d.p, make([]byte, need-len(d.p))...)
	}
	return copy(d.p[off:], p), nil
}

func (d *disk) Truncate(n int64) error {
	if int(n) <= len(d.p) {
		d.p = d.p[:n]
		return nil
	}
	_, err := d.WriteAt(make([]byte, int(n)-len(d.p)), int64(len(d.p)))
	return err
}

const (
	fps       = 25
	vScale    = 12800
	aScale    = 48000
	frameTick = vScale / fps
)

func unhex(s string) []byte {
	p, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return p
}

func avcC(level byte) []byte {
	sps, pps := unhex("6764001eacd940a02ff9610000030001000003003c8f162d96"), unhex("68ebecb22c")
	sps[3] = level
	out := []byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1}
	out = binary.BigEndian.AppendUint16(out, uint16(len(sps)))
	out = append(append(out, sps...), 1)
	out = binary.BigEndian.AppendUint16(out, uint16(len(pps)))
	return append(out, pps...)
}

var asc = []byte{0x11, 0x90}

// encoder makes the segments of one layer in one life of a live encoder.
type encoder struct {
	layer, run int
	level      byte
	width      int
	offset     float64 // seconds at which its clock starts
	late       float64 // seconds by which sound begins after the pictures; negative: before
	bFrames    bool
	noAudio    bool
	noVideo    bool
	seconds    int     // of a segment; 2 if zero
	wrap       float64 // seconds at which the clock begins again at zero; 0 never
	rate       int     // of sound, 48000 if zero
}

// unit is one sample as made: what the output is held against.
type unit struct {
	name string
	at   float64 // presentation, seconds on the encoder's clock
}

func (e *encoder) dur() int {
	if e.seconds == 0 {
		return 2
	}
	return e.seconds
}

// clock is a time on the encoder's clock.
func (e *encoder) clock(ticks int64, scale int) int64 {
	if limit := int64(e.wrap * float64(scale)); limit > 0 && ticks >= limit {
		return ticks - limit
	}
	return ticks
}

func (e *encoder) sampleRate() int {
	if e.rate == 0 {
		return aScale
	}
	return e.rate
}

func (e *encoder) init() []byte {
	s := mp4ff.CreateEmptyInit()
	if !e.noVideo {
		v := s.AddEmptyTrack(vScale, "video", "und")
		entry := mp4ff.CreateVisualSampleEntryBox("avc1", uint16(e.width), uint16(e.width*9/16), nil)
		cfg := avcC(e.level)
		entry.Children = append(entry.Children, mp4ff.CreateUnknownBox("avcC", uint64(8+len(cfg)), cfg))
		v.Mdia.Minf.Stbl.Stsd.AddChild(entry)
	}
	if !e.noAudio {
		a := s.AddEmptyTrack(uint32(e.sampleRate()), "audio", "und")
		entry := mp4ff.CreateAudioSampleEntryBox("mp4a", 2, 16, uint16(e.sampleRate()), nil)
		config := asc
		if e.rate == 44100 {
			config = []byte{0x12, 0x10}
		}
		entry.Children = append(entry.Children, mp4ff.CreateEsdsBox(config))
		a.Mdia.Minf.Stbl.Stsd.AddChild(entry)
	}
	var out bytes.Buffer
	if err := s.Encode(&out); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// payload is a sample that tells which it is, with a length that varies.
func payload(name string, sync bool, size int) []byte {
	nal := []byte{0x41}
	if sync {
		nal[0] = 0x65
	}
	nal = append(nal, name...)
	nal = append(nal, '\n')
	for i := range size {
		nal = append(nal, byte(i*7+len(name)))
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(nal))), nal...)
}

func nameOf(p []byte) string {
	for len(p) > 5 && p[4] != 0x41 && p[4] != 0x65 { // parameter sets in front
		n := 4 + int(binary.BigEndian.Uint32(p))
		if n >= len(p) {
			break
		}
		p = p[n:]
	}
	if len(p) < 6 {
		return ""
	}
	name, _, _ := strings.Cut(string(p[5:]), "\n")
	return name
}

// segment makes the n-th segment and lists what is in it.
func (e *encoder) segment(n int) (data []byte, video, audio []unit) {
	ids := []uint32{1, 2}
	vID, aID := uint32(1), uint32(2)
	switch {
	case e.noAudio:
		ids = ids[:1]
	case e.noVideo:
		ids, aID = ids[:1], 1
	}
	f, err := mp4ff.CreateMultiTrackFragment(uint32(n+1), ids)
	if err != nil {
		panic(err)
	}
	add := func(id uint32, s mp4ff.FullSample) {
		if err := f.AddFullSampleToTrack(s, id); err != nil {
			panic(err)
		}
	}
	count := e.dur() * fps
	start := int64(e.offset * vScale)
	if !e.noVideo {
		for i := range count {
			show := i // presentation order
			if e.bFrames {
				switch {
				case i > 0 && i%2 == 1 && i+1 < count:
					show = i + 1
				case i > 0 && i%2 == 0:
					show = i - 1
				}
			}
			dts := start + int64(n*count+i)*frameTick
			pts := start + int64(n*count+show)*frameTick
			if e.bFrames {
				pts += frameTick
			}
			name := fmt.Sprintf("v%d.%d.%d", e.layer, e.run, n*count+i)
			p := payload(name, i == 0, 100+(i*37+n*11)%200*(4-min(e.layer, 3)))
			flags := uint32(mp4ff.NonSyncSampleFlags)
			if i == 0 {
				flags = mp4ff.SyncSampleFlags
			}
			add(vID, mp4ff.FullSample{Sample: mp4ff.Sample{Flags: flags, Dur: frameTick, Size: uint32(len(p)), CompositionTimeOffset: int32(pts - dts)}, DecodeTime: uint64(e.clock(dts, vScale)), Data: p})
			video = append(video, unit{name, float64(pts) / vScale})
		}
	}
	if !e.noAudio {
		rate := int64(e.sampleRate())
		first := int64((e.offset + e.late) * float64(rate))
		from := (int64(n*e.dur())*rate + 1023) / 1024
		to := (int64((n+1)*e.dur())*rate + 1023) / 1024
		for i := from; i < to; i++ {
			name := fmt.Sprintf("a%d.%d", e.run, i)
			p := payload(name, true, 30+int(i*13%50))
			add(aID, mp4ff.FullSample{Sample: mp4ff.Sample{Flags: mp4ff.SyncSampleFlags, Dur: 1024, Size: uint32(len(p))}, DecodeTime: uint64(e.clock(first+i*1024, int(rate))), Data: p})
			audio = append(audio, unit{name, float64(first+i*1024) / float64(rate)})
		}
	}
	var out bytes.Buffer
	if err := f.Encode(&out); err != nil {
		panic(err)
	}
	return out.Bytes(), video, audio
}

var epoch = time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)

// stream is a whole dump with its truth.
type stream struct {
	files memory
	dump  hls.Dump
	video map[int][]unit // by layer
	audio []unit
	known map[string]bool
}

func newStream(layers int) *stream {
	s := &stream{files: memory{}, video: map[int][]unit{}, known: map[string]bool{}}
	for l := range layers {
		s.dump.Layers = append(s.dump.Layers, hls.Layer{Name: fmt.Sprintf("L%d", l)})
	}
	return s
}

// encode adds segments [from, to) of an encoder. wall is the wall time of the encoder's zero, in seconds after epoch;
// negative means that none is told. number is what the first segment is called.
func (s *stream) encode(e encoder, from, to, number int, wall float64) {
	dir := fmt.Sprintf("l%d", e.layer)
	initName := fmt.Sprintf("%s/init-%d.mp4", dir, e.run)
	s.files[initName] = e.init()
	for n := from; n < to; n++ {
		data, video, audio := e.segment(n)
		name := fmt.Sprintf("%s/seg%05d.m4s", dir, number+n-from)
		s.files[name] = data
		seg := hls.Segment{Name: name, Map: initName, Duration: time.Duration(e.dur()) * time.Second}
		if wall >= 0 {
			seg.WallTime = epoch.Add(time.Duration((wall + float64(n*e.dur())) * float64(time.Second)))
		}
		s.dump.Layers[e.layer].Segments = append(s.dump.Layers[e.layer].Segments, seg)
		s.video[e.layer] = append(s.video[e.layer], video...)
		for _, u := range audio {
			if !s.known[u.name] {
				s.known[u.name] = true
				s.audio = append(s.audio, u)
			}
		}
	}
}

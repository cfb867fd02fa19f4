package hls

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"rushes/transcode/mp4"
)

// rendition writes one track of a package: its init segments and its segments.
type rendition struct {
	sink  Sink
	dir   string
	joint bool // all segments in one file
	video bool

	spec     mp4.Track // as of the current init segment
	hasSpec  bool
	skip     int64 // media time of presentation zero, in ticks of the track
	prompt   bool  // the first picture behind a discontinuity is decoded when it is shown
	anew     bool  // that is the next one
	delay    Tick  // by how much prompt pictures are decoded later than their encoder said
	lastDTS  int64 // on the media line
	begun    bool
	frag     fragment
	breaks   bool // the segment in work tells the decoder something new
	sequence uint32

	maps     []resource
	segments []segmentEntry
	file     io.WriteCloser
	size     int64 // of the joint file so far
	frames   rateMeter
	codec    []string
	width    int
	height   int
}

// resource is a file or a part of one.
type resource struct {
	uri            string
	offset, length int64
}

// segmentEntry is what playlists say of a segment.
type segmentEntry struct {
	resource
	start, end Tick  // media time
	first      int64 // bytes up to the end of the first sample
	mapIndex   int
	breaks     bool // the decoder is told something new
	gap        bool
}

const jointName = "media.mp4"

func (r *rendition) path(name string) string { return r.dir + "/" + name }

// describe makes a specification hold from the next segment on. The timescale stays the first one.
func (r *rendition) describe(ctx context.Context, spec *mp4.Track) error {
	if r.hasSpec {
		if r.video && sameVideo(&r.spec, spec) || !r.video && sameAudio(&r.spec, spec) {
			return nil
		}
		r.breaks, r.anew = true, true
		timescale := r.spec.Timescale
		r.spec = *spec
		r.spec.Timescale = timescale
	} else {
		r.spec, r.hasSpec = *spec, true
		r.spec.Timescale = outTimescale(spec)
	}
	head, err := mp4.FragmentHeader(clean(r.spec), r.skip)
	if err != nil {
		return fmt.Errorf("hls: %s: %w", r.dir, err)
	}
	name := "init.mp4"
	if n := len(r.maps); n > 0 {
		name = fmt.Sprintf("init-%d.mp4", n+1)
	}
	res, err := r.put(ctx, name, head)
	if err != nil {
		return err
	}
	r.maps = append(r.maps, res)
	r.noteSpec()
	return nil
}

// clean leaves out what a recorder wrote about its own file.
func clean(t mp4.Track) mp4.Track {
	t.Name = ""
	if t.Video != nil && t.Video.Codec == "avc3" {
		v := *t.Video
		v.Codec = "avc1"
		t.Video = &v
	}
	return t
}

// outTimescale is the sampling rate for sound that came in a transport stream's ticks, so that frames are of equal length.
func outTimescale(spec *mp4.Track) uint32 {
	if spec.Audio != nil && spec.Timescale != uint32(spec.Audio.SampleRate) && spec.Timescale%uint32(spec.Audio.SampleRate) != 0 {
		return uint32(spec.Audio.SampleRate)
	}
	return spec.Timescale
}

// put writes bytes as a file of their own, or behind the others.
func (r *rendition) put(ctx context.Context, name string, parts ...[]byte) (resource, error) {
	res := resource{uri: name}
	for _, p := range parts {
		res.length += int64(len(p))
	}
	if !r.joint {
		return res, store(ctx, r.sink, r.path(name), parts...)
	}
	if r.file == nil {
		w, err := r.sink.Create(ctx, r.path(jointName))
		if err != nil {
			return res, fmt.Errorf("hls: creating %q: %w", r.path(jointName), err)
		}
		r.file = w
	}
	res.uri, res.offset = jointName, r.size
	for _, p := range parts {
		if _, err := r.file.Write(p); err != nil {
			return res, fmt.Errorf("hls: writing %q: %w", r.path(jointName), err)
		}
	}
	r.size += res.length
	return res, nil
}

// decode is a decoding time on the media line, after that of the sample before.
func (r *rendition) decode(dts Tick) int64 {
	d := max(toScale(dts+r.delay, r.spec.Timescale)+r.skip, 0)
	switch {
	case r.begun:
		d = max(d, r.lastDTS+1)
	case r.video: // durations add up from zero on, whenever the first picture is shown
		d = 0
	}
	return d
}

// add takes a sample into the segment in work.
func (r *rendition) add(data []byte, dts, pts Tick, sync bool) {
	if r.prompt && (r.anew || !r.begun) {
		r.delay = max(pts-dts, 0)
	}
	r.anew = false
	d := r.decode(dts)
	r.lastDTS, r.begun = d, true
	r.frag.add(data, d, toScale(pts, r.spec.Timescale)+r.skip, sync)
}

// finish writes the segment in work. end is the decoding time at which its last sample ends.
func (r *rendition) finish(ctx context.Context, start, end Tick, endDTS int64) error {
	r.sequence++
	head, first, err := r.frag.seal(r.sequence, endDTS)
	if err != nil {
		return fmt.Errorf("hls: %s, segment %d: %w", r.dir, r.sequence, err)
	}
	res, err := r.put(ctx, fmt.Sprintf("%05d.m4s", len(r.segments)+1), head, r.frag.data)
	if err != nil {
		return err
	}
	if r.video {
		r.frames.add(r.frag.samples, r.spec.Timescale)
	}
	r.segments = append(r.segments, segmentEntry{resource: res, start: start, end: end, first: first, mapIndex: len(r.maps) - 1, breaks: r.breaks})
	r.breaks = false
	r.frag.reset()
	return nil
}

// until is when the last sample of the segment in work ends so that it is shown until end.
func (r *rendition) until(end Tick) Tick {
	last := r.frag.samples[len(r.frag.samples)-1]
	return end - r.delay - fromScale(int64(max(last.CompositionTimeOffset, 0)), r.spec.Timescale)
}

// skipTo notes a segment that has nothing.
func (r *rendition) skipTo(start, end Tick) {
	name := fmt.Sprintf("%05d.m4s", len(r.segments)+1)
	r.segments = append(r.segments, segmentEntry{resource: resource{uri: name}, start: start, end: end, mapIndex: max(len(r.maps)-1, 0), gap: true})
}

// close ends the file of all segments.
func (r *rendition) close() error {
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("hls: closing %q: %w", r.path(jointName), err)
	}
	return nil
}

// codecs lists all codec strings of the rendition's init segments, each once.
func (r *rendition) codecs() string { return strings.Join(r.codec, ",") }

// noteSpec remembers what playlists say of a specification.
func (r *rendition) noteSpec() {
	if c := codecOf(&r.spec); !slices.Contains(r.codec, c) {
		r.codec = append(r.codec, c)
	}
	if v := r.spec.Video; v != nil && v.Width*v.Height > r.width*r.height {
		r.width, r.height = displaySize(v)
	}
}

// displaySize is the size in square pixels.
func displaySize(v *mp4.Video) (width, height int) {
	if v.SAR.Num == 0 || v.SAR.Den == 0 {
		return v.Width, v.Height
	}
	return int(scale(int64(v.Width), int64(v.SAR.Num), int64(v.SAR.Den))), v.Height
}

// picture is the size of the largest pictures, in square pixels.
func (r *rendition) picture() (width, height int) { return r.width, r.height }

package hls

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"rushes/transcode/mp4"
)

type listKind byte

const (
	listMedia listKind = iota
	listIFrames
	listImages
	listText
)

// checkedList is a media playlist with what its segments hold.
type checkedList struct {
	*parsedList
	kind  listKind
	infos []segInfo // one for each segment
}

// segInfo is what stays in memory of a segment.
type segInfo struct {
	file    string
	offset  int64
	bytes   int64 // 0 unknown
	looked  bool  // its inside was read
	header  *initHeader
	video   segTrack
	audio   segTrack
	counter uint32 // mfhd of its first fragment
	last    uint32 // mfhd of its last
}

// segTrack is what a segment holds of one track, in ticks of the track.
type segTrack struct {
	samples   int
	start     int64 // of presentation, after the edit list
	end       int64
	decode    int64
	decodeEnd int64
	frame     int64 // the usual duration of a sample
	key       bool  // the first sample is a picture from which decoding can start
}

func (s *segTrack) has() bool { return s.samples > 0 }

// shift moves all times.
func (s *segTrack) shift(by int64) {
	s.start, s.end, s.decode, s.decodeEnd = s.start+by, s.end+by, s.decode+by, s.decodeEnd+by
}

// time converts ticks of a track.
func (t *trackInfo) time(v int64) Tick {
	return min(max(fromScale(v, t.timescale), -1<<60), 1<<60)
}

// main is the track whose time counts for a segment: pictures before sound.
func (s *segInfo) main() (*segTrack, *trackInfo) {
	if s.video.has() {
		return &s.video, s.header.first(kindVideo)
	}
	if s.audio.has() {
		return &s.audio, s.header.first(kindAudio)
	}
	return nil, nil
}

// claimedFile is a file that segments share by byte ranges.
type claimedFile struct {
	size   int64
	list   *checkedList
	parts  []claimedPart
	format string
}

type claimedPart struct {
	from, to int64
	line     int
	header   bool
}

// claim notes a byte range for point 8.
func (c *packageCheck) claim(l *checkedList, name string, size int64, p claimedPart) {
	f := c.claimed[name]
	if f == nil {
		f = &claimedFile{size: size, list: l}
		c.claimed[name] = f
	}
	f.parts = append(f.parts, p)
}

// segments reads all segments of a playlist.
func (c *packageCheck) segments(ctx context.Context, l *checkedList) error {
	if len(l.parsedList.segments) > maxCheckedSegments {
		return fmt.Errorf("hls: %q has more than %d segments: %w", l.file, maxCheckedSegments, ErrCheckLimit)
	}
	l.infos = make([]segInfo, len(l.parsedList.segments))
	r := segmentReader{c: c, l: l}
	defer r.release()
	for i := range l.infos {
		s := &l.parsedList.segments[i]
		l.infos[i].file, l.infos[i].offset = s.name, s.offset
		if s.gap || s.name == "" {
			continue
		}
		if err := r.segment(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// segmentReader reads the segments of one playlist and keeps the file of the last one open.
type segmentReader struct {
	c     *packageCheck
	l     *checkedList
	name  string
	f     File
	sizes []uint32
	spans []int64
	walk  tsWalk
}

func (r *segmentReader) release() {
	if r.f != nil {
		_ = r.f.Close() // only read
		r.f, r.name = nil, ""
	}
}

// open opens a segment's file, nil when a finding says that it is not there.
func (r *segmentReader) open(ctx context.Context, number, line int, name string) (File, error) {
	if r.f != nil && r.name == name {
		return r.f, nil
	}
	r.release()
	f, err := r.c.open(ctx, name)
	switch {
	case err == nil:
		r.f, r.name = f, name
		return f, nil
	case stops(err) || ctx.Err() != nil:
		return nil, err
	case errors.Is(err, fs.ErrNotExist):
		r.c.line(number, mp4.Must, r.l.file, line, "%s does not exist", strconv.Quote(name))
	default:
		r.c.line(number, mp4.Must, r.l.file, line, "%s cannot be read: %v", strconv.Quote(name), err)
	}
	return nil, nil
}

// segment reads the n-th segment: the file's part of point 7, then its inside.
func (r *segmentReader) segment(ctx context.Context, n int) error {
	s, info := &r.l.parsedList.segments[n], &r.l.infos[n]
	var header *initHeader
	if s.mapIndex >= 0 && r.l.kind != listImages {
		var err error
		if header, err = r.header(ctx, &r.l.maps[s.mapIndex]); err != nil {
			return err
		}
	}
	f, err := r.open(ctx, 7, s.line, s.name)
	if f == nil {
		return err
	}
	from, to := s.offset, f.Size()
	if s.ranged && r.l.kind == listMedia {
		r.c.claim(r.l, s.name, f.Size(), claimedPart{from: min(from, to), to: min(from+s.length, to), line: s.line})
	}
	if !s.ranged {
		from = 0
	} else if to = from + s.length; from < 0 || to < from || to > f.Size() {
		r.c.line(7, mp4.Must, r.l.file, s.line, "the byte range %d@%d is not inside the %d bytes of %s", s.length, s.offset, f.Size(), strconv.Quote(s.name))
		return nil
	}
	if info.offset, info.bytes = from, to-from; info.bytes == 0 {
		r.c.line(25, mp4.Must, r.l.file, s.line, "%s is empty", strconv.Quote(s.name))
		return nil
	}
	switch r.l.kind {
	case listImages:
		return r.c.sheet(r.l, n, f)
	case listText:
		return nil // read by the text's own check
	}
	if s.sealed {
		if n == 0 || !r.l.parsedList.segments[n-1].sealed {
			r.c.line(7, mp4.Should, r.l.file, s.line, "the segment is encrypted and its inside is not checked")
		}
		return nil
	}
	return r.inside(n, f, header, from, to)
}

// inside finds out what format a segment has and walks it.
func (r *segmentReader) inside(n int, f File, header *initHeader, from, to int64) error {
	s, info := &r.l.parsedList.segments[n], &r.l.infos[n]
	head := make([]byte, min(to-from, 16))
	if !readWhole(f, head, from) {
		r.c.at(7, mp4.Must, s.name, from, "it cannot be read")
		return nil
	}
	switch {
	case head[0] == 0x47:
		info.looked = r.transport(n, f, from, to)
	case string(head[:min(3, len(head))]) == "ID3" || len(head) >= 2 && head[0] == 0xff && head[1]&0xf6 == 0xf0:
		var dated bool
		if info.looked, dated = packedAudio(f, from, to, info); !info.looked {
			r.c.at(25, mp4.Must, s.name, from, "the segment is no sequence of whole ADTS frames")
		} else if !dated {
			r.c.at(25, mp4.Must, s.name, from, "the packed audio does not begin with an ID3 tag that tells its time")
			if n > 0 {
				info.audio.shift(r.l.infos[n-1].audio.decodeEnd)
			}
		}
		r.intern(n)
	case looksLikeFragment(head):
		if s.mapIndex < 0 {
			r.c.line(7, mp4.Must, r.l.file, s.line, "the fMP4 segment has no EXT-X-MAP")
			return nil
		}
		if header != nil && len(header.tracks) > 0 {
			info.header = header
			info.looked = r.fragments(n, f, from, to)
		}
	default:
		r.c.at(25, mp4.Must, s.name, from, "the segment is neither MPEG-TS, fMP4 nor packed audio")
	}
	return nil
}

// looksLikeFragment reports whether bytes are the beginning of an fMP4 segment.
func looksLikeFragment(p []byte) bool {
	if len(p) < 8 {
		return false
	}
	switch string(p[4:8]) {
	case "styp", "moof", "sidx", "emsg", "prft", "free", "skip", "ftyp", "moov", "mdat", "uuid", "wide":
		return true
	}
	return false
}

// header reads the init segment of an EXT-X-MAP, once for all playlists.
func (r *segmentReader) header(ctx context.Context, m *parsedMap) (*initHeader, error) {
	if m.name == "" {
		return nil, nil
	}
	key := fmt.Sprintf("%s\x00%d\x00%d", m.name, m.offset, m.length)
	if h, ok := r.c.headers[key]; ok {
		return h, nil
	}
	f, err := r.open(ctx, 7, m.line, m.name)
	if err != nil {
		return nil, err
	}
	if len(r.c.headers) == maxCheckedHeaders {
		return nil, fmt.Errorf("hls: checking more than %d init segments: %w", maxCheckedHeaders, ErrCheckLimit)
	}
	r.c.headers[key] = nil
	if f == nil {
		return nil, nil
	}
	offset, length := int64(0), f.Size()
	if m.ranged {
		if offset, length = m.offset, m.length; offset < 0 || length < 0 || offset > f.Size()-length {
			r.c.line(7, mp4.Must, r.l.file, m.line, "the byte range of EXT-X-MAP is not inside the %d bytes of %s", f.Size(), strconv.Quote(m.name))
			return nil, nil
		}
		r.c.claim(r.l, m.name, f.Size(), claimedPart{from: offset, to: offset + length, line: m.line, header: true})
	}
	if length > maxCheckedHeader {
		r.c.at(24, mp4.Must, m.name, offset, "the init segment has %d bytes", length)
		return nil, nil
	}
	p := make([]byte, length)
	if !readWhole(f, p, offset) {
		r.c.at(7, mp4.Must, m.name, offset, "it cannot be read")
		return nil, nil
	}
	var h *initHeader
	if len(p) > 0 && p[0] == 0x47 { // PAT and PMT of a transport stream
		h = &initHeader{file: m.name, format: "ts"}
	} else {
		h = r.c.readInit(m.name, offset, p)
	}
	r.c.headers[key] = h
	return h, nil
}

// intern lets segments whose decoders are told the same share what they know.
func (r *segmentReader) intern(n int) {
	info := &r.l.infos[n]
	for i := n - 1; i >= 0 && i >= n-8; i-- {
		if o := &r.l.infos[i]; o.header != nil && info.header != nil && o.header.equal(info.header) {
			info.header = o.header
			return
		}
	}
}

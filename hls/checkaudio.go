package hls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// esds reads what kind of sound an mp4a is (ISO/IEC 14496-1, 7.2.6).
func (t *trackInfo) esds(p []byte) {
	if len(p) < 4 {
		return
	}
	p = p[4:]
	for len(p) > 0 {
		tag, size, rest := descriptor(p)
		if tag < 0 {
			return
		}
		switch tag {
		case 3: // ES_Descriptor: go inside
			if len(rest) < 3 {
				return
			}
			skip := 3
			if rest[2]&0x80 != 0 {
				skip += 2
			}
			if rest[2]&0x40 != 0 && skip < len(rest) {
				skip += 1 + int(rest[skip])
			}
			if rest[2]&0x20 != 0 {
				skip += 2
			}
			if skip > len(rest) {
				return
			}
			p = rest[skip:]
		case 4: // DecoderConfigDescriptor
			if len(rest) < 13 {
				return
			}
			if t.codec = fmt.Sprintf("mp4a.%x", rest[0]); rest[0] != 0x40 {
				t.config = t.codec
				return
			}
			p = rest[13:]
		case 5: // DecoderSpecificInfo
			t.audioConfig(rest[:min(size, len(rest))])
			return
		default:
			p = rest[min(size, len(rest)):]
		}
	}
}

// descriptor reads a descriptor's head; tag is negative when there is none.
func descriptor(p []byte) (tag, size int, rest []byte) {
	if len(p) < 2 {
		return -1, 0, nil
	}
	at := 1
	for range 4 {
		if at >= len(p) {
			return -1, 0, nil
		}
		size = size<<7 | int(p[at]&0x7f)
		at++
		if p[at-1]&0x80 == 0 {
			break
		}
	}
	return int(p[0]), size, p[at:]
}

// frequencies of ISO/IEC 14496-3, table 1.18.
func frequency(index uint32) int {
	list := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	if int(index) < len(list) {
		return list[index]
	}
	return 0
}

// audioConfig reads an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
func (t *trackInfo) audioConfig(p []byte) {
	t.config = string(p[:min(len(p), 64)])
	r := &bitReader{p: p}
	kind := func() uint32 {
		k := r.bits(5)
		if k == 31 {
			k = 32 + r.bits(6)
		}
		return k
	}
	rate := func() int {
		if i := r.bits(4); i != 15 {
			return frequency(i)
		}
		return int(r.bits(24))
	}
	object := kind()
	core, channels := rate(), int(r.bits(4))
	if object == 5 || object == 29 {
		rate()
	}
	if r.failed {
		return
	}
	t.codec = fmt.Sprintf("mp4a.40.%d", object)
	if core > 0 {
		t.rate = core
	}
	switch {
	case channels == 7:
		t.channels = 8
	case object == 29 && channels == 1:
		t.channels = 2 // parametric stereo
	case channels > 0:
		t.channels = channels
	}
}

// adtsInfo reads an ADTS header (ISO/IEC 13818-7, 6.2).
func adtsInfo(p []byte) (t trackInfo, length, frames int, ok bool) {
	if len(p) < 7 || p[0] != 0xff || p[1]&0xf6 != 0xf0 {
		return t, 0, 0, false
	}
	t.kind, t.entry = kindAudio, "mp4a"
	t.rate = frequency(uint32(p[2] >> 2 & 15))
	if t.channels = int(p[2]&1)<<2 | int(p[3]>>6); t.channels == 7 {
		t.channels = 8
	}
	t.codec = fmt.Sprintf("mp4a.40.%d", p[2]>>6+1)
	t.config = string([]byte{p[2] & 0xfd, p[3] & 0xc0})
	length = int(p[3]&3)<<11 | int(p[4])<<3 | int(p[5]>>5)
	return t, length, int(p[6]&3) + 1, length >= 7 && t.rate > 0
}

// packedAudio walks a segment of ADTS frames behind an ID3 tag (RFC 8216bis, 3.1.3); dated tells that the tag
// knows the time.
func packedAudio(f io.ReaderAt, from, to int64, info *segInfo) (ok, dated bool) {
	start := int64(0)
	head := make([]byte, 10)
	for to-from >= 10 {
		if !readWhole(f, head, from) || string(head[:3]) != "ID3" {
			break
		}
		size := int64(head[6]&0x7f)<<21 | int64(head[7]&0x7f)<<14 | int64(head[8]&0x7f)<<7 | int64(head[9]&0x7f)
		if size > min(to-from-10, 1<<20) {
			return false, false
		}
		tag := make([]byte, size)
		if !readWhole(f, tag, from+10) {
			return false, false
		}
		if _, stamp, found := bytes.Cut(tag, []byte("com.apple.streaming.transportStreamTimestamp\x00")); found && len(stamp) >= 8 {
			dated = true
			start = int64(binary.BigEndian.Uint64(stamp) & (1<<33 - 1))
		}
		from += 10 + size
	}
	var track *trackInfo
	samples := 0
	window := slidingReader{f: f, end: to}
	for from < to {
		p := window.at(from, 7)
		t, length, frames, ok := adtsInfo(p)
		if !ok || int64(length) > to-from {
			return false, false
		}
		if track == nil {
			track = &t
		}
		samples += frames
		from += int64(length)
	}
	if track == nil {
		return false, false
	}
	track.timescale = 90_000
	frame := scale(1024, 90_000, int64(track.rate))
	length := scale(int64(samples)*1024, 90_000, int64(track.rate))
	info.audio = segTrack{samples: samples, start: start, end: start + length, decode: start, decodeEnd: start + length, frame: frame}
	info.header = &initHeader{file: info.file, format: "packed", tracks: []*trackInfo{track}}
	return true, dated
}

// slidingReader reads a file forwards with a small buffer.
type slidingReader struct {
	f    io.ReaderAt
	end  int64
	from int64
	have []byte
	buf  []byte
}

// at gives n bytes at an offset, fewer at the end; they are good until the next call.
func (r *slidingReader) at(off int64, n int) []byte {
	if off < r.from || off+int64(n) > r.from+int64(len(r.have)) {
		if r.buf == nil {
			r.buf = make([]byte, 64<<10)
		}
		want := min(int64(max(len(r.buf), n)), r.end-off)
		if want <= 0 {
			return nil
		}
		if int64(len(r.buf)) < want {
			r.buf = make([]byte, want)
		}
		got, _ := r.f.ReadAt(r.buf[:want], off) // less than asked for shows below
		r.from, r.have = off, r.buf[:got]
	}
	p := r.have[off-r.from:]
	return p[:min(n, len(p))]
}

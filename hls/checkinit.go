package hls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"rushes/transcode/mp4"
)

// mediaKind tells pictures from sound and text.
type mediaKind byte

const (
	kindOther mediaKind = iota
	kindVideo
	kindAudio
	kindText
)

// trackInfo is what a track's decoder is told.
type trackInfo struct {
	kind      mediaKind
	id        uint32
	timescale uint32
	entry     string // sample entry
	codec     string // as in CODECS (RFC 6381)
	config    string // bytes that tell decoders apart
	width     int    // in square pixels
	height    int
	channels  int
	rate      int
	lengths   int  // bytes of a NAL unit's length, 0 without NAL units
	hevc      bool // NAL units of H.265
	hasSets   bool // parameter sets in the header
	sealed    bool
	skip      int64 // media time of presentation zero
	duration  uint32
	size      uint32
	flags     uint32
}

// initHeader is an init segment, or what stands for one in other formats.
type initHeader struct {
	file   string
	format string // "fmp4", "ts", "packed", "text"
	tracks []*trackInfo
}

// first is the first track of a kind.
func (h *initHeader) first(k mediaKind) *trackInfo {
	if h != nil {
		for _, t := range h.tracks {
			if t.kind == k {
				return t
			}
		}
	}
	return nil
}

// keep takes what tells configurations apart: of true ones all, of huge ones the beginning.
func keep(p []byte) string { return string(p[:min(len(p), 1024)]) }

// same reports whether a decoder needs to be told nothing new: a transport stream may say nothing at all.
func (h *initHeader) same(o *initHeader) bool {
	return h.like(o, func(a, b string) bool { return a == b || h.format == "ts" && (a == "" || b == "") })
}

// equal reports whether two headers say the same.
func (h *initHeader) equal(o *initHeader) bool {
	return h.like(o, func(a, b string) bool { return a == b })
}

func (h *initHeader) like(o *initHeader, same func(a, b string) bool) bool {
	return h == o || h.format == o.format && slices.EqualFunc(h.tracks, o.tracks, func(a, b *trackInfo) bool {
		return a.kind == b.kind && a.entry == b.entry && same(a.config, b.config) && a.timescale == b.timescale && a.channels == b.channels && a.rate == b.rate
	})
}

// eachBox calls f for each box in p and reports whether they fill it.
func eachBox(p []byte, f func(kind string, body []byte, at int)) bool {
	for at := 0; at < len(p); {
		if len(p)-at < 8 {
			return false
		}
		size, head := uint64(binary.BigEndian.Uint32(p[at:])), 8
		switch size {
		case 0:
			size = uint64(len(p) - at)
		case 1:
			if len(p)-at < 16 {
				return false
			}
			size, head = binary.BigEndian.Uint64(p[at+8:]), 16
		}
		if size < uint64(head) || size > uint64(len(p)-at) {
			return false
		}
		f(string(p[at+4:at+8]), p[at+head:at+int(size)], at)
		at += int(size)
	}
	return true
}

// child is the body of the first box of a kind.
func child(p []byte, path ...string) []byte {
	for _, kind := range path {
		var found []byte
		have := false
		eachBox(p, func(k string, body []byte, _ int) {
			if k == kind && !have {
				found, have = body, true
			}
		})
		if !have {
			return nil
		}
		p = found
	}
	return p
}

// u32 reads a number; what is not there is zero.
func u32(p []byte, at int) uint32 {
	if at < 0 || at+4 > len(p) {
		return 0
	}
	return binary.BigEndian.Uint32(p[at:])
}

func u64(p []byte, at int) uint64 { return uint64(u32(p, at))<<32 | uint64(u32(p, at+4)) }

// headerDuration reads the duration of mvhd, tkhd or mdhd; extra is what stands between the times and it.
func headerDuration(p []byte, extra int) uint64 {
	if len(p) > 0 && p[0] == 1 {
		return u64(p, 4+16+extra)
	}
	return uint64(u32(p, 4+8+extra))
}

// readInit parses an init segment: points 24, 32, 35 and 36.
func (c *packageCheck) readInit(file string, offset int64, p []byte) *initHeader {
	h := &initHeader{file: file, format: "fmp4"}
	var moov, ftyp []byte
	order := ""
	whole := eachBox(p, func(kind string, body []byte, _ int) {
		switch kind {
		case "ftyp":
			ftyp = body
		case "moov":
			moov = body
		}
		order += kind + " "
	})
	if !whole || moov == nil {
		c.at(24, mp4.Must, file, offset, "the init segment has no whole moov")
		return h
	}
	if !strings.HasPrefix(order, "ftyp moov ") {
		c.at(24, mp4.Must, file, offset, "the init segment does not begin with ftyp and moov but with %s", strings.TrimSpace(order))
	}
	if ftyp != nil {
		c.brands(file, offset, ftyp)
	}
	if d := headerDuration(child(moov, "mvhd"), 4); d != 0 && d != 1<<32-1 {
		c.at(24, mp4.Must, file, offset, "mvhd lasts %d ticks, not zero", d)
	}
	mvex := child(moov, "mvex")
	if mvex == nil {
		c.at(24, mp4.Must, file, offset, "there is no mvex")
	}
	audio := 0
	eachBox(moov, func(kind string, body []byte, _ int) {
		if kind != "trak" || len(h.tracks) == 32 {
			return
		}
		t := c.readTrack(file, offset, body)
		if !t.defaults(mvex) && mvex != nil {
			c.at(24, mp4.Must, file, offset, "track %d has no trex", t.id)
		}
		if t.kind == kindAudio {
			audio++
		}
		h.tracks = append(h.tracks, t)
	})
	switch {
	case len(h.tracks) == 0:
		c.at(24, mp4.Must, file, offset, "there is no track")
	case audio > 1:
		c.at(36, mp4.Must, file, offset, "there are %d audio tracks", audio)
	case len(h.tracks) > 1:
		c.at(24, mp4.Should, file, offset, "there are %d tracks in one file; sound should be demuxed", len(h.tracks))
	}
	return h
}

// brands is the part of point 24 about ftyp: iso6 or what includes it is needed, cmfc is CMAF's.
func (c *packageCheck) brands(file string, offset int64, ftyp []byte) {
	var major string
	var all []string
	for at := 0; at+4 <= len(ftyp); at += 4 {
		switch at {
		case 0:
			major = string(ftyp[:4])
		case 4: // minor version
		default:
			all = append(all, string(ftyp[at:at+4]))
		}
	}
	has := func(list ...string) bool {
		return slices.ContainsFunc(list, func(b string) bool { return b == major || slices.Contains(all, b) })
	}
	if !has("iso6", "iso7", "iso8", "iso9", "isoa", "isob", "isoc", "cmfc", "cmf2") {
		c.at(24, mp4.Must, file, offset, "ftyp names neither iso6 nor a later brand")
	}
	if !slices.Contains(all, "cmfc") && !slices.Contains(all, "cmf2") {
		c.at(24, mp4.Should, file, offset, "ftyp does not name cmfc among the compatible brands")
	}
}

// readTrack reads one trak.
func (c *packageCheck) readTrack(file string, offset int64, trak []byte) *trackInfo {
	t := &trackInfo{}
	tkhd, mdhd := child(trak, "tkhd"), child(trak, "mdia", "mdhd")
	at := 12
	if len(tkhd) > 0 && tkhd[0] == 1 {
		at = 20
	}
	t.id = u32(tkhd, at)
	if d := headerDuration(tkhd, 8); d != 0 && d != 1<<32-1 {
		c.at(24, mp4.Must, file, offset, "tkhd of track %d lasts %d ticks, not zero", t.id, d)
	}
	at = 12
	if len(mdhd) > 0 && mdhd[0] == 1 {
		at = 20
	}
	if t.timescale = u32(mdhd, at); t.timescale == 0 {
		c.at(24, mp4.Must, file, offset, "track %d has no timescale", t.id)
		t.timescale = 1
	}
	if hdlr := child(trak, "mdia", "hdlr"); len(hdlr) >= 12 {
		t.kind = map[string]mediaKind{"vide": kindVideo, "soun": kindAudio, "text": kindText, "subt": kindText}[string(hdlr[8:12])]
	}
	stbl := child(trak, "mdia", "minf", "stbl")
	if u32(child(stbl, "stts"), 4) > 0 || u32(child(stbl, "stsz"), 8) > 0 || u32(child(stbl, "stco"), 4) > 0 {
		c.at(24, mp4.Must, file, offset, "track %d has samples in moov", t.id)
	}
	if stsd := child(stbl, "stsd"); len(stsd) > 8 {
		n := 0
		eachBox(stsd[8:], func(kind string, body []byte, _ int) {
			if n++; n == 1 {
				c.sampleEntry(file, offset, t, kind, body)
			}
		})
	}
	if t.entry == "" {
		c.at(24, mp4.Must, file, offset, "track %d has no sample entry", t.id)
	}
	c.editList(file, offset, t, child(trak, "edts", "elst"))
	return t
}

// editList is point 32.
func (c *packageCheck) editList(file string, offset int64, t *trackInfo, elst []byte) {
	n := u32(elst, 4)
	if elst == nil || n == 0 {
		return
	}
	size := 12
	if elst[0] == 1 {
		size = 20
	}
	if n > 1 {
		c.at(32, mp4.Must, file, offset, "the edit list of track %d has %d entries", t.id, n)
	}
	for i := 0; i < int(min(n, 16)); i++ {
		at := 8 + i*size
		if at+size > len(elst) {
			c.at(32, mp4.Must, file, offset, "the edit list of track %d is cut off", t.id)
			return
		}
		duration, media := uint64(u32(elst, at)), int64(int32(u32(elst, at+4)))
		if size == 20 {
			duration, media = u64(elst, at), int64(u64(elst, at+8))
		}
		switch {
		case media < 0:
			c.at(32, mp4.Must, file, offset, "the edit list of track %d has an empty edit", t.id)
			continue
		case u32(elst, at+size-4) != 1<<16:
			c.at(32, mp4.Must, file, offset, "the edit list of track %d has a rate other than 1", t.id)
		case duration != 0:
			c.at(32, mp4.Must, file, offset, "the edit of track %d lasts %d ticks, not zero", t.id, duration)
		}
		t.skip = min(media, 1<<40)
	}
}

// defaults reads a track's trex.
func (t *trackInfo) defaults(mvex []byte) (found bool) {
	eachBox(mvex, func(kind string, body []byte, _ int) {
		if kind == "trex" && u32(body, 4) == t.id && len(body) >= 24 && !found {
			t.duration, t.size, t.flags, found = u32(body, 12), u32(body, 16), u32(body, 20), true
		}
	})
	return found
}

// sampleEntry reads a sample entry: codec, configuration, size.
func (c *packageCheck) sampleEntry(file string, offset int64, t *trackInfo, kind string, body []byte) {
	t.entry, t.codec = kind, strings.ToLower(kind)
	var boxes []byte
	switch {
	case t.kind == kindVideo && len(body) >= 78:
		t.width, t.height = int(u32(body, 22)&0xffff), int(u32(body, 24)&0xffff)
		boxes = body[78:]
	case t.kind == kindAudio && len(body) >= 28:
		t.channels, t.rate = int(u32(body, 14)&0xffff), int(u32(body, 24)>>16)
		boxes = body[28:]
	default:
		t.config = string(body[:min(len(body), 256)])
		return
	}
	if kind == "encv" || kind == "enca" {
		t.sealed = true
		if frma := child(boxes, "sinf", "frma"); len(frma) >= 4 {
			t.entry = string(frma[:4])
		}
	}
	switch t.entry {
	case "avc1", "avc3":
		c.avc(file, offset, t, boxes)
	case "hvc1", "hev1":
		if p := child(boxes, "hvcC"); len(p) >= 23 {
			t.config, t.lengths, t.hevc, t.hasSets = keep(p), int(p[21]&3)+1, true, p[22] >= 3
			t.codec = hevcCodec(t.entry, p)
		}
	case "av01", "vp09":
		p := child(boxes, map[string]string{"av01": "av1C", "vp09": "vpcC"}[t.entry])
		t.config = keep(p)
		t.codec = t.entry
		if t.entry == "vp09" && len(p) >= 7 {
			t.codec = fmt.Sprintf("vp09.%02d.%02d.%02d", p[4], p[5], p[6]>>4)
		} else if len(p) >= 3 {
			t.codec = fmt.Sprintf("av01.%d.%02d", p[1]>>5, p[1]&31)
		}
	case "mp4a":
		t.esds(child(boxes, "esds"))
	default:
		t.config = string(boxes[:min(len(boxes), 256)])
	}
	if t.kind == kindVideo && (t.entry == "avc3" || t.entry == "hev1") {
		c.at(35, mp4.Should, file, offset, "the sample entry is %s: parameter sets belong into the header", t.entry)
	}
}

// avc reads avcC.
func (c *packageCheck) avc(file string, offset int64, t *trackInfo, boxes []byte) {
	p := child(boxes, "avcC")
	if len(p) < 8 {
		c.at(24, mp4.Must, file, offset, "the sample entry %s has no avcC", t.entry)
		return
	}
	t.config, t.lengths = keep(p), int(p[4]&3)+1
	t.codec = fmt.Sprintf("%s.%02x%02x%02x", t.entry, p[1], p[2], p[3])
	n := int(binary.BigEndian.Uint16(p[6:]))
	if p[5]&31 == 0 || len(p) < 8+n+1 {
		return
	}
	t.hasSets = p[8+n] > 0
	s, ok := parseSPS(p[8 : 8+n])
	if !ok {
		return
	}
	pasp := child(boxes, "pasp")
	if pasp != nil && u32(pasp, 0) > 0 && u32(pasp, 4) > 0 && u32(pasp, 0) < 1<<16 && u32(pasp, 4) < 1<<16 {
		s.sarW, s.sarH = int(u32(pasp, 0)), int(u32(pasp, 4))
	} else if s.sarW != s.sarH {
		c.at(35, mp4.Should, file, offset, "pixels are %d:%d, but there is no pasp", s.sarW, s.sarH)
	}
	if s.colour && child(boxes, "colr") == nil {
		c.at(35, mp4.Practice, file, offset, "the stream describes its colours, but there is no colr")
	}
	t.width, t.height = s.square()
}

// hevcCodec is the codec string of ISO/IEC 14496-15, E.3.
func hevcCodec(entry string, p []byte) string {
	space := [...]string{"", "A", "B", "C"}[p[1]>>6]
	compat, reversed := u32(p, 2), uint32(0)
	for range 32 {
		reversed, compat = reversed<<1|compat&1, compat>>1
	}
	tier := "L"
	if p[1]&0x20 != 0 {
		tier = "H"
	}
	out := fmt.Sprintf("%s.%s%d.%x.%s%d", entry, space, p[1]&31, reversed, tier, p[12])
	for _, b := range bytes.TrimRight(p[6:12], "\x00") {
		out += fmt.Sprintf(".%x", b)
	}
	return out
}

package hls

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

const (
	mediaName  = "index.m3u8"
	iframeName = "iframes.m3u8"
	masterName = "master.m3u8"
	timeLayout = "2006-01-02T15:04:05.000Z"
)

// playlists knows what all playlists of a package share.
type playlists struct {
	t      *Timeline
	target int64       // EXT-X-TARGETDURATION, in seconds
	breaks []bool      // segments before which EXT-X-DISCONTINUITY stands
	dated  bool        // wall times are known for all of it
	zeros  []time.Time // wall times of media time zero, for the segments before which EXT-X-PROGRAM-DATE-TIME stands
	ranges []byte      // EXT-X-DATERANGE lines
}

func newPlaylists(t *Timeline, all []*rendition) *playlists {
	p := &playlists{t: t, target: 1, breaks: make([]bool, len(t.cuts)), dated: true}
	for _, r := range all {
		for i, s := range r.segments {
			p.target = max(p.target, int64((s.end-s.start+Timescale/2)/Timescale))
			p.breaks[i] = p.breaks[i] || s.breaks
		}
	}
	for _, s := range t.stretches {
		p.dated = p.dated && !s.wallZero.IsZero()
	}
	if p.dated {
		p.ranges = dateRanges(t.Joins)
		p.date()
	}
	return p
}

// leastJump is how much wall time must be missing before the clock is set anew.
const leastJump = 1100 * time.Millisecond

// date decides where wall times stand: where all begins, and where a decoder begins anew. At other joins the date ranges
// alone tell the time: Shaka Player puts segments where their wall times say, with holes as long as what is missing,
// unless a discontinuity excuses a jump of more than a second; and a discontinuity leaves a hole in hls.js.
func (p *playlists) date() {
	p.zeros = make([]time.Time, len(p.t.cuts))
	var told time.Time
	for n, c := range p.t.cuts {
		if n > 0 && !p.breaks[n] {
			continue
		}
		if zero := p.t.stretches[c.stretch].wall(0); n == 0 || zero.Sub(told).Abs() > leastJump {
			told = zero
		}
		p.zeros[n] = told
	}
}

// dateRanges names the cause of each join (RFC 8216bis, 4.4.5.1). All playlists have the same ones.
func dateRanges(joins []Join) []byte {
	var out bytes.Buffer
	for i, j := range joins {
		from := j.From.UTC().Round(time.Millisecond)
		lost := max(j.To.UTC().Round(time.Millisecond).Sub(from), 0)
		fmt.Fprintf(&out, "#EXT-X-DATERANGE:ID=\"join-%d\",CLASS=\"rushes.%s\",START-DATE=\"%s\",DURATION=%s,X-MEDIA-TIME=%s\n",
			i+1, j.Kind, from.Format(timeLayout), seconds(ticksOf(lost)), seconds(j.At))
	}
	return out.Bytes()
}

// micros rounds to microseconds.
func micros(t Tick) int64 { return toScale(t, 1_000_000) }

// seconds gives a time with six decimals.
func seconds(t Tick) string { return decimal(micros(t)) }

func decimal(us int64) string { return fmt.Sprintf("%d.%06d", us/1_000_000, us%1_000_000) }

// extinf gives a duration such that the durations up to any segment add up to its end.
func extinf(start, end Tick) string { return decimal(micros(end) - micros(start)) }

// head writes what a media playlist begins with.
func (p *playlists) head(out *bytes.Buffer, version int, target int64) {
	fmt.Fprintf(out, "#EXTM3U\n#EXT-X-VERSION:%d\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n", version, target)
}

// quoted makes a string safe inside a quoted attribute (RFC 8216, 4.2).
func quoted(s string) string {
	return `"` + strings.Map(func(r rune) rune {
		if r == '"' || r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s) + `"`
}

// mapTag is EXT-X-MAP (RFC 8216bis, 4.4.4.5).
func mapTag(m resource, joint bool) string {
	if !joint {
		return fmt.Sprintf("#EXT-X-MAP:URI=%s\n", quoted(m.uri))
	}
	return fmt.Sprintf("#EXT-X-MAP:URI=%s,BYTERANGE=\"%d@%d\"\n", quoted(m.uri), m.length, m.offset)
}

// opening writes the tags that stand before segment n when something changes there.
func (p *playlists) opening(out *bytes.Buffer, r *rendition, n, mapIndex int) int {
	s := &r.segments[n]
	if p.breaks[n] && n > 0 {
		out.WriteString("#EXT-X-DISCONTINUITY\n")
	}
	if s.mapIndex != mapIndex {
		out.WriteString(mapTag(r.maps[s.mapIndex], r.joint))
	}
	return s.mapIndex
}

// wall writes EXT-X-PROGRAM-DATE-TIME before segment n, where it stands.
func (p *playlists) wall(out *bytes.Buffer, n int, start Tick) {
	if p.dated && !p.zeros[n].IsZero() {
		at := p.zeros[n].Add(start.Duration()).UTC().Round(time.Millisecond)
		fmt.Fprintf(out, "#EXT-X-PROGRAM-DATE-TIME:%s\n", at.Format(timeLayout))
	}
}

// media is the media playlist of a rendition.
func (p *playlists) media(r *rendition) []byte {
	var out bytes.Buffer
	p.head(&out, 6, p.target)
	out.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	out.Write(p.ranges)
	mapIndex := -1
	for n := range r.segments {
		s := &r.segments[n]
		mapIndex = p.opening(&out, r, n, mapIndex)
		p.wall(&out, n, s.start)
		if s.gap {
			out.WriteString("#EXT-X-GAP\n")
		}
		fmt.Fprintf(&out, "#EXTINF:%s,\n", extinf(s.start, s.end))
		if r.joint && !s.gap {
			fmt.Fprintf(&out, "#EXT-X-BYTERANGE:%d@%d\n", s.length, s.offset)
		}
		out.WriteString(s.uri + "\n")
	}
	out.WriteString("#EXT-X-ENDLIST\n")
	return out.Bytes()
}

// iframes is the I-frame playlist of a rendition (RFC 8216bis, 4.4.3.6): the first picture of each segment.
func (p *playlists) iframes(r *rendition) (list []byte, entries []segmentEntry) {
	var target int64 = 1
	for n, s := range r.segments {
		if s.gap {
			continue
		}
		e := s
		e.length = s.first
		for _, next := range r.segments[n+1:] { // lasts until the next I-frame
			if !next.gap {
				break
			}
			e.end = next.end
		}
		target = max(target, int64((e.end-e.start+Timescale/2)/Timescale))
		entries = append(entries, e)
	}
	var out bytes.Buffer
	p.head(&out, 6, target)
	out.WriteString("#EXT-X-I-FRAMES-ONLY\n")
	out.Write(p.ranges)
	mapIndex, at := -1, 0
	for n, s := range r.segments {
		if s.gap {
			continue
		}
		mapIndex = p.opening(&out, r, n, mapIndex)
		p.wall(&out, n, s.start)
		e := entries[at]
		at++
		fmt.Fprintf(&out, "#EXTINF:%s,\n#EXT-X-BYTERANGE:%d@%d\n%s\n", extinf(e.start, e.end), e.length, e.offset, e.uri)
	}
	out.WriteString("#EXT-X-ENDLIST\n")
	return out.Bytes(), entries
}

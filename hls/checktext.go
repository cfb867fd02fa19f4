package hls

import (
	"context"
	"fmt"
	"image"
	_ "image/png" // sheets of tiles may be PNG too
	"io"
	"path"
	"strconv"
	"strings"

	"rushes/transcode/mp4"
)

// sheet is point 39 of one picture of tiles.
func (c *packageCheck) sheet(l *checkedList, n int, f File) error {
	s := &l.parsedList.segments[n]
	if f.Size() > maxCheckedPicture {
		c.line(39, mp4.Must, l.file, s.line, "%s has %d bytes", strconv.Quote(s.name), f.Size())
		return nil
	}
	cfg, format, err := image.DecodeConfig(io.NewSectionReader(f, 0, f.Size()))
	if err != nil || format != "jpeg" && format != "png" {
		c.line(39, mp4.Must, l.file, s.line, "%s is no picture: %v", strconv.Quote(s.name), err)
		return nil
	}
	if s.tiles == nil {
		c.line(39, mp4.Must, l.file, s.line, "the picture has no EXT-X-TILES")
		return nil
	}
	t := s.tiles
	if int64(cfg.Width) != t.width*t.columns || int64(cfg.Height) != t.height*t.rows {
		c.line(39, mp4.Must, l.file, t.line, "EXT-X-TILES makes %dx%d pixels, the picture has %dx%d", t.width*t.columns, t.height*t.rows, cfg.Width, cfg.Height)
	}
	if t.each > maxTick/(1<<20) || Tick(t.columns*t.rows)*t.each+slack < s.duration {
		if t.each <= maxTick/(1<<20) {
			c.line(39, mp4.Practice, l.file, t.line, "%d tiles of %s do not last EXTINF %s", t.columns*t.rows, inSeconds(t.each), inSeconds(s.duration))
		}
	}
	return nil
}

// cue is a cue of WebVTT.
type cue struct {
	from, to Tick
	text     string
	line     int
}

// parseVTT reads WebVTT; broken cues are findings.
func (c *packageCheck) parseVTT(number int, file string, text []byte) (cues []cue, shift Tick, mapped, ok bool) {
	body := strings.TrimPrefix(string(text), "\xef\xbb\xbf")
	if !strings.HasPrefix(body, "WEBVTT") || len(body) > 6 && !strings.ContainsAny(body[6:7], " \t\r\n") {
		c.line(number, mp4.Must, file, 1, "the text does not begin with WEBVTT")
		return nil, 0, false, false
	}
	n := 0
	var now *cue
	for line := range strings.Lines(body) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if value, found := strings.CutPrefix(line, "X-TIMESTAMP-MAP="); found {
			shift, mapped = timestampMap(value)
			if !mapped {
				c.line(number, mp4.Must, file, n, "X-TIMESTAMP-MAP is broken")
			}
			continue
		}
		if a, b, found := strings.Cut(line, "-->"); found {
			b, _, _ = strings.Cut(strings.TrimSpace(b), " ")
			from, ok1 := vttTime(strings.TrimSpace(a))
			to, ok2 := vttTime(b)
			if !ok1 || !ok2 || to < from {
				c.line(number, mp4.Must, file, n, "the times of the cue are broken")
				now = nil
				continue
			}
			if len(cues) < maxCheckedSegments {
				cues = append(cues, cue{from: from, to: to, line: n})
			}
			now = &cues[len(cues)-1]
			continue
		}
		if line == "" {
			now = nil
		} else if now != nil {
			now.text += line + "\n"
		}
	}
	return cues, shift, mapped, true
}

// timestampMap reads X-TIMESTAMP-MAP: what is added to a cue's time (RFC 8216bis, 3.1.4).
func timestampMap(s string) (shift Tick, ok bool) {
	var local Tick
	var media int64
	seen := 0
	for _, part := range strings.Split(s, ",") {
		name, value, _ := strings.Cut(part, ":")
		switch strings.TrimSpace(name) {
		case "LOCAL":
			t, good := vttTime(value)
			if !good {
				return 0, false
			}
			local = t
			seen++
		case "MPEGTS":
			n, err := strconv.ParseInt(value, 10, 62)
			if err != nil || n < 0 {
				return 0, false
			}
			media = n
			seen++
		}
	}
	return min(fromScale(media, 90_000), maxTick) - local, seen == 2
}

// vttTime reads [hh:]mm:ss.ttt.
func vttTime(s string) (Tick, bool) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, false
	}
	sec, digits, ok := parseDecimal(parts[len(parts)-1])
	if !ok || digits != 3 || sec < 0 || sec >= 60*Timescale {
		return 0, false
	}
	for i, unit := len(parts)-2, Tick(60*Timescale); i >= 0; i, unit = i-1, unit*60 {
		n, err := strconv.ParseInt(parts[i], 10, 16)
		if err != nil || n < 0 {
			return 0, false
		}
		sec += Tick(n) * unit
	}
	return sec, true
}

// texts is point 40 of all playlists of WebVTT.
func (c *packageCheck) texts(ctx context.Context) error {
	var origin Tick // when the package's media begin
	var length Tick
	known := false
	for _, l := range c.order {
		if l.kind == listMedia && !known && len(l.infos) > 0 {
			if at, ok := l.startOf(0); ok {
				origin, length, known = at, l.length(), true
			}
		}
	}
	for _, l := range c.order {
		if l.kind != listText {
			continue
		}
		if known && length-l.length() > Tick(max(l.parsedList.target, 1))*Timescale {
			c.line(40, mp4.Must, l.file, 0, "the texts last %s, the media %s", inSeconds(l.length()), inSeconds(length))
		}
		if err := c.textList(ctx, l, origin); err != nil {
			return err
		}
	}
	return nil
}

// textList reads the segments of a playlist of WebVTT.
func (c *packageCheck) textList(ctx context.Context, l *checkedList, origin Tick) error {
	var before []cue
	start := Tick(0)
	for i := range l.parsedList.segments {
		s := &l.parsedList.segments[i]
		end := start + s.duration
		if s.mapIndex >= 0 || s.gap || s.name == "" || l.infos[i].bytes == 0 { // text in fMP4, or nothing to read
			start, before = end, nil
			continue
		}
		text, err := c.textFile(ctx, s.name)
		if err != nil {
			return err
		}
		cues, shift, mapped, ok := c.parseVTT(40, s.name, text)
		if !ok {
			start, before = end, nil
			continue
		}
		if !mapped { // cue 0 is media 0
			shift = 0
		}
		for j := range cues {
			q := &cues[j]
			q.from, q.to = q.from+shift-origin, q.to+shift-origin
			if q.to < start-Timescale || q.from > end+Timescale {
				c.line(40, mp4.Must, s.name, q.line, "the cue is from %s to %s, its segment from %s to %s", inSeconds(q.from), inSeconds(q.to), inSeconds(start), inSeconds(end))
				break
			}
		}
		c.carried(s.name, before, cues, start)
		start, before = end, cues
	}
	return nil
}

// carried looks for cues that go on from the segment before.
func (c *packageCheck) carried(file string, before, cues []cue, start Tick) {
	have := make(map[string]bool, len(cues))
	key := func(q *cue) string {
		return fmt.Sprintf("%d %d %s", q.from/(Timescale/100), q.to/(Timescale/100), q.text)
	}
	for i := range cues {
		have[key(&cues[i])] = true
	}
	for i := range before {
		if q := &before[i]; q.to > start+Timescale/100 && !have[key(q)] {
			c.line(40, mp4.Must, file, 0, "a cue of the segment before goes on up to %s and is not repeated", inSeconds(q.to))
			return
		}
	}
}

// textFile reads a text whole; nothing of one that cannot be read, which the segments' check has said.
func (c *packageCheck) textFile(ctx context.Context, name string) ([]byte, error) {
	f, err := c.open(ctx, name)
	if err != nil {
		if stops(err) || ctx.Err() != nil {
			return nil, err
		}
		return nil, nil
	}
	defer func() { _ = f.Close() }() // only read
	text, err := c.readText(f, name)
	if err != nil && stops(err) {
		return nil, err
	}
	return text, nil
}

// storyboard is point 39 of the WebVTT file with small stills, which no playlist names: it is looked for where Rushes
// writes it.
func (c *packageCheck) storyboard(ctx context.Context, master string) error {
	name, err := c.src.Resolve(master, path.Join(boardDir, "storyboard.vtt"))
	if err != nil {
		return nil
	}
	text, err := c.textFile(ctx, name)
	if text == nil || err != nil {
		return err
	}
	cues, _, _, ok := c.parseVTT(39, name, text)
	if !ok {
		return nil
	}
	sizes := map[string]image.Point{}
	var end Tick
	for i := range cues {
		q := &cues[i]
		if q.from > end+slack {
			c.line(39, mp4.Practice, name, q.line, "nothing is shown from %s to %s", inSeconds(end), inSeconds(q.from))
		}
		end = max(end, q.to)
		if err := c.tile(ctx, name, q, sizes); err != nil {
			return err
		}
	}
	for _, l := range c.order {
		if l.kind == listMedia {
			if off := l.length() - end; off > Timescale/10 {
				c.line(39, mp4.Practice, name, 0, "the stills end at %s, the media at %s", inSeconds(end), inSeconds(l.length()))
			}
			break
		}
	}
	return nil
}

// tile looks whether a cue's tile is inside its picture.
func (c *packageCheck) tile(ctx context.Context, file string, q *cue, sizes map[string]image.Point) error {
	uri, fragment, _ := strings.Cut(strings.TrimSpace(q.text), "#xywh=")
	var v [4]int
	parts := strings.Split(fragment, ",")
	for i := range min(len(parts), 4) {
		n, err := strconv.ParseUint(parts[i], 10, 24)
		if err != nil {
			parts = nil
			break
		}
		v[i] = int(n)
	}
	if len(parts) != 4 {
		c.line(39, mp4.Must, file, q.line, "the cue names no part of a picture")
		return nil
	}
	size, ok := sizes[uri]
	if !ok {
		name, err := c.src.Resolve(file, uri)
		if err != nil {
			c.line(39, mp4.Must, file, q.line, "%s is not followed: %v", strconv.Quote(uri), err)
		} else if f, err := c.open(ctx, name); err == nil {
			if cfg, _, err := image.DecodeConfig(io.NewSectionReader(f, 0, f.Size())); err == nil {
				size = image.Pt(cfg.Width, cfg.Height)
			}
			_ = f.Close() // only read
		} else if stops(err) {
			return err
		}
		sizes[uri] = size
	}
	if size == (image.Point{}) {
		c.line(39, mp4.Must, file, q.line, "%s is no picture", strconv.Quote(uri))
	} else if v[0]+v[2] > size.X || v[1]+v[3] > size.Y || v[2] == 0 || v[3] == 0 {
		c.line(39, mp4.Must, file, q.line, "the tile %s is not inside the %v pixels of the picture", fragment, size)
	}
	return nil
}

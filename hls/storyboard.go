package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"time"
)

// Stills gives pictures of the presentation as JPEG, one for each time, all of the
// same size: at most width pixels wide and of even width. It is called several
// times, with times in ascending order.
type Stills func(ctx context.Context, at []time.Duration, width int) ([][]byte, error)

// Storyboard says what small stills a package gets.
type Storyboard struct {
	// Stills decodes the pictures.
	Stills Stills
	// Width of a still in pixels; it defaults to 308.
	Width int
	// Interval between stills; it defaults to a hundred and twentieth of the length
	// in whole seconds, at least 2 s and at most 60 s.
	Interval time.Duration
	// PosterAt is the time of the poster, PosterWidth its width in pixels; width 0 means no poster.
	PosterAt    time.Duration
	PosterWidth int
}

// DefectNoStoryboard is a storyboard or poster that could not be made.
const DefectNoStoryboard DefectKind = "no-storyboard"

const (
	sheetColumns = 5
	sheetRows    = 5
	sheetQuality = 75
	boardDir     = "storyboard"
)

// sheet is one picture of tiles.
type sheet struct {
	name          string
	start, end    Tick
	columns, rows int
	tile          image.Point
	size          int
}

func (b *Storyboard) interval(end Tick) Tick {
	if b.Interval > 0 {
		return max(ticksOf(b.Interval), Timescale/10)
	}
	return min(max((end/120+Timescale-1)/Timescale*Timescale, 2*Timescale), 60*Timescale)
}

// storyboard writes sheets, WebVTT, image playlist and poster, and returns the lines of the multivariant playlist. When
// the stills fail the package is made without them.
func (w *writer) storyboard(ctx context.Context, p *playlists, res *Result) ([]byte, error) {
	b := w.out.Package.Storyboard
	if b == nil || b.Stills == nil || len(w.t.Layers) == 0 {
		return nil, nil
	}
	lines, err := w.drawBoard(ctx, b, p, res)
	var bad *stillsError
	if errors.As(err, &bad) && ctx.Err() == nil {
		w.note(Defect{Kind: DefectNoStoryboard, Detail: bad.Error()})
		return nil, nil
	}
	return lines, err
}

// stillsError is a failure of the pictures, not of the sink.
type stillsError struct{ err error }

func (e *stillsError) Error() string { return "stills: " + e.err.Error() }
func (e *stillsError) Unwrap() error { return e.err }

func (w *writer) drawBoard(ctx context.Context, b *Storyboard, p *playlists, res *Result) ([]byte, error) {
	sink := w.out.Package.Sink
	if b.PosterWidth > 0 {
		at := min(max(b.PosterAt, 0), max(0, w.t.End.Duration()-time.Second))
		stills, err := b.get(ctx, []time.Duration{at}, b.PosterWidth)
		if err != nil {
			return nil, err
		}
		if err := store(ctx, sink, "poster.jpg", stills[0]); err != nil {
			return nil, err
		}
		res.Package.Poster = "poster.jpg"
	}
	sheets, err := w.drawSheets(ctx, b, p)
	if err != nil || len(sheets) == 0 {
		return nil, err
	}
	every := b.interval(w.t.End)
	if err := store(ctx, sink, boardDir+"/storyboard.vtt", webVTT(sheets, every)); err != nil {
		return nil, err
	}
	res.Package.Thumbnails = boardDir + "/storyboard.vtt"
	if err := store(ctx, sink, boardDir+"/"+mediaName, p.images(sheets, every)); err != nil {
		return nil, err
	}
	var peak int64
	for _, s := range sheets {
		peak = max(peak, bitRate(int64(s.size), s.end-s.start))
	}
	line := fmt.Sprintf("#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=%d,CODECS=\"jpeg\",RESOLUTION=%dx%d,URI=%s\n",
		peak, sheets[0].tile.X, sheets[0].tile.Y, quoted(boardDir+"/"+mediaName))
	return []byte(line), nil
}

// get asks for stills and looks whether they came.
func (b *Storyboard) get(ctx context.Context, at []time.Duration, width int) ([][]byte, error) {
	list, err := b.Stills(ctx, at, width)
	if err == nil && len(list) != len(at) {
		err = fmt.Errorf("%d pictures for %d times", len(list), len(at))
	}
	if err != nil {
		return nil, &stillsError{err}
	}
	return list, nil
}

// drawSheets writes the sheets. A sheet ends where a decoder begins anew, as all playlists do.
func (w *writer) drawSheets(ctx context.Context, b *Storyboard, p *playlists) ([]sheet, error) {
	width := b.Width
	if width <= 0 {
		width = 308
	}
	every := b.interval(w.t.End)
	var sheets []sheet
	var tile image.Point
	for start := Tick(0); start < w.t.End; start = sheets[len(sheets)-1].end {
		s := sheet{name: fmt.Sprintf("sheet-%05d.jpg", len(sheets)+1), start: start, end: min(start+every*sheetColumns*sheetRows, w.t.End, p.breakAfter(start))}
		var at []time.Duration
		for t := start; t < s.end; t += every {
			at = append(at, min(t+every/2, (t+s.end)/2).Duration()) // the middle stands for the whole
		}
		stills, err := b.get(ctx, at, width)
		if err != nil {
			return nil, err
		}
		s.columns, s.rows = min(len(at), sheetColumns), (len(at)+sheetColumns-1)/sheetColumns
		picture, size, err := s.draw(stills, tile)
		if err != nil {
			return nil, &stillsError{err}
		}
		tile, s.tile, s.size = size, size, len(picture)
		if err := store(ctx, w.out.Package.Sink, boardDir+"/"+s.name, picture); err != nil {
			return nil, err
		}
		sheets = append(sheets, s)
	}
	return sheets, nil
}

const maxStill = 4096 // pixels on each side

// draw puts the tiles into one picture. tile is the size that they have, zero when this is the first sheet.
func (s *sheet) draw(stills [][]byte, tile image.Point) ([]byte, image.Point, error) {
	var all *image.RGBA
	for i, still := range stills {
		cfg, err := jpeg.DecodeConfig(bytes.NewReader(still))
		if err != nil {
			return nil, tile, fmt.Errorf("reading still %d: %w", i, err)
		}
		size := image.Pt(cfg.Width, cfg.Height)
		if tile == (image.Point{}) {
			tile = size
		}
		if size != tile || size.X > maxStill || size.Y > maxStill {
			return nil, tile, fmt.Errorf("still %d has %v pixels, not %v", i, size, tile)
		}
		img, err := jpeg.Decode(bytes.NewReader(still))
		if err != nil {
			return nil, tile, fmt.Errorf("decoding still %d: %w", i, err)
		}
		if all == nil {
			all = image.NewRGBA(image.Rect(0, 0, tile.X*s.columns, tile.Y*s.rows))
		}
		to := image.Pt(i%s.columns*tile.X, i/s.columns*tile.Y)
		draw.Draw(all, image.Rectangle{Min: to, Max: to.Add(tile)}, img, img.Bounds().Min, draw.Src)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, all, &jpeg.Options{Quality: sheetQuality}); err != nil {
		return nil, tile, fmt.Errorf("encoding sheet: %w", err)
	}
	return out.Bytes(), tile, nil
}

// webVTT lists the tiles as media fragments of their sheets.
func webVTT(sheets []sheet, every Tick) []byte {
	var out bytes.Buffer
	out.WriteString("WEBVTT\n")
	for _, s := range sheets {
		for i, t := 0, s.start; t < s.end; i, t = i+1, t+every {
			fmt.Fprintf(&out, "\n%s --> %s\n%s#xywh=%d,%d,%d,%d\n", cueTime(t), cueTime(min(t+every, s.end)), s.name,
				i%s.columns*s.tile.X, i/s.columns*s.tile.Y, s.tile.X, s.tile.Y)
		}
	}
	return out.Bytes()
}

// cueTime is a WebVTT timestamp.
func cueTime(t Tick) string {
	ms := toScale(t, 1000)
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}

// breakAfter is when the next EXT-X-DISCONTINUITY comes, or the end.
func (p *playlists) breakAfter(at Tick) Tick {
	for i, c := range p.t.cuts {
		if i > 0 && p.breaks[i] && c.at > at {
			return c.at
		}
	}
	return p.t.End
}

// images is the image playlist (Roku's and Disney's extension, EXT-X-IMAGES-ONLY).
func (p *playlists) images(sheets []sheet, every Tick) []byte {
	var target int64 = 1
	for _, s := range sheets {
		target = max(target, int64((s.end-s.start+Timescale/2)/Timescale))
	}
	var out bytes.Buffer
	p.head(&out, 6, target)
	out.WriteString("#EXT-X-IMAGES-ONLY\n")
	for i, s := range sheets {
		if i > 0 && p.breakAfter(sheets[i-1].start) == s.start {
			out.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		fmt.Fprintf(&out, "#EXTINF:%s,\n#EXT-X-TILES:RESOLUTION=%dx%d,LAYOUT=%dx%d,DURATION=%s\n%s\n", extinf(s.start, s.end),
			s.tile.X, s.tile.Y, s.columns, s.rows, seconds(every), s.name)
	}
	out.WriteString("#EXT-X-ENDLIST\n")
	return out.Bytes()
}

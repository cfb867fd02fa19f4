package transcode

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"time"

	"rushes/transcode/internal/av"
)

// blankDeviation is the standard deviation of luma (0–255) below which a picture shows nothing.
const blankDeviation = 3

// StillFormat is how a still is stored.
type StillFormat string

// The formats of stills.
const (
	PNG  StillFormat = "png"
	JPEG StillFormat = "jpeg"
)

// Still is one picture out of a film.
type Still struct {
	Offset time.Duration // asked for
	At     time.Duration // when the picture that was taken is shown first
	Blank  bool          // no picture of the film shows anything
	Image  *image.RGBA
}

// Encode writes the still as PNG, or as JPEG of quality 85.
func (s *Still) Encode(w io.Writer, format StillFormat) error {
	if format == JPEG {
		return jpeg.Encode(w, s.Image, &jpeg.Options{Quality: 85})
	}
	return png.Encode(w, s.Image)
}

// ErrNoPictures says that a file has no video, so that there is nothing to take a still of.
var ErrNoPictures = errors.New("no pictures: the recording is audio only")

// Stills takes a still at each offset: the picture shown then or, when that is blank, the nearest in time that
// is not. An offset past the end takes the last picture. Pictures larger than width×height are fitted into it.
func Stills(ctx context.Context, src Source, offsets []time.Duration, width, height int) (stills []Still, err error) {
	in, err := av.OpenInput(ctx, src.av())
	if err != nil {
		return nil, openError(ctx, src, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	for i, s := range in.Streams() {
		if s.Kind == av.KindVideo && s.Supported {
			return takeStills(ctx, in, i, offsets, width, height)
		}
	}
	return nil, ErrNoPictures
}

func takeStills(ctx context.Context, in *av.Input, stream int, offsets []time.Duration, width, height int) (stills []Still, err error) {
	t := &stillTaker{in: in, stream: in.Streams()[stream], scaler: av.NewScaler()}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.open(); err != nil {
		return nil, err
	}
	for _, offset := range offsets {
		still := Still{Offset: offset}
		if err := t.find(ctx, &still); err != nil {
			return nil, err
		}
		if still.Image, err = t.image(width, height); err != nil {
			return nil, err
		}
		stills = append(stills, still)
	}
	return stills, nil
}

type stillTaker struct {
	in     *av.Input
	stream av.Stream
	dec    *av.Decoder
	pkt    *av.Packet
	frame  *av.Frame
	best   *av.Frame // nearest picture that is not blank
	shown  *av.Frame // the picture at the offset, blank or not
	rgba   *av.Frame
	scaler *av.Scaler
	offset int64
	near   int64 // distance of best from the offset, -1 = none
	any    bool  // shown holds a picture
	past   int64 // how far after the offset decoding has come
}

func (t *stillTaker) open() (err error) {
	if t.dec, err = sessionDecoder(&t.stream, t.in.Name(), 0); err != nil {
		return err
	}
	if t.pkt, err = av.NewPacket(); err != nil {
		return err
	}
	for _, f := range []**av.Frame{&t.frame, &t.best, &t.shown, &t.rgba} {
		if *f, err = av.NewFrame(); err != nil {
			return err
		}
	}
	return nil
}

func (t *stillTaker) close() error {
	return errors.Join(t.dec.Close(), t.pkt.Close(), t.frame.Close(), t.best.Close(), t.shown.Close(), t.rgba.Close(), t.scaler.Close())
}

// find looks at more and more of the film around the offset until it meets a picture that is not blank.
func (t *stillTaker) find(ctx context.Context, s *Still) error {
	for _, window := range []time.Duration{2 * time.Second, 10 * time.Second, time.Minute, 1 << 62} {
		t.near, t.any, t.past = -1, false, 0
		t.offset = int64(s.Offset)
		if err := t.search(ctx, int64(window)); err != nil {
			return err
		}
		if t.near >= 0 {
			break
		}
	}
	if t.near < 0 && !t.any {
		return fmt.Errorf("still at %v of %s: not one picture decodes", s.Offset, t.in.Name())
	}
	if s.Blank = t.near < 0; s.Blank {
		t.shown.MoveTo(t.best)
	}
	s.At = time.Duration(t.best.PTS)
	return nil
}

func (t *stillTaker) search(ctx context.Context, window int64) error {
	tb := t.stream.TimeBase
	from := max(t.offset-window, 0)
	if err := t.in.Seek(ctx, t.stream.Index, ticksOf(from, tb.Den)/int64(max(tb.Num, 1))); err != nil {
		if ctx.Err() != nil {
			return err
		}
		if err := t.in.Seek(ctx, t.stream.Index, 0); err != nil { // past the end: some containers refuse
			return err
		}
	}
	t.dec.Flush()
	ignore := func(error) error { return nil }
	for {
		err := t.in.ReadPacket(ctx, t.pkt)
		if errors.Is(err, io.EOF) || invalid(err) {
			break
		}
		if err != nil {
			return err
		}
		if t.pkt.Stream != t.stream.Index || t.pkt.PTS == av.NoPTS {
			continue
		}
		t.pkt.PTS, t.pkt.DTS, t.pkt.Duration = nanos(t.pkt.PTS, tb), av.NoPTS, 0
		if err := t.dec.Decode(t.pkt, t.frame, ignore, t.look); err != nil {
			return err
		}
		if t.past > window || t.near >= 0 && t.past > t.near {
			t.dec.Flush()
			return nil
		}
	}
	err := t.dec.Decode(nil, t.frame, ignore, t.look)
	t.dec.Flush()
	return err
}

// look considers one picture. Pictures come in the order in which they are shown, so that of those before the
// offset the last is nearest.
func (t *stillTaker) look(f *av.Frame) error {
	if f.Broken || f.PTS == av.NoPTS {
		return nil
	}
	distance := f.PTS - t.offset
	if distance <= 0 || !t.any {
		t.any = true
		if err := f.Share(t.shown); err != nil {
			return err
		}
	}
	if blank(f) {
		t.past = max(distance, 0)
		return nil
	}
	if distance <= 0 {
		t.near = -distance
		return f.Share(t.best)
	}
	t.past = distance
	if t.near >= 0 && distance >= t.near {
		return nil
	}
	if t.near >= 0 && t.best.PTS <= t.offset && t.shown.PTS == t.best.PTS {
		return nil // the picture before is the one that is on the screen at the offset
	}
	t.near = distance
	return f.Share(t.best)
}

func blank(f *av.Frame) bool {
	y, stride := f.Plane(0, f.Height)
	if y == nil {
		return false
	}
	var n, sum, squares int64
	for row := 0; row < f.Height; row += 4 {
		for _, v := range y[row*stride : row*stride+f.Width] {
			sum += int64(v)
			squares += int64(v) * int64(v)
		}
		n += int64(f.Width)
	}
	return n == 0 || squares*n-sum*sum < blankDeviation*blankDeviation*n*n
}

// image fits the best picture into a size without making it larger.
func (t *stillTaker) image(width, height int) (*image.RGBA, error) {
	w, h := t.best.Width, t.best.Height
	if sar := t.best.SAR; sar.Num > 0 && sar.Den > 0 {
		w = w * sar.Num / sar.Den
	}
	if width > 0 && w > width {
		w, h = width, h*width/w
	}
	if height > 0 && h > height {
		w, h = w*height/h, height
	}
	w, h = max(w&^1, 2), max(h&^1, 2)
	if t.rgba.Width != w || t.rgba.Height != h {
		if err := t.rgba.AllocPicture(w, h, av.RGBA); err != nil {
			return nil, err
		}
	}
	if err := t.scaler.Draw(t.rgba, t.best, av.Rect{W: w, H: h}); err != nil {
		return nil, err
	}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	pix, stride := t.rgba.Plane(0, h)
	for y := range h {
		copy(img.Pix[y*img.Stride:y*img.Stride+4*w], pix[y*stride:])
	}
	return img, nil
}

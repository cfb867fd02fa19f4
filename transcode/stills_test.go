package transcode_test

import (
	"bytes"
	"image"
	"image/color"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/transcode"
)

// shown reads the code of a still.
func shown(t *testing.T, img image.Image) fixtures.Code {
	t.Helper()
	b := img.Bounds()
	p := fixtures.NewPicture(b.Dx(), b.Dy())
	for y := range b.Dy() {
		for x := range b.Dx() {
			g, ok := color.GrayModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.Gray)
			require.True(t, ok)
			p.Y[y*p.YStride+x] = byte(16 + int(g.Y)*219/255)
		}
	}
	var r fixtures.FrameReader
	code, err := r.Read(p, p.Bounds())
	require.NoError(t, err)
	return code
}

// TestStills takes stills of every kind of recording, stores them both ways and reads what they show.
func TestStills(t *testing.T) {
	t.Parallel()
	for kind, spec := range kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := small(3.5)
			s.Width, s.Height = 320, 180
			path := record(t, s, spec)
			out, _, r := converted(t, recording(t, path))
			times := map[int]time.Duration{}
			for _, f := range r.Frames {
				times[f.Code.Frame] = f.PTS
			}
			offsets := []time.Duration{ms(2100), 0, ms(1500), time.Hour, ms(3300)}
			stills, err := transcode.Stills(t.Context(), source(t, out), offsets, 1280, 720)
			require.NoError(t, err)
			require.Len(t, stills, len(offsets))
			for i, still := range stills {
				require.False(t, still.Blank)
				require.Equal(t, offsets[i], still.Offset)
				require.Equal(t, image.Rect(0, 0, 320, 180), still.Image.Bounds())
				code := shown(t, still.Image)
				require.InDelta(t, times[code.Frame].Seconds(), still.At.Seconds(), 0.001)
				want := min(offsets[i], r.Video.Last)
				require.LessOrEqual(t, (still.At - want).Abs(), ms(40), "asked for %v", offsets[i])
			}
			for _, format := range []transcode.StillFormat{transcode.PNG, transcode.JPEG} {
				var b bytes.Buffer
				require.NoError(t, stills[0].Encode(&b, format))
				img, name, err := image.Decode(&b)
				require.NoError(t, err)
				require.Equal(t, string(format), name)
				require.Equal(t, shown(t, stills[0].Image).Frame, shown(t, img).Frame)
			}
		})
	}
}

// TestStillsSizes fits stills into a size, never larger than the film.
func TestStillsSizes(t *testing.T) {
	t.Parallel()
	src := source(t, record(t, fixtures.Script{Duration: time.Second, Width: 320, Height: 240}, fixtures.FragmentedMP4()))
	for _, tc := range []struct{ w, h, wantW, wantH int }{{1280, 720, 320, 240}, {160, 720, 160, 120}, {1280, 120, 160, 120}, {0, 0, 320, 240}, {101, 101, 100, 74}} {
		stills, err := transcode.Stills(t.Context(), src, []time.Duration{ms(300)}, tc.w, tc.h)
		require.NoError(t, err)
		require.InDelta(t, tc.wantW, stills[0].Image.Bounds().Dx(), 1)
		require.InDelta(t, tc.wantH, stills[0].Image.Bounds().Dy(), 2)
	}
}

// TestStillsBlank looks for a picture that shows something.
func TestStillsBlank(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	film := record(t, small(4), fixtures.FragmentedMP4())
	filtered := func(name, filter string) transcode.Source {
		path := filepath.Join(dir, name)
		commandLine(t, "-i", film, "-vf", filter, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "copy", path)
		return source(t, path)
	}
	fill := func(color, when string) string { return "drawbox=color=" + color + ":t=fill:enable='" + when + "'" }
	for name, tc := range map[string]struct {
		filter string
		offset time.Duration
		from   time.Duration // the still lies in [from, to)
		to     time.Duration
		blank  bool
	}{
		"black start":      {fill("black", "lt(t,2.5)"), ms(2000), ms(2500), ms(2580), false},
		"black end":        {fill("black", "gt(t,1.5)"), ms(3000), ms(1440), ms(1560), false},
		"white flash":      {fill("white", "between(t,1.95,2.08)"), ms(2000), ms(1900), ms(2160), false},
		"past a black end": {fill("black", "gt(t,3)"), time.Minute, ms(2940), ms(3060), false},
		"all black":        {fill("black", "1"), ms(2000), ms(1960), ms(2001), true},
		"all grey":         {fill("gray", "1"), ms(2000), ms(1960), ms(2001), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stills, err := transcode.Stills(t.Context(), filtered(name+".mp4", tc.filter), []time.Duration{tc.offset}, 0, 0)
			require.NoError(t, err)
			require.Equal(t, tc.blank, stills[0].Blank)
			require.GreaterOrEqual(t, stills[0].At, tc.from)
			require.Less(t, stills[0].At, tc.to)
			if !tc.blank {
				shown(t, stills[0].Image)
			}
		})
	}
}

// TestStillsNone tells sound without pictures from what is no film.
func TestStillsNone(t *testing.T) {
	t.Parallel()
	spec := fixtures.FragmentedMP4()
	spec.Video = nil
	_, err := transcode.Stills(t.Context(), source(t, record(t, small(1), spec)), []time.Duration{0}, 0, 0)
	require.ErrorIs(t, err, transcode.ErrNoPictures)
}

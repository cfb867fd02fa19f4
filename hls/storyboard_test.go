package hls_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/hls"
)

func zipFiles(p []byte) (map[string][]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, f := range r.File {
		if f.Method != zip.Store {
			return nil, fmt.Errorf("%s is compressed", f.Name)
		}
		rc, err := f.Open()
		if err != nil {
			return nil, err
		}
		if out[f.Name], err = io.ReadAll(rc); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// grey is a still whose brightness tells its second.
func grey(at time.Duration, width int) []byte {
	img := image.NewGray(image.Rect(0, 0, width, width*9/16))
	for i := range img.Pix {
		img.Pix[i] = byte(at / time.Second * 3)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, nil); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// TestStoryboard looks into the sheets: at every time of the WebVTT there is the picture of that time.
func TestStoryboard(t *testing.T) {
	t.Parallel()
	s := plain(1, 35, nil)
	p := produce(t, s, func(o *hls.PackageOptions) {
		o.Storyboard = &hls.Storyboard{PosterWidth: 640, PosterAt: 5 * time.Second, Stills: func(_ context.Context, at []time.Duration, width int) ([][]byte, error) {
			var out [][]byte
			for _, a := range at {
				out = append(out, grey(a, width))
			}
			return out, nil
		}}
	})
	require.Empty(t, p.res.Defects)
	poster, err := jpeg.Decode(bytes.NewReader(p.tree.files[p.res.Package.Poster]))
	require.NoError(t, err)
	require.Equal(t, 640, poster.Bounds().Dx())
	vtt := string(p.tree.files[p.res.Package.Thumbnails])
	require.True(t, strings.HasPrefix(vtt, "WEBVTT\n"))
	sheets := map[string]image.Image{}
	end := 0.0
	for _, m := range regexp.MustCompile(`00:(\d\d):(\d\d).(\d{3}) --> 00:(\d\d):(\d\d).(\d{3})\n(sheet-\d+.jpg)#xywh=(\d+),(\d+),(\d+),(\d+)\n`).FindAllStringSubmatch(vtt, -1) {
		n := func(i int) int {
			v, err := strconv.Atoi(m[i])
			require.NoError(t, err)
			return v
		}
		from, to := float64(n(1)*60+n(2))+float64(n(3))/1000, float64(n(4)*60+n(5))+float64(n(6))/1000
		require.InDelta(t, end, from, 1e-9)
		end = to
		if sheets[m[7]] == nil {
			img, err := jpeg.Decode(bytes.NewReader(p.tree.files["storyboard/"+m[7]]))
			require.NoError(t, err)
			sheets[m[7]] = img
		}
		tile := image.Rect(n(8), n(9), n(8)+n(10), n(9)+n(11))
		require.True(t, tile.In(sheets[m[7]].Bounds()))
		middle := color.GrayModel.Convert(sheets[m[7]].At((tile.Min.X+tile.Max.X)/2, (tile.Min.Y+tile.Max.Y)/2)).(color.Gray).Y
		require.InDelta(t, (from+to)/2*3, float64(middle), 6)
	}
	require.InDelta(t, 70, end, 0.05)
	require.Len(t, sheets, 2)
	require.Contains(t, string(p.tree.files["master.m3u8"]), `#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=`)
	list := string(p.tree.files["storyboard/index.m3u8"])
	require.Contains(t, list, "#EXT-X-IMAGES-ONLY\n")
	require.Contains(t, list, "#EXT-X-TILES:RESOLUTION=308x173,LAYOUT=5x5,DURATION=2.000000\n")
	require.Contains(t, list, "LAYOUT=5x3")
}

// TestStoryboardFails makes the package without pictures when there are none.
func TestStoryboardFails(t *testing.T) {
	t.Parallel()
	p := produce(t, plain(1, 4, nil), func(o *hls.PackageOptions) {
		o.Storyboard = &hls.Storyboard{Stills: func(context.Context, []time.Duration, int) ([][]byte, error) { return nil, errors.New("no decoder") }}
	})
	require.Equal(t, []string{"no-storyboard"}, p.kinds())
	require.NotEmpty(t, p.tree.files["master.m3u8"])
}

package hls_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/hls"
)

// plainRuns is twoRuns with pictures of the size that their parameter sets say.
func plainRuns() *stream {
	s := newStream(2)
	for l := range 2 {
		e := encoder{layer: l, level: byte(30 - l), width: 640, offset: 1.4, late: -0.021, bFrames: true}
		s.encode(e, 0, 4, 0, 10)
		e.run = 1
		s.encode(e, 0, 5, 4, 22.5)
	}
	return s
}

func TestCheckOwnPackages(t *testing.T) {
	t.Parallel()
	for name, single := range map[string]bool{"files": false, "ranges": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := produce(t, plainRuns(), func(o *hls.PackageOptions) { o.SingleFile = single })
			require.Empty(t, findings(t, p.tree.files, "master.m3u8", false))
		})
	}
}

// TestCheckDamagedDumps holds what is made of every damaged dump against the checklist.
func TestCheckDamagedDumps(t *testing.T) {
	t.Parallel()
	for _, group := range []map[string]damaged{damagedLayers(), damagedSegments(), damagedSound(), damagedClocks()} {
		for name, tc := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := produce(t, tc.make(), func(o *hls.PackageOptions) {
					o.Storyboard = &hls.Storyboard{Stills: func(_ context.Context, at []time.Duration, width int) (out [][]byte, err error) {
						for _, a := range at {
							out = append(out, grey(a, width))
						}
						return out, nil
					}}
				})
				found := slices.DeleteFunc(findings(t, p.tree.files, "master.m3u8", false), func(f hls.Finding) bool {
					// The made-up parameter sets are those of one size.
					return strings.HasPrefix(f.Detail, "RESOLUTION is")
				})
				require.Empty(t, found)
			})
		}
	}
}

func TestCheckGoodPack(t *testing.T) {
	t.Parallel()
	require.Empty(t, findings(t, goodPack(t).memory, "master.m3u8", true))
}

// TestCheckRealStream holds what is made of the live capture, package and movies, against the checklist.
func TestCheckRealStream(t *testing.T) {
	t.Parallel()
	s := realStream(t)
	for name, single := range map[string]bool{"files": false, "ranges": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := produce(t, s, func(o *hls.PackageOptions) { o.SingleFile = single })
			for l, m := range p.movies {
				p.tree.files[fmt.Sprintf("movie-%d.mp4", l)] = m.p
				require.Empty(t, findings(t, p.tree.files, fmt.Sprintf("movie-%d.mp4", l), false))
			}
			found := findings(t, p.tree.files, "master.m3u8", false)
			require.Empty(t, found)
			for _, l := range p.res.Layers {
				require.Empty(t, findings(t, p.tree.files, l.Dir+"/index.m3u8", false))
			}
		})
	}
}

// TestCheckRealSegments holds the live capture's own playlists against the checklist: a live stream that never ended
// (5) and says version 6 without need (2), a missing segment (7) and a torn one (25). The restart is a declared one.
func TestCheckRealSegments(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "shared", "captures", "hls-ts")
	lists, err := filepath.Glob(filepath.Join(root, "*", "*.m3u8"))
	require.NoError(t, err)
	if len(lists) == 0 {
		t.Skip("the real captures are not beside this checkout")
	}
	src, err := hls.NewCheckFolder(root)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	want := map[string]string{"180p/index.m3u8": "2S 5M", "270p/index.m3u8": "2S 5M 7M", "360p/index.m3u8": "2S 5M 25M"}
	for _, name := range lists {
		name, err = filepath.Rel(root, name)
		require.NoError(t, err)
		found, err := hls.Check(t.Context(), src, filepath.ToSlash(name), hls.CheckOptions{})
		require.NoError(t, err)
		require.Equal(t, want[filepath.ToSlash(name)], numbersOf(withoutPractice(found)), "%s: %v", name, found)
	}
}

// TestCheckMovie finds what section E of the checklist names, through the same door.
func TestCheckMovie(t *testing.T) {
	t.Parallel()
	p := produce(t, plainRuns(), nil)
	clean := p.movies[0].p
	for _, f := range []fault{
		{"", "clean", func(*testing.T, pack) {}},
		poked("42M", "length of the media", "x", "mdhd", 19, 1),
		poked("42M", "sizes", "x", "stsz", 12, 0x7f),
		poked("43M", "sync samples", "x", "stss", 11, 2),
	} {
		t.Run(f.want+" "+f.name, func(t *testing.T) {
			t.Parallel()
			q := pack{memory{"x": slices.Clone(clean)}}
			f.wreck(t, q)
			require.Contains(t, numbersOf(findings(t, q.memory, "x", false)), f.want)
			if f.want == "" {
				require.Empty(t, findings(t, q.memory, "x", false))
			}
		})
	}
}

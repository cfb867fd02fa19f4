package stage_test

import (
	"bytes"
	"math"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
)

// TestRealLiveStream makes all assets of the live capture: an encoder that was killed, a missing and a torn segment.
func TestRealLiveStream(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "..", "shared", "captures", "hls-ts")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the sample captures are not here")
	}
	b := processLive(t, folder)
	require.NoError(t, b.err)
	require.Equal(t, 4, b.out.Made)
	require.Zero(t, b.out.Failed)
	b.conforms()
	layers := []string{"360p", "270p", "180p"}
	sound, _ := b.rendition("audio")
	var first []time.Duration
	for l, name := range layers {
		out, borders := b.rendition(name)
		if first == nil {
			first = borders
		}
		require.Equal(t, first, borders, "borders of %s", name)
		film := b.find(catalog.RoomComposite, strconv.Itoa(l))
		video, audio := b.movie(film)
		whole := 0
		for run := range 2 {
			var in, heard []sample
			for n := run * 9; n < run*9+9; n++ {
				v, a := b.input(name + "/seg000" + strconv.Itoa(n/10) + strconv.Itoa(n%10) + ".ts")
				in, heard = append(in, v...), append(heard, a...)
			}
			whole += len(in)
			least := float64(run)*18 - 2
			steady(t, moved(t, in, out, least), moved(t, heard, sound, least))
			steady(t, moved(t, in, video, least), moved(t, heard, audio, least))
		}
		require.Len(t, out, whole)
		require.Len(t, video, whole)
		require.InDelta(t, 36, film.Duration.Seconds(), 0.1)
		require.Equal(t, &catalog.Resolution{Width: []int{640, 480, 320}[l], Height: []int{360, 270, 180}[l]}, film.Metadata.Resolution)
		require.Len(t, film.Thumbnails, 1)
	}
	vod := b.find(catalog.RoomVOD, "")
	require.Equal(t, "3", vod.Metadata.NumLayers)
	require.Equal(t, []int{640, 360}, []int{vod.Metadata.MaxWidth, vod.Metadata.MaxHeight})
	require.Nil(t, vod.Metadata.Resolution)
	require.Equal(t, "hls/room-live/20261122/1795369106011/vod/master.m3u8", vod.Path)
	require.Equal(t, []string{"hls/room-live/20261122/1795369106011/vod/master-thumb-0-2000.png"}, vod.Thumbnails)
	require.EqualValues(t, 86, vod.Metadata.OffsetMS)
	require.Contains(t, string(vod.Metadata.Sync), `"join":"encoder-restart"`)
	total := int64(0)
	for name, data := range tree(t, filepath.Dir(b.master())) {
		if !strings.Contains(name, "-thumb-") {
			total += int64(len(data))
		}
	}
	require.Equal(t, total, vod.Size)
}

// steady wants all pictures and all sound to be moved by the same, within a millisecond.
func steady(t testing.TB, video, audio []float64) {
	t.Helper()
	for _, list := range [][]float64{video, audio} {
		for i, by := range list {
			require.InDelta(t, video[0], by, 0.001, "sample %d of %d", i, len(list))
		}
	}
}

// plainStream is a stream of two layers without a fault.
func plainStream() streamSpec { return streamSpec{seconds: 12, heights: []int{180, 90}, lists: true} }

// segment gives the path of a segment of a made stream.
func segment(folder, layer string, n int) string {
	return filepath.Join(folder, layer, "seg0000"+strconv.Itoa(n)+".ts")
}

func truncate(t testing.TB, file string, share float64, multiple int64) {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	size := int64(float64(info.Size()) * share)
	require.NoError(t, os.Truncate(file, size/multiple*multiple))
}

// TestLiveBadInput makes what can be made of dumps that lack something: every whole picture is in the output once, at
// an even distance from its own time, with its sound.
func TestLiveBadInput(t *testing.T) {
	t.Parallel()
	plain := makeStream(t, plainStream())
	for name, tc := range map[string]struct {
		change  func(s *streamSpec)
		spoil   func(t *testing.T, folder string)
		defects []string // kinds that the package has at least
		failed  int
		layers  int // of the package; 0 = 2
		silent  bool
	}{
		"nothing is wrong": {},
		"a layer is missing": {spoil: func(t *testing.T, folder string) {
			require.NoError(t, os.RemoveAll(filepath.Join(folder, "180p")))
		}, defects: []string{"layer-missing"}, failed: 1, layers: 1},
		"a segment of one layer is missing": {spoil: func(t *testing.T, folder string) {
			require.NoError(t, os.Remove(segment(folder, "90p", 2)))
		}, defects: []string{"missing-file", "layer-hole"}},
		"a segment of all layers is missing": {spoil: func(t *testing.T, folder string) {
			require.NoError(t, os.Remove(segment(folder, "90p", 2)))
			require.NoError(t, os.Remove(segment(folder, "180p", 2)))
		}, defects: []string{"missing-file", "hole"}},
		"an empty segment": {spoil: func(t *testing.T, folder string) {
			truncate(t, segment(folder, "180p", 3), 0, 1)
		}, defects: []string{"empty-file"}},
		"a segment of nonsense": {spoil: func(t *testing.T, folder string) {
			require.NoError(t, os.WriteFile(segment(folder, "180p", 3), bytes.Repeat([]byte("nonsense"), 999), 0o600))
		}, defects: []string{"unreadable-file"}},
		"a torn segment": {spoil: func(t *testing.T, folder string) {
			truncate(t, segment(folder, "180p", 3), 0.6, 1)
		}, defects: []string{"torn-file"}},
		"a segment torn between packets": {spoil: func(t *testing.T, folder string) {
			truncate(t, segment(folder, "180p", 5), 0.6, 188)
		}, defects: []string{"torn-file"}},
		"a torn first segment":    {spoil: func(t *testing.T, folder string) { truncate(t, segment(folder, "90p", 0), 0.5, 1) }, defects: []string{"torn-file"}},
		"sound in one layer only": {change: func(s *streamSpec) { s.audio = func(l int) bool { return l == 1 } }},
		"no sound":                {change: func(s *streamSpec) { s.audio = func(int) bool { return false } }, silent: true},
		"timestamps that wrap":    {change: func(s *streamSpec) { s.offset = float64(1<<33)/90000 - 7.3 }},
		"no lists":                {change: func(s *streamSpec) { s.lists = false }},
		"no lists and no playlists": {change: func(s *streamSpec) { s.lists = false }, spoil: func(t *testing.T, folder string) {
			require.NoError(t, os.Remove(filepath.Join(folder, "90p", "index.m3u8")))
			require.NoError(t, os.Remove(filepath.Join(folder, "180p", "index.m3u8")))
		}},
		"a playlist that has forgotten and one that lies": {change: func(s *streamSpec) { s.lists = false }, spoil: func(t *testing.T, folder string) {
			list := filepath.Join(folder, "90p", "index.m3u8")
			text, err := os.ReadFile(list)
			require.NoError(t, err)
			lines := strings.SplitAfter(string(text), "\n")
			at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "#EXTINF") })
			require.NoError(t, os.WriteFile(list, []byte(strings.Join(slices.Delete(lines, at, at+6), "")), 0o600))
			list = filepath.Join(folder, "180p", "index.m3u8")
			text, err = os.ReadFile(list)
			require.NoError(t, err)
			lie := strings.Replace(string(text), "#EXT-X-ENDLIST", "#EXTINF:2.0,\nseg00099.ts\n#EXT-X-ENDLIST", 1)
			require.NoError(t, os.WriteFile(list, []byte(lie), 0o600))
		}, defects: []string{"missing-file"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, folder := plainStream(), filepath.Join(t.TempDir(), "live")
			if tc.change != nil {
				tc.change(&spec)
				folder = makeStream(t, spec)
			} else {
				require.NoError(t, os.CopyFS(folder, os.DirFS(plain)))
			}
			if tc.spoil != nil {
				tc.spoil(t, folder)
			}
			b := processLive(t, folder)
			require.NoError(t, b.err)
			require.Equal(t, tc.failed, b.out.Failed)
			require.Equal(t, 3-tc.failed, b.out.Made)
			vod := b.find(catalog.RoomVOD, "")
			var kinds []string
			for _, d := range vod.Metadata.Defects {
				kinds = append(kinds, d.Kind)
			}
			require.Subset(t, kinds, tc.defects)
			if tc.defects == nil {
				require.Empty(t, kinds)
			}
			if tc.layers == 0 {
				tc.layers = 2
			}
			require.Equal(t, strconv.Itoa(tc.layers), vod.Metadata.NumLayers)
			b.conforms()
			b.complete(&spec, tc.silent)
		})
	}
}

// complete wants all that is whole in the dump to be in the assets.
func (b *broadcast) complete(spec *streamSpec, silent bool) {
	b.Helper()
	var sound []sample
	if !silent {
		sound, _ = b.rendition("audio")
	}
	var first []time.Duration
	for l, h := range spec.heights {
		name := strconv.Itoa(h) + "p"
		film := b.find(catalog.RoomComposite, strconv.Itoa(l))
		if film.Status != catalog.AssetCompleted {
			require.NotNil(b, film.Error)
			require.Equal(b, "INPUT_ERROR", film.Error.Kind)
			continue
		}
		out, borders := b.rendition(name)
		if first == nil {
			first = borders
		}
		require.Equal(b, first, borders)
		pictures, _ := b.movie(film)
		count, anyway := 0, math.Inf(-1)
		var shift []float64
		for n := range spec.seconds / 2 {
			in, a := b.input(name + "/" + filepath.Base(segment("", name, n)))
			count += len(in)
			inFilm := moved(b, in, pictures, anyway)
			for i, by := range moved(b, in, out, anyway) {
				shift = append(shift, by)
				require.InDelta(b, by, inFilm[i], 0.03)
			}
			if silent || len(in) == 0 || len(a) == 0 {
				continue
			}
			// Sound and pictures of a segment keep their distance, whatever became of the clock.
			v, s := moved(b, in, out, anyway)[0], moved(b, a, sound, anyway)[0]
			const wrap = float64(1<<33) / 90000
			require.InDelta(b, 0, math.Remainder(v-s, wrap), 0.0011, "segment %d of %s", n, name)
		}
		require.Len(b, out, count)
		require.Len(b, pictures, count)
		require.NotEmpty(b, shift)
	}
}

// TestLiveOrder shows that the order of the log and segments that are there twice change not one byte.
func TestLiveOrder(t *testing.T) {
	t.Parallel()
	folder := makeStream(t, plainStream())
	want := tree(t, filepath.Dir(processLive(t, folder).master()))
	for seed := range int64(2) {
		shuffle := rand.New(rand.NewSource(seed))
		editManifest(t, folder, func(m *capture.Manifest) {
			for l := range m.Layers {
				list := m.Layers[l].Segments
				shuffle.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				m.Layers[l].Segments = append(list, list[shuffle.Intn(len(list))])
			}
		})
		got := tree(t, filepath.Dir(processLive(t, folder).master()))
		require.Equal(t, len(want), len(got))
		for name := range want {
			require.True(t, want[name] == got[name], "%s differs", name)
		}
	}
}

// TestLiveForms makes the package in its other forms.
func TestLiveForms(t *testing.T) {
	t.Parallel()
	folder := makeStream(t, plainStream())
	plain := tree(t, filepath.Dir(processLive(t, folder).master()))

	editManifest(t, folder, func(m *capture.Manifest) { m.Outputs.VOD.Segments = capture.SegmentsSingleFile })
	b := processLive(t, folder)
	require.NoError(t, b.err)
	b.conforms()
	b.complete(&streamSpec{seconds: 12, heights: []int{180, 90}}, false)
	require.FileExists(t, filepath.Join(filepath.Dir(b.master()), "180p", "media.mp4"))
	require.Len(t, b.find(catalog.RoomVOD, "").Thumbnails, 1)

	editManifest(t, folder, func(m *capture.Manifest) {
		m.Outputs.VOD = capture.VOD{Zip: true}
		m.Outputs.Assets = []string{capture.AssetRoomVOD}
	})
	b = processLive(t, folder)
	require.NoError(t, b.err)
	require.Equal(t, 1, b.out.Made)
	vod := b.find(catalog.RoomVOD, "")
	require.Equal(t, "hls/room/20261122/1795370400000/vod/Rec-room-1795370400000.zip", vod.Path)
	require.Len(t, vod.Thumbnails, 1)
	into := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "python3", "-m", "zipfile", "-e", b.path(vod), into).CombinedOutput()
	if err != nil {
		t.Skipf("python3 cannot unpack: %s", out)
	}
	got := tree(t, into)
	for name, data := range plain {
		if !strings.Contains(name, "-thumb-") {
			require.True(t, got[name] == data, "%s differs", name)
		}
	}
}

// TestLivePaused cuts a pause out of all that is made.
func TestLivePaused(t *testing.T) {
	t.Parallel()
	folder := makeStream(t, plainStream())
	editManifest(t, folder, func(m *capture.Manifest) {
		from, to := m.StartedAt, m.StartedAt
		from.Time, to.Time = liveEpoch().Add(3900*ms), liveEpoch().Add(8300*ms)
		m.Paused = []capture.Interval{{From: from, To: to}}
	})
	b := processLive(t, folder)
	require.NoError(t, b.err)
	for _, a := range b.out.Assets {
		require.InDelta(t, 8, a.Duration.Seconds(), 0.1)
		require.Contains(t, string(a.Metadata.Sync), `"join":"paused"`)
	}
	b.conforms()
}

// TestLiveNothing shows that a dump with nothing in it is an error that says so.
func TestLiveNothing(t *testing.T) {
	t.Parallel()
	folder := makeStream(t, plainStream())
	require.NoError(t, os.RemoveAll(filepath.Join(folder, "180p")))
	require.NoError(t, os.RemoveAll(filepath.Join(folder, "90p")))
	b := processLive(t, folder)
	require.Error(t, b.err)
	require.Equal(t, pipeline.KindBadInput, pipeline.KindOf(b.err))
	require.Equal(t, 3, b.out.Failed)
}

// TestFragmentedDump makes a package of a dump of fMP4, and of one whose layer has lost its init segment.
func TestFragmentedDump(t *testing.T) {
	t.Parallel()
	spec := plainStream()
	spec.fmp4 = true
	folder := makeStream(t, spec)
	b := processLive(t, folder)
	require.NoError(t, b.err)
	require.Equal(t, 3, b.out.Made)
	b.conforms()
	require.NoError(t, os.Remove(filepath.Join(folder, "90p", "init.mp4")))
	b = processLive(t, folder)
	require.NoError(t, b.err)
	require.Equal(t, 2, b.out.Made)
	require.Equal(t, 1, b.out.Failed)
	require.Equal(t, "1", b.find(catalog.RoomVOD, "").Metadata.NumLayers)
	b.conforms()
}

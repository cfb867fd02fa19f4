package transcode_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/transcode"
	"rushes/transcode/mp4"
)

// fragmentForms are ways to write fragments, as options of ffmpeg's muxer.
func fragmentForms() map[string][]string {
	return map[string][]string{
		"key frames":       {"-movflags", "+frag_keyframe+delay_moov+default_base_moof"},
		"explicit base":    {"-movflags", "+frag_keyframe+delay_moov"},
		"no edit list":     {"-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-use_editlist", "0"},
		"every frame":      {"-movflags", "+frag_every_frame+delay_moov+default_base_moof"},
		"short":            {"-movflags", "+delay_moov+default_base_moof", "-frag_duration", "300000"},
		"one per track":    {"-movflags", "+frag_keyframe+delay_moov+default_base_moof+separate_moof"},
		"dash":             {"-movflags", "+dash+delay_moov+frag_keyframe"},
		"global sidx":      {"-movflags", "+dash+global_sidx+delay_moov+frag_keyframe"},
		"cmaf":             {"-movflags", "+cmaf+delay_moov+frag_keyframe"},
		"negative offsets": {"-movflags", "+negative_cts_offsets+frag_keyframe+delay_moov+default_base_moof"},
		"late":             {"-movflags", "+frag_keyframe+delay_moov+default_base_moof", "-output_ts_offset", "1.5"},
		"other timescale":  {"-movflags", "+frag_keyframe+delay_moov+default_base_moof", "-video_track_timescale", "1000"},
	}
}

func fragmentSources(t *testing.T) map[string]string {
	t.Helper()
	gaps := small(5)
	gaps.AudioGaps = []fixtures.Interval{{From: 0, To: ms(730)}, {From: ms(2250), To: ms(3410)}}
	gaps.VideoGaps = []fixtures.Interval{{From: ms(2000), To: ms(3000)}}
	return map[string]string{
		"plain": record(t, small(5), fixtures.FragmentedMP4()), "b-frames": record(t, small(5), fixtures.FragmentedMP4().BFrames(2)),
		"gaps": record(t, gaps, fixtures.FragmentedMP4()),
	}
}

// TestFragmentedAsLibav reads every form of fragments with our own reader and with libav: each packet must be the same.
func TestFragmentedAsLibav(t *testing.T) {
	t.Parallel()
	for name, path := range fragmentSources(t) {
		t.Run(name+"/recorder", func(t *testing.T) {
			t.Parallel()
			sameAsLibav(t, path)
		})
		for form, options := range fragmentForms() {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				again := rewritten(t, path, options)
				sameAsLibav(t, again)
				if form == "negative offsets" {
					samePresentation(t, rewritten(t, path, fragmentForms()["key frames"]), again)
				}
			})
		}
	}
}

func rewritten(t *testing.T, path string, options []string) string {
	t.Helper()
	again := filepath.Join(t.TempDir(), "again.mp4")
	commandLine(t, append(append([]string{"-i", path, "-c", "copy"}, options...), again)...)
	return again
}

// sameAsLibav allows for one difference: where an offset is negative, libav moves the whole track back, so that no
// picture is presented before it is decoded.
func sameAsLibav(t *testing.T, path string) {
	t.Helper()
	libav, ours, late, err := transcode.ReadFragmented(t.Context(), source(t, path))
	require.NoError(t, err)
	require.Len(t, ours, len(libav))
	moved := int64(0)
	for i := range libav {
		require.Len(t, ours[i], len(libav[i]), "stream %d", i)
		for _, p := range ours[i] {
			moved = max(moved, p.DTS-p.PTS)
		}
		for k, want := range libav[i] {
			got := ours[i][k]
			if i == 0 {
				want.PTS -= moved
			}
			if want.Duration == 0 { // libav does not always tell
				got.Duration = 0
			}
			require.Equal(t, want, got, "packet %d of stream %d", k, i)
		}
	}
	if moved == 0 {
		require.Zero(t, late)
	}
}

// samePresentation requires that two files show the same at the same times.
func samePresentation(t *testing.T, path, again string) {
	t.Helper()
	_, before, _, err := transcode.ReadFragmented(t.Context(), source(t, path))
	require.NoError(t, err)
	_, after, _, err := transcode.ReadFragmented(t.Context(), source(t, again))
	require.NoError(t, err)
	for i := range before {
		require.Len(t, after[i], len(before[i]))
		for k := range before[i] {
			require.Equal(t, before[i][k].PTS, after[i][k].PTS, "packet %d of stream %d", k, i)
		}
	}
}

// TestFragmentedTorn cuts a file off anywhere: all samples that are whole are read, and of the torn ones what is there.
func TestFragmentedTorn(t *testing.T) {
	t.Parallel()
	path := record(t, small(5), fixtures.FragmentedMP4().BFrames(2))
	_, all, _, err := transcode.ReadFragmented(t.Context(), source(t, path))
	require.NoError(t, err)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	seed := firstSeed()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 3))
	for range tries(40, 2000) {
		n := random.IntN(len(data))
		torn := filepath.Join(t.TempDir(), "torn.mp4")
		require.NoError(t, os.WriteFile(torn, data[:n], 0o600))
		libav, ours, _, err := transcode.ReadFragmented(t.Context(), source(t, torn))
		if libav == nil || err != nil {
			require.Error(t, err)
			if libav != nil {
				require.ErrorIs(t, err, mp4.ErrOtherFragments, "%d bytes", n)
			}
			continue
		}
		for i, packets := range ours {
			require.GreaterOrEqual(t, len(packets), len(libav[i]), "%d bytes: stream %d", n, i)
			for k, p := range packets {
				if p.Corrupt {
					require.Equal(t, len(packets)-1, k, "%d bytes: only the last can be torn", n)
					require.Less(t, p.Size, all[i][k].Size)
					continue
				}
				require.Equal(t, all[i][k], p, "%d bytes: packet %d of stream %d", n, k, i)
			}
		}
	}
}

// TestFragmentedLeft leaves to libav what is not a plain fragmented MP4.
func TestFragmentedLeft(t *testing.T) {
	t.Parallel()
	plain := record(t, small(2), fixtures.FragmentedMP4())
	whole := filepath.Join(t.TempDir(), "whole.mp4")
	commandLine(t, "-i", plain, "-c", "copy", whole)
	for name, path := range map[string]string{"progressive": whole, "webm": record(t, small(1), fixtures.WebMVP8())} {
		_, _, _, err := transcode.ReadFragmented(t.Context(), source(t, path))
		require.ErrorIs(t, err, mp4.ErrOtherFragments, name)
	}
}

package stage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/hls"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
	"rushes/transcode"
	"rushes/transcode/mp4"
)

// streamSpec says what a live encoder leaves.
type streamSpec struct {
	seconds int
	heights []int // of the layers, highest first
	audio   func(layer int) bool
	offset  float64 // of the clock, in seconds
	fmp4    bool
	lists   bool // write segment lists into the manifest
}

// liveEpoch is the wall time of a made stream's first sample.
func liveEpoch() time.Time { return time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC) }

// makeStream lets ffmpeg encode a stream in segments of two seconds, with B-frames, and describes it as a recorder would.
func makeStream(t testing.TB, spec streamSpec) (folder string) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	folder = filepath.Join(t.TempDir(), "live")
	m := capture.Manifest{Version: 1, Source: capture.SourceLiveStream, RoomID: "room", SessionID: "session", JobID: "job"}
	m.StartedAt.Time, m.StoppedAt.Time = liveEpoch(), liveEpoch().Add(time.Duration(spec.seconds)*time.Second)
	m.Outputs = capture.DefaultOutputs(m.Source)
	for i, h := range spec.heights {
		name := fmt.Sprintf("%dp", h)
		require.NoError(t, os.MkdirAll(filepath.Join(folder, name), 0o755))
		args := []string{"-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%dx%d:rate=25:duration=%d", h*16/9&^1, h, spec.seconds)}
		hasAudio := spec.audio == nil || spec.audio(i)
		if hasAudio {
			args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:sample_rate=44100:duration=%d", spec.seconds), "-c:a", "aac", "-b:a", "64k")
		}
		ext := "ts"
		args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-b_strategy", "0", "-g", "50", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-threads", "1",
			"-output_ts_offset", fmt.Sprint(spec.offset), "-f", "hls", "-hls_time", "2", "-hls_list_size", "0")
		if spec.fmp4 {
			ext = "m4s"
			args = append(args, "-hls_segment_type", "fmp4")
		}
		args = append(args, "-hls_segment_filename", filepath.Join(folder, name, "seg%05d."+ext), filepath.Join(folder, name, "index.m3u8"))
		out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		layer := capture.Layer{Name: name, Playlist: name + "/index.m3u8"}
		for n := 0; spec.lists && n < spec.seconds/2; n++ {
			s := capture.Segment{Path: fmt.Sprintf("%s/seg%05d.%s", name, n, ext)}
			s.ProgramDateTime.Time = liveEpoch().Add(time.Duration(2*n) * time.Second)
			if spec.fmp4 {
				s.Map = "init.mp4"
			}
			layer.Segments = append(layer.Segments, s)
		}
		m.Layers = append(m.Layers, layer)
	}
	writeManifest(t, folder, &m)
	return folder
}

func writeManifest(t testing.TB, folder string, m *capture.Manifest) {
	t.Helper()
	text, err := json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "capture.json"), text, 0o600))
}

// editManifest changes a capture's manifest.
func editManifest(t testing.TB, folder string, change func(m *capture.Manifest)) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "capture.json"))
	require.NoError(t, err)
	m, _, err := capture.Parse("capture.json", text)
	require.NoError(t, err)
	change(m)
	writeManifest(t, folder, m)
}

// sample is a sample known by its bytes.
type sample struct {
	hash [32]byte
	at   float64
	size int
}

// broadcast is a processed live stream.
type broadcast struct {
	*session
	folder string
}

func processLive(t *testing.T, folder string) *broadcast {
	t.Helper()
	return &broadcast{session: processFolder(t, folder), folder: folder}
}

func (b *broadcast) find(kind catalog.AssetType, layer string) catalog.Asset {
	b.Helper()
	i := slices.IndexFunc(b.out.Assets, func(a catalog.Asset) bool { return a.Type == kind && a.Metadata.Layer == layer })
	require.GreaterOrEqual(b, i, 0, "no %s %s", kind, layer)
	return b.out.Assets[i]
}

func (b *broadcast) master() string { return b.path(b.find(catalog.RoomVOD, "")) }

// input reads the whole samples of a segment of the dump.
func (b *broadcast) input(name string) (video, audio []sample) {
	b.Helper()
	f, err := os.Open(filepath.Join(b.folder, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	require.NoError(b, err)
	defer f.Close()
	src, err := transcode.FileSource(name, f)
	require.NoError(b, err)
	s, err := transcode.OpenSegment(b.Context(), src)
	if err != nil {
		return nil, nil
	}
	defer func() { require.NoError(b, s.Close()) }()
	for {
		u, err := s.Next(b.Context())
		if errors.Is(err, io.EOF) {
			return video, audio
		}
		require.NoError(b, err)
		if u.Torn {
			continue
		}
		data, err := s.Data(u.Track)
		require.NoError(b, err)
		x := sample{sha256.Sum256(data), float64(u.PTS) / 90000, len(data)}
		if s.Tracks()[u.Track].Video != nil {
			video = append(video, x)
		} else {
			audio = append(audio, x)
		}
	}
}

// rendition reads the samples of a rendition of the package through its playlist.
func (b *broadcast) rendition(dir string) (list []sample, borders []time.Duration) {
	b.Helper()
	base := filepath.Dir(b.master())
	text, err := os.ReadFile(filepath.Join(base, dir, "index.m3u8"))
	require.NoError(b, err)
	segments, err := hls.ReadPlaylist(dir+"/index.m3u8", text)
	require.NoError(b, err)
	read := func(name string, offset, length int64) []byte {
		data, err := os.ReadFile(filepath.Join(base, filepath.FromSlash(name)))
		require.NoError(b, err)
		if length == 0 {
			length = int64(len(data)) - offset
		}
		return data[offset : offset+length]
	}
	for _, s := range segments {
		borders = append(borders, s.Duration)
		data := slices.Concat(read(s.Map, s.MapOffset, s.MapLength), read(s.Name, s.Offset, s.Length))
		f, err := mp4.OpenFragments(b.Context(), bytes.NewReader(data), int64(len(data)))
		require.NoError(b, err)
		for {
			u, err := f.Next(b.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(b, err)
			p, err := f.Data(&u)
			require.NoError(b, err)
			list = append(list, sample{sha256.Sum256(p), float64(u.PTS) / float64(f.Tracks[u.Track].Timescale), len(p)})
		}
	}
	return list, borders
}

// movie reads the samples of an MP4.
func (b *broadcast) movie(a catalog.Asset) (video, audio []sample) {
	b.Helper()
	data, err := os.ReadFile(b.path(a))
	require.NoError(b, err)
	m, err := mp4.Read(bytes.NewReader(data), int64(len(data)))
	require.NoError(b, err)
	for _, t := range m.Tracks {
		for s, err := range t.Samples() {
			require.NoError(b, err)
			x := sample{sha256.Sum256(data[s.Offset : s.Offset+int64(s.Size)]), float64(s.PTS) / float64(t.Timescale), int(s.Size)}
			if t.Video != nil {
				video = append(video, x)
			} else {
				audio = append(audio, x)
			}
		}
	}
	return video, audio
}

// moved finds every sample of in once in out and gives by how much each was moved: of samples with the same bytes the one
// that was moved most like the first, which was moved by no less than least.
func moved(t testing.TB, in, out []sample, least float64) (by []float64) {
	t.Helper()
	found := map[[32]byte][]float64{}
	for _, o := range out {
		found[o.hash] = append(found[o.hash], o.at)
	}
	for i, s := range in {
		list := slices.DeleteFunc(slices.Clone(found[s.hash]), func(at float64) bool { return at-s.at < least })
		require.NotEmpty(t, list, "sample %d of %d at %v s is missing", i, len(in), s.at)
		best := list[0]
		for _, at := range list {
			if i > 0 && math.Abs(at-s.at-by[0]) < math.Abs(best-s.at-by[0]) {
				best = at
			}
		}
		by = append(by, best-s.at)
		at := slices.Index(found[s.hash], best)
		found[s.hash] = slices.Delete(found[s.hash], at, at+1)
	}
	return by
}

// tree reads all files of a folder.
func tree(t testing.TB, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(folder), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(folder, name))
		files[name] = string(data)
		return err
	}))
	return files
}

// conforms wants rushes' own checker to find nothing that breaks a rule or a recommendation, and ffmpeg to decode
// everything without a word.
func (b *broadcast) conforms() {
	b.Helper()
	out, err := exec.CommandContext(b.Context(), "ffmpeg", "-v", "warning", "-allowed_extensions", "ALL", "-i", b.master(), "-map", "0", "-f", "null", "-").CombinedOutput()
	require.NoError(b, err, "%s", out)
	require.Empty(b, strings.TrimSpace(string(out)))
}

// liveWorld is a world for a made stream.
func liveWorld(t *testing.T, folder string) *world {
	t.Helper()
	c, err := capture.Open(t.Context(), folder)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	w := &world{catalog: newTestCatalog(t), blobs: newMemoryStore(), capture: c}
	w.cfg = stage.Config{Catalog: w.catalog, Blobs: w.blobs, Scratch: filepath.Join(t.TempDir(), "scratch"), Software: "test"}
	return w
}

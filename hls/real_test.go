package hls_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/hls"
	"rushes/transcode/mp4"
)

// foreign marks a segment that only a demuxer can read.
var foreign = []byte("G@\x00\x10\x00\x00\xb0\x11")

// demuxer reads foreign segments: behind the mark they are MP4.
type demuxer struct{}

type demuxed struct {
	f    *mp4.Fragments
	last []mp4.FragmentSample
}

func (demuxer) Demux(ctx context.Context, _ string, f hls.File) (hls.Reader, error) {
	data := make([]byte, f.Size())
	if _, err := f.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	data, ok := bytes.CutPrefix(data, foreign)
	if !ok {
		return nil, errors.New("not a transport stream")
	}
	r, err := mp4.OpenFragments(ctx, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	return &demuxed{r, make([]mp4.FragmentSample, len(r.Tracks))}, nil
}

func (d *demuxed) Tracks() (out []mp4.Track) {
	for _, t := range d.f.Tracks {
		out = append(out, t.Track)
	}
	return out
}

func (d *demuxed) Next(ctx context.Context) (hls.Unit, error) {
	s, err := d.f.Next(ctx)
	if err != nil {
		return hls.Unit{}, err
	}
	d.last[s.Track] = s
	return hls.Unit{Track: s.Track, DTS: s.DTS, PTS: s.PTS, Duration: int64(s.Duration), Sync: s.Sync, Torn: s.Torn}, nil
}

func (d *demuxed) Data(track int) ([]byte, error) { return d.f.Data(&d.last[track]) }
func (d *demuxed) Close() error                   { return nil }

// asForeign turns all segments of a stream into foreign ones.
func asForeign(s *stream) {
	for l := range s.dump.Layers {
		for i := range s.dump.Layers[l].Segments {
			seg := &s.dump.Layers[l].Segments[i]
			if data := s.files[seg.Name]; seg.Map != "" && len(data) > 8 && bytes.Contains(data[:8], []byte("moof")) {
				s.files[seg.Name] = slices.Concat(foreign, s.files[seg.Map], data)
			}
			seg.Map, seg.Duration = "", 0
		}
	}
}

// manifest is what a test needs of a capture's manifest.
type manifest struct {
	Layers []struct {
		Name     string
		Playlist string
		Segments []struct {
			Path            string
			ProgramDateTime string `json:"program_date_time"`
			Discontinuity   bool
		}
	}
}

const wallLayout = "2006-01-02T15:04:05.999Z0700"

// realStream remuxes the live capture to MP4, segment by segment, with its own timestamps.
func realStream(t *testing.T) *stream {
	t.Helper()
	root := filepath.Join("..", "..", "shared", "captures", "hls-ts")
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the real captures are not beside this checkout")
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	text, err := os.ReadFile(filepath.Join(root, "capture.json"))
	require.NoError(t, err)
	var m manifest
	require.NoError(t, json.Unmarshal(text, &m))
	s := &stream{files: memory{}}
	dir := t.TempDir()
	for _, l := range m.Layers {
		layer := hls.Layer{Name: l.Name}
		var inputs, outputs, names []string
		for _, seg := range l.Segments {
			wall, err := time.Parse(wallLayout, seg.ProgramDateTime)
			require.NoError(t, err)
			layer.Segments = append(layer.Segments, hls.Segment{Name: seg.Path, WallTime: wall, Discontinuity: seg.Discontinuity})
			in := filepath.Join(root, filepath.FromSlash(seg.Path))
			if _, err := os.Stat(in); err != nil {
				continue
			}
			inputs = append(inputs, "-i", in)
			outputs = append(outputs, "-map", strconv.Itoa(len(names)), "-c", "copy", "-bsf:a", "aac_adtstoasc", "-f", "mp4", "-avoid_negative_ts", "disabled",
				"-movflags", "frag_keyframe+empty_moov+delay_moov+default_base_moof+frag_discont", "-use_editlist", "0", filepath.Join(dir, strconv.Itoa(len(names))))
			names = append(names, seg.Path)
		}
		_ = exec.Command("ffmpeg", slices.Concat([]string{"-v", "error", "-y", "-copyts"}, inputs, outputs)...).Run() // complains of the torn one
		for i, n := range names {
			s.files[n], err = os.ReadFile(filepath.Join(dir, strconv.Itoa(i)))
			require.NoError(t, err)
		}
		s.dump.Layers = append(s.dump.Layers, layer)
	}
	return s
}

// hashed is a sample known by its bytes.
type hashed struct {
	hash [32]byte
	at   float64
	run  int
}

func readAll(t *testing.T, p []byte, run int) (video, audio []hashed) {
	t.Helper()
	f, err := mp4.OpenFragments(t.Context(), bytes.NewReader(p), int64(len(p)))
	require.NoError(t, err)
	for {
		s, err := f.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return video, audio
		}
		require.NoError(t, err)
		data, err := f.Data(&s)
		require.NoError(t, err)
		h := hashed{sha256.Sum256(data), float64(s.PTS) / float64(f.Tracks[s.Track].Timescale), run}
		if f.Tracks[s.Track].Video != nil {
			video = append(video, h)
		} else {
			audio = append(audio, h)
		}
	}
}

// offsetsOf finds every sample of the input once in the output and returns how far it was moved, by run.
func offsetsOf(t *testing.T, in, out []hashed) map[int][]float64 {
	t.Helper()
	found := map[[32]byte][]float64{}
	for _, o := range out {
		found[o.hash] = append(found[o.hash], o.at)
	}
	offsets := map[int][]float64{}
	for _, i := range in {
		list := found[i.hash]
		require.NotEmpty(t, list, "run %d, %v s", i.run, i.at)
		offsets[i.run] = append(offsets[i.run], list[0]-i.at)
		found[i.hash] = list[1:]
	}
	return offsets
}

// TestRealLiveStream packages the live capture: encoder restart, a missing and a torn segment.
func TestRealLiveStream(t *testing.T) {
	t.Parallel()
	base := realStream(t)
	for name, prepare := range map[string]func(*stream){
		"mp4": func(*stream) {},
		"demuxer": func(s *stream) {
			for n, p := range s.files {
				s.files[n] = slices.Concat(foreign, p)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stream{files: memory{}, dump: base.dump}
			for n, p := range base.files {
				s.files[n] = p
			}
			prepare(s)
			p := produce(t, s, nil)
			require.Equal(t, []string{"encoder-restart", "layer-hole", "layer-hole", "missing-file"}, p.kinds(), "%v", p.res.Defects)
			require.Len(t, p.res.Layers, 3)
			require.Len(t, p.t.Joins, 1)
			require.Equal(t, hls.JoinRestart, p.t.Joins[0].Kind)
			require.InDelta(t, 36, p.res.Duration.Seconds(), 0.3)
			audio := map[[32]byte]bool{}
			var audioIn []hashed
			for l, layer := range p.res.Layers {
				var video []hashed
				for i, seg := range s.dump.Layers[l].Segments {
					if data := base.files[seg.Name]; data != nil {
						v, a := readAll(t, data, i/9)
						video = append(video, v...)
						for _, h := range a {
							if l == 0 {
								audio[h.hash] = true
								audioIn = append(audioIn, h)
							}
						}
					}
				}
				out := rendition(t, p, layer.Dir)
				offsets := offsetsOf(t, video, out)
				require.Len(t, out, len(video))
				sound := offsetsOf(t, audioIn, rendition(t, p, "audio"))
				for run := range 2 {
					for _, o := range slices.Concat(offsets[run], sound[run]) {
						require.InDelta(t, offsets[run][0], o, 0.001, "layer %d, run %d", l, run)
					}
				}
			}
			aligned(t, p)
			// The remuxed torn segment ends with half a picture, which MP4 cannot tell.
			playable(t, p, "360p")
		})
	}
}

// rendition lists the samples of a rendition by their bytes.
func rendition(t *testing.T, p *product, dir string) (out []hashed) {
	t.Helper()
	head := p.tree.files[dir+"/init.mp4"]
	names := []string{}
	for n := range p.tree.files {
		if strings.HasPrefix(n, dir+"/") && strings.HasSuffix(n, ".m4s") {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		v, a := readAll(t, slices.Concat(head, p.tree.files[n]), 0)
		out = append(append(out, v...), a...)
	}
	return out
}

// playable decodes a package and its movies with ffmpeg, which must have nothing to say but of a damaged layer.
func playable(t *testing.T, p *product, damaged string) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		return
	}
	dir := t.TempDir()
	for name, data := range p.tree.files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	for l, m := range p.movies {
		name := filepath.Join(dir, p.res.Layers[l].Name+".mp4")
		require.NoError(t, os.WriteFile(name, m.p, 0o600))
		out, err := exec.Command("ffmpeg", "-v", "warning", "-i", name, "-f", "null", "-").CombinedOutput()
		require.NoError(t, err)
		if p.res.Layers[l].Name != damaged {
			require.Empty(t, string(out))
		}
	}
	out, err := exec.Command("ffmpeg", "-v", "warning", "-allowed_extensions", "ALL", "-i", filepath.Join(dir, "master.m3u8"), "-map", "0", "-f", "null", "-").CombinedOutput()
	require.NoError(t, err, "%s", out)
	if damaged == "" {
		require.Empty(t, string(out))
	}
}

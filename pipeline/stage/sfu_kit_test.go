package stage_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob/dir"
	"rushes/catalog/sqlstore"
	"rushes/fixtures"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

const (
	ms = time.Millisecond
	// nearEnough is how far anything may be from its place on the session's clock.
	nearEnough = 20 * ms
)

// session is a processed SFU capture with its truth.
type session struct {
	*testing.T
	truth  *fixtures.SFUTruth
	out    stage.Outcome
	err    error
	assets string        // folder of the blobs
	coarse time.Duration // by how much the capture's own times are coarser than most
}

// near wants a moment at its place. Where no sender report tells when it was seen or heard, the arrival does, which
// is later by what a browser takes to encode and send.
func (s *session) near(a catalog.Asset, want, got time.Duration, msg ...any) {
	s.Helper()
	late := nearEnough
	if s.sync(a).Mapping != "sender-reports" {
		late = 45 * ms
	}
	off := got - want
	require.True(s, off >= -nearEnough-s.coarse && off <= late+s.coarse, "%v is at %v: %v", want, got, msg)
}

// outputs asks for assets of a capture.
func outputs(assets ...string) map[string]any {
	return map[string]any{"assets": assets, "thumbnails": map[string]any{"enabled": false}}
}

// process makes a capture and its assets, in SQLite and a folder. spoil changes the folder before it is opened.
func processSFU(t *testing.T, spec fixtures.SFUSpec, spoil func(dir string)) *session {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "capture")
	if spec.Outputs == nil {
		spec.Outputs = outputs("track")
	}
	truth, err := fixtures.SFU(t.Context(), folder, spec)
	require.NoError(t, err)
	if spoil != nil {
		spoil(folder)
	}
	s := processFolder(t, folder)
	s.truth = truth
	return s
}

func processFolder(t *testing.T, folder string) *session {
	t.Helper()
	c, err := capture.Open(t.Context(), folder)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	data := t.TempDir()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(data, "rushes.db")})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	blobs, err := dir.Open(filepath.Join(data, "assets"))
	require.NoError(t, err)
	cfg := stage.Config{Catalog: db, Blobs: blobs, Scratch: filepath.Join(data, "scratch"), Software: "test"}
	cfg.Video.Preset = "ultrafast"
	s := &session{T: t, assets: filepath.Join(data, "assets")}
	s.out, s.err = stage.Process(t.Context(), cfg, c, "file://"+folder)
	return s
}

// asset finds the asset of a track or a stream.
func (s *session) asset(id string) catalog.Asset {
	s.Helper()
	i := slices.IndexFunc(s.out.Assets, func(a catalog.Asset) bool {
		return a.Metadata.TrackID == id || a.Metadata.TrackID == "" && a.Metadata.StreamID == id
	})
	require.GreaterOrEqual(s, i, 0, "no asset of %s", id)
	return s.out.Assets[i]
}

func (s *session) path(a catalog.Asset) string {
	return filepath.Join(s.assets, filepath.FromSlash(a.Path))
}

// measure decodes an asset; nothing in it may be broken.
func (s *session) measure(id string) (catalog.Asset, fixtures.Report) {
	s.Helper()
	a := s.asset(id)
	require.Equal(s, catalog.AssetCompleted, a.Status, "%+v", a.Error)
	r, err := fixtures.Measure(s.Context(), s.path(a), fixtures.MeterConfig{})
	require.NoError(s, err, id)
	return a, r
}

// clean wants ffprobe to be content with a file, and gives its duration.
func (s *session) clean(a catalog.Asset) {
	s.Helper()
	out, err := exec.CommandContext(s.Context(), "ffprobe", "-v", "warning", "-show_entries", "format=duration:stream=codec_name", "-of", "json", s.path(a)).CombinedOutput()
	require.NoError(s, err, "%s", out)
	var probe struct {
		Format  struct{ Duration string }
		Streams []struct {
			CodecName string `json:"codec_name"`
		}
	}
	require.NoError(s, json.Unmarshal(out, &probe), "ffprobe says: %s", out)
	d, err := time.ParseDuration(probe.Format.Duration + "s")
	require.NoError(s, err, "%s", out)
	require.InDelta(s, a.Duration, d, float64(60*ms))
	if strings.HasSuffix(a.Path, ".webm") {
		b, err := os.ReadFile(s.path(a))
		require.NoError(s, err)
		require.Contains(s, string(b), "\x1c\x53\xbb\x6b", "no cues")
	}
}

// pictures judges a track asset of pictures: what is shown is what can be decoded, at its time.
func (s *session) pictures(id string) catalog.Asset {
	s.Helper()
	a, r := s.measure(id)
	s.clean(a)
	want := s.truth.Track(id).Decodable()
	require.NotEmpty(s, want)
	offset := time.Duration(a.Metadata.OffsetMS) * ms
	s.near(a, want[0].At, offset, "begin")
	last := want[len(want)-1]
	step := last.End - last.At
	require.InDelta(s, last.End-want[0].At, a.Duration, float64(step+5*ms+2*s.coarse), "duration")
	shown := map[int]bool{}
	for _, f := range r.Frames {
		if errors.Is(f.Err, fixtures.ErrNoCode) {
			continue
		}
		require.NoError(s, f.Err, "frame at %v", f.PTS)
		require.Equal(s, fixtures.TailMatches, f.Code.Tail, "frame at %v is torn", f.PTS)
		s.near(a, f.Code.Time, f.PTS+offset, "frame", f.Code.Frame)
		shown[f.Code.Frame] = true
	}
	black := 0
	for _, u := range want {
		if u.Frame < 0 {
			black++
			continue
		}
		require.True(s, shown[u.Frame], "frame %d at %v is missing", u.Frame, u.At)
		delete(shown, u.Frame)
	}
	require.Empty(s, shown, "frames that follow a loss are shown")
	require.Len(s, r.Sequence.NoCode, black)
	require.Empty(s, r.Backwards)
	return a
}

// beeps judges a track asset of sound: it has no holes, is as long as the track, and beeps on full seconds.
func (s *session) beeps(id string, silent ...fixtures.Interval) catalog.Asset {
	s.Helper()
	a, r := s.measure(id)
	s.clean(a)
	truth := s.truth.Track(id)
	offset := time.Duration(a.Metadata.OffsetMS) * ms
	s.near(a, truth.Begin, offset, "begin")
	require.InDelta(s, truth.End-truth.Begin, a.Duration, float64(25*ms), "duration")
	require.Empty(s, r.Holes)
	require.InDelta(s, a.Duration, r.Sound.End-r.Sound.First, float64(60*ms))
	heard := map[time.Duration]bool{}
	for _, b := range r.Beeps {
		at := b.Start + offset
		if b.Clipped {
			continue
		}
		s.near(a, at.Round(time.Second), at, "beep")
		heard[at.Round(time.Second)] = true
	}
	for at := truth.Begin.Truncate(time.Second) + time.Second; at+150*ms < truth.End; at += time.Second {
		quiet := slices.ContainsFunc(silent, func(i fixtures.Interval) bool { return at < i.To+60*ms && at+160*ms > i.From })
		lost := slices.ContainsFunc(truth.Units, func(u fixtures.SFUUnit) bool { return u.Lost > 0 && u.End > at-20*ms && u.At < at+120*ms })
		if !quiet && !lost {
			require.True(s, heard[at], "no beep at %v", at)
		}
	}
	return a
}

// stream judges a stream asset: its zero is the first that there is, sound and pictures lie where they belong.
func (s *session) stream(id, video, audio string) (catalog.Asset, fixtures.Report) {
	s.Helper()
	a, r := s.measure(id)
	s.clean(a)
	require.True(s, strings.HasSuffix(a.Path, ".mp4"))
	offset := time.Duration(a.Metadata.OffsetMS) * ms
	begin := s.truth.Track(audio).Begin
	if v := s.truth.Track(video).Decodable()[0].At; v < begin {
		begin = v
	}
	require.InDelta(s, begin, offset, float64(nearEnough))
	require.Empty(s, r.Holes)
	for _, f := range r.Frames {
		if f.Err == nil {
			require.InDelta(s, f.Code.Time, f.PTS+offset, float64(nearEnough))
		}
	}
	require.NotEmpty(s, r.CodeOffsets)
	for _, o := range r.CodeOffsets {
		require.InDelta(s, 0, o.Offset, float64(nearEnough), "at %v", o.At)
	}
	return a, r
}

// sync is the sync report of a track in an asset.
type syncOf struct {
	TrackID     string `json:"track_id"`
	Mapping     string
	Pieces      []struct{ PPM float64 }
	DriftPPM    float64 `json:"drift_ppm"`
	ResidualMS  float64 `json:"residual_ms"`
	ClockOffset float64 `json:"clock_offset_ms"`
	PacketsLost int     `json:"packets_lost"`
	Duplicates  int
	SilenceMS   int64 `json:"silence_ms"`
	Rejected    int
	Dropped     map[string]int
	Gaps        []struct {
		FromMS int64 `json:"from_ms"`
		ToMS   int64 `json:"to_ms"`
	}
}

func (s *session) sync(a catalog.Asset) syncOf {
	s.Helper()
	var all []syncOf
	require.NoError(s, json.Unmarshal(a.Metadata.Sync, &all))
	require.NotEmpty(s, all)
	return all[0]
}

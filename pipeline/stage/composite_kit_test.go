package stage_test

import (
	"encoding/json"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob/dir"
	"rushes/fixtures"
	"rushes/layout"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

// aside is how far a picture may be from its place on the session's clock: the noise of sender reports.
const aside = 15 * ms

// person is a peer with a camera and a microphone that says nothing but its tone.
func person(i int, start, length time.Duration) []fixtures.SFUTrack {
	s := fixtures.Script{Start: start, Duration: length, Rate: fixtures.Rate{Num: 10, Den: 1}, Width: 160, Height: 90, Channels: 1, Identity: i, Tone: true, Silent: true}
	peer := fmt.Sprintf("peer-%02d", i)
	return []fixtures.SFUTrack{
		{ID: peer + "-cam", Peer: peer, Codec: "VP8", Format: fixtures.RTPDump, Script: s, KeyEvery: time.Second},
		{ID: peer + "-mic", Peer: peer, Codec: "OPUS", Format: fixtures.RTPDump, Script: s},
	}
}

// share is a screen that a peer shows.
func share(peer, identity int, start, length time.Duration) fixtures.SFUTrack {
	t := person(peer, start, length)[0]
	t.ID, t.Stream, t.Source, t.Script.Identity = "screen", t.Peer+"-screen", "screen", identity
	t.Script.Width, t.Script.Height = 320, 180
	return t
}

// call is a capture of several people with its truth.
type call struct {
	*testing.T
	folder string
	truth  *fixtures.SFUTruth
	who    map[string]int // identity by track
}

func newCall(t *testing.T, spec fixtures.SFUSpec, spoil func(dir string)) *call {
	t.Helper()
	c := &call{T: t, folder: filepath.Join(t.TempDir(), "capture"), who: map[string]int{}}
	if spec.Outputs == nil {
		spec.Outputs = outputs(capture.AssetRoomCompositeLegacy)
	}
	var err error
	c.truth, err = fixtures.SFU(t.Context(), c.folder, spec)
	require.NoError(t, err)
	for _, track := range spec.Tracks {
		c.who[track.ID] = track.Script.Identity
	}
	if spoil != nil {
		spoil(c.folder)
	}
	return c
}

// film is a composite of a call.
type film struct {
	*call
	*testing.T
	plan   layout.Plan
	out    stage.Outcome
	asset  catalog.Asset
	file   string
	report fixtures.CompositeReport
}

// small changes the manifest's composition to a canvas that is quickly made.
func small(m *capture.Manifest) *capture.Composition {
	o := &m.Outputs.Composition
	o.Width, o.Height, o.FPS, o.Names = 640, 360, 15, false
	return o
}

// try makes the composite; the error is that of Process.
func (c *call) try(t *testing.T, change func(m *capture.Manifest, cfg *stage.Config)) (*film, error) {
	t.Helper()
	cp, err := capture.Open(t.Context(), c.folder)
	require.NoError(t, err)
	defer func() { require.NoError(t, cp.Close()) }()
	data := t.TempDir()
	blobs, err := dir.Open(filepath.Join(data, "assets"))
	require.NoError(t, err)
	cfg := stage.Config{Catalog: newTestCatalog(t), Blobs: blobs, Scratch: filepath.Join(data, "scratch"), Software: "test"}
	cfg.Video.Preset, cfg.Video.CRF = "ultrafast", 18
	small(cp.Manifest)
	if change != nil {
		change(cp.Manifest, &cfg)
	}
	f := &film{call: c, T: t}
	f.out, err = stage.Process(t.Context(), cfg, cp, "file://"+c.folder)
	if err != nil {
		return f, err
	}
	f.plan, err = stage.PlanOf(t.Context(), cp)
	require.NoError(t, err)
	f.asset = f.out.Assets[0]
	require.Equal(t, catalog.AssetCompleted, f.asset.Status)
	f.file = filepath.Join(data, "assets", filepath.FromSlash(f.asset.Path))
	return f, nil
}

// compose makes the composite and looks at every tile of every frame.
func (c *call) compose(t *testing.T, change func(m *capture.Manifest, cfg *stage.Config)) *film {
	t.Helper()
	f, err := c.try(t, change)
	require.NoError(t, err)
	f.look()
	return f
}

func (f *film) look(listen ...fixtures.Listen) {
	f.T.Helper()
	var err error
	f.report, err = fixtures.MeasureComposite(f.T.Context(), f.file, fixtures.CompositeConfig{Listen: listen, Windows: func(frame int) []image.Rectangle {
		var out []image.Rectangle
		for _, t := range f.tiles(frame) {
			out = append(out, image.Rect(t.Rect.X, t.Rect.Y, t.Rect.X+t.Rect.Width, t.Rect.Y+t.Rect.Height))
		}
		return out
	}})
	require.NoError(f.T, err)
	plan := f.plan
	require.Len(f.T, f.report.Shown, int(plan.Frames), "frames")
	require.Equal(f.T, plan.Duration, f.asset.Duration)
	require.Equal(f.T, len(plan.Scenes), f.asset.Metadata.Scenes)
	require.InDelta(f.T, plan.Duration, f.report.Sound.End-f.report.Sound.First, float64(25*ms), "duration of the sound")
	require.InDelta(f.T, 0, f.report.Sound.First, float64(ms))
	require.Empty(f.T, f.report.Holes)
	fps := time.Duration(plan.Canvas.FPS)
	for k, frame := range f.report.Report.Frames {
		require.InDelta(f.T, time.Duration(k)*time.Second/fps, frame.PTS, float64(time.Microsecond), "time of frame %d", k)
	}
}

func (f *film) tiles(frame int) []layout.Tile {
	i := f.plan.SceneAt(int64(frame))
	if i < 0 {
		return nil
	}
	return f.plan.Scenes[i].Tiles
}

// everyFrame wants every tile to show what the plan says: of every track the picture that is seen at the frame's time,
// and no picture on avatars. session gives the session time of an output time; nil means the same.
func (f *film) everyFrame(session func(time.Duration) time.Duration) {
	f.T.Helper()
	shown := map[string][]fixtures.SFUUnit{}
	for _, t := range f.truth.Tracks {
		shown[t.ID] = t.Decodable()
	}
	for k := range f.report.Shown {
		at := f.report.Report.Frames[k].PTS
		if session != nil {
			at = session(at)
		}
		for i, tile := range f.tiles(k) {
			w := f.report.Shown[k][i]
			if tile.TrackID == "" {
				require.True(f.T, w.Empty(), "frame %d: a picture on the %s of %s", k, tile.Kind, tile.PeerID)
				continue
			}
			if w.Empty() && blackAt(shown[tile.TrackID], at) {
				continue // what a disabled camera sends
			}
			require.True(f.T, w.Shows(f.who[tile.TrackID]), "frame %d: %s at %v: %+v %v", k, tile.TrackID, tile.Rect, w.Code, w.Err)
			if w.Code.Background.Y < 195 { // no flash
				id, off := w.Code.Background.NearestIdentity()
				require.Equal(f.T, f.who[tile.TrackID], id, "frame %d: the colour of %s is %.0f off", k, tile.TrackID, off)
			}
			f.timely(k, at, tile.TrackID, w.Code, shown[tile.TrackID])
		}
	}
}

// blackAt tells whether the picture that is seen at a session time is black.
func blackAt(units []fixtures.SFUUnit, at time.Duration) bool {
	for i, u := range units {
		if u.Frame < 0 && u.At <= at+aside && (i+1 == len(units) || units[i+1].At > at-aside) {
			return true
		}
	}
	return false
}

// editCapture changes capture.json.
func editCapture(t *testing.T, folder string, change func(m map[string]any)) {
	t.Helper()
	path := filepath.Join(folder, "capture.json")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	m := map[string]any{}
	require.NoError(t, json.Unmarshal(text, &m))
	change(m)
	text, err = json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, 0o644))
}

// timely wants the picture to be the last one that had been seen at a session time.
func (f *film) timely(frame int, at time.Duration, track string, code fixtures.Code, units []fixtures.SFUUnit) {
	f.T.Helper()
	for i, u := range units {
		if u.Frame != code.Frame {
			continue
		}
		require.LessOrEqual(f.T, u.At, at+aside, "frame %d: %s is early", frame, track)
		if i+1 < len(units) {
			require.Greater(f.T, units[i+1].At, at-aside, "frame %d: %s is late", frame, track)
		}
		return
	}
	require.Fail(f.T, "a picture that cannot be decoded", "frame %d: %s shows %d", frame, track, code.Frame)
}

// kinds counts the tiles of a frame.
func (f *film) kinds(frame int) map[layout.TileKind]int {
	out := map[layout.TileKind]int{}
	for _, t := range f.tiles(frame) {
		out[t.Kind]++
	}
	return out
}

// tile finds the tile of a track, or the avatar of a peer.
func (f *film) tile(frame int, id string) (layout.Tile, fixtures.Window) {
	f.T.Helper()
	for i, t := range f.tiles(frame) {
		if t.TrackID == id || t.TrackID == "" && t.PeerID == id {
			return t, f.report.Shown[frame][i]
		}
	}
	require.Fail(f.T, "no tile", "of %s in frame %d: %+v", id, frame, f.tiles(frame))
	return layout.Tile{}, fixtures.Window{}
}

// boundary wants the plan to change at a frame.
func (f *film) boundary(frame int) {
	f.T.Helper()
	i := f.plan.SceneAt(int64(frame))
	require.GreaterOrEqual(f.T, i, 0)
	require.EqualValues(f.T, frame, f.plan.Scenes[i].FirstFrame, "nothing changes at frame %d", frame)
}

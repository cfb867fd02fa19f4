package stage_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/layout"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

// TestCompositeStates mutes cameras and microphones in both ways, loses packets, and lets somebody leave and come back.
func TestCompositeStates(t *testing.T) {
	t.Parallel()
	ann, bob, eve, again := person(0, 0, 6*time.Second), person(9, 210*ms, 2*time.Second), person(2, 0, 6*time.Second), person(9, 3870*ms, 2100*ms)
	again[0].ID, again[1].ID = "again-cam", "again-mic"
	off := fixtures.SFUMute{Interval: fixtures.Interval{From: 1610 * ms, To: 2830 * ms}, Stop: true}
	ann[0].Mutes, ann[1].Mutes = []fixtures.SFUMute{off}, []fixtures.SFUMute{{Interval: off.Interval}}
	black := fixtures.SFUMute{Interval: fixtures.Interval{From: 2310 * ms, To: 4110 * ms}}
	eve[0].Mutes, eve[1].Mutes = []fixtures.SFUMute{black}, []fixtures.SFUMute{black}
	eve[0].Net.Drop, eve[0].PLI = []fixtures.Interval{{From: 1200 * ms, To: 1450 * ms}}, true
	c := newCall(t, fixtures.SFUSpec{Tracks: append(append(append(ann, bob...), eve...), again...), Seed: 3}, nil)
	f := c.compose(t, func(m *capture.Manifest, _ *stage.Config) {
		o := small(m)
		o.Layout, o.Names = "grid", true
		m.Peers[0].Name = "Ännchen 姓名"
	})
	f.everyFrame(nil)
	for _, b := range []time.Duration{210 * ms, 1610 * ms, 2210 * ms, 2310 * ms, 3870 * ms} {
		f.boundary(fixtures.FrameAt(b, 15))
	}
	require.Len(t, f.tiles(2), 2)
	require.Len(t, f.tiles(4), 3, "bob came late")
	require.Len(t, f.tiles(40), 2, "bob left")
	require.Len(t, f.tiles(60), 3, "bob came back")
	_, w := f.tile(60, "again-cam")
	require.True(t, w.Shows(9))
	f.tile(30, "peer-00") // an avatar
	f.tile(47, "peer-00-cam")
	f.tile(40, "peer-02")
	f.tile(65, "peer-02-cam")
	talking, muted := fixtures.Window{}, fixtures.Window{}
	for k := range f.report.Shown {
		for i, tile := range f.tiles(k) {
			w := f.report.Shown[k][i]
			require.Equal(t, tile.PeerID == "peer-00" && k >= 25 && k < 43 || tile.PeerID == "peer-02" && k >= 35 && k < 62, tile.MicMuted, "frame %d, %s", k, tile.PeerID)
			if tile.Label == "" || w.Err == nil && w.Code.Background.Y > 195 {
				continue
			}
			require.Greater(t, w.Ink, 0.01, "frame %d: no name on %s", k, tile.PeerID)
			if tile.PeerID == "peer-00" && tile.MicMuted {
				muted = w
			} else if tile.PeerID == "peer-00" {
				talking = w
			}
		}
	}
	require.Greater(t, muted.Red, talking.Red+0.01, "no icon")
	for _, x := range []struct {
		at    fixtures.Interval
		heard map[int]bool
	}{
		{fixtures.Interval{From: 400 * ms, To: 1500 * ms}, map[int]bool{0: true, 9: true, 2: true}},
		{fixtures.Interval{From: 1700 * ms, To: 2150 * ms}, map[int]bool{9: true, 2: true}},
		{fixtures.Interval{From: 2400 * ms, To: 2800 * ms}, map[int]bool{}},
		{fixtures.Interval{From: 3000 * ms, To: 3800 * ms}, map[int]bool{0: true}},
		{fixtures.Interval{From: 4250 * ms, To: 5800 * ms}, map[int]bool{0: true, 2: true, 9: true}},
	} {
		tones, err := fixtures.Tones(t.Context(), f.file, x.at, []int{0, 2, 9})
		require.NoError(t, err)
		for _, tone := range tones {
			if x.heard[tone.Identity] {
				require.InDelta(t, fixtures.TonePeak, tone.Heard, 1, "tone of %d at %v", tone.Identity, x.at)
			} else {
				require.Less(t, tone.Heard, fixtures.TonePeak-25, "tone of %d at %v", tone.Identity, x.at)
			}
		}
	}
	plain := c.compose(t, func(m *capture.Manifest, _ *stage.Config) { m.Outputs.Composition.Layout = "grid" })
	for k, windows := range plain.report.Shown {
		for _, w := range windows {
			if w.Err == nil && w.Code.Background.Y < 195 {
				require.Zero(t, w.Ink, "frame %d: a name although none is wanted", k)
			}
		}
	}
}

// TestCompositePaused cuts pauses out of pictures and sound alike, and leaves those out whose role is not asked for.
func TestCompositePaused(t *testing.T) {
	t.Parallel()
	tracks := append(person(0, 0, 8*time.Second), person(1, 0, 8*time.Second)...)
	for i := range tracks {
		tracks[i].Script.Silent = false
	}
	tracks[3].Script.Silent = true
	pauses := []fixtures.Interval{{From: 1510 * ms, To: 2820 * ms}, {From: 4300 * ms, To: 5130 * ms}}
	c := newCall(t, fixtures.SFUSpec{Tracks: tracks}, func(dir string) {
		editCapture(t, dir, func(m map[string]any) {
			start, err := time.Parse(time.RFC3339Nano, m["started_at"].(string))
			require.NoError(t, err)
			var list []any
			for _, p := range pauses {
				list = append(list, map[string]any{"from": start.Add(p.From).Format(time.RFC3339Nano), "to": start.Add(p.To).Format(time.RFC3339Nano)})
			}
			m["paused"] = list
		})
	})
	f := c.compose(t, func(m *capture.Manifest, _ *stage.Config) {
		m.Peers[1].Role = "viewer"
		m.Outputs.Composition.Roles = []string{"guest"}
	})
	require.Equal(t, 8*time.Second-2140*ms, f.plan.Duration)
	session := func(at time.Duration) time.Duration {
		for _, p := range pauses {
			if at >= p.From {
				at += p.To - p.From
			}
		}
		return at
	}
	f.everyFrame(session)
	require.Len(t, f.tiles(0), 1)
	require.GreaterOrEqual(t, f.onSeconds(session), 4)
	tones, err := fixtures.Tones(t.Context(), f.file, fixtures.Interval{From: 200 * ms, To: 5 * time.Second}, []int{1})
	require.NoError(t, err)
	require.Less(t, tones[0].Heard, -50.0, "who is not shown is heard")
}

// TestCompositeRates renders at every rate, and at the one that no source exceeds.
func TestCompositeRates(t *testing.T) {
	t.Parallel()
	c := newCall(t, fixtures.SFUSpec{Tracks: person(5, 130*ms, 3*time.Second)}, nil)
	for _, fps := range []capture.FrameRate{20, 24, 25, 30, capture.AutoFPS} {
		f := c.compose(t, func(m *capture.Manifest, _ *stage.Config) { small(m).FPS = fps })
		want := int(fps)
		if fps == capture.AutoFPS {
			want = 15 // the camera has 10
		}
		require.Equal(t, want, f.plan.Canvas.FPS)
		require.EqualValues(t, fixtures.FrameAt(3130*ms, want), f.plan.Frames)
		f.everyFrame(nil)
		_, w := f.tile(fixtures.FrameAt(140*ms, want)+1, "peer-05-cam")
		require.True(t, w.Shows(5))
	}
}

// TestCompositeBad spoils peers one by one; what is left is shown and heard.
func TestCompositeBad(t *testing.T) {
	t.Parallel()
	tracks := append(append(person(0, 0, 2*time.Second), person(1, 0, 2*time.Second)...), person(2, 0, 2*time.Second)...)
	spoil := func(files ...string) func(string) {
		return func(dir string) {
			for _, name := range files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "tracks", name+".rtpdump"), []byte("not what it was"), 0o644))
			}
		}
	}
	t.Run("a peer", func(t *testing.T) {
		f := newCall(t, fixtures.SFUSpec{Tracks: tracks}, spoil("peer-01-cam", "peer-01-mic")).compose(t, nil)
		f.everyFrame(nil)
		require.Equal(t, 1, f.kinds(20)[layout.TileAvatar])
		var of []string
		for _, d := range f.asset.Metadata.Defects {
			of = append(of, d.Track)
		}
		require.Contains(t, of, "peer-01-cam")
		require.Contains(t, of, "peer-01-mic")
	})
	t.Run("no sound", func(t *testing.T) {
		f := newCall(t, fixtures.SFUSpec{Tracks: []fixtures.SFUTrack{tracks[0], tracks[2]}}, nil).compose(t, nil)
		f.everyFrame(nil)
		f.look(fixtures.Listen{Interval: fixtures.Interval{To: 2 * time.Second}})
		require.Less(t, f.report.Levels[0].RMS, -80.0)
		require.Greater(t, f.report.Levels[0].Samples, 90_000)
	})
	t.Run("no pictures", func(t *testing.T) {
		f := newCall(t, fixtures.SFUSpec{Tracks: []fixtures.SFUTrack{tracks[1], tracks[3]}}, nil).compose(t, nil)
		f.everyFrame(nil)
		require.Equal(t, 2, f.kinds(20)[layout.TileAvatar])
	})
	t.Run("names", func(t *testing.T) {
		f := newCall(t, fixtures.SFUSpec{Tracks: tracks}, nil).compose(t, func(m *capture.Manifest, _ *stage.Config) {
			small(m).Names = true
			m.Peers[0].Name = "\x00\x1b[31m\u202e" + string(make([]byte, 10_000)) + "x"
			m.Peers[1].Name = "مرحبا 👩‍👩‍👧 %{localtime}:drawtext"
			m.Peers[2].Name = string([]rune{0x10ffff, 0xfffd, 0x300}) + "zalgo"
		})
		f.everyFrame(nil)
	})
	t.Run("lying files", func(t *testing.T) {
		lying := []fixtures.SFUTrack{tracks[0], tracks[1], tracks[2], tracks[4]}
		for _, i := range []int{0, 2, 3} {
			lying[i].Format, lying[i].NoReports = fixtures.IVF, true
		}
		f := newCall(t, fixtures.SFUSpec{Tracks: lying, Died: true}, func(dir string) {
			change := func(name string, change func(b []byte)) {
				path := filepath.Join(dir, "tracks", name)
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				change(b)
				require.NoError(t, os.WriteFile(path, b, 0o644))
			}
			change("peer-01-cam.ivf", func(b []byte) {
				binary.LittleEndian.PutUint32(b[16:], 100_000)
				binary.LittleEndian.PutUint32(b[20:], 1)
			})
			change("peer-02-cam.ivf", func(b []byte) {
				last := 32
				for at := 32; at < len(b); at += 12 + int(binary.LittleEndian.Uint32(b[at:])) {
					last = at
				}
				binary.LittleEndian.PutUint64(b[last+4:], 90_000*60*60*24*365*5) // five years
			})
		}).compose(t, func(m *capture.Manifest, _ *stage.Config) { small(m).FPS = capture.AutoFPS })
		require.Less(t, f.plan.Duration, 5*time.Second)
		require.LessOrEqual(t, f.plan.Canvas.FPS, 30)
		t.Log(f.asset.Metadata.Defects)
	})
	t.Run("years", func(t *testing.T) {
		f := newCall(t, fixtures.SFUSpec{Tracks: tracks}, func(dir string) {
			editCapture(t, dir, func(m map[string]any) {
				m["stopped_at"] = "2056-01-01T00:00:00Z"
				m["peers"].([]any)[0].(map[string]any)["left_at"] = "2066-01-01T00:00:00Z"
				m["peers"].([]any)[1].(map[string]any)["joined_at"] = "1986-01-01T00:00:00Z"
			})
		}).compose(t, nil)
		require.Less(t, f.plan.Duration, 5*time.Second)
		require.Contains(t, kindsOf(f), "time-jump")
	})
}

// onSeconds wants every beep on a full second of the session, as everyFrame wants every picture at its time, and
// gives how many there are.
func (f *film) onSeconds(session func(time.Duration) time.Duration) int {
	f.T.Helper()
	n := 0
	for _, b := range f.report.Beeps {
		at := b.Start
		if session != nil {
			at = session(at)
		}
		if !b.Clipped {
			require.InDelta(f.T, at.Round(time.Second), at, float64(aside), "beep at %v of the session", at)
			n++
		}
	}
	return n
}

func kindsOf(f *film) []string {
	var out []string
	for _, d := range f.asset.Metadata.Defects {
		out = append(out, d.Kind)
	}
	return out
}

// TestCompositeRefused asks for what cannot be, and gets the field's name before anything is read.
func TestCompositeRefused(t *testing.T) {
	t.Parallel()
	c := newCall(t, fixtures.SFUSpec{Tracks: person(0, 0, time.Second)}, nil)
	for field, change := range map[string]func(o *capture.Composition){
		"layout":     func(o *capture.Composition) { o.Layout = "circle" },
		"width":      func(o *capture.Composition) { o.Width = 100_000 },
		"height":     func(o *capture.Composition) { o.Height = 361 },
		"fps":        func(o *capture.Composition) { o.FPS = 100_000 },
		"roles":      func(o *capture.Composition) { o.Roles = []string{"nobody"} },
		"background": func(o *capture.Composition) { o.Background = "red" },
		"regions[0].width": func(o *capture.Composition) {
			o.Layout, o.Regions = "regions", []capture.Region{{X: 600, Width: 100, Height: 100, Show: "rest"}}
		},
		"regions[0].show": func(o *capture.Composition) {
			o.Layout, o.Regions = "regions", []capture.Region{{Width: 100, Height: 100, Show: "x"}}
		},
	} {
		f, err := c.try(t, func(m *capture.Manifest, _ *stage.Config) { change(small(m)) })
		require.ErrorContains(t, err, field)
		require.Empty(t, f.out.Assets, field)
	}
}

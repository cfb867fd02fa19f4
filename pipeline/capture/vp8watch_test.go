package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// timedFrame is a frame of an IVF file with time base 1/90000.
type timedFrame struct {
	at   int64
	data []byte
}

func ivfOf(frames []timedFrame) []byte {
	out := make([]byte, ivfHeaderBytes)
	copy(out, "DKIF")
	binary.LittleEndian.PutUint16(out[6:], ivfHeaderBytes)
	copy(out[8:], "VP80")
	binary.LittleEndian.PutUint32(out[16:], 90000)
	binary.LittleEndian.PutUint32(out[20:], 1)
	for _, f := range frames {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(f.data)))
		out = binary.LittleEndian.AppendUint64(out, uint64(f.at))
		out = append(out, f.data...)
	}
	return out
}

// timed gives frames a time each, 6000 ticks apart.
func timed(frames [][]byte) (out []timedFrame) {
	for i, f := range frames {
		out = append(out, timedFrame{int64(6000 * i), f})
	}
	return out
}

// without leaves some frames out.
func without(frames []timedFrame, gone ...int) (out []timedFrame) {
	for i, f := range frames {
		found := false
		for _, g := range gone {
			found = found || g == i
		}
		if !found {
			out = append(out, f)
		}
	}
	return out
}

// indexIVF makes a capture of one track with these files and reads its index.
func indexIVF(t *testing.T, files ...[]timedFrame) (*Capture, *TrackIndex) {
	t.Helper()
	dir, list := t.TempDir(), ""
	for i, f := range files {
		name := fmt.Sprintf("cam-%d.ivf", i)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), ivfOf(f), 0o600))
		if i > 0 {
			list += ","
		}
		list += fmt.Sprintf(`{"path":%q,"format":"ivf","started_at":"2026-11-22T17:%02d:00Z"}`, name, i)
	}
	manifest := `{"version":1,"source":"sfu","room_id":"r","session_id":"s","started_at":"2026-11-22T17:00:00Z","stopped_at":"2026-11-22T17:05:00Z",
		"peers":[{"id":"p","name":"P","joined_at":"2026-11-22T17:00:00Z"}],
		"tracks":[{"id":"cam","peer_id":"p","stream_id":"m","kind":"video","source":"regular","codec":"VP8","clock_rate":90000,"files":[` + list + `]}]}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "capture.json"), []byte(manifest), 0o600))
	c, tracks := indexOf(t, dir)
	return c, tracks["cam"]
}

func TestLossMarks(t *testing.T) {
	t.Parallel()
	chain := timed(ivfFrames(encodeVP8(t, vp8Busy, "-deadline", "realtime", "-cpu-used", "8", "-b:v", "500k", "-g", "40", "-lag-in-frames", "0", "-t", "8")))
	alone := timed(ivfFrames(encodeVP8(t, vp8Busy, "-deadline", "realtime", "-cpu-used", "8", "-b:v", "500k", "-g", "40", "-lag-in-frames", "0", "-error-resilient", "default", "-t", "8")))
	cut := func(f []timedFrame, i int) []timedFrame {
		out := append([]timedFrame(nil), f...)
		n := len(out[i].data) / 2
		for out[i].data[n-1]&3 == 0 { // such an end is no sign
			n++
		}
		out[i].data = out[i].data[:n]
		return out
	}
	later := func(f []timedFrame, from int, by int64) []timedFrame {
		out := append([]timedFrame(nil), f...)
		for i := from; i < len(out); i++ {
			out[i].at += by
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		frames []timedFrame
		want   []unitMark
	}{
		{"whole", chain, nil},
		{"cut", cut(chain, 57), []unitMark{{57, true}}},
		{"cut key frame", cut(chain, 40), []unitMark{{40, true}}},
		{"twice", cut(cut(chain, 57), 95), []unitMark{{57, true}, {95, true}}},
		{"one missing", without(chain, 50), []unitMark{{50, true}}},
		{"the sender was slow", later(later(chain, 50, 6000), 70, 90000), nil},
		{"the sender was slow, and another is cut", cut(later(chain, 20, 12000), 90), []unitMark{{90, true}}},
		{"one missing, nothing proves it", without(alone, 50), nil},
		{"one missing, another cut", cut(without(alone, 50), 90), []unitMark{{50, false}, {90, true}}},
		{"a key frame comes after the gap", cut(without(alone, 79), 90), []unitMark{{90, true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, ix := indexIVF(t, tt.frames)
			require.Equal(t, tt.want, ix.Files[0].marks)
			damaged := 0
			for _, m := range tt.want {
				if m.damaged {
					damaged++
				}
			}
			require.Equal(t, damaged, ix.Damaged)
			require.Equal(t, len(tt.want) > 0, len(ix.Defects) > 0, "%v", ix.Defects)
		})
	}
	t.Run("two files", func(t *testing.T) {
		t.Parallel()
		c, ix := indexIVF(t, cut(chain, 57), cut(chain, 30))
		r := c.OpenTrack(ix)
		defer r.Close()
		var got []int
		for {
			u, err := r.Next()
			if err != nil {
				break
			}
			if u.Damaged {
				got = append(got, u.Number)
			}
		}
		require.Equal(t, []int{57, len(chain) + 30}, got)
	})
}

// TestLossForeign has frames that are not VP8 though the file says so: nothing can be said of them.
func TestLossForeign(t *testing.T) {
	t.Parallel()
	var frames []timedFrame
	for i := range 60 {
		key := []byte{0x10, 0xff, 0xff, 0x9d, 0x01, 0x2a, 64, 0, 64, 0}
		frames = append(frames, timedFrame{int64(6000 * i), append(key, bytes.Repeat([]byte{byte(i) | 1}, 50)...)})
	}
	_, ix := indexIVF(t, frames)
	require.Empty(t, ix.Files[0].marks)
}

// TestLossNoSign says that regular tracks are read once only.
func TestLossNoSign(t *testing.T) {
	t.Parallel()
	c, tracks := indexOf(t, realCapture(t, "nine"))
	for _, ix := range tracks {
		if ix.Track.Kind != KindVideo {
			continue
		}
		r, closeAll, err := c.openUnits(ix.Track, ix.Files[0].File, opening{})
		require.NoError(t, err)
		w := newLossWatch(ix.Track, r)
		for {
			u, err := r.Next()
			if err != nil {
				break
			}
			w.unit(u)
		}
		require.NoError(t, closeAll())
		require.True(t, w.on && !w.sign && w.units > 500, ix.Track.ID)
	}
}

func TestFindLossStops(t *testing.T) {
	t.Parallel()
	c, ix := indexIVF(t, timed(ivfFrames(encodeVP8(t, vp8Busy, "-deadline", "realtime", "-t", "1"))))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.findLoss(ctx, &meter{}, ix, &ix.Files[0]), context.Canceled)
}

// FuzzVP8Frame reads frames of any bytes behind a key frame of any bytes: nothing may panic, and what is handed from
// frame to frame stays bounded.
func FuzzVP8Frame(f *testing.F) {
	head := []byte{0x50, 0x01, 0x00, 0x9d, 0x01, 0x2a, 33, 0, 47, 0}
	f.Add(append(head, make([]byte, 40)...), []byte{0x11, 0x02, 0x00, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
	f.Add(append(bytes.Clone(head), bytes.Repeat([]byte{0x5a, 0xc3}, 60)...), append([]byte{0xb1, 0x01, 0x00}, bytes.Repeat([]byte{0xe7, 0x18}, 60)...))
	f.Add([]byte{0x10, 0, 0, 0x9d, 1, 0x2a, 0xff, 0xff, 0xff, 0xff}, []byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, key, next []byte) {
		p := &vp8Parser{}
		for _, data := range [][]byte{key, next, next, key, next} {
			v := p.frame(data)
			require.False(t, v.short && v.long)
			require.LessOrEqual(t, len(p.above), vp8MaxBlocks)
			if p.live {
				require.True(t, v.judged || len(data) < 3)
			}
		}
	})
}

package stage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/pipeline/capture"
)

// TestStretches holds joined, within and without against a line of which every point is asked.
func TestStretches(t *testing.T) {
	t.Parallel()
	const length = 30
	some := rapid.Custom(func(t *rapid.T) []capture.Gap {
		var gaps []capture.Gap
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			from := rapid.IntRange(0, length-1).Draw(t, "from")
			gaps = append(gaps, capture.Gap{From: time.Duration(from), To: time.Duration(rapid.IntRange(from+1, length).Draw(t, "to"))})
		}
		return gaps
	})
	in := func(gaps []capture.Gap, at time.Duration) bool {
		for _, g := range gaps {
			if g.From <= at && at < g.To {
				return true
			}
		}
		return false
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := some.Draw(t, "a"), some.Draw(t, "b")
		ja, jb := joined(a), joined(b)
		both, rest := within(ja, jb), without(ja, jb)
		for at := range time.Duration(length) {
			require.Equal(t, in(a, at), in(ja, at))
			require.Equal(t, in(a, at) && in(b, at), in(both, at))
			require.Equal(t, in(a, at) && !in(b, at), in(rest, at))
		}
		for _, gaps := range [][]capture.Gap{ja, both, rest} {
			for i, g := range gaps {
				require.Less(t, g.From, g.To)
				require.True(t, i == 0 || gaps[i-1].To <= g.From, "%v", gaps)
			}
		}
	})
}

// TestSpeaking gives turns to those that events name, until another or nobody is named.
func TestSpeaking(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)
	session, _ := capture.NewTimeline(start, time.Time{}, nil)
	c := &capture.Capture{Session: session, Manifest: &capture.Manifest{}}
	for _, e := range []struct {
		at         int
		kind, peer string
	}{{1, capture.EventActiveSpeaker, "a"}, {2, capture.EventPin, "b"}, {3, capture.EventActiveSpeaker, "b"}, {4, capture.EventActiveSpeaker, "b"},
		{6, capture.EventActiveSpeaker, ""}, {8, capture.EventActiveSpeaker, "a"}, {20, capture.EventActiveSpeaker, "b"}} {
		c.Manifest.Events = append(c.Manifest.Events, capture.Event{At: capture.At(start.Add(time.Duration(e.at) * time.Second)), Type: e.kind, PeerID: e.peer})
	}
	turns := speaking(c, 10*time.Second)
	second := func(from, to time.Duration) capture.Gap {
		return capture.Gap{From: from * time.Second, To: to * time.Second}
	}
	require.Equal(t, []capture.Gap{second(1, 3), second(8, 20)}, turns["a"])
	require.Equal(t, []capture.Gap{second(3, 6)}, joined(turns["b"]))
	require.Len(t, turns, 2)
}

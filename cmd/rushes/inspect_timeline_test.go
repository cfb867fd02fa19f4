package main

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/pipeline/stage"
)

// TestTimelineOfAnything draws what no session ever was: every line has its width, and what is covered is marked.
func TestTimelineOfAnything(t *testing.T) {
	t.Parallel()
	spans := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) stage.GapInspection {
		from := rapid.Int64Range(-1e6, math.MaxInt64/int64(4*time.Millisecond)).Draw(t, "from")
		return stage.GapInspection{FromMS: from, ToMS: rapid.Int64Range(from, from+1e6).Draw(t, "to")}
	}), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		in := stage.Inspection{DurationMS: rapid.Int64Range(0, math.MaxInt64/int64(time.Millisecond)).Draw(t, "duration")}
		if rapid.Bool().Draw(t, "stopped") {
			in.StartedAt = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
			in.StoppedAt = in.StartedAt.AddDate(rapid.IntRange(0, 229).Draw(t, "years"), 0, 0)
		}
		for range rapid.IntRange(0, 3).Draw(t, "peers") {
			in.Peers = append(in.Peers, stage.PeerInspection{ID: rapid.String().Draw(t, "id"), Name: rapid.String().Draw(t, "name"), Stays: spans.Draw(t, "stays"),
				Camera: spans.Draw(t, "camera"), Muted: spans.Draw(t, "muted"), Speaking: spans.Draw(t, "speaking"), Screen: spans.Draw(t, "screen")})
		}
		columns := rapid.IntRange(0, 5000).Draw(t, "columns")
		var out strings.Builder
		require.NoError(t, printTimeline(&out, in, columns, false))
		for line := range strings.Lines(out.String()) {
			require.LessOrEqual(t, len(line)-1, max(columns, 80))
			require.Regexp(t, `\A[ -~]*\n\z`, line)
		}
	})
}

// TestTimelineMarks draws one cell for each second, each with another state.
func TestTimelineMarks(t *testing.T) {
	t.Parallel()
	seconds := func(list ...int64) (out []stage.GapInspection) {
		for _, s := range list {
			out = append(out, stage.GapInspection{FromMS: s * 1000, ToMS: s*1000 + 1000})
		}
		return out
	}
	short := []stage.GapInspection{{FromMS: 7300, ToMS: 7400}, {FromMS: 9000, ToMS: 9100}}
	p := stage.PeerInspection{Stays: append(seconds(1, 2, 3, 4, 5, 6), short[:1]...), Camera: append(seconds(2, 4, 6), short[1:]...),
		Muted: seconds(5, 6), Speaking: append(seconds(3, 4), stage.GapInspection{FromMS: 8000, ToMS: 8001}), Screen: seconds(0, 9)}
	for name, tc := range map[string]struct {
		marks       marks
		bar, screen string
	}{
		"blocks": {blockMarks(), " ─▄▀█╌░─▀ ", "▒        ▒"},
		"ASCII":  {asciiMarks(), " -cs#mx-s ", "=        ="},
	} {
		line := timeline{marks: tc.marks, length: 10 * time.Second, cells: 10}
		require.Equal(t, tc.bar, line.bar(p), name)
		require.Equal(t, tc.screen, line.screen(p), name)
	}
}

// TestTimelineNames tells two people of one name apart.
func TestTimelineNames(t *testing.T) {
	t.Parallel()
	peers := []stage.PeerInspection{{ID: "1", Name: "Ann"}, {ID: "2", Name: "Ann"}, {ID: "3", Name: "Élodie"}, {ID: "4"}}
	var names []string
	for _, p := range peers {
		names = append(names, peerName(peers, p, false), peerName(peers, p, true))
	}
	require.Equal(t, []string{"Ann 1", "Ann 1", "Ann 2", "Ann 2", "Élodie", "?lodie", "4", "4"}, names)
}

// TestTerminalColumns asks a terminal, and a file, for its width.
func TestTerminalColumns(t *testing.T) {
	screen, tty := terminal(t)
	t.Setenv("TERM", "xterm")
	require.Equal(t, 120, terminalColumns(tty))
	require.NoError(t, tty.Close())
	_, err := io.Copy(io.Discard, screen) // ends with an error once the other side is closed
	require.Error(t, err)
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	require.Zero(t, terminalColumns(f))
	require.NoError(t, f.Close())
}

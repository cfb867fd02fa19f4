package capture

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// write makes a file with the folders above it.
func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func open(t *testing.T, path string) *Capture {
	t.Helper()
	c, err := Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/secret.webm", "secret")
	write(t, dir+"/empty.webm", "")
	write(t, dir+"/empty.json", "")
	write(t, dir+"/text.json", "hello")
	require.NoError(t, os.Mkdir(dir+"/bare", 0o755))
	write(t, dir+"/up/capture.json", `{`+beamHead+`,"files":[{"path":"../secret.webm"}]}`)
	write(t, dir+"/link/capture.json", `{`+beamHead+`,"files":[{"path":"in.webm"},{"path":"dir/secret.webm"},{"path":"abs.webm"},{"path":"round"}]}`)
	require.NoError(t, os.Symlink("../secret.webm", dir+"/link/in.webm"))
	require.NoError(t, os.Symlink("..", dir+"/link/dir"))
	require.NoError(t, os.Symlink(dir+"/secret.webm", dir+"/link/abs.webm"))
	require.NoError(t, os.Symlink("round", dir+"/link/round"))
	require.NoError(t, os.Mkdir(dir+"/outside", 0o755))
	require.NoError(t, os.Symlink("../text.json", dir+"/outside/capture.json"))
	require.NoError(t, os.MkdirAll(dir+"/odd/capture.json", 0o755))
	require.NoError(t, syscall.Mkfifo(dir+"/pipe.webm", 0o644))
	require.NoError(t, os.Mkdir(dir+"/piped", 0o755))
	require.NoError(t, syscall.Mkfifo(dir+"/piped/capture.json", 0o644))

	for _, tt := range []struct {
		path   string
		fields []string
		says   string
	}{
		{"", []string{""}, "no capture is named"},
		{dir + "/nowhere", []string{""}, "nowhere: does not exist; give a folder with capture.json"},
		{dir + "/secret.webm/x", []string{""}, "does not exist"},
		{dir + "/link/round", []string{""}, "not a usable path"},
		{dir + "/bare", []string{""}, "bare: folder has no capture.json"},
		{dir + "/empty.webm", []string{""}, "empty.webm: the file is empty"},
		{dir + "/empty.json", []string{""}, "the manifest is empty"},
		{dir + "/text.json", []string{""}, "is not JSON"},
		{dir + "/pipe.webm", []string{""}, "neither a file nor a folder"},
		{dir + "/piped", []string{""}, "not a regular file"},
		{dir + "/odd", []string{""}, "not a regular file"},
		{dir + "/outside", []string{""}, "a link leads outside"},
		{dir + "/up", []string{"files[0].path"}, "leaves the capture"},
		{dir + "/link", []string{"files[0].path", "files[1].path", "files[2].path", "files[3].path"}, "a link leads outside the capture"},
	} {
		t.Run(filepath.Base(tt.path), func(t *testing.T) {
			t.Parallel()
			c, err := Open(t.Context(), tt.path)
			require.Error(t, err)
			require.Nil(t, c)
			require.Equal(t, tt.fields, fields(t, err))
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestOpenFindsDefects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/call.JSON", `{`+beamHead+`,"stopped_at":"2026-11-22T17:01:00Z",
		"paused":[{"from":"2026-11-22T17:00:50Z","to":"2026-11-22T17:02:00Z"}],
		"files":[{"path":"parts/1.webm"},{"path":"parts/2.webm"},{"path":"parts/3.webm"},{"path":"parts"},{"path":"parts/1.webm/x"},{"path":"parts/2.webm"}]}`)
	write(t, dir+"/parts/1.webm", "one")
	write(t, dir+"/parts/2.webm", "")
	c := open(t, dir+"/call.JSON")
	var got []string
	for _, d := range c.Defects {
		got = append(got, string(d.Kind)+" "+d.File)
	}
	require.Equal(t, []string{"pause-outside-session ", "empty-file parts/2.webm", "missing-file parts/3.webm",
		"unreadable-file parts", "missing-file parts/1.webm/x"}, got)
	length, known := c.Session.Duration()
	require.True(t, known)
	require.Equal(t, 50*time.Second, length)

	f, err := c.OpenFile("parts/1.webm")
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, errors.Join(err, f.Close()))
	require.Equal(t, "one", string(data))
	info, err := c.Stat("parts/1.webm")
	require.NoError(t, err)
	require.EqualValues(t, 3, info.Size())
}

func TestOpenFileStaysInside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/secret", "secret")
	write(t, dir+"/c/capture.json", `{`+beamHead+oneFile+`}`)
	write(t, dir+"/c/a.webm", "a")
	c := open(t, dir+"/c")
	require.NoError(t, os.Symlink("a.webm", dir+"/c/inside"))
	f, err := c.OpenFile("inside")
	require.NoError(t, err, "a link that stays inside is followed")
	require.NoError(t, f.Close())
	// A link that appears after Open must not be followed either.
	require.NoError(t, os.Symlink("../secret", dir+"/c/late"))
	require.NoError(t, syscall.Mkfifo(dir+"/c/pipe", 0o644))
	for _, name := range []string{"../secret", dir + "/secret", "late", "", "file:secret", "pipe"} {
		_, err := c.OpenFile(name)
		var in *InputError
		require.ErrorAs(t, err, &in, name)
	}
	for _, name := range []string{"../secret", "late"} {
		_, err := c.Stat(name)
		var in *InputError
		require.ErrorAs(t, err, &in, name)
	}
	_, err = c.OpenFile("gone.webm")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close(), "Close may be called again")
	_, err = c.OpenFile("a.webm")
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestOpenMediaFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := dir + "/Weekly: talk.v2.webm"
	write(t, name, strings.Repeat("x", 3<<20))
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	require.NoError(t, os.Chtimes(name, at, at))
	c := open(t, name)
	m := c.Manifest
	require.Equal(t, "Weekly: talk.v2", m.RoomID)
	require.Equal(t, m.RoomID, m.SessionID)
	require.Equal(t, at, m.StartedAt.Time)
	require.Equal(t, at, c.Session.Start)
	require.Equal(t, []File{{Path: "Weekly: talk.v2.webm", Format: FormatWebM, StartedAt: At(at)}}, m.Files)
	require.Equal(t, []string{AssetRoomComposite}, m.Outputs.Assets)
	f, err := c.OpenFile(m.Files[0].Path)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	copied := dir + "/copy.mkv"
	write(t, copied, strings.Repeat("x", 3<<20))
	require.Equal(t, c.Key(), open(t, copied).Key(), "a copy is the same capture")
	write(t, dir+"/tail.mkv", strings.Repeat("x", 3<<20-1)+"y")
	require.NotEqual(t, c.Key(), open(t, dir+"/tail.mkv").Key())
	write(t, dir+"/longer.mkv", strings.Repeat("x", 3<<20+1))
	require.NotEqual(t, c.Key(), open(t, dir+"/longer.mkv").Key())

	require.NoError(t, os.Symlink("copy.mkv", dir+"/link.mkv"))
	linked := open(t, dir+"/link.mkv")
	require.Equal(t, "link", linked.Manifest.RoomID)
	require.Equal(t, "copy.mkv", linked.Manifest.Files[0].Path)
}

func TestKeyIsTheIdentity(t *testing.T) {
	t.Parallel()
	key := func(manifest string) string {
		dir := t.TempDir()
		write(t, dir+"/capture.json", manifest)
		return open(t, dir).Key()
	}
	base := `{` + beamHead + `,"job_id":"j"` + oneFile + `}`
	require.Len(t, key(base), 64)
	for name, same := range map[string]string{
		"place":    base,
		"outputs":  strings.Replace(base, `"job_id"`, `"outputs":{"thumbnails":{"enabled":false}},"job_id"`, 1),
		"stop":     strings.Replace(base, `"job_id"`, `"stopped_at":"2026-11-22T18:00:00Z","job_id"`, 1),
		"zone":     strings.Replace(base, "17:00:00Z", "18:00:00.000+01:00", 1),
		"roomname": strings.Replace(base, `"job_id"`, `"room_name":"x","job_id"`, 1),
	} {
		require.Equal(t, key(base), key(same), name)
	}
	for name, other := range map[string]string{
		"room":    strings.Replace(base, `"r"`, `"r2"`, 1),
		"session": strings.Replace(base, `"s"`, `"s2"`, 1),
		"job":     strings.Replace(base, `"j"`, `"j2"`, 1),
		"start":   strings.Replace(base, "17:00:00Z", "17:00:01Z", 1),
		"file":    strings.Replace(base, "a.webm", "b.webm", 1),
	} {
		require.NotEqual(t, key(base), key(other), name)
	}
}

func TestOpenStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(ctx, t.TempDir())
	require.ErrorIs(t, err, context.Canceled)
}

// TestSamples opens the real captures that lie beside the repository.
func TestSamples(t *testing.T) {
	t.Parallel()
	samples := filepath.Join("..", "..", "..", "shared", "captures")
	if _, err := os.Stat(samples); err != nil {
		t.Skip("the sample captures are not here")
	}
	for _, tt := range []struct {
		path                                   string
		files, peers, tracks, events, segments int
		length                                 time.Duration
		defects                                []string
	}{
		{path: "beam-vp8", files: 1, length: 24024 * time.Millisecond},
		{path: "beam-pause", files: 1, length: 23010 * time.Millisecond},
		{path: "beam-x11-ts", files: 1, length: 22008800 * time.Microsecond},
		{path: "standup", peers: 5, tracks: 9, events: 45, length: 40738928 * time.Microsecond},
		{path: "standup/capture-rtpdump.json", peers: 5, tracks: 8, events: 45, length: 40738928 * time.Microsecond},
		{path: "nine", peers: 9, tracks: 18, events: 9, length: 42 * time.Second},
		{path: "janus-2014", peers: 1, tracks: 2, length: 10580 * time.Millisecond},
		{path: "hls-ts", segments: 54, length: 42607579 * time.Microsecond, defects: []string{"missing-file 270p/seg00006.ts 270p"}},
	} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			c := open(t, filepath.Join(samples, tt.path))
			m := c.Manifest
			require.Len(t, m.Files, tt.files)
			require.Len(t, m.Peers, tt.peers)
			require.Len(t, m.Tracks, tt.tracks)
			require.Len(t, m.Events, tt.events)
			segments := 0
			for _, l := range m.Layers {
				segments += len(l.Segments)
				require.False(t, l.Segments[0].ProgramDateTime.IsZero())
			}
			require.Equal(t, tt.segments, segments)
			length, known := c.Session.Length()
			require.True(t, known)
			require.Equal(t, tt.length, length)
			var defects []string
			for _, d := range c.Defects {
				defects = append(defects, strings.Join([]string{string(d.Kind), d.File, d.Track}, " "))
			}
			require.Equal(t, tt.defects, defects)
			for r := range m.refs() {
				f, err := c.OpenFile(r.path)
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				require.NoError(t, err)
				require.NoError(t, f.Close())
			}
		})
	}
}

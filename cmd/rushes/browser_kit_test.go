package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
)

// playedPackage is a package that browsers play, with what is known of it. Times are in seconds, as browsers have them.
type playedPackage struct {
	Name     string       `json:"name"`
	URL      string       `json:"url"`
	Duration float64      `json:"duration"`
	Joins    []float64    `json:"joins"`
	Short    float64      `json:"short"` // by how much the first layer ends too early
	Sizes    []playedSize `json:"-"`
	folder   string
	kinds    []string // of the joins, as date ranges name them
	set      bool     // the wall clock is set anew at the joins: they are discontinuities
}

type playedSize struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// span is a range of a buffer, from and to.
type span [2]float64

// playResult is what run.js tells of a package in a player.
type playResult struct {
	Name, Player string
	Error        string
	State        json.RawMessage
	Fatal, Notes []string
	Duration     float64
	Found        []playedSize
	Levels       []struct {
		playedSize
		Shown                  playedSize
		Ended                  float64
		Buffered, Video, Audio []span
		Crossings              []struct {
			At, From, To, Jump, Last float64
			Seeks, Waits, Pictures   int
		}
	}
	Seeks  []struct{ At, Landed, Reached float64 }
	Clocks []struct {
		At   float64
		Wall time.Time
	}
	DateRanges []struct {
		ID, Class           string
		Start               time.Time
		Duration, MediaTime float64
	}
	Images *struct {
		Tracks int
		Stills []struct {
			At, From, To        float64
			X, Y, Width, Height int
			Sheet               playedSize
		}
	}
	Storyboard struct {
		Cues []struct {
			From, To float64
			Inside   bool
		}
		Poster playedSize
	}
	Pictures, Sound, Took int
}

// playersFolder is where npm has put hls.js and Shaka Player, empty when it has not.
func playersFolder(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "testdata/browser/players.sh", "--path").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// browse plays the packages in headless Chromium and gives what the page tells of each in each player. The packages are
// served from another origin than the page, as they are where they are made for.
func browse(t *testing.T, list []*playedPackage) []*playResult {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	modules := playersFolder(t)
	if modules == "" {
		t.Skip("the players are not there: run make setup")
	}
	media := servePackages(t, list)
	results := make(chan *playResult)
	page := servePage(t, modules, list, results)
	for _, p := range list {
		p.URL = media.URL + "/" + p.Name + "/master.m3u8"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // a page that hangs; it has limits of its own
	defer cancel()
	said, ended := startChromium(ctx, t, chromium, page.URL+"/page/page.html")
	var all []*playResult
	for len(all) < 2*len(list) {
		select {
		case r := <-results:
			all = append(all, r)
		case err := <-ended:
			require.FailNow(t, "chromium ended too early", "%v\n%s", err, said)
		case <-ctx.Done():
			require.FailNow(t, "the page did not tell everything in time", "%s", said)
		}
	}
	return all
}

// startChromium opens a page; the browser ends with the test. Whoever reads what it said waits for its end first.
func startChromium(ctx context.Context, t *testing.T, program, url string) (said *bytes.Buffer, ended <-chan error) {
	t.Helper()
	profile := t.TempDir()
	args := []string{"--headless=new", "--user-data-dir=" + profile, "--no-first-run", "--mute-audio", "--disable-gpu", "--disable-dev-shm-usage",
		"--autoplay-policy=no-user-gesture-required", "--disable-background-networking", "--disable-component-update", "--disable-breakpad",
		"--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows"}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox") // which does not work for root
	}
	said = &bytes.Buffer{}
	cmd := exec.CommandContext(ctx, program, append(args, url)...)
	cmd.Env = append(os.Environ(), "HOME="+profile, "XDG_CONFIG_HOME="+profile, "XDG_CACHE_HOME="+profile)
	cmd.Stderr, cmd.Stdout = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the browser is many processes
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	waited := make(chan struct{})
	go func() {
		done <- cmd.Wait()
		close(waited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
		select {
		case <-waited:
		case <-time.After(5 * time.Second):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-waited
	})
	return said, done
}

// servePackages serves packages as a CDN does: types, ranges, and other pages may read them.
func servePackages(t *testing.T, list []*playedPackage) *httptest.Server {
	t.Helper()
	types := map[string]string{".m3u8": "application/vnd.apple.mpegurl", ".m4s": "video/iso.segment", ".mp4": "video/mp4", ".vtt": "text/vtt", ".jpg": "image/jpeg", ".png": "image/png"}
	mux := http.NewServeMux()
	for _, p := range list {
		files := http.StripPrefix("/"+p.Name, http.FileServer(http.Dir(p.folder)))
		mux.HandleFunc("/"+p.Name+"/", func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Access-Control-Allow-Headers", "Range")
			h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range")
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			if kind := types[filepath.Ext(r.URL.Path)]; kind != "" {
				h.Set("Content-Type", kind)
			}
			files.ServeHTTP(w, r)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// servePage serves the page and the players, and takes the results.
func servePage(t *testing.T, modules string, list []*playedPackage, results chan<- *playResult) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /page/", http.StripPrefix("/page", http.FileServer(http.Dir("testdata/browser"))))
	mux.Handle("GET /modules/", http.StripPrefix("/modules", http.FileServer(http.Dir(modules))))
	mux.HandleFunc("GET /cases.json", func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(list); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /result", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		got := &playResult{}
		if err == nil {
			err = json.Unmarshal(text, got)
		}
		if err != nil {
			got.Error = fmt.Sprintf("the result cannot be read: %v: %s", err, text)
		}
		select {
		case results <- got:
		case <-r.Context().Done():
		}
	})
	server := httptest.NewUnstartedServer(mux)
	server.Config.BaseContext = func(net.Listener) context.Context { return t.Context() }
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// lived is one life of a live encoder: its film, and where on the wall clock it began.
type lived struct {
	script fixtures.Script
	began  time.Duration
	lost   []int // the segments that are missing in all layers
}

// liveSegment is how long a segment of liveCapture is.
const liveSegment = 2 * time.Second

// liveCapture makes the dump of a live stream: H.264 and AAC as fragments of MP4, an init segment for each life of each
// layer. Layers are the heights of the pictures.
func liveCapture(t *testing.T, layers []int, lives []lived, paused []fixtures.Interval, vod map[string]any) string {
	t.Helper()
	folder := t.TempDir()
	at := func(d time.Duration) string {
		return time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC).Add(d).Format(time.RFC3339Nano)
	}
	var listed []map[string]any
	var end time.Duration
	for _, height := range layers {
		name := fmt.Sprintf("%dp", height)
		require.NoError(t, os.MkdirAll(filepath.Join(folder, name), 0o750))
		var segments []map[string]any
		for life, what := range lives {
			what.script.Width, what.script.Height = height*16/9, height
			for n, data := range fragments(t, what.script) {
				file := fmt.Sprintf("seg-%d-%03d.m4s", life, n)
				if n == 0 {
					file = fmt.Sprintf("init-%d.mp4", life)
				} else {
					wall := what.began + time.Duration(n-1)*liveSegment
					end = max(end, wall+liveSegment)
					if slices.Contains(what.lost, n-1) {
						continue
					}
					segments = append(segments, map[string]any{"path": name + "/" + file, "uri": file, "map": fmt.Sprintf("init-%d.mp4", life),
						"program_date_time": at(wall), "duration": liveSegment.Seconds(), "discontinuity": n == 1 && life > 0})
				}
				require.NoError(t, os.WriteFile(filepath.Join(folder, name, file), data, 0o600))
			}
		}
		listed = append(listed, map[string]any{"name": name, "segments": segments})
	}
	var pauses []map[string]any
	for _, p := range paused {
		pauses = append(pauses, map[string]any{"from": at(p.From), "to": at(p.To)})
	}
	text, err := json.Marshal(map[string]any{"version": 1, "source": "live-stream", "room_id": "played", "session_id": "s", "job_id": "j",
		"started_at": at(0), "stopped_at": at(end), "paused": pauses, "layers": listed, "outputs": map[string]any{"assets": []string{"room-vod"}, "vod": vod}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "capture.json"), text, 0o600))
	return folder
}

// fragments records a script and cuts the file: first its header, then each segment.
func fragments(t *testing.T, s fixtures.Script) (list [][]byte) {
	t.Helper()
	spec := fixtures.FragmentedMP4().BFrames(2)
	spec.Video.Options["sc_threshold"] = "0" // key frames where segments begin, and nowhere else
	spec.Video.Options["preset"] = "ultrafast"
	spec.Video.FrameRate = int(s.Rate.Num)
	spec.Video.KeyEvery = int(s.Rate.Num) * int(liveSegment/time.Second)
	name := filepath.Join(t.TempDir(), "film.mp4")
	require.NoError(t, fixtures.Record(t.Context(), name, s, spec))
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	list = [][]byte{nil}
	for len(data) > 0 {
		size := int(binary.BigEndian.Uint32(data))
		require.True(t, size >= 8 && size <= len(data), "box of %d bytes", size)
		switch box := string(data[4:8]); box {
		case "moof":
			list = append(list, data[:size:size])
		case "mdat", "ftyp", "moov":
			last := &list[len(list)-1]
			*last = append(*last, data[:size]...)
		case "mfra":
		default:
			require.NoError(t, errors.New("unexpected box "+box))
		}
		data = data[size:]
	}
	return list
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/fixtures"
)

// soak reports whether there is time for everything.
func soak() bool { return os.Getenv("RUSHES_SOAK") != "" }

// repeats is how often something is done: in every run, and where there is time.
func repeats(quick, full int) int {
	if soak() {
		return full
	}
	return quick
}

// captureKind is a kind of captures of the mix.
type captureKind string

// The mix: copied and encoded browser recordings, a call, and a call that is long enough to be made in parts.
const (
	kindCopied  captureKind = "copied"
	kindEncoded captureKind = "encoded"
	kindCall    captureKind = "call"
	kindLong    captureKind = "long"
)

func captureKinds() []captureKind {
	return []captureKind{kindCopied, kindEncoded, kindCall, kindLong}
}

// mix is one capture of each kind, and what process makes of it.
type mix struct {
	folders map[captureKind]string
	wanted  map[captureKind][]string // an asset each, in words
}

func newMix(t *testing.T) *mix {
	t.Helper()
	short := script(1500 * time.Millisecond)
	m := &mix{wanted: map[captureKind][]string{}, folders: map[captureKind]string{
		kindCopied:  beam(t, fixtures.BeamSpec{Script: short, Record: fixtures.FragmentedMP4(), Room: "copied"}),
		kindEncoded: beam(t, fixtures.BeamSpec{Script: short, Record: fixtures.WebMVP8(), Room: "encoded"}),
		kindCall:    conversation(t, string(kindCall), 2*time.Second),
		kindLong:    conversation(t, string(kindLong), 12*time.Second),
	}}
	data := t.TempDir()
	for kind, folder := range m.folders {
		process(t, data, append([]string{folder}, quickly()...)...)
		d, err := openData(t.Context(), data)
		require.NoError(t, err)
		assets, err := d.catalog.ListAssets(t.Context(), catalog.Filter{RoomID: "room-" + string(kind)})
		require.NoError(t, errors.Join(err, d.Close()))
		for _, a := range assets {
			m.wanted[kind] = append(m.wanted[kind], inWords(a))
		}
		require.NotEmpty(t, m.wanted[kind])
	}
	return m
}

// quickly are flags that make the composites fast, and in several chunks.
func quickly() []string { return []string{"--preset", "ultrafast", "--chunk", "1s"} }

// conversation is a call of two whose tracks and composite are wanted.
func conversation(t *testing.T, room string, length time.Duration) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "capture")
	s := fixtures.Script{Duration: length, Rate: fixtures.Rate{Num: 10, Den: 1}, Width: 160, Height: 90, Channels: 1}
	other := s
	other.Identity, other.Start, other.Duration = 1, length/4, length/2
	_, err := fixtures.SFU(t.Context(), folder, fixtures.SFUSpec{Room: room, Duration: length, Outputs: map[string]any{
		"assets":      []string{"track", "room-composite-legacy"},
		"composition": map[string]any{"width": 320, "height": 180, "fps": 10},
	}, Tracks: []fixtures.SFUTrack{
		{ID: "ann-cam", Peer: "ann", Codec: "VP8", Format: fixtures.RTPDump, Script: s, KeyEvery: time.Second},
		{ID: "ann-mic", Peer: "ann", Codec: "OPUS", Format: fixtures.RTPDump, Script: s},
		{ID: "bob-cam", Peer: "bob", Codec: "VP8", Format: fixtures.RTPDump, Script: other, KeyEvery: time.Second},
	}})
	require.NoError(t, err)
	return folder
}

// inWords is all of an asset that is the same whenever it is made. How many bytes a composite has depends on how many
// processors have made it.
func inWords(a catalog.Asset) string {
	size, bytes := "", a.Size
	if a.Type == catalog.RoomCompositeLegacy {
		bytes = min(bytes, 1)
	}
	if r := a.Metadata.Resolution; r != nil {
		size = fmt.Sprintf("%dx%d", r.Width, r.Height)
	}
	return fmt.Sprintf("%s %s %s%s %s %v %d bytes %d thumbnails %d scenes %d defects", a.Status, a.Type, a.Metadata.TrackID, a.Metadata.TrackType, size,
		a.Duration, bytes, len(a.Thumbnails), a.Metadata.Scenes, len(a.Metadata.Defects))
}

// cluster is a Redis, a catalog, and machines that work. Machines share the catalog and the store and nothing else.
type cluster struct {
	*testing.T
	mix    *mix
	redis  *redisServer
	folder string // of everything
	data   *data  // the catalog and the store, as the test sees them
	flags  []string
	kinds  map[string]captureKind // by job
	names  map[string]string      // base name of the capture's folder, by job
	staff  []*workerProcess
}

func newCluster(t *testing.T, m *mix, flags ...string) *cluster {
	t.Helper()
	c := &cluster{T: t, mix: m, redis: newRedis(t), folder: t.TempDir(), kinds: map[string]captureKind{}, names: map[string]string{},
		flags: append(append(quickly(), "--fan-out", "4s", "--cpus", "64", "--memory", "200GiB", "--retry-base", "50ms", "--disk-reserve", "1MiB"), flags...)}
	var err error
	c.data, err = openData(t.Context(), c.home(0))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.data.Close()) })
	c.inject()
	return c
}

// inject says what goes wrong from now on.
func (c *cluster) inject(list ...fault) {
	c.Helper()
	text, err := json.Marshal(append([]fault{}, list...))
	require.NoError(c, err)
	file := filepath.Join(c.folder, "faults.json")
	require.NoError(c, os.WriteFile(file+".new", text, 0o600))
	require.NoError(c, os.Rename(file+".new", file))
}

// home is the data folder of a machine: the scratch folders are its own.
func (c *cluster) home(machine int) string {
	c.Helper()
	first, folder := filepath.Join(c.folder, "machine-0"), filepath.Join(c.folder, fmt.Sprintf("machine-%d", machine))
	if machine > 0 && os.Mkdir(folder, 0o755) == nil {
		for _, name := range []string{"catalog.db", "blobs"} {
			require.NoError(c, os.Symlink(filepath.Join(first, name), filepath.Join(folder, name)))
		}
	}
	return folder
}

// workerProcess is a running worker.
type workerProcess struct {
	cmd     *exec.Cmd
	machine int
	log     string // path
	over    chan struct{}
}

// start starts a worker on a machine, and waits until it works.
func (c *cluster) start(machine int) *workerProcess {
	c.Helper()
	args := append([]string{"worker", "--redis", c.redis.url(), "--data", c.home(machine)}, c.flags...)
	f, err := os.CreateTemp(c.folder, fmt.Sprintf("worker-%d-*.log", machine))
	require.NoError(c, err)
	w := &workerProcess{cmd: child(c.Context(), c.T, args...), machine: machine, log: f.Name(), over: make(chan struct{})}
	w.cmd.Env = append(w.cmd.Env, faultsVariable+"="+c.folder)
	w.cmd.Stdout, w.cmd.Stderr = f, f
	require.NoError(c, w.cmd.Start())
	c.staff = append(c.staff, w)
	go func() {
		defer close(w.over)
		_ = w.cmd.Wait() // the state says it
	}()
	c.Cleanup(func() {
		w.kill()
		require.NoError(c, f.Close())
		if c.Failed() {
			c.Logf("%s:\n%s", filepath.Base(w.log), tail(w.log, 100))
		}
	})
	c.until("a worker works", time.Minute, func() bool { return strings.Contains(tail(w.log, 1000), `"msg":"working"`) })
	return w
}

func tail(file string, lines int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := bytes.SplitAfter(text, []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], nil))
}

// kill is kill -9, even of a process that is stopped.
func (w *workerProcess) kill() {
	_ = w.cmd.Process.Kill()
	<-w.over
}

func (w *workerProcess) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	require.NoError(t, w.cmd.Process.Signal(sig))
}

// stop is SIGTERM, and wants a worker that ends well.
func (w *workerProcess) stop(t testing.TB) {
	t.Helper()
	w.signal(t, syscall.SIGTERM)
	<-w.over
	require.Zero(t, w.cmd.ProcessState.ExitCode(), "%v", w.cmd.ProcessState)
}

// renew stops all workers and starts one on each machine: it looks through the scratch folders that are there.
func (c *cluster) renew() {
	c.Helper()
	machines := map[int]bool{}
	for _, w := range c.staff {
		machines[w.machine] = true
		select {
		case <-w.over:
		default:
			w.stop(c)
		}
	}
	c.staff = nil
	for machine := range machines {
		c.start(machine)
	}
}

// until waits for something that takes a while.
func (c *cluster) until(what string, patience time.Duration, is func() bool) {
	c.Helper()
	require.Eventually(c, is, patience, 50*time.Millisecond, what)
}

// copyOf makes another capture of a kind: the same files under another session.
func (c *cluster) copyOf(kind captureKind) string {
	c.Helper()
	name := fmt.Sprintf("%s-%d", kind, len(c.kinds))
	from, to := c.mix.folders[kind], filepath.Join(c.folder, "captures", name)
	for _, file := range files(c.T, from) {
		require.NoError(c, os.MkdirAll(filepath.Dir(filepath.Join(to, file)), 0o755))
		text, err := os.ReadFile(filepath.Join(from, file))
		require.NoError(c, err)
		if file == "capture.json" {
			text = bytes.Replace(text, []byte("session-"+string(kind)), []byte("session-"+name), 1)
		}
		require.NoError(c, os.WriteFile(filepath.Join(to, file), text, 0o644))
	}
	return to
}

// enqueue queues a capture of a kind and gives the job's id.
func (c *cluster) enqueue(kind captureKind, flags ...string) string {
	c.Helper()
	folder := c.copyOf(kind)
	got := rushes(c.T, append([]string{"enqueue", "--json", "--data", c.home(0), folder}, flags...)...)
	requireSuccess(c.T, got)
	id := parse[[]struct{ ID string }](c.T, got.stdout)[0].ID
	c.kinds[id], c.names[id] = kind, filepath.Base(folder)
	return id
}

// enqueueMix queues n captures, of all kinds by turns.
func (c *cluster) enqueueMix(n int, flags ...string) (ids []string) {
	c.Helper()
	for i := range n {
		ids = append(ids, c.enqueue(captureKinds()[i%len(captureKinds())], flags...))
	}
	return ids
}

func (c *cluster) job(id string) catalog.Job {
	c.Helper()
	job, err := c.data.catalog.JobByID(c.Context(), id)
	require.NoError(c, err)
	return job
}

func (c *cluster) parts(id string) []catalog.Job {
	c.Helper()
	parts, err := c.data.catalog.ListJobs(c.Context(), catalog.JobFilter{ParentID: id})
	require.NoError(c, err)
	return parts
}

// family is the jobs with their parts.
func (c *cluster) family(ids []string) (all []catalog.Job) {
	c.Helper()
	for _, id := range ids {
		all = append(append(all, c.job(id)), c.parts(id)...)
	}
	return all
}

func (c *cluster) attempts(id string) []catalog.AttemptRecord {
	c.Helper()
	log, err := c.data.catalog.Attempts(c.Context(), id)
	require.NoError(c, err)
	return log
}

// endings is how the attempts at a job ended.
func (c *cluster) endings(id string) (all []catalog.Ending) {
	c.Helper()
	for _, r := range c.attempts(id) {
		all = append(all, r.Ending)
	}
	return all
}

// over waits until all jobs are.
func (c *cluster) over(patience time.Duration, ids ...string) {
	c.Helper()
	require.Eventually(c, func() bool {
		for _, id := range ids {
			if !c.job(id).State.Final() {
				return false
			}
		}
		return true
	}, patience, 100*time.Millisecond, "jobs are not over: %v", lazily(func() any { return c.states(ids) }))
}

// lazily is a value that is worked out when it is printed.
type lazily func() any

// String gives the value.
func (l lazily) String() string { return fmt.Sprint(l()) }

func (c *cluster) states(ids []string) (all []string) {
	for _, j := range c.family(ids) {
		all = append(all, fmt.Sprintf("%s %s %s %s %v", j.ID, c.names[j.ID], j.State, j.Stage, c.endings(j.ID)))
	}
	return all
}

// steps are all steps that were begun.
func (c *cluster) steps() (all []stepSeen) {
	c.Helper()
	f, err := os.Open(filepath.Join(c.folder, "steps.log"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(c, err)
	defer func() { require.NoError(c, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s stepSeen
		if json.Unmarshal(lines.Bytes(), &s) == nil {
			all = append(all, s)
		}
	}
	require.NoError(c, lines.Err())
	return all
}

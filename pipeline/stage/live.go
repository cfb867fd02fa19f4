package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"rushes/catalog"
	"rushes/hls"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
	"rushes/transcode/mp4"
)

// live makes all assets of a live stream in one pass over its dump.
type live struct {
	capture  *capture.Capture
	settings Settings
	state    string // of the files at the time that the assets were listed
	group    *bundle
}

// liveVOD is the one package of a live stream.
func liveVOD(_ context.Context, from *material) ([]*product, error) {
	l, err := from.liveStream()
	if err != nil {
		return nil, err
	}
	p := l.product("room-vod", packageFile(&l.capture.Manifest.Outputs.VOD), catalog.RoomVOD)
	p.options = []any{p.options, l.capture.Manifest.Outputs.VOD}
	return []*product{p}, nil
}

// liveComposites are the MP4s of the layers of a live stream.
func liveComposites(_ context.Context, from *material) (list []*product, err error) {
	l, err := from.liveStream()
	if err != nil {
		return nil, err
	}
	for i := range l.capture.Manifest.Layers {
		n := strconv.Itoa(i)
		p := l.product("room-composite-"+n, "composite.mp4", catalog.RoomComposite, n)
		p.Asset.Metadata.Layer = n
		list = append(list, p)
	}
	return list, nil
}

// liveStream gives what all makers share.
func (m *material) liveStream() (*live, error) {
	if m.live != nil {
		return m.live, nil
	}
	l := &live{capture: m.capture, settings: m.settings}
	l.group = &bundle{render: l.render}
	var err error
	if l.state, err = filesState(m.capture); err != nil {
		return nil, err
	}
	m.live = l
	return l, nil
}

// filesState tells what the capture's files are at this moment, those that only its folders tell of too.
func filesState(c *capture.Capture) (string, error) {
	var all []any
	for name := range c.Manifest.Paths() {
		if info, err := c.Stat(name); err == nil {
			all = append(all, name, info.Size(), info.ModTime().UnixNano())
		}
	}
	for i := range c.Manifest.Layers {
		if l := &c.Manifest.Layers[i]; len(l.Segments) == 0 && l.Playlist != "" {
			names, err := c.Beside(l.Playlist)
			if err != nil {
				return "", err
			}
			for _, name := range names {
				if info, err := c.Stat(name); err == nil {
					all = append(all, name, info.Size(), info.ModTime().UnixNano())
				}
			}
		}
	}
	return pipeline.ContentKey(all)
}

func (l *live) product(name, file string, t catalog.AssetType, which ...string) *product {
	m := l.capture.Manifest
	return &product{
		item: item{
			Name: name,
			File: file,
			Asset: row{RoomID: m.RoomID, SessionID: m.SessionID, Type: t, StartedAt: m.StartedAt.Time,
				Key: catalog.AssetKey(l.capture.Key(), t, which...), Metadata: catalog.Metadata{Defects: ownDefects(l.capture)}},
			Stills: newStillsWanted(m.Outputs.Thumbnails, l.settings.StillFormat),
		},
		options: []any{l.capture.Session.Paused, m.StoppedAt, l.state},
		group:   l.group,
	}
}

// ownDefects are those of the capture that are not about a file: who reads the files tells of these.
func ownDefects(c *capture.Capture) []catalog.Defect {
	all := captureDefects(c.Defects)
	own := all[:0]
	for _, d := range all {
		if d.File == "" {
			own = append(own, d)
		}
	}
	return own
}

// dump is what the capture has of the stream.
func (l *live) dump() (hls.Dump, error) {
	m := l.capture.Manifest
	d := hls.Dump{StartedAt: m.StartedAt.Time}
	for _, p := range l.capture.Session.Paused {
		d.Paused = append(d.Paused, hls.Interval{From: m.StartedAt.Add(p.From), To: m.StartedAt.Add(p.To)})
	}
	for i := range m.Layers {
		layer := &m.Layers[i]
		segments, err := l.segments(layer)
		if err != nil {
			return d, err
		}
		d.Layers = append(d.Layers, hls.Layer{Name: layer.Name, Segments: segments})
	}
	return d, nil
}

// segments are those of the recorder's log or, without one, all files beside the playlist, with what it says of them:
// a live playlist has forgotten the first ones.
func (l *live) segments(layer *capture.Layer) ([]hls.Segment, error) {
	var list []hls.Segment
	for i := range layer.Segments {
		s := &layer.Segments[i]
		list = append(list, hls.Segment{Name: s.Path, Map: s.MapPath(), WallTime: s.ProgramDateTime.Time, Duration: s.Duration.Duration, Discontinuity: s.Discontinuity})
	}
	if len(list) > 0 || layer.Playlist == "" {
		return list, nil
	}
	names, err := l.capture.Beside(layer.Playlist)
	if err != nil {
		return nil, err
	}
	listed, err := l.playlist(layer.Playlist)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, s := range listed {
		known[s.Name], known[s.Map] = true, true
	}
	for _, s := range hls.FromNames(names) {
		if !known[s.Name] {
			list = append(list, s)
		}
	}
	return append(list, listed...), nil
}

// maxPlaylist bounds a playlist, in bytes.
const maxPlaylist = 64 << 20

// playlist reads what a layer's playlist lists; nothing when it is not there.
func (l *live) playlist(name string) (_ []hls.Segment, err error) {
	f, err := l.capture.OpenFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(io.LimitReader(f, maxPlaylist))
	if err != nil {
		return nil, fmt.Errorf("read playlist %s: %w", name, err)
	}
	list, err := hls.ReadPlaylist(name, text)
	if err != nil {
		return nil, nil //nolint:nilerr // the files tell without it
	}
	return list, nil
}

// render makes the assets that are asked for, all in one pass.
func (l *live) render(ctx context.Context, run *pipeline.Run, list []*product, progress func(pipeline.Progress)) (made map[string]outcome, err error) {
	dump, err := l.dump()
	if err != nil {
		return nil, err
	}
	files := newDumpFiles(l.capture.OpenFile)
	t, err := hls.Open(ctx, dump, files, segmentDemuxer{}, hls.Options{})
	var bad *hls.InputError
	if errors.As(err, &bad) {
		return nil, &capture.InputError{Field: "layers", File: l.capture.Name, Reason: bad.Reason, Hint: "put the segments beside the manifest, H.264 and AAC in MPEG-TS or fragmented MP4", Err: err}
	}
	if err != nil {
		return nil, err
	}
	w := &timelineWriter{timeline: t, files: files, progress: progress, vod: &l.capture.Manifest.Outputs.VOD}
	made = map[string]outcome{}
	var pack *product
	layers := map[int]*product{}
	for _, p := range list {
		if p.Asset.Type == catalog.RoomVOD {
			pack = p
			continue
		}
		i, err := strconv.Atoi(p.Asset.Metadata.Layer)
		if err != nil {
			return nil, fmt.Errorf("layer of asset %s: %w", p.Name, err)
		}
		if !hasLayer(t, i) {
			made[p.Name] = outcome{Failure: newFailure(noLayer(&dump.Layers[i], t))}
			continue
		}
		layers[i] = p
	}
	if pack == nil && len(layers) == 0 {
		return made, nil
	}
	res, err := w.write(ctx, run, pack, layers)
	if err != nil {
		return nil, err
	}
	start := l.start(&dump)
	for i, p := range layers {
		made[p.Name] = outcome{Rendered: layerMade(res, t, i, dump.Layers[i].Name, start)}
	}
	if pack != nil {
		r, err := w.packageMade(run, pack, res, start)
		if err != nil {
			return nil, err
		}
		made[pack.Name] = outcome{Rendered: r}
	}
	return made, nil
}

// start is where in the session the first of the segments begins.
func (l *live) start(dump *hls.Dump) time.Duration {
	var first time.Time
	for _, layer := range dump.Layers {
		for _, s := range layer.Segments {
			if !s.WallTime.IsZero() && (first.IsZero() || s.WallTime.Before(first)) {
				first = s.WallTime
			}
		}
	}
	if first.IsZero() || l.capture.Manifest.StartedAt.IsZero() {
		return 0
	}
	return max(first.Sub(l.capture.Manifest.StartedAt.Time), 0)
}

func hasLayer(t *hls.Timeline, index int) bool {
	for _, l := range t.Layers {
		if l.Index == index {
			return true
		}
	}
	return false
}

// noLayer is the error of a layer of which there is no film.
func noLayer(layer *hls.Layer, t *hls.Timeline) error {
	reason := "has no pictures"
	for _, d := range t.Defects {
		if d.Layer == layer.Name && d.Kind == hls.DefectLayerMissing {
			reason = d.Detail
		}
	}
	return &capture.InputError{Field: "layers", File: layer.Name, Reason: reason, Hint: "the other layers are made without it"}
}

// layerMade is what is remembered of a layer's MP4.
func layerMade(res *hls.Result, t *hls.Timeline, index int, name string, start time.Duration) rendered {
	out := rendered{Start: start, Sync: joinsOf(t)}
	for _, l := range res.Layers {
		if l.Index == index && l.Movie != nil {
			out.Size, out.Duration, out.Width, out.Height = l.Movie.Size, l.Movie.Duration, l.Width, l.Height
		}
	}
	for _, d := range res.Defects {
		if d.Layer == "" || d.Layer == name {
			out.Defects = append(out.Defects, dumpDefect(d))
		}
	}
	return out
}

func dumpDefect(d hls.Defect) catalog.Defect {
	return catalog.Defect{Kind: string(d.Kind), Detail: d.Detail, File: d.File, Track: d.Layer}
}

// dumpFiles opens the files of a dump and counts the bytes of those that were read to their end.
type dumpFiles struct {
	open  func(name string) (*os.File, error)
	sizes map[string]int64  // of all that were opened
	done  func(bytes int64) // told of each that is closed; nil while nobody counts
}

func newDumpFiles(open func(name string) (*os.File, error)) *dumpFiles {
	return &dumpFiles{open: open, sizes: map[string]int64{}}
}

// total is how many bytes there are to read.
func (d *dumpFiles) total() (bytes int64) {
	for _, n := range d.sizes {
		bytes += n
	}
	return bytes
}

// Open implements hls.Files. What is no file that can be read is one that is not there.
func (d *dumpFiles) Open(ctx context.Context, name string) (hls.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist): // without the machine's path: it becomes a defect
		return nil, fmt.Errorf("the file: %w", fs.ErrNotExist)
	case pipeline.KindOf(err) == pipeline.KindBadInput, errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the file cannot be used: %w", fs.ErrNotExist)
	case err != nil:
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("size of %s: %w", name, err), f.Close())
	}
	d.sizes[name] = info.Size()
	return &dumpFile{File: f, size: info.Size(), files: d}, nil
}

type dumpFile struct {
	*os.File
	size  int64
	files *dumpFiles
}

// Size implements hls.File.
func (f *dumpFile) Size() int64 { return f.size }

// Close implements hls.File.
func (f *dumpFile) Close() error {
	if f.files.done != nil {
		f.files.done(f.size)
	}
	return f.File.Close()
}

// segmentDemuxer fits transcode's reader of MPEG-TS segments to hls.
type segmentDemuxer struct{}

// Demux implements hls.Demuxer.
func (segmentDemuxer) Demux(ctx context.Context, name string, f hls.File) (hls.Reader, error) {
	s, err := transcode.OpenSegment(ctx, transcode.Source{Name: name, R: f, Size: f.Size()})
	if err != nil {
		return nil, err
	}
	return segmentReader{s}, nil
}

type segmentReader struct{ s *transcode.Segment }

// Tracks, Suspect, Next, Data and Close implement hls.Reader.
func (r segmentReader) Tracks() []mp4.Track { return r.s.Tracks() }

func (r segmentReader) Suspect() bool { return r.s.Suspect() }

func (r segmentReader) Next(ctx context.Context) (hls.Unit, error) {
	u, err := r.s.Next(ctx)
	return hls.Unit{Track: u.Track, DTS: u.DTS, PTS: u.PTS, Sync: u.Sync, Torn: u.Torn}, err
}

func (r segmentReader) Data(track int) ([]byte, error) { return r.s.Data(track) }
func (r segmentReader) Close() error                   { return r.s.Close() }

// packageFile is the name of a package's main file.
func packageFile(v *capture.VOD) string {
	if v.Zip {
		return "package.zip"
	}
	return masterFile
}

const masterFile = "master.m3u8"

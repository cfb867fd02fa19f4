package mp4

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrOtherFragments is wrapped by the error of OpenFragments for a file that is not a fragmented MP4, or one in a form
// that this package leaves to a demuxer that knows more.
var ErrOtherFragments = errors.New("not a plain fragmented MP4")

// Fragments reads the samples of a fragmented MP4 (ISO/IEC 14496-12, 8.8) from its moof boxes, one of which is in
// memory at a time. It reads from the file given to OpenFragments and serves one goroutine.
type Fragments struct {
	// Tracks describes the tracks in the order of their trak boxes.
	Tracks []*MovieTrack

	r        io.ReaderAt
	size     int64
	walk     fragmentWalk
	defaults []sampleDefaults // of each track, from trex
	readers  []trackReader
	position int64
}

// FragmentSample is one sample of a fragment. Times are ticks of the track's timescale on the movie's presentation
// line, as in [Sample].
type FragmentSample struct {
	Track    int // index in Fragments.Tracks
	Offset   int64
	Size     uint32
	DTS, PTS int64
	Duration uint32
	Sync     bool
	// Torn is set when the file ends before the sample does.
	Torn bool
}

// trackReader is where the reading of a track stands.
type trackReader struct {
	runs   []fragmentRun // of the fragment, not begun yet
	run    fragmentRun
	shift  int64 // from the media line to the movie's
	start  int64 // PTS of the track's first sample
	begun  bool  // start is known
	dts    int64 // on the media line, of the sample that comes next
	head   FragmentSample
	ready  bool // head is waiting
	window window
}

// OpenFragments looks at moov and at every moof of a file, so that whatever this package does not read is known before
// the first sample: the error then wraps ErrOtherFragments. A file that ends inside a box ends there.
func OpenFragments(ctx context.Context, r io.ReaderAt, size int64) (*Fragments, error) {
	f := &Fragments{r: r, size: size, walk: fragmentWalk{w: window{r: r}, size: size}}
	err := f.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("mp4: %w", err)
	}
	return f, nil
}

func other(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrOtherFragments, fmt.Errorf(format, args...))
}

func (f *Fragments) open(ctx context.Context) error {
	moov, err := f.walk.find("moov")
	if err != nil {
		return err
	}
	m := &Movie{}
	if err := m.readMoov(f.r, moov, f.size, true); err != nil {
		return other("moov: %w", err)
	}
	f.Tracks = m.Tracks
	if err := f.readExtends(moov); err != nil {
		return err
	}
	for i, t := range f.Tracks {
		if err := t.plain(); err != nil {
			return other("track %d: %w", i+1, err)
		}
		f.readers = append(f.readers, trackReader{shift: -t.mediaStart(), window: window{r: f.r}})
	}
	return f.survey(ctx)
}

// survey looks at every moof. Samples do not lie in one another: this bounds all that is read later.
func (f *Fragments) survey(ctx context.Context) error {
	begin := f.walk.at
	samples, bytes := int64(0), int64(0)
	for {
		moof, err := f.walk.moof(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = f.fragment(moof, func(r fragmentRun) {
				f.readers[r.track].begin(r)
				samples += int64(r.left)
				bytes += max(min(r.end(), f.size)-r.offset, 0)
			})
		}
		if err != nil {
			return err
		}
		if samples > f.size || bytes > f.size {
			return other("%d samples of %d bytes in %d", samples, bytes, f.size)
		}
	}
	if f.walk.at = begin; samples == 0 {
		return other("there are no samples in fragments")
	}
	return nil
}

// begin notes where a track's first run starts.
func (t *trackReader) begin(r fragmentRun) {
	if !t.begun {
		first := r.next()
		t.start, t.begun = r.dts+t.shift+int64(first.cts), true
	}
}

// Start is the PTS of a track's first sample; ok is false for a track that has none.
func (f *Fragments) Start(track int) (pts int64, ok bool) {
	return f.readers[track].start, f.readers[track].begun
}

// plain looks for what would make more of a track than one row of samples.
func (t *MovieTrack) plain() error {
	switch {
	case t.SampleCount > 0:
		return errors.New("moov has samples of its own")
	case t.descriptions != 1:
		return fmt.Errorf("%d sample descriptions", t.descriptions)
	case len(t.Edits) > 2, len(t.Edits) == 2 && t.Edits[0].MediaTime != -1:
		return errors.New("an edit list of several edits")
	case t.mediaStart() > maxTicks, t.mediaStart() < -maxTicks:
		return errors.New("an edit list out of range")
	}
	for i, e := range t.Edits {
		if e.Rate != 1<<16 || e.MediaTime < 0 && (e.MediaTime != -1 || i == len(t.Edits)-1) || e.MediaTime > maxTicks || e.Duration < 0 || e.Duration > maxTicks {
			return errors.New("an edit list of its own kind")
		}
	}
	return nil
}

// track is the index of the track with an ID, -1 when there is none.
func (f *Fragments) track(id uint32) int {
	for i, t := range f.Tracks {
		if t.ID == id {
			return i
		}
	}
	return -1
}

// readExtends takes each track's defaults from mvex (8.8.1, 8.8.3).
func (f *Fragments) readExtends(moov boxAt) error {
	list, err := boxesIn(f.r, moov.body, moov.end)
	if err != nil {
		return other("moov: %w", err)
	}
	f.defaults = make([]sampleDefaults, len(f.Tracks))
	found := 0
	for _, b := range list {
		if b.kind != "mvex" {
			continue
		}
		p, err := b.small(f.r, maxSmallBox)
		if err != nil {
			return other("%w", err)
		}
		eachChild(p, func(kind string, body []byte) {
			v := fields{p: body}
			v.u32()
			if i := f.track(v.u32()); kind == "trex" && i >= 0 {
				f.defaults[i] = sampleDefaults{description: v.u32(), duration: v.u32(), size: v.u32(), flags: v.u32()}
				found++
			}
		})
	}
	if found != len(f.Tracks) || found == 0 {
		return other("%d tracks have %d trex", len(f.Tracks), found)
	}
	return nil
}

// Next gives the next sample, io.EOF after the last. Inside a fragment the tracks stay within a second of each other;
// among those that do, the order is the file's.
func (f *Fragments) Next(ctx context.Context) (FragmentSample, error) {
	for {
		best := -1
		for i := range f.readers {
			t := &f.readers[i]
			if !t.ready && !t.advance(i, f.Tracks[i].Video != nil, f.size) {
				continue
			}
			if best < 0 || f.earlier(&t.head, &f.readers[best].head) {
				best = i
			}
		}
		if best >= 0 {
			t := &f.readers[best]
			t.ready = false
			f.position += int64(t.head.Size)
			return t.head, nil
		}
		if err := f.load(ctx); err != nil {
			return FragmentSample{}, err
		}
	}
}

// earlier decides which of two tracks' samples comes first.
func (f *Fragments) earlier(a, b *FragmentSample) bool {
	const micro = 1_000_000
	at := rescale(a.DTS, f.Tracks[a.Track].Timescale, micro)
	bt := rescale(b.DTS, f.Tracks[b.Track].Timescale, micro)
	if at-bt <= micro && bt-at <= micro {
		return a.Offset < b.Offset
	}
	return at < bt
}

// load goes on to the next fragment.
func (f *Fragments) load(ctx context.Context) error {
	moof, err := f.walk.moof(ctx)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("mp4: %w", err)
	}
	f.position = moof.end
	for i := range f.readers {
		f.readers[i].runs = f.readers[i].runs[:0]
	}
	err = f.fragment(moof, func(r fragmentRun) { f.readers[r.track].runs = append(f.readers[r.track].runs, r) })
	if err != nil {
		return fmt.Errorf("mp4: %w", err)
	}
	return nil
}

// advance puts the track's next sample that has bytes in the file at its head; false at the end of the fragment.
func (t *trackReader) advance(track int, video bool, size int64) bool {
	for {
		for t.run.left == 0 {
			if len(t.runs) == 0 {
				return false
			}
			t.run, t.runs = t.runs[0], t.runs[1:]
			if t.run.timed {
				t.dts = t.run.dts
			}
			t.window.end = min(t.run.end(), size)
		}
		r := &t.run
		at := r.offset
		s := r.next()
		t.head = FragmentSample{Track: track, Offset: at, Size: s.size, DTS: t.dts + t.shift, PTS: t.dts + t.shift + int64(s.cts), Duration: s.duration,
			Sync: !video || s.flags&(isNonSync|dependsOnOthers) == 0, Torn: at+int64(s.size) > size}
		t.dts = min(t.dts+int64(s.duration), maxTicks)
		if at >= size {
			r.left = 0 // nothing of the rest is there
		} else if s.size > 0 && at >= 0 {
			t.ready = true
			return true
		}
	}
}

// maxSampleBytes is the largest sample that is read.
const maxSampleBytes = 64 << 20

// Data reads a sample that Next gave. Of a torn one it gives what is there, of one that cannot be true nothing. It is
// good until the next call for the same track.
func (f *Fragments) Data(s *FragmentSample) ([]byte, error) {
	n := min(int64(s.Size), f.size-s.Offset)
	if n > maxSampleBytes {
		return nil, nil
	}
	p, err := f.readers[s.Track].window.get(s.Offset, n)
	if err != nil {
		return nil, fmt.Errorf("mp4: %w", err)
	}
	return p, nil
}

// Position is about how many bytes of the file have been gone through.
func (f *Fragments) Position() int64 { return min(f.position, f.size) }

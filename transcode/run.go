package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// unit is one access unit on the session's time line.
type unit struct {
	pkt      *av.Packet // valid during the call that gives it only
	stream   *av.Stream
	part     int
	run      int   // changes where the time line does: with the part, and where timestamps jump
	pts, dts int64 // ns in the session; dts is noTime where the container gives none
	dur      int64 // ns, 0 = unknown
}

// stamp gives a packet the unit's times, in nanoseconds of the session.
func (u *unit) stamp(p *av.Packet) {
	p.PTS, p.DTS, p.Duration = u.pts, u.dts, u.dur
	if u.dts == noTime {
		p.DTS = av.NoPTS
	}
}

// lane makes one output track. Its calls come from one goroutine.
type lane interface {
	unit(ctx context.Context, u *unit) error
	finish(ctx context.Context) error // all units have been given; the samples are all written
	close() error                     // frees everything, whatever happened
	describe(res *Result)
}

// run is one attempt at the conversion.
type run struct {
	*plan
	mux     *muxer
	lanes   map[av.Kind]lane
	defects defects
	read    int64 // bytes of the parts before this one
	packets int
}

// muxer lets lanes of several goroutines write into one file.
type muxer struct {
	mu      sync.Mutex
	w       *mp4.Writer
	reached int64 // latest PTS of all, ns
	done    func() (int64, int64)
}

func (m *muxer) write(track int, s mp4.Sample, at int64, parts ...[]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reached = max(m.reached, at)
	if err := m.w.WriteV(track, s, parts...); err != nil {
		return fmt.Errorf("write the movie: %w", err)
	}
	return nil
}

// tail lists what a track holds from its last sync sample on.
func (m *muxer) tail(track int) []mp4.Ref {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.w.TailSamples(track, 1<<20)
}

func (m *muxer) readSample(ref mp4.Ref) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.w.ReadSample(ref)
}

func (m *muxer) dropTail(track, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.w.DropTail(track, n)
}

// defects collects what lanes and readers report, from any goroutine, a line for each kind and file.
type defects struct {
	mu   sync.Mutex
	list []Defect
}

func (d *defects) add(x Defect) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) < 100 { // a recording that is broken a thousand times over is described well enough
		d.list = append(d.list, x)
	}
}

func (p *plan) run(ctx context.Context, out mp4.File) (res *Result, err error) {
	r := &run{plan: p, lanes: map[av.Kind]lane{}}
	r.defects.list = append(r.defects.list, p.defects...)
	var position func() int64
	r.mux = &muxer{}
	r.mux.w = mp4.NewWriter(out, mp4.Options{Forecast: func() (int64, int64) {
		if position == nil {
			return 0, 0
		}
		return position(), p.total
	}})
	defer func() {
		for _, l := range r.lanes {
			err = errors.Join(err, l.close())
		}
	}()
	if err := r.openLanes(ctx); err != nil {
		return nil, err
	}
	if err := r.readAll(ctx, &position); err != nil {
		return nil, err
	}
	for _, kind := range []av.Kind{av.KindVideo, av.KindAudio} {
		if l := r.lanes[kind]; l != nil {
			if err := l.finish(ctx); err != nil {
				return nil, err
			}
		}
	}
	return r.result()
}

// readAll hands everything to the lanes, from the tracks' feed or from the recording's files.
func (r *run) readAll(ctx context.Context, position *func() int64) (err error) {
	if r.feed != nil {
		return r.feed.read(ctx, r)
	}
	end := r.start
	for i := range r.parts {
		if end, err = r.readPart(ctx, i, end, position); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) result() (*Result, error) {
	sum, err := r.mux.w.Close()
	if errors.Is(err, mp4.ErrNoSamples) {
		reason := "nothing in it can be played"
		for _, d := range r.defects.list {
			reason += "; " + d.Kind + ": " + d.Detail
			break
		}
		return nil, &InputError{File: r.parts[0].Source.Name, Reason: reason}
	}
	if err != nil {
		return nil, fmt.Errorf("finish the movie: %w", err)
	}
	res := &Result{Summary: sum, Start: time.Duration(r.start), Defects: r.defects.list}
	for _, l := range r.lanes {
		l.describe(res)
	}
	return res, nil
}

// openLanes makes the output's tracks; their order is their index.
func (r *run) openLanes(ctx context.Context) error {
	if r.video != nil {
		l, err := r.openVideo(ctx)
		if err != nil {
			return err
		}
		r.lanes[av.KindVideo] = l
	}
	if r.audio != nil {
		l, err := r.openAudio()
		if err != nil {
			return err
		}
		r.lanes[av.KindAudio] = l
	}
	return nil
}

func (r *run) openVideo(ctx context.Context) (lane, error) {
	if r.video.copy {
		l, err := newVideoCopier(r)
		if needs := (*needsEncoding)(nil); !errors.As(err, &needs) {
			return l, err
		}
		r.video.copy = false
	}
	return newVideoEncoder(ctx, r)
}

func (r *run) openAudio() (lane, error) {
	if r.audio.copy {
		l, err := newAudioCopier(r)
		if needs := (*needsEncoding)(nil); !errors.As(err, &needs) {
			return l, err
		}
		r.audio.copy = false
	}
	return newAudioEncoder(r)
}

// mostFailures is how many reads in a row may fail before the rest of a file is given up: demuxers pass over what is
// broken and go on behind it.
const mostFailures = 8

// readPart gives all packets of a part to the lanes and returns where in the session it ended. A part that
// cannot be read to its end is a defect.
func (r *run) readPart(ctx context.Context, i int, end int64, position *func() int64) (_ int64, err error) {
	part := &r.parts[i]
	in, err := r.openPart(ctx, part)
	if err != nil {
		return end, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	*position = func() int64 { return r.read + in.Position() }
	begin := r.partBegin(i, end)
	limit := int64(0)
	if r.rec.Length > 0 {
		limit = int64(r.rec.Length + sessionSlack)
	}
	c := newClock(part.Source.Name, len(part.streams), part.origin, begin, limit, r.defects.add)
	pkt, err := av.NewPacket()
	if err != nil {
		return end, err
	}
	defer pkt.Close()
	for failed := 0; ; {
		err := in.ReadPacket(ctx, pkt)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if ctx.Err() != nil || !invalid(err) {
				return end, err
			}
			if failed++; failed == 1 {
				r.defects.add(Defect{Kind: DefectDamaged, File: part.Source.Name, Detail: fmt.Sprintf("the file is damaged at %v: %v", show(c.end-begin), err)})
			}
			if failed == mostFailures {
				break
			}
			if l, ok := r.lanes[av.KindVideo].(interface{ doubt() }); ok {
				l.doubt()
			}
			continue
		}
		failed = 0
		if err := r.packet(ctx, i, c, pkt); err != nil {
			return end, err
		}
		r.progress(in.Position())
	}
	r.read += part.Source.Size
	*position = func() int64 { return r.read }
	return max(end, c.end), nil
}

// partBegin is where in the session a part's first timestamp lies: where its start time says, but not before
// the end of what is there already.
func (r *run) partBegin(i int, end int64) int64 {
	part := &r.parts[i]
	if i == 0 {
		return int64(part.Start)
	}
	if part.Follows {
		return end
	}
	if begin := int64(part.Start); begin >= end {
		return begin
	}
	if late := end - int64(part.Start); late > int64(backwardJump) {
		r.defects.add(Defect{Kind: DefectTimeJump, File: part.Source.Name, Detail: fmt.Sprintf("begins %v before the end of the part before it; placed after it", show(late))})
	}
	return end
}

func (r *run) packet(ctx context.Context, part int, c *clock, pkt *av.Packet) error {
	pp := &r.parts[part]
	kind := av.KindOther
	switch pkt.Stream {
	case pp.video:
		kind = av.KindVideo
	case pp.audio:
		kind = av.KindAudio
	}
	if kind == av.KindOther || pkt.Stream < 0 || pkt.PTS == av.NoPTS && pkt.DTS == av.NoPTS {
		return nil
	}
	s := &pp.streams[pkt.Stream]
	u := unit{pkt: pkt, stream: s, part: part, run: part << 32, dts: noTime, dur: max(nanos(pkt.Duration, s.TimeBase), 0)}
	if pkt.DTS != av.NoPTS {
		u.dts = nanos(pkt.DTS, s.TimeBase)
	}
	if pkt.PTS != av.NoPTS {
		u.pts = nanos(pkt.PTS, s.TimeBase)
	} else {
		u.pts = u.dts
	}
	if u.dur > int64(forwardJump) {
		u.dur = 0 // made of broken timestamps, as a rule; the next one tells
	}
	if u.dts != noTime && abs(u.pts-u.dts) > int64(forwardJump) {
		u.pts = u.dts
	}
	order := u.dts
	if order == noTime {
		order = u.pts
	}
	shift := c.place(pkt.Stream, order, u.dur)
	u.run += c.runs[pkt.Stream]
	u.pts += shift
	if u.dts != noTime {
		u.dts += shift
	}
	return r.lanes[kind].unit(ctx, &u)
}

func (r *run) progress(position int64) {
	if r.packets++; r.rec.Progress == nil || r.packets%100 != 0 {
		return
	}
	r.mux.mu.Lock()
	reached := r.mux.reached
	r.mux.mu.Unlock()
	r.rec.Progress(Progress{Bytes: r.read + position, TotalBytes: r.total, Time: time.Duration(reached)})
}

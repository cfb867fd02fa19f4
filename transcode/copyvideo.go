package transcode

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/Eyevinn/mp4ff/avc"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// videoCopier puts H.264 access units into the output as they are.
type videoCopier struct {
	r         *run
	config    avcConfig
	track     int
	timescale int
	order     reorder
	part      int
	lastDTS   int64 // ticks
	started   bool
	skipped   int   // units before the first key frame
	resumeAt  int64 // session time at which a pause ended, noTime = none pending
	count     int
	suspect   bool // since the last IDR picture, one may be incomplete or missing
	units     [][]byte
	parts     [][]byte
	lengths   []byte
	width     int
	height    int
}

func newVideoCopier(r *run) (*videoCopier, error) {
	s := r.video.first
	config, err := newAVCConfig(s.Extradata)
	if err != nil {
		return nil, &needsEncoding{av.KindVideo, err.Error()}
	}
	c := &videoCopier{r: r, config: config, timescale: copyTimescale(s.TimeBase), resumeAt: noTime, part: -1,
		width: s.Width, height: s.Height, order: reorder{depth: s.Delay}}
	v := &mp4.Video{Codec: "avc1", Config: config.record, Width: s.Width, Height: s.Height}
	if s.SAR.Num > 0 && s.SAR.Den > 0 {
		v.SAR = mp4.Rational{Num: uint32(s.SAR.Num), Den: uint32(s.SAR.Den)}
	}
	if s.Color.Matrix != 2 && s.Color.Matrix != 0 {
		v.Color = &mp4.Color{Primaries: uint16(s.Color.Primaries), Transfer: uint16(s.Color.Transfer), Matrix: uint16(s.Color.Matrix), FullRange: s.Color.Range == 2}
	}
	if s.Rotation != nil {
		v.Matrix = *s.Rotation
	}
	c.track, err = r.mux.w.AddTrack(mp4.Track{Timescale: uint32(c.timescale), Video: v})
	return c, err
}

// copyTimescale is the source's own when that is ticks per second, so that times stay exact.
func copyTimescale(tb av.Rational) int {
	if tb.Num == 1 && tb.Den >= 1000 && tb.Den <= 1_000_000 {
		return tb.Den
	}
	return 90_000
}

func (c *videoCopier) unit(ctx context.Context, u *unit) error {
	if err := c.check(u); err != nil {
		return err
	}
	pts, paused := c.r.cuts.at(u.pts)
	if paused {
		c.resumeAt = c.r.cuts.resumes(u.pts)
		return nil
	}
	corrupt := u.pkt.Corrupt
	if corrupt && c.config.lengthSize > 0 {
		c.suspect = true
		c.r.defects.add(Defect{Kind: DefectDamaged, File: c.r.parts[u.part].Source.Name, Detail: fmt.Sprintf("incomplete picture at %v", show(pts-c.r.zero))})
		return nil
	}
	idr, err := c.split(u.pkt.Data())
	if err != nil {
		return err
	}
	if idr && c.suspect {
		if err := c.dropBroken(ctx, u.part); err != nil {
			return err
		}
	}
	// In MPEG-TS the mark stands for a lost packet near by, often at a neighbour: decoding will tell.
	c.suspect = c.suspect || corrupt
	if c.resumeAt != noTime {
		if !u.pkt.Key || u.pts > c.resumeAt+int64(100*time.Millisecond) {
			return &needsEncoding{av.KindVideo, "a pause ends between two key frames"}
		}
		c.resumeAt = noTime
	}
	if !c.started && !u.pkt.Key && !idr {
		c.skipped++
		return nil
	}
	c.started = true
	return c.write(u, pts-c.r.zero, idr)
}

// doubt says that something of the file was lost just now: what follows up to the next IDR picture may be broken.
func (c *videoCopier) doubt() { c.suspect = c.started }

// check looks for anything that the configuration of the track does not cover.
func (c *videoCopier) check(u *unit) error {
	if u.part != c.part {
		c.part = u.part
		if c.started && (u.stream.Codec != "h264" || !bytes.Equal(u.stream.Extradata, c.r.video.first.Extradata)) {
			return &needsEncoding{av.KindVideo, "the parts are encoded in different ways"}
		}
	}
	if extra := u.pkt.NewExtradata(); extra != nil && !bytes.Equal(extra, c.r.video.first.Extradata) {
		return &needsEncoding{av.KindVideo, "the encoder's settings change"}
	}
	return nil
}

// split finds the unit's NAL units and whether it is an IDR picture.
func (c *videoCopier) split(data []byte) (idr bool, err error) {
	c.units = c.units[:0]
	if c.config.lengthSize == 0 {
		c.units = splitAnnexB(c.units, data)
	} else if c.units, err = splitLengths(c.units, data, c.config.lengthSize); err != nil {
		return false, &needsEncoding{av.KindVideo, err.Error()}
	}
	for _, n := range c.units {
		switch n[0] & 31 {
		case nalIDR:
			idr = true
		case nalSPS, nalPPS:
			if !c.config.has(n) {
				return false, &needsEncoding{av.KindVideo, "the encoder's settings change"}
			}
		}
	}
	return idr, nil
}

func (c *videoCopier) write(u *unit, pts int64, idr bool) error {
	s := mp4.Sample{PTS: ticksOf(pts, c.timescale), Sync: idr, Duration: uint32(max(ticksOf(u.dur, c.timescale), 1))}
	dts, _ := c.r.cuts.at(u.dts)
	if u.dts == noTime {
		dts = c.order.dts(pts, u.dur)
	} else {
		dts -= c.r.zero
	}
	s.DTS = ticksOf(dts, c.timescale)
	if c.count > 0 && s.DTS <= c.lastDTS {
		s.DTS = c.lastDTS + 1
	}
	s.PTS = max(s.PTS, s.DTS) // less is not valid; only damaged timestamps ask for it
	c.lastDTS = s.DTS
	c.count++
	if c.config.lengthSize > 0 {
		return c.r.mux.write(c.track, s, pts, u.pkt.Data())
	}
	c.lengths, c.parts = c.lengths[:0], c.parts[:0]
	for _, n := range c.units {
		c.lengths = append(c.lengths, byte(len(n)>>24), byte(len(n)>>16), byte(len(n)>>8), byte(len(n)))
	}
	for i, n := range c.units {
		c.parts = append(c.parts, c.lengths[4*i:4*i+4], n)
	}
	return c.r.mux.write(c.track, s, pts, c.parts...)
}

// reorder makes up decoding times where the container gives presentation times only: in decoding order, the
// smallest of the last depth+1 presentation times, shifted so that none is later than its own.
type reorder struct {
	depth   int
	waiting []int64
}

func (o *reorder) dts(pts, dur int64) int64 {
	if o.depth == 0 {
		return pts
	}
	if len(o.waiting) == 0 {
		for i := o.depth; i > 0; i-- {
			o.waiting = append(o.waiting, pts-int64(i)*max(dur, 1))
		}
	}
	o.waiting = append(o.waiting, pts)
	sort.Slice(o.waiting, func(i, j int) bool { return o.waiting[i] < o.waiting[j] })
	first := o.waiting[0]
	o.waiting = o.waiting[1:]
	return first
}

func (c *videoCopier) finish(ctx context.Context) error {
	if c.skipped > 0 {
		c.r.defects.add(Defect{Kind: DefectNoKeyframe, File: c.r.parts[0].Source.Name, Detail: fmt.Sprintf("%d pictures before the first key frame are left out", c.skipped)})
	}
	if c.count == 0 {
		return nil
	}
	if c.suspect || c.config.lengthSize == 0 {
		return c.dropBroken(ctx, len(c.r.parts)-1)
	}
	return nil
}

// dropBroken decodes the track from its last IDR picture on and takes back what is broken: after a lost packet
// everything from the first broken picture on, because the later ones refer to it; otherwise the last pictures
// while they are broken, because MPEG-TS does not tell how long a picture is, so that nothing else shows that the
// end of the last one is missing.
func (c *videoCopier) dropBroken(ctx context.Context, part int) error {
	suspect := c.suspect
	c.suspect = false
	broken, err := c.tryDecode(ctx, c.r.mux.tail(c.track))
	if err != nil {
		return err
	}
	n := 0
	for n < len(broken) && broken[len(broken)-1-n] {
		n++
	}
	if first := slices.Index(broken, true); suspect && first >= 0 {
		n = len(broken) - first
	}
	if n == 0 {
		return nil
	}
	c.count -= n
	c.r.defects.add(Defect{Kind: DefectDamaged, File: c.r.parts[part].Source.Name, Detail: fmt.Sprintf("%d pictures are torn, or refer to torn ones, and are left out", n)})
	return c.r.mux.dropTail(c.track, n)
}

// tryDecode tells which of some samples do not decode without an error.
func (c *videoCopier) tryDecode(ctx context.Context, refs []mp4.Ref) (broken []bool, err error) {
	spec := c.r.video.first.Decoder(c.r.video.firstN)
	spec.Extradata, spec.TimeBase, spec.Threads, spec.Strict = c.config.record, av.Rational{Num: 1, Den: c.timescale}, 1, true
	return trialDecode(ctx, spec, len(refs), func(i int, p *av.Packet) error {
		data, err := c.r.mux.readSample(refs[i])
		if err != nil {
			return err
		}
		if err := p.SetData(data); err != nil {
			return err
		}
		p.PTS, p.DTS = refs[i].PTS, refs[i].DTS
		return nil
	})
}

func (c *videoCopier) close() error { return nil }

func (c *videoCopier) describe(res *Result) {
	if c.count == 0 {
		return
	}
	res.Video, res.VideoCopied, res.Width, res.Height = true, true, c.width, c.height
	if sps, err := avc.ParseSPSNALUnit(c.config.sps[0], false); err == nil && sps.Width > 0 {
		res.Width, res.Height = int(sps.Width), int(sps.Height)
	}
}

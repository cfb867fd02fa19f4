package capture

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// fileScan takes notes while one file of a track is read for the index.
type fileScan struct {
	c     *Capture
	t     *TrackIndex
	f     *FileIndex
	units int
	first int64 // ticks in the file
	last  int64 // end of the latest unit
	prev  int64
	step  int64 // ticks between the last two units, for a last picture's length

	firstKey, firstHole, firstSize int // where this file's notes begin in the track's
}

// unit notes one unit. Ticks are the file's own until finish brings them onto the track's axis.
func (s *fileScan) unit(u *Unit, r UnitReader) {
	t := s.t
	if s.units == 0 {
		s.begin(u, r)
	}
	least := pictureHole
	if t.Track.Kind == KindAudio {
		least = soundHole
	}
	if s.units > 0 && u.Ticks-s.last > durationTicks(least, t.Mapping.Rate) && len(t.holes) < mostHoles {
		t.holes = append(t.holes, hole{s.last, u.Ticks})
	}
	if u.Key && t.Track.Kind == KindVideo {
		t.Keys = append(t.Keys, KeyUnit{Unit: t.Units, At: time.Duration(u.Ticks)})
		s.size(u)
	}
	if s.units > 0 && u.Ticks > s.prev {
		s.step = u.Ticks - s.prev
	}
	s.prev = u.Ticks
	end := u.Ticks + max(u.Duration, 0)
	s.last = max(s.last, end)
	if u.Damaged {
		t.Damaged++
	}
	if t.Track.Codec == "OPUS" && len(u.Data) > 0 && u.Data[0]&4 != 0 { // RFC 6716, 3.1
		t.Stereo = true
	}
	if u.Arrival >= 0 {
		t.arrivals.add(s.f.Base+u.Ticks, s.f.started+u.Arrival)
	}
	t.Bytes += int64(len(u.Data))
	t.Units++
	s.units++
}

func (s *fileScan) size(u *Unit) {
	if u.Width <= 0 || u.Height <= 0 {
		return
	}
	size := int64(u.Width)<<32 | int64(u.Height)
	if n := len(s.t.sizes); (n == 0 || s.t.sizes[n-1].to != size) && n < mostHoles {
		s.t.sizes = append(s.t.sizes, hole{u.Ticks, size})
	}
}

// begin puts the file's zero onto the track's axis and its first packet into the session.
func (s *fileScan) begin(u *Unit, r UnitReader) {
	stats := r.Stats()
	s.identify(r)
	s.first, s.last = u.Ticks, u.Ticks
	s.f.started = s.startedAt(stats)
	t := s.t
	if len(t.Files) == 0 {
		s.f.Base = 0
		return
	}
	prev := &t.Files[0]
	s.f.Base = durationTicks(s.f.started-prev.started, t.Mapping.Rate)
	goesOn := false
	if a, b := rtpOf(prev.File, t.Stats), rtpOf(s.f.File, stats); a != nil && b != nil {
		near := nearestUnwrap(int64(*b)-int64(*a), s.f.Base)
		if (near-s.f.Base) < int64(30*t.Mapping.Rate) && (near-s.f.Base) > -int64(30*t.Mapping.Rate) {
			s.f.Base, goesOn = near, true // the same RTP clock
		}
	}
	if end := t.Files[len(t.Files)-1].Last; s.f.Base < end {
		s.f.Base = end
	}
	if !goesOn {
		t.arrivals.restart()
	}
}

// identified is a reader whose file says itself what it holds.
type identified interface {
	Media() (kind Kind, codec string, clockRate int)
}

// identify takes a file's own word for what the track is.
func (s *fileScan) identify(r UnitReader) {
	if c, ok := r.(interface{ Config() []byte }); ok && s.t.Config == nil {
		s.t.Config = c.Config()
	}
	if o, ok := r.(interface{ Offset() time.Duration }); ok {
		s.f.offset = o.Offset()
	}
	if len(s.t.Files) > 0 {
		return
	}
	kind, codec, rate := s.t.Track.Kind, s.t.Track.Codec, s.t.Track.ClockRate
	if m, ok := r.(identified); ok {
		kind, codec, rate = m.Media()
	} else if c, ok := r.(interface{ Codec() string }); ok && c.Codec() != "" {
		codec = c.Codec()
	}
	if rate > 0 {
		s.t.become(kind, codec, rate)
	}
}

// become takes the track for what it is; the manifest's list stays as it was written.
func (t *TrackIndex) become(kind Kind, codec string, rate int) {
	if kind == t.Track.Kind && codec == t.Track.Codec && rate == t.Track.ClockRate {
		return
	}
	track := *t.Track
	track.Kind, track.Codec, track.ClockRate = kind, codec, rate
	t.Track, t.Mapping.Rate, t.arrivals.rate = &track, rate, rate
}

// startedAt is the session time of a file's first packet: the manifest's word, else the file's own, else the
// session's start.
func (s *fileScan) startedAt(stats ReadStats) time.Duration {
	switch {
	case !s.f.File.StartedAt.IsZero():
		return s.c.Session.Offset(s.f.File.StartedAt.Time)
	case !stats.FirstWall.IsZero():
		return s.c.Session.Offset(stats.FirstWall)
	case len(s.t.Files) > 0:
		prev := s.t.Files[len(s.t.Files)-1]
		return prev.started + tickDuration(prev.Last-prev.First, s.t.Mapping.Rate)
	}
	return 0
}

func rtpOf(f *File, stats ReadStats) *uint32 {
	if stats.FirstRTP != nil {
		return stats.FirstRTP
	}
	return f.FirstRTP
}

// nearestUnwrap gives the value that differs from v by whole turns of 32 bits and is nearest to want.
func nearestUnwrap(v, want int64) int64 {
	const turn = int64(1) << 32
	return v + int64(math.Round(float64(want-v)/float64(turn)))*turn
}

// finish brings the notes of the file onto the track's axis, once it is known how long its ticks really are.
func (s *fileScan) finish(r UnitReader) error {
	t, f := s.t, s.f
	stats := r.Stats()
	if t.Track.Kind == KindVideo {
		s.last += s.step // the last picture is shown as long as the one before
	}
	s.wallLength()
	s.scale(r)
	f.First, f.Last, f.Units = s.onAxis(s.first), s.onAxis(s.last), s.units
	for i := s.firstKey; i < len(t.Keys); i++ {
		t.Keys[i].At = time.Duration(s.onAxis(int64(t.Keys[i].At)))
	}
	for i := s.firstHole; i < len(t.holes); i++ {
		t.holes[i] = hole{s.onAxis(t.holes[i].from), s.onAxis(t.holes[i].to)}
	}
	for i := s.firstSize; i < len(t.sizes); i++ {
		t.sizes[i].from = s.onAxis(t.sizes[i].from)
	}
	if n := len(t.Files); n > 0 && f.First-t.Files[n-1].Last > durationTicks(soundHole, t.Mapping.Rate) {
		t.holes = append(t.holes, hole{t.Files[n-1].Last, f.First})
	}
	s.reports(stats)
	s.squeeze(r)
	t.Stats.add(stats)
	for _, d := range stats.Defects {
		t.defect(d.Kind, f.File.Path, d.Detail)
	}
	if stats.TornBytes > 0 {
		t.defect(DefectTruncated, f.File.Path, fmt.Sprintf("%d bytes at the end are torn and left out", stats.TornBytes))
	}
	return nil
}

func (s *fileScan) onAxis(ticks int64) int64 {
	return s.f.Base + s.first + (ticks-s.first)*s.f.num/s.f.den
}

// wallLength is what the manifest knows of how long the file was written.
func (s *fileScan) wallLength() {
	if !s.f.File.EndedAt.IsZero() {
		s.f.length = max(s.c.Session.Offset(s.f.File.EndedAt.Time)-s.f.started, 0)
	}
}

// tickRate is a reader whose header may be wrong about the length of a tick.
type tickRate interface {
	// Timebase gives the length of a tick in seconds as the header says.
	Timebase() (num, den uint32)
}

// scale corrects the ticks of Pion's default IVF writer: it counts 30 ms but its header says 1/30 s. Whether that is
// so can only be seen from how long the track lasted.
func (s *fileScan) scale(r UnitReader) {
	rated, ok := r.(tickRate)
	if !ok {
		return
	}
	if num, den := rated.Timebase(); num != 1 || den != 30 {
		return
	}
	said := tickDuration(s.last-s.first, s.t.Mapping.Rate)
	truth := s.evidence()
	if truth == 0 || said < 2*time.Second {
		return
	}
	if (said*9/10 - truth).Abs() < (said - truth).Abs() {
		s.f.num, s.f.den = 9, 10
		s.t.defect(DefectTimestamps, s.f.File.Path, "its header says 1/30 s a tick where it counts 30 ms; corrected")
	}
}

// evidence is how long the file lasted by what else is known: its end, or the last sender report.
func (s *fileScan) evidence() time.Duration {
	if s.f.length > 0 {
		return s.f.length
	}
	if n := len(s.f.File.SenderReports); n > 0 {
		last := s.f.File.SenderReports[n-1]
		if !last.ReceivedAt.IsZero() {
			return s.c.Session.Offset(last.ReceivedAt.Time) - s.f.started + time.Second
		}
		if s.f.File.FirstRTP != nil {
			return tickDuration(int64(int32(last.RTP-*s.f.File.FirstRTP)), s.t.Mapping.Rate) + time.Second
		}
	}
	return 0
}

// reports collects the sender reports of the manifest and of the file itself.
func (s *fileScan) reports(stats ReadStats) {
	t := s.t
	if first := rtpOf(s.f.File, stats); first != nil {
		prev := int64(0)
		for _, sr := range s.f.File.SenderReports {
			ticks := nearestUnwrap(int64(sr.RTP)-int64(*first), prev)
			prev = ticks
			r := report{ticks: s.f.Base + ticks, ntp: s.c.Session.Offset(sr.NTP.Time)}
			if !sr.ReceivedAt.IsZero() {
				r.received, r.known = s.c.Session.Offset(sr.ReceivedAt.Time), true
			}
			t.reports = append(t.reports, r)
		}
	}
	if len(s.f.File.SenderReports) > 0 {
		return // the recorder's own list is the same, with better times of reception
	}
	for _, p := range stats.Reports {
		r := report{ticks: s.f.Base + p.Ticks, ntp: s.c.Session.Offset(p.NTP)}
		if !p.ReceivedAt.IsZero() {
			r.received, r.known = s.f.started+p.ReceivedAt.Sub(stats.FirstWall), true
		}
		t.reports = append(t.reports, r)
	}
}

// continuous is a reader that can tell whether its timestamps are a mere sum of durations.
type continuous interface{ Continuous() bool }

// squeeze notices an Ogg file whose granules add durations up: the RTP times of sender reports then say nothing
// about them.
func (s *fileScan) squeeze(r UnitReader) {
	c, ok := r.(continuous)
	if !ok || !c.Continuous() || s.t.Track.Kind != KindAudio {
		return
	}
	span := tickDuration(s.last-s.first, s.t.Mapping.Rate)
	if s.f.length == 0 {
		s.f.length = s.reportedLength(span)
	}
	// A browser's RTP clock too stands still in some mutes: only time that reports count in RTP is squeezed out.
	rtp := time.Duration(0)
	for _, p := range s.t.reports {
		rtp = max(rtp, tickDuration(p.ticks-s.f.Base, s.t.Mapping.Rate))
	}
	if rtp-span > leastMissing || len(s.t.reports) == 0 && s.f.length-span > leastMissing {
		s.t.squeezed = true
		s.t.defect(DefectTimestamps, s.f.File.Path, fmt.Sprintf("its timestamps leave out %v of silence; put in where the track was muted", (max(s.f.length, rtp)-span).Round(time.Millisecond)))
	}
}

// reportedLength is how long a file lasted by its last sender report, 0 when that is less than what it holds.
func (s *fileScan) reportedLength(span time.Duration) time.Duration {
	longest := time.Duration(0)
	for _, sr := range s.f.File.SenderReports {
		if !sr.ReceivedAt.IsZero() {
			longest = max(longest, s.c.Session.Offset(sr.ReceivedAt.Time)-s.f.started)
		}
	}
	if longest < span {
		return 0
	}
	return longest
}

// add sums the stats of another file up.
func (s *ReadStats) add(o ReadStats) {
	s.Packets += o.Packets
	s.Lost += o.Lost
	s.Duplicates += o.Duplicates
	s.Reordered += o.Reordered
	s.Late += o.Late
	s.PaddingOnly += o.PaddingOnly
	s.SourceChanges += o.SourceChanges
	s.TornBytes += o.TornBytes
	if s.FirstRTP == nil {
		s.FirstRTP = o.FirstRTP
	}
	if s.FirstWall.IsZero() {
		s.FirstWall = o.FirstWall
	}
	s.Reports = slices.Concat(s.Reports, o.Reports)
}

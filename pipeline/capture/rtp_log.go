package capture

import (
	"fmt"
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// The defects of RTP dumps.
const (
	// DefectForeignPackets are packets of another payload type than the track's: retransmissions, error
	// correction, tones. They are left out.
	DefectForeignPackets DefectKind = "foreign-packets"
	// DefectBadPackets are packets that are no RTP, or whose payload is not what the codec asks for.
	DefectBadPackets DefectKind = "bad-packets"
	// DefectCutPackets are packets of which the dump kept only the beginning; they count as lost.
	DefectCutPackets DefectKind = "cut-packets"
	// DefectStrayPackets are single packets of sources that sent no second one.
	DefectStrayPackets DefectKind = "stray-packets"
	// DefectSequenceRestart says that a source began to count anew without a new SSRC.
	DefectSequenceRestart DefectKind = "sequence-restart"
	// DefectWrongKind is a file with sound that the manifest calls video, or the other way round.
	DefectWrongKind DefectKind = "wrong-kind"
)

// rtpPendingReports bounds the sender reports that wait for their source's first packet.
const rtpPendingReports = 32

// rtpLog collects what a reader of RTP met.
type rtpLog struct {
	codec      string // the codec that is depacketized
	keepRTP    bool   // the dump kept the sender's timestamps
	stats      ReadStats
	start      time.Time // wall time of the dump's arrival clock; zero unknown
	foreign    [128]int
	badPackets int
	badUnits   int
	cut        int
	strays     int
	restarts   int
	huge       int
	defects    []Defect

	ssrc    uint32 // source of the clock
	clock   *rtpClock
	pending []rtpReport
}

// rtpReport is a sender report whose source has not sent a packet yet.
type rtpReport struct {
	ssrc, rtp uint32
	point     ReportPoint
}

// first notes the file's first packet of the track.
func (l *rtpLog) first(p *rtpPacket) {
	if l.keepRTP {
		ts := p.ts
		l.stats.FirstRTP = &ts
	}
	if !l.start.IsZero() && l.stats.FirstWall.IsZero() {
		l.stats.FirstWall = l.start.Add(max(p.arrival, 0))
	}
}

// anchor notes whose clock the track's is now, and resolves the reports that waited for it.
func (l *rtpLog) anchor(ssrc uint32, c *rtpClock) {
	if l.clock != nil && l.ssrc == ssrc {
		return
	}
	l.ssrc, l.clock = ssrc, c
	waiting := l.pending
	l.pending = nil
	for _, r := range waiting {
		if r.ssrc == ssrc {
			l.resolve(r)
		} else {
			l.pending = append(l.pending, r)
		}
	}
}

func (l *rtpLog) resolve(r rtpReport) {
	r.point.Ticks = l.clock.ticks + int64(int32(r.rtp-l.clock.last))
	l.stats.Reports = append(l.stats.Reports, r.point)
}

// control takes a compound RTCP packet (RFC 3550, section 6.1) that came at arrival by the dump's clock.
func (l *rtpLog) control(packet []byte, arrival time.Duration) {
	var packets []rtcp.Packet
	err := guarded(func() (err error) {
		packets, err = rtcp.Unmarshal(packet)
		return err
	})
	if err != nil {
		l.badPackets++
		return
	}
	for _, p := range packets {
		sr, ok := p.(*rtcp.SenderReport)
		if !ok || sr.NTPTime == 0 {
			continue
		}
		r := rtpReport{ssrc: sr.SSRC, rtp: sr.RTPTime, point: ReportPoint{NTP: ntpTime(sr.NTPTime)}}
		if !l.start.IsZero() && arrival >= 0 {
			r.point.ReceivedAt = l.start.Add(arrival)
		}
		if l.clock != nil && l.ssrc == sr.SSRC {
			l.resolve(r)
		} else if l.pending = append(l.pending, r); len(l.pending) > rtpPendingReports {
			l.pending = l.pending[1:]
		}
	}
}

// ntpTime reads a 64-bit NTP timestamp (RFC 3550, section 4), of the era that began in 2036 when its first bit is
// not set (RFC 4330, section 3).
func ntpTime(v uint64) time.Time {
	const from1900 = 2208988800
	seconds := int64(v >> 32)
	if v>>63 == 0 {
		seconds += 1 << 32
	}
	nanos := (v & 0xffffffff * uint64(time.Second)) >> 32
	return time.Unix(seconds-from1900, int64(nanos)).UTC()
}

// report gives the statistics with all defects that were counted.
func (l *rtpLog) report() ReadStats {
	s := l.stats
	s.Lost = max(s.Lost, 0)
	s.Reports = slices.Clone(s.Reports)
	s.Defects = slices.Clone(l.defects)
	add := func(kind DefectKind, n int, format string) {
		if n > 0 {
			s.Defects = append(s.Defects, Defect{Kind: kind, Detail: fmt.Sprintf(format, n)})
		}
	}
	for pt, n := range l.foreign {
		add(DefectForeignPackets, n, fmt.Sprintf("payload type %d: %%d packets left out", pt))
	}
	add(DefectBadPackets, l.badPackets, "%d packets are neither RTP nor RTCP")
	add(DefectBadPackets, l.badUnits, "%d packets have no "+l.codec+" payload")
	add(DefectCutPackets, l.cut, "%d packets were cut when they were recorded")
	add(DefectStrayPackets, l.strays, "%d packets of sources that sent nothing else")
	add(DefectSequenceRestart, l.restarts, "the sequence numbers began anew %d times")
	add(DefectOversizedUnit, l.huge, "%d access units were too large and were broken up")
	return s
}

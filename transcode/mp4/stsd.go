package mp4

import (
	"math"
	"math/bits"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
)

// stsd is the sample description box (ISO/IEC 14496-12, 8.5.2) with one entry.
// Children are appended to the entries directly: mp4ff's AddChild takes only
// its own types, and configurations are passed through untouched.
func (t *trackWriter) stsd(s *trackStats) *mp4ff.StsdBox {
	stsd := mp4ff.NewStsdBox()
	btrt := t.bitrate(s)
	if v := t.spec.Video; v != nil {
		entry := mp4ff.CreateVisualSampleEntryBox(v.Codec, uint16(v.Width), uint16(v.Height), nil)
		entry.CompressorName = ""
		config, _ := videoConfigBox(v.Codec)
		entry.Children = append(entry.Children, mp4ff.CreateUnknownBox(config, uint64(8+len(v.Config)), v.Config))
		if v.Color != nil {
			entry.Children = append(entry.Children, &mp4ff.ColrBox{
				ColorType: "nclx", ColorPrimaries: v.Color.Primaries, TransferCharacteristics: v.Color.Transfer,
				MatrixCoefficients: v.Color.Matrix, FullRangeFlag: v.Color.FullRange,
			})
		}
		if v.SAR.Num > 0 && v.SAR.Den > 0 {
			entry.Children = append(entry.Children, &mp4ff.PaspBox{HSpacing: v.SAR.Num, VSpacing: v.SAR.Den})
		}
		if s.samples > 0 {
			entry.Children = append(entry.Children, btrt)
		}
		stsd.AddChild(entry)
		return stsd
	}
	a := t.spec.Audio
	rate := uint16(0) // 16.16 cannot hold more; the configuration tells then
	if a.SampleRate <= math.MaxUint16 {
		rate = uint16(a.SampleRate)
	}
	entry := mp4ff.CreateAudioSampleEntryBox("mp4a", uint16(a.Channels), 16, rate, nil)
	esds := mp4ff.CreateEsdsBox(a.Config)
	esds.EsID = 0
	esds.DecConfigDescriptor.BufferSizeDB = min(btrt.BufferSizeDB, 1<<24-1)
	esds.DecConfigDescriptor.MaxBitrate = btrt.MaxBitrate
	esds.DecConfigDescriptor.AvgBitrate = btrt.AvgBitrate
	entry.Children = append(entry.Children, esds)
	if s.samples > 0 {
		entry.Children = append(entry.Children, btrt)
	}
	stsd.AddChild(entry)
	return stsd
}

// bitrate is the measured bit rate box (8.5.2.2).
func (t *trackWriter) bitrate(s *trackStats) *mp4ff.BtrtBox {
	b := &mp4ff.BtrtBox{BufferSizeDB: s.maxSample}
	hi, lo := bits.Mul64(uint64(s.bytes)*8, uint64(t.spec.Timescale))
	if ticks := uint64(s.mediaTicks); hi < ticks {
		avg, _ := bits.Div64(hi, lo, ticks)
		b.AvgBitrate = uint32(min(avg, math.MaxUint32))
	}
	b.MaxBitrate = max(b.AvgBitrate, uint32(min(s.maxSecond*8, math.MaxUint32)))
	if a := t.spec.Audio; a != nil && a.BitRate > 0 {
		b.MaxBitrate = max(b.MaxBitrate, uint32(min(int64(a.BitRate), math.MaxUint32)))
	}
	return b
}

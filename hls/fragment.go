package hls

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"

	"rushes/transcode/mp4"
)

// fragment collects the samples of one segment of one track.
type fragment struct {
	data    []byte
	samples []mp4ff.Sample
	base    int64 // decoding time of the first, in ticks of the track on the media line
	last    int64 // decoding time of the last
}

func (f *fragment) empty() bool { return len(f.samples) == 0 }

// add appends a sample; the one before lasts until its decoding time.
func (f *fragment) add(data []byte, dts, pts int64, sync bool) {
	if f.empty() {
		f.base = dts
	} else {
		f.samples[len(f.samples)-1].Dur = uint32(min(dts-f.last, math.MaxInt32))
	}
	flags := uint32(mp4ff.NonSyncSampleFlags)
	if sync {
		flags = mp4ff.SyncSampleFlags
	}
	f.data = append(f.data, data...)
	f.samples = append(f.samples, mp4ff.Sample{Flags: flags, Size: uint32(len(data)), CompositionTimeOffset: int32(min(max(pts-dts, math.MinInt32), math.MaxInt32))})
	f.last = dts
}

// seal gives the last sample its duration and returns what comes before the data: moof and the header of mdat.
// first is where the first sample ends, counted from the beginning.
func (f *fragment) seal(sequence uint32, end int64) (head []byte, first int64, err error) {
	if f.empty() {
		return nil, 0, errors.New("a fragment without samples")
	}
	if len(f.data) > math.MaxInt32 {
		return nil, 0, fmt.Errorf("a segment of %d bytes", len(f.data))
	}
	f.samples[len(f.samples)-1].Dur = uint32(min(max(end-f.last, 1), math.MaxInt32))
	moof := f.moof(sequence)
	trun := moof.Traf.Trun
	trun.DataOffset = int32(moof.Size() + 8)
	var out bytes.Buffer
	if err := moof.Encode(&out); err != nil {
		return nil, 0, fmt.Errorf("encoding moof: %w", err)
	}
	head = binary.BigEndian.AppendUint32(out.Bytes(), uint32(8+len(f.data)))
	head = append(head, "mdat"...)
	return head, int64(len(head)) + int64(f.samples[0].Size), nil
}

// moof states once what all samples share.
func (f *fragment) moof(sequence uint32) *mp4ff.MoofBox {
	tfhd := mp4ff.CreateTfhd(mp4.FragmentTrackID)
	tfhd.Flags = tfhdBaseIsMoof
	trun := mp4ff.CreateTrun(0)
	trun.Flags = mp4ff.TrunDataOffsetPresentFlag | mp4ff.TrunSampleSizePresentFlag
	trun.Samples = f.samples
	var duration, flags, offset, negative bool // whether they differ or occur
	rest := f.samples[0].Flags
	if len(f.samples) > 1 {
		rest = f.samples[1].Flags
	}
	for i, s := range f.samples {
		duration = duration || s.Dur != f.samples[0].Dur
		flags = flags || i > 0 && s.Flags != rest
		offset = offset || s.CompositionTimeOffset != 0
		negative = negative || s.CompositionTimeOffset < 0
	}
	if duration {
		trun.Flags |= mp4ff.TrunSampleDurationPresentFlag
	} else {
		tfhd.Flags |= tfhdDuration
		tfhd.DefaultSampleDuration = f.samples[0].Dur
	}
	if flags {
		trun.Flags |= mp4ff.TrunSampleFlagsPresentFlag
	} else {
		tfhd.Flags |= tfhdFlags
		tfhd.DefaultSampleFlags = rest
		if f.samples[0].Flags != rest {
			trun.SetFirstSampleFlags(f.samples[0].Flags)
		}
	}
	if offset {
		trun.Flags |= mp4ff.TrunSampleCompositionTimeOffsetPresentFlag
	}
	if trun.Version = 0; negative {
		trun.Version = 1
	}
	tfdt := &mp4ff.TfdtBox{Version: 1}
	tfdt.SetBaseMediaDecodeTime(uint64(f.base))
	traf := &mp4ff.TrafBox{}
	moof := &mp4ff.MoofBox{}
	// The errors of AddChild are about a second box of a kind.
	_ = traf.AddChild(tfhd)
	_ = traf.AddChild(tfdt)
	_ = traf.AddChild(trun)
	_ = moof.AddChild(mp4ff.CreateMfhd(sequence))
	_ = moof.AddChild(traf)
	return moof
}

// The flags of tfhd (ISO/IEC 14496-12, 8.8.7.1).
const (
	tfhdDuration   = 0x000008
	tfhdFlags      = 0x000020
	tfhdBaseIsMoof = 0x020000
)

func (f *fragment) reset() { f.data, f.samples = f.data[:0], f.samples[:0] }

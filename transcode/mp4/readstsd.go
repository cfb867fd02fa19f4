package mp4

import (
	"bytes"
	"errors"
)

// readStsd takes the first sample description.
func (t *MovieTrack) readStsd(f *fields) error {
	if t.descriptions = f.u32(); t.descriptions == 0 || f.short {
		return errors.New("stsd has no entry")
	}
	size := int(f.u32())
	codec := string(f.take(4))
	if f.short || size < 16 || size-8 > len(f.p) {
		return errors.New("the sample description is cut off")
	}
	entry := fields{p: f.p[:size-8]}
	entry.take(8) // reserved, data reference
	switch t.Handler {
	case "vide":
		t.Video = &Video{Codec: codec, Matrix: t.tkhdMatrix}
		entry.take(16)
		t.Video.Width, t.Video.Height = int(entry.u16()), int(entry.u16())
		entry.take(50)
		t.Video.children(entry.p)
	case "soun":
		t.Audio = &Audio{Codec: codec}
		version := entry.u16()
		entry.take(6)
		t.Audio.Channels = int(entry.u16())
		entry.take(6)
		t.Audio.SampleRate = int(entry.u32() >> 16)
		if version == 1 { // QuickTime
			entry.take(16)
		}
		t.Audio.children(entry.p)
	}
	if entry.short {
		return errors.New("the sample description is cut off")
	}
	return nil
}

// eachChild calls fn for the whole boxes in p.
func eachChild(p []byte, fn func(kind string, body []byte)) {
	for len(p) >= 8 {
		f := fields{p: p}
		size := int64(f.u32())
		kind := string(f.take(4))
		if size < 8 || size > int64(len(p)) {
			return
		}
		fn(kind, p[8:size])
		p = p[size:]
	}
}

func (v *Video) children(p []byte) {
	config, _ := videoConfigBox(v.Codec)
	eachChild(p, func(kind string, body []byte) {
		f := fields{p: body}
		switch kind {
		case config:
			v.Config = bytes.Clone(body)
		case "pasp":
			v.SAR = Rational{Num: f.u32(), Den: f.u32()}
		case "colr":
			if string(f.take(4)) == "nclx" {
				v.Color = &Color{Primaries: f.u16(), Transfer: f.u16(), Matrix: f.u16(), FullRange: f.u8()&0x80 != 0}
			}
		}
	})
}

func (a *Audio) children(p []byte) {
	eachChild(p, func(kind string, body []byte) {
		switch kind {
		case "esds":
			if len(body) > 4 {
				a.Config = audioSpecificConfig(body[4:])
			}
		case "btrt":
			f := fields{p: body}
			f.u32()
			a.BitRate = int(f.u32())
		}
	})
}

// audioSpecificConfig digs the decoder specific info out of an elementary
// stream descriptor (ISO/IEC 14496-1, 7.2.6); nil if there is none.
func audioSpecificConfig(p []byte) []byte {
	es := descriptor(p, 3)
	f := fields{p: es}
	f.u16()
	flags := f.u8()
	if flags&0x80 != 0 {
		f.u16()
	}
	if flags&0x40 != 0 {
		f.take(int(f.u8()))
	}
	if flags&0x20 != 0 {
		f.u16()
	}
	decoder := descriptor(f.p, 4)
	if len(decoder) < 13 {
		return nil
	}
	return bytes.Clone(descriptor(decoder[13:], 5))
}

// descriptor returns the body of the first descriptor with the tag.
func descriptor(p []byte, tag byte) []byte {
	for len(p) >= 2 {
		got := p[0]
		size, i := 0, 1
		for ; i < len(p) && i <= 4; i++ {
			size = size<<7 | int(p[i]&0x7f)
			if p[i]&0x80 == 0 {
				i++
				break
			}
		}
		if size > len(p)-i {
			return nil
		}
		if got == tag {
			return p[i : i+size]
		}
		p = p[i+size:]
	}
	return nil
}

package mp4

import (
	"context"
	"errors"
	"io"
	"math"
)

const (
	isNonSync       = 0x00010000 // sample_is_non_sync_sample (8.8.3.1)
	dependsOnOthers = 0x01000000 // sample_depends_on = 1
	maxMoofBytes    = 16 << 20   // ten hours of pictures and sound in one fragment
)

// sampleDefaults is what holds for samples that do not tell otherwise.
type sampleDefaults struct{ description, duration, size, flags uint32 }

// fragmentRun is a trun box (8.8.8). Its entries are a view of the moof in memory.
type fragmentRun struct {
	sampleDefaults
	track    int
	timed    bool  // dts is known; otherwise the run goes on where the one before it ended
	dts      int64 // of the first sample, on the media line
	offset   int64 // of the next sample's bytes
	left     uint32
	has      uint32 // flags that tell what each entry holds
	entries  []byte
	first    uint32 // flags of the first sample
	hasFirst bool
}

const (
	trunDataOffset = 1 << iota
	_
	trunFirstFlags
)

const (
	trunDuration = 0x100 << iota
	trunSize
	trunFlags
	trunCTS
	trunEntry = trunDuration | trunSize | trunFlags | trunCTS
)

// runSample is one entry of a run with the defaults filled in.
type runSample struct {
	duration, size, flags uint32
	cts                   int32
}

// next takes the next entry; there is one while left is not zero.
func (r *fragmentRun) next() runSample {
	s := runSample{duration: r.duration, size: r.size, flags: r.flags}
	if r.hasFirst {
		s.flags, r.hasFirst = r.first, false
	}
	f := fields{p: r.entries}
	if r.has&trunDuration != 0 {
		s.duration = f.u32()
	}
	if r.has&trunSize != 0 {
		s.size = f.u32()
	}
	if r.has&trunFlags != 0 {
		s.flags = f.u32()
	}
	if r.has&trunCTS != 0 {
		s.cts = int32(f.u32())
	}
	r.entries = f.p
	r.left--
	r.offset += int64(s.size)
	return s
}

// end is where the run's bytes end.
func (r *fragmentRun) end() int64 {
	if r.has&trunSize == 0 {
		return r.offset + int64(r.left)*int64(r.size)
	}
	rest := *r
	for rest.left > 0 {
		rest.next()
	}
	return rest.offset
}

// fragmentWalk goes through the boxes at the top level of a file.
type fragmentWalk struct {
	w        window
	at, size int64
}

// box gives the next whole box, or an mdat of which the beginning is there; io.EOF where the file ends.
func (w *fragmentWalk) box() (boxAt, error) {
	if w.size-w.at < 16 {
		return boxAt{}, io.EOF
	}
	w.w.end = min(w.at+smallWindow, w.size)
	h, err := w.w.get(w.at, 16)
	if err != nil {
		return boxAt{}, err
	}
	f := fields{p: h}
	size := int64(f.u32())
	b := boxAt{kind: string(f.take(4)), off: w.at, body: w.at + 8}
	if size == 1 {
		b.body = w.at + 16
		size = int64(min(f.u64(), math.MaxInt64/2))
	}
	if size == 0 {
		size = w.size - w.at
	}
	switch b.kind {
	case "ftyp", "styp", "moov", "moof", "mdat", "free", "skip", "sidx", "ssix", "prft", "emsg", "mfra", "uuid":
	default:
		return boxAt{}, other("box %q at %d", b.kind, b.off)
	}
	if size < b.body-b.off {
		return boxAt{}, other("box %q at %d of %d bytes", b.kind, b.off, size)
	}
	if size > w.size-w.at {
		return boxAt{}, io.EOF
	}
	b.end = w.at + size
	w.at = b.end
	return b, nil
}

// find gives the first box of a kind.
func (w *fragmentWalk) find(kind string) (boxAt, error) {
	for range maxBoxes {
		b, err := w.box()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || b.kind == kind {
			return b, err
		}
	}
	return boxAt{}, other("there is no %s", kind)
}

// moof gives the next moof, io.EOF after the last that is whole.
func (w *fragmentWalk) moof(ctx context.Context) (boxAt, error) {
	for {
		if err := ctx.Err(); err != nil {
			return boxAt{}, err
		}
		b, err := w.box()
		switch {
		case err != nil:
			return b, err
		case b.kind == "moov":
			return b, other("a second moov at %d", b.off)
		case b.kind == "moof" && b.bodySize() > maxMoofBytes:
			return b, other("a moof of %d bytes at %d", b.bodySize(), b.off)
		case b.kind == "moof":
			return b, nil
		}
	}
}

// fragment reads a moof and gives its runs to fn; they are good until the walk goes on.
func (f *Fragments) fragment(moof boxAt, fn func(fragmentRun)) (err error) {
	f.walk.w.end = max(moof.end, f.walk.w.end)
	body, err := f.walk.w.get(moof.body, moof.bodySize())
	if err != nil {
		return err
	}
	trafs := 0
	used := eachBox(body, func(kind string, traf []byte) {
		if kind == "traf" && err == nil {
			err = f.traf(traf, moof.off, trafs, fn)
			trafs++
		}
	})
	if err == nil && used != len(body) {
		err = other("moof at %d has %d stray bytes", moof.off, len(body)-used)
	}
	return err
}

// eachBox is eachChild, and tells how many bytes the children take.
func eachBox(p []byte, fn func(kind string, body []byte)) (used int) {
	eachChild(p, func(kind string, body []byte) {
		used += 8 + len(body)
		fn(kind, body)
	})
	return used
}

// traf reads the runs of one track (8.8.6).
func (f *Fragments) traf(traf []byte, moofAt int64, number int, fn func(fragmentRun)) (err error) {
	var run fragmentRun
	head, timed := false, false
	eachChild(traf, func(kind string, b []byte) {
		if err != nil {
			return
		}
		v := fields{p: b}
		word := v.u32()
		switch kind {
		case "tfhd":
			run, err = f.tfhd(&v, word&0xffffff, moofAt, number)
			err, head = orTwice(err, head), true
		case "tfdt":
			run.dts = v.sized(byte(word >> 24))
			run.timed, timed = true, true
			if run.dts < 0 || run.dts > maxTicks || !head {
				err = other("decode time %d at %d", run.dts, moofAt)
			}
		case "trun":
			one := run
			if err = one.trun(&v, word&0xffffff, head && timed, moofAt); err == nil && one.left > 0 {
				fn(one)
				run.timed = false // those after the first go on where it ends
			}
		case "senc", "saiz", "saio":
			err = other("encryption at %d", moofAt)
		}
		if err == nil && v.short {
			err = other("%s is cut off at %d", kind, moofAt)
		}
	})
	return err
}

func orTwice(err error, twice bool) error {
	if err == nil && twice {
		return other("two tfhd in a traf")
	}
	return err
}

// tfhd reads the defaults of the fragment over those of the track (8.8.7). Offsets that count from the data of another
// track are not read.
func (f *Fragments) tfhd(v *fields, flags uint32, moofAt int64, number int) (fragmentRun, error) {
	run := fragmentRun{track: f.track(v.u32()), offset: moofAt}
	if run.track < 0 || v.short {
		return run, other("a traf at %d has no track", moofAt)
	}
	run.sampleDefaults = f.defaults[run.track]
	switch {
	case flags&1 != 0:
		run.offset = int64(v.u64())
	case flags&0x20000 == 0 && number > 0:
		return run, other("offsets at %d have no base", moofAt)
	}
	for _, field := range []struct {
		flag uint32
		to   *uint32
	}{{2, &run.description}, {8, &run.duration}, {16, &run.size}, {32, &run.flags}} {
		if flags&field.flag != 0 {
			*field.to = v.u32()
		}
	}
	if run.description != 1 || run.offset < 0 || run.offset > maxTicks {
		return run, other("a traf at %d has another sample description or base", moofAt)
	}
	return run, nil
}

// trun reads a run's head; the run holds the fragment's defaults and base, and known says that they are there.
func (r *fragmentRun) trun(v *fields, flags uint32, known bool, moofAt int64) error {
	r.left, r.has = v.u32(), flags&trunEntry
	if r.left == 0 {
		return nil
	}
	if flags&^(trunEntry|trunDataOffset|trunFirstFlags) != 0 || flags&trunDataOffset == 0 || !known {
		return other("a run at %d has the flags %#x", moofAt, flags)
	}
	if r.offset += int64(int32(v.u32())); r.offset < 0 {
		return other("a run at %d begins before the file", moofAt)
	}
	if flags&trunFirstFlags != 0 {
		r.first, r.hasFirst = v.u32(), true
	}
	width := 0
	for bit := uint32(trunDuration); bit <= trunCTS; bit <<= 1 {
		if flags&bit != 0 {
			width += 4
		}
	}
	if int64(len(v.p)) != int64(r.left)*int64(width) {
		return other("a run at %d has %d bytes for %d samples", moofAt, len(v.p), r.left)
	}
	if r.has&trunSize == 0 && r.size == 0 {
		return other("a run at %d of samples without bytes", moofAt)
	}
	r.entries = v.p
	return nil
}

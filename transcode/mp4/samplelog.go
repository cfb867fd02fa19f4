package mp4

import (
	"encoding/binary"
	"iter"
)

// logBlock is how many samples are packed together. One or two blocks' worth
// of the newest samples stay unpacked, so that taking samples back is cheap.
const logBlock = 1024

// entry is what the sample tables need to know of one sample.
type entry struct {
	dts  int64
	size uint32
	cts  int32 // PTS minus DTS
	sync bool
}

// packedBlock holds logBlock samples as varints, decodable on its own.
type packedBlock struct {
	dts  int64 // of the first sample
	data []byte
}

// sampleLog remembers every sample of a track in 3 to 8 bytes each: 12 hours of
// video and audio are 3.3 million samples and must not cost the memory that the
// plain tables would.
type sampleLog struct {
	packed  []packedBlock
	open    []entry
	scratch []byte
	cache   []entry // unpacked copy of packed[cached]
	cached  int
}

func (l *sampleLog) len() int { return len(l.packed)*logBlock + len(l.open) }

func (l *sampleLog) push(e entry) {
	if len(l.open) == 2*logBlock {
		l.pack()
	}
	l.open = append(l.open, e)
}

// pop removes the newest sample and returns it. The log must not be empty.
func (l *sampleLog) pop() entry {
	if len(l.open) == 0 {
		last := len(l.packed) - 1
		l.open = append(l.open, l.block(last)...)
		l.packed = l.packed[:last]
		l.cache, l.cached = l.cache[:0], 0
	}
	e := l.open[len(l.open)-1]
	l.open = l.open[:len(l.open)-1]
	return e
}

func (l *sampleLog) at(i int) entry {
	if b := i / logBlock; b < len(l.packed) {
		return l.block(b)[i%logBlock]
	}
	return l.open[i-len(l.packed)*logBlock]
}

// all yields the samples in decoding order.
func (l *sampleLog) all() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for b := range l.packed {
			for _, e := range l.block(b) {
				if !yield(e) {
					return
				}
			}
		}
		for _, e := range l.open {
			if !yield(e) {
				return
			}
		}
	}
}

// bytesBetween sums the sizes of samples from..to-1.
func (l *sampleLog) bytesBetween(from, to int) int64 {
	var sum int64
	for i := from; i < to; i++ {
		sum += int64(l.at(i).size)
	}
	return sum
}

// Flags of a packed sample; a value that is "as before" is left out.
const (
	packedSync      = 1 << iota // the sample is a sync sample
	packedSameDelta             // DTS step as before
	packedSameCTS               // composition offset as before
)

func (l *sampleLog) pack() {
	out := l.scratch[:0]
	prev := entry{dts: l.open[0].dts}
	var step int64
	for _, e := range l.open[:logBlock] {
		delta := e.dts - prev.dts
		var flags byte
		if e.sync {
			flags |= packedSync
		}
		if delta == step {
			flags |= packedSameDelta
		}
		if e.cts == prev.cts {
			flags |= packedSameCTS
		}
		out = append(out, flags)
		out = binary.AppendUvarint(out, uint64(e.size))
		if delta != step {
			out = binary.AppendVarint(out, delta-step)
		}
		if e.cts != prev.cts {
			out = binary.AppendVarint(out, int64(e.cts))
		}
		prev, step = e, delta
	}
	l.scratch = out
	l.packed = append(l.packed, packedBlock{dts: l.open[0].dts, data: append(make([]byte, 0, len(out)), out...)})
	l.open = l.open[:copy(l.open, l.open[logBlock:])]
}

// block unpacks block b; the result is valid until the next call.
func (l *sampleLog) block(b int) []entry {
	if len(l.cache) == logBlock && l.cached == b {
		return l.cache
	}
	if cap(l.cache) < logBlock {
		l.cache = make([]entry, 0, logBlock)
	}
	out := l.cache[:0]
	data := l.packed[b].data
	prev := entry{dts: l.packed[b].dts}
	var step int64
	for len(out) < logBlock {
		flags := data[0]
		data = data[1:]
		size, n := binary.Uvarint(data)
		data = data[n:]
		if flags&packedSameDelta == 0 {
			d, n := binary.Varint(data)
			data = data[n:]
			step += d
		}
		cts := int64(prev.cts)
		if flags&packedSameCTS == 0 {
			cts, n = binary.Varint(data)
			data = data[n:]
		}
		prev = entry{dts: prev.dts + step, size: uint32(size), cts: int32(cts), sync: flags&packedSync != 0}
		out = append(out, prev)
	}
	l.cache, l.cached = out, b
	return out
}

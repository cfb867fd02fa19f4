package capture

import (
	"bytes"
	"encoding/binary"
)

const (
	oggHeaderBytes = 27
	// oggPageMax is the largest page: header, 255 lacing values, 255 segments of 255 bytes.
	oggPageMax = oggHeaderBytes + 255 + 255*255
)

// oggPage is one page (RFC 3533 section 6). Its slices are good until the next one is read.
type oggPage struct {
	continued, begins, last bool
	granule                 int64
	serial, sequence        uint32
	lacing, body            []byte
}

// oggPages finds the pages of a file whose checksum is right.
type oggPages struct {
	src  *byteSource
	log  *defectLog
	size int64 // of the page given last
	torn int64
}

// next reads the next good page into p, false at the end.
func (g *oggPages) next(p *oggPage) bool {
	g.src.skip(g.size)
	g.size = 0
	for {
		head := g.src.peek(oggHeaderBytes)
		if len(head) >= oggHeaderBytes && string(head[:4]) == "OggS" {
			size, whole := g.measure(int(head[26]))
			if !whole && !g.again() {
				return false
			}
			if !whole {
				continue
			}
			page := g.src.peek(size)
			if page[4] == 0 && oggSum(page) == binary.LittleEndian.Uint32(page[22:]) {
				p.parse(page)
				g.size = int64(size)
				return true
			}
			g.log.add(DefectCorruptData, "the Ogg page at byte %d has a wrong checksum", g.src.off)
		} else if len(head) == oggHeaderBytes {
			g.log.add(DefectCorruptData, "there is something else than an Ogg page at byte %d", g.src.off)
		}
		if !g.again() {
			return false
		}
	}
}

// measure returns the size of the page at the current place and whether the file has all of it.
func (g *oggPages) measure(segments int) (size int, whole bool) {
	size = oggHeaderBytes + segments
	head := g.src.peek(size)
	if len(head) < size {
		return size, false
	}
	for _, lace := range head[oggHeaderBytes:] {
		size += int(lace)
	}
	return size, len(g.src.peek(size)) == size
}

// again moves to the next place that looks like a page. Without one the rest of the file is torn.
func (g *oggPages) again() bool {
	var passed int64
	for {
		held := g.src.peek(oggPageMax)
		if len(held) > 1 {
			if i := bytes.Index(held[1:], []byte("OggS")); i >= 0 {
				g.src.skip(int64(i + 1))
				return true
			}
		}
		if g.src.ended() && len(held) < oggPageMax {
			g.torn += passed + int64(len(held))
			g.src.skip(int64(len(held)))
			return false
		}
		step := int64(len(held) - 3) // the capture pattern may lie across the border
		passed += step
		g.src.skip(step)
		if held = g.src.peek(4); string(held) == "OggS" {
			return true
		}
	}
}

func (p *oggPage) parse(b []byte) {
	p.continued, p.begins, p.last = b[5]&1 != 0, b[5]&2 != 0, b[5]&4 != 0
	p.granule = int64(binary.LittleEndian.Uint64(b[6:]))
	p.serial = binary.LittleEndian.Uint32(b[14:])
	p.sequence = binary.LittleEndian.Uint32(b[18:])
	n := int(b[26])
	p.lacing, p.body = b[oggHeaderBytes:oggHeaderBytes+n], b[oggHeaderBytes+n:]
}

// oggTables are the tables of the CRC-32 with polynomial 0x04c11db7, most significant bit first, for eight bytes at
// once. The standard library has only the mirrored form.
var oggTables = crcTables()

func crcTables() *[8][256]uint32 {
	t := new([8][256]uint32)
	for i := range 256 {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
		t[0][i] = c
	}
	for k := 1; k < 8; k++ {
		for i := range 256 {
			c := t[k-1][i]
			t[k][i] = c<<8 ^ t[0][c>>24]
		}
	}
	return t
}

// crcUpdate goes on with the CRC c over b.
func crcUpdate(c uint32, b []byte) uint32 {
	t := oggTables
	for len(b) >= 8 {
		c ^= binary.BigEndian.Uint32(b)
		d := binary.BigEndian.Uint32(b[4:])
		c = t[7][c>>24] ^ t[6][c>>16&255] ^ t[5][c>>8&255] ^ t[4][c&255] ^
			t[3][d>>24] ^ t[2][d>>16&255] ^ t[1][d>>8&255] ^ t[0][d&255]
		b = b[8:]
	}
	for _, x := range b {
		c = c<<8 ^ t[0][byte(c>>24)^x]
	}
	return c
}

// oggSum is the checksum of a page, taken with its own field as zero.
func oggSum(page []byte) uint32 {
	c := crcUpdate(0, page[:22])
	c = crcUpdate(c, []byte{0, 0, 0, 0})
	return crcUpdate(c, page[26:])
}

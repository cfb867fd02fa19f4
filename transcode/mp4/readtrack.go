package mp4

import (
	"bytes"
	"errors"
	"fmt"
)

// read parses a trak box.
func (t *MovieTrack) read(trak boxAt) error {
	if err := t.container(trak, 0); err != nil {
		return err
	}
	if t.Timescale == 0 {
		return errors.New("no mdhd")
	}
	t.Roll = t.rollEntry && t.rollGroup
	if !t.stsz.present || !t.stts.present || !t.stsc.present || !t.stco.present {
		return errors.New("a sample table is missing")
	}
	// A file cannot hold more samples than bytes; this bounds every walk.
	if int64(t.SampleCount) > t.fileSize || t.uniformSize > 0 && int64(t.SampleCount) > t.fileSize/int64(t.uniformSize) {
		return fmt.Errorf("%d samples do not fit into the file", t.SampleCount)
	}
	return nil
}

// container visits the boxes that lead to the sample tables.
func (t *MovieTrack) container(parent boxAt, depth int) error {
	list, err := boxesIn(t.r, parent.body, parent.end)
	if err != nil {
		return fmt.Errorf("%s: %w", parent.kind, err)
	}
	for _, b := range list {
		switch b.kind {
		case "edts", "mdia", "minf", "stbl":
			if depth < 4 {
				err = t.container(b, depth+1)
			}
		case "stts", "ctts":
			err = t.table(b, t.tableNamed(b.kind), 8, 4)
		case "stsc":
			err = t.table(b, &t.stsc, 12, 4)
		case "stss":
			err = t.table(b, &t.stss, 4, 4)
		case "stco":
			err = t.table(b, &t.stco, 4, 4)
		case "co64":
			err = t.table(b, &t.stco, 8, 4)
		case "stsz":
			err = t.readStsz(b)
		case "tkhd", "elst", "mdhd", "hdlr", "stsd", "sgpd", "sbgp":
			var p []byte
			if p, err = b.small(t.r, maxSmallBox); err == nil {
				err = t.smallBox(b.kind, p)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *MovieTrack) tableNamed(kind string) *tableAt {
	if kind == "stts" {
		return &t.stts
	}
	return &t.ctts
}

// table notes where a table's entries are; countAt is the offset of the entry
// count in the body.
func (t *MovieTrack) table(b boxAt, into *tableAt, width, countAt int64) error {
	p := make([]byte, countAt+4)
	if b.bodySize() < int64(len(p)) {
		return fmt.Errorf("%s is cut off", b.kind)
	}
	if err := readFull(t.r, p, b.body); err != nil {
		return err
	}
	f := fields{p: p[countAt:]}
	*into = tableAt{present: true, version: p[0], off: b.body + countAt + 4, count: f.u32(), width: width}
	if int64(into.count)*width > b.end-into.off {
		return fmt.Errorf("%s claims %d entries in %d bytes", b.kind, into.count, b.end-into.off)
	}
	return nil
}

func (t *MovieTrack) readStsz(b boxAt) error {
	p := make([]byte, 12)
	if b.bodySize() < 12 {
		return errors.New("stsz is cut off")
	}
	if err := readFull(t.r, p, b.body); err != nil {
		return err
	}
	f := fields{p: p[4:]}
	t.uniformSize = f.u32()
	t.SampleCount = int(f.u32())
	if t.uniformSize > 0 {
		t.stsz = tableAt{present: true}
		return nil
	}
	return t.table(b, &t.stsz, 4, 8)
}

func (t *MovieTrack) smallBox(kind string, p []byte) error {
	f := fields{p: p}
	version := f.u8()
	f.take(3)
	switch kind {
	case "tkhd":
		f.sized(version)
		f.sized(version)
		t.ID = f.u32()
		f.u32()
		t.HeaderDuration = f.sized(version)
		f.take(16)
		t.matrix(&f)
	case "mdhd":
		f.sized(version)
		f.sized(version)
		t.Timescale = f.u32()
		t.MediaDuration = f.sized(version)
		l := f.u16()
		t.Language = string([]byte{byte(l>>10&31) + 0x60, byte(l>>5&31) + 0x60, byte(l&31) + 0x60})
	case "hdlr":
		f.u32()
		if t.Handler != "" { // QuickTime has a data handler after the media handler
			return nil
		}
		t.Handler = string(f.take(4))
		f.take(12)
		t.Name = string(bytes.TrimRight(f.p, "\x00"))
	case "elst":
		t.readElst(&f, version)
	case "stsd":
		return t.readStsd(&f)
	case "sgpd":
		t.readRoll(&f, version)
	case "sbgp":
		t.rollGroup = t.rollGroup || string(f.take(4)) == "roll"
	}
	if f.short {
		return fmt.Errorf("%s is cut off", kind)
	}
	return nil
}

// matrix reads the display matrix of tkhd.
func (t *MovieTrack) matrix(f *fields) {
	var m [9]int32
	for i := range m {
		m[i] = int32(f.u32())
	}
	t.tkhdMatrix = m
}

func (t *MovieTrack) readElst(f *fields, version byte) {
	width := 12
	if version == 1 {
		width = 20
	}
	n := int(f.u32())
	if n > len(f.p)/width {
		f.short = true
		return
	}
	t.Edits = make([]Edit, 0, n)
	for range n {
		e := Edit{Duration: f.sized(version)}
		if version == 1 {
			e.MediaTime = int64(f.u64())
		} else {
			e.MediaTime = int64(int32(f.u32()))
		}
		e.Rate = int32(f.u32())
		t.Edits = append(t.Edits, e)
	}
}

// readRoll looks for a roll distance of -1 (8.9.3, 10.1).
func (t *MovieTrack) readRoll(f *fields, version byte) {
	if string(f.take(4)) != "roll" {
		return
	}
	length := uint32(2)
	if version >= 1 {
		length = f.u32()
	}
	if version >= 2 {
		f.u32()
	}
	if n := f.u32(); n > 0 && (length == 2 || version == 0) {
		t.rollEntry = t.rollEntry || int16(f.u16()) == -1
	}
}

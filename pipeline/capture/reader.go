package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The defects that readers of files find, beside those of opening a capture.
const (
	// DefectWrongFormat is a file of another format than the manifest names; it is read as what it is.
	DefectWrongFormat DefectKind = "wrong-format"
	// DefectWrongCodec is a file of another codec than the manifest names; it is read as what it is.
	DefectWrongCodec DefectKind = "wrong-codec"
	// DefectCorruptData is a piece in the middle of a file that was passed over because it is damaged.
	DefectCorruptData DefectKind = "corrupt-data"
	// DefectOversizedUnit is a frame that says it is larger than any real one; it was left out.
	DefectOversizedUnit DefectKind = "oversized-unit"
	// DefectFramesMismatch is a frames list that does not fit its h264 file; what fits was used.
	DefectFramesMismatch DefectKind = "frames-mismatch"
)

// sniffBytes is how much of a file tells its format: three packets of a transport stream.
const sniffBytes = 2*tsPacketBytes + 1

// NewReader returns the reader for a file. The first bytes of the file decide, not the name that the manifest gives:
// a wrong one is a defect in the reader's Stats. An *InputError says that nothing is recognised, or that the file
// holds no media of the kind asked for. f is read from its beginning and stays the caller's.
func NewReader(format Format, f FileReader, cfg ReaderConfig) (UnitReader, error) {
	if cfg.ClockRate <= 0 {
		return nil, &InputError{File: cfg.Name, Field: "clock_rate", Reason: fmt.Sprintf("is %d", cfg.ClockRate)}
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("finding the size of %s: %w", cfg.Name, err)
	}
	cfg.Size = size
	head := make([]byte, sniffBytes)
	n, err := f.ReadAt(head, 0)
	if n < len(head) && err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading %s: %w", cfg.Name, err)
	}
	if n == 0 {
		return nil, &InputError{File: cfg.Name, Reason: "is empty"}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("going to the beginning of %s: %w", cfg.Name, err)
	}
	found := sniff(head[:n])
	if found == "" && format != "" {
		return nil, &InputError{File: cfg.Name, Reason: fmt.Sprintf("is not %s, nor any other format that is read", format)}
	}
	if found == "" {
		return nil, &InputError{File: cfg.Name, Reason: "is of no format that is read"}
	}
	r, err := openReader(found, f, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.point != nil {
		if err := goOn(r, cfg.Name, cfg.point); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	if format != "" && family(format) != family(found) {
		d := Defect{Kind: DefectWrongFormat, Detail: fmt.Sprintf("the manifest says %s, the file is %s", format, found)}
		if n, ok := r.(interface{ note(Defect) }); ok {
			n.note(d)
		} else {
			r = &renamedReader{UnitReader: r, defect: d}
		}
	}
	return r, nil
}

func openReader(format Format, f FileReader, cfg ReaderConfig) (UnitReader, error) {
	switch format {
	case FormatIVF:
		return newIVFReader(f, cfg)
	case FormatOgg:
		return newOggReader(f, cfg)
	case FormatWebM:
		return newWebMReader(f, cfg)
	case FormatMP4:
		return newMP4Reader(f, cfg)
	case FormatTS:
		return newTSReader(f, cfg)
	case FormatH264:
		return newAnnexBReader(f, cfg)
	case FormatRTPDump:
		return newRTPDumpReader(f, cfg)
	case FormatMJR:
		return newMJRReader(f, cfg)
	}
	return nil, &InputError{File: cfg.Name, Reason: fmt.Sprintf("is %s, which is not read here", format)}
}

// sniff tells the format by a file's first bytes, "" when it is none of ours.
func sniff(b []byte) Format {
	switch {
	case bytes.HasPrefix(b, []byte("DKIF")):
		return FormatIVF
	case bytes.HasPrefix(b, []byte("OggS")):
		return FormatOgg
	case bytes.HasPrefix(b, []byte{0x1A, 0x45, 0xDF, 0xA3}):
		return FormatWebM
	case bytes.HasPrefix(b, []byte("#!rtpplay1.0")):
		return FormatRTPDump
	case bytes.HasPrefix(b, []byte("MEETECHO")), bytes.HasPrefix(b, []byte("MJR0")):
		return FormatMJR
	case bytes.HasPrefix(b, []byte{0, 0, 1}), bytes.HasPrefix(b, []byte{0, 0, 0, 1}):
		return FormatH264
	case len(b) >= 8 && isMP4Start(string(b[4:8])):
		return FormatMP4
	}
	// A short or torn transport stream has fewer packets than three, but no other format begins with 0x47.
	for i := 0; i <= 2*tsPacketBytes && i < len(b); i += tsPacketBytes {
		if b[i] != tsSync {
			return ""
		}
	}
	return FormatTS
}

const (
	tsPacketBytes = 188
	tsSync        = 0x47
)

func isMP4Start(box string) bool {
	switch box {
	case "ftyp", "styp", "moof", "moov", "mdat", "free", "skip", "wide", "sidx":
		return true
	}
	return false
}

// family is the name under which formats are read by the same code.
func family(f Format) Format {
	if f == FormatMKV {
		return FormatWebM
	}
	return f
}

// renamedReader adds to a reader's Stats that the manifest named another format.
type renamedReader struct {
	UnitReader
	defect Defect
}

// Stats adds the defect in front.
func (r *renamedReader) Stats() ReadStats {
	s := r.UnitReader.Stats()
	s.Defects = append([]Defect{r.defect}, s.Defects...)
	return s
}

// noteCodec writes down that a file holds another codec than the manifest says.
func noteCodec(log *defectLog, cfg ReaderConfig, found string) {
	if cfg.Codec != "" && found != "" && cfg.Codec != found {
		log.add(DefectWrongCodec, "the manifest says %s, the file holds %s", cfg.Codec, found)
	}
}

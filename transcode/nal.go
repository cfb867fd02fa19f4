package transcode

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/avc"

	"rushes/transcode/internal/av"
)

// H.264 NAL unit types (ITU-T H.264, table 7-1).
const (
	nalIDR = 5
	nalSPS = 7
	nalPPS = 8
)

// splitAnnexB appends the NAL units of an access unit in Annex B form to units, without start codes and
// without the zero bytes that may follow a unit (ITU-T H.264, B.1).
func splitAnnexB(units [][]byte, data []byte) [][]byte {
	at := av.StartCode(data)
	for at >= 0 {
		data = data[at+3:]
		at = av.StartCode(data)
		unit := data
		if at >= 0 {
			unit = data[:at]
		}
		unit = bytes.TrimRight(unit, "\x00")
		if len(unit) > 0 {
			units = append(units, unit)
		}
	}
	return units
}

// splitLengths appends the NAL units of an access unit whose units have a length before them (ISO/IEC
// 14496-15, 5.3.2). A length beyond the end ends it with an error; the units before are kept.
func splitLengths(units [][]byte, data []byte, lengthSize int) ([][]byte, error) {
	for len(data) > 0 {
		if len(data) < lengthSize {
			return units, errors.New("NAL unit length is cut off")
		}
		n := 0
		for _, b := range data[:lengthSize] {
			n = n<<8 | int(b)
		}
		data = data[lengthSize:]
		if n > len(data) {
			return units, fmt.Errorf("NAL unit of %d bytes where %d are left", n, len(data))
		}
		if n > 0 {
			units = append(units, data[:n])
		}
		data = data[n:]
	}
	return units, nil
}

// avcConfig is what the samples of an H.264 track have in common.
type avcConfig struct {
	record     []byte // AVCDecoderConfigurationRecord
	lengthSize int    // bytes before each NAL unit of a source in that form; 0 = the source is in Annex B form
	sps, pps   [][]byte
}

// newAVCConfig reads the codec configuration that libav gives, in either form.
func newAVCConfig(extradata []byte) (avcConfig, error) {
	if len(extradata) > 6 && extradata[0] == 1 {
		rec, err := avc.DecodeAVCDecConfRec(extradata)
		if err != nil {
			return avcConfig{}, fmt.Errorf("H.264 configuration: %w", err)
		}
		if len(rec.SPSnalus) == 0 || len(rec.PPSnalus) == 0 {
			return avcConfig{}, errors.New("H.264 configuration has no parameter sets")
		}
		return avcConfig{record: extradata, lengthSize: int(extradata[4]&3) + 1, sps: rec.SPSnalus, pps: rec.PPSnalus}, nil
	}
	c := avcConfig{}
	for _, u := range splitAnnexB(nil, extradata) {
		switch u[0] & 31 {
		case nalSPS:
			c.sps = append(c.sps, u)
		case nalPPS:
			c.pps = append(c.pps, u)
		}
	}
	if len(c.sps) == 0 || len(c.pps) == 0 {
		return avcConfig{}, errors.New("H.264 without parameter sets")
	}
	rec, err := avc.CreateAVCDecConfRec(c.sps, c.pps, true)
	if err != nil {
		return avcConfig{}, fmt.Errorf("H.264 parameter sets: %w", err)
	}
	var b bytes.Buffer
	if err := rec.Encode(&b); err != nil {
		return avcConfig{}, fmt.Errorf("H.264 configuration: %w", err)
	}
	c.record = b.Bytes()
	return c, nil
}

// has tells whether a parameter set that came along in the stream is one of the configuration's.
func (c *avcConfig) has(unit []byte) bool {
	sets := c.sps
	if unit[0]&31 == nalPPS {
		sets = c.pps
	}
	for _, s := range sets {
		if bytes.Equal(s, unit) {
			return true
		}
	}
	return false
}

// aacConfig gives the AudioSpecificConfig of an AAC stream: the container's, or one made from the ADTS header
// of its first frame (ISO/IEC 14496-3, 1.A.2). adts tells that every packet begins with such a header.
func aacConfig(extradata, firstPacket []byte) (config []byte, adts bool, err error) {
	if _, ok := adtsPayload(firstPacket); ok && len(extradata) == 0 {
		object, index := firstPacket[2]>>6+1, firstPacket[2]>>2&15
		channels := firstPacket[2]&1<<2 | firstPacket[3]>>6
		if channels == 0 {
			return nil, false, errors.New("AAC with its channel layout inside the frames")
		}
		return []byte{object<<3 | index>>1, index<<7 | channels<<3}, true, nil
	}
	if len(extradata) < 2 {
		return nil, false, errors.New("AAC without a configuration")
	}
	return extradata, false, nil
}

// adtsPayload gives the raw frame behind an ADTS header, and false when the header is none or the frame is
// shorter than it says.
func adtsPayload(data []byte) ([]byte, bool) {
	if len(data) < 7 || data[0] != 0xff || data[1]&0xf6 != 0xf0 {
		return nil, false
	}
	header := 7
	if data[1]&1 == 0 {
		header = 9
	}
	n := int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5])>>5
	if n < header || n > len(data) {
		return nil, false
	}
	return data[header:n], true
}

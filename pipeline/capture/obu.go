package capture

import "encoding/binary"

// av1Elementary brings a temporal unit into the form of Unit.Data: no temporal delimiter in front, a size field in
// every OBU. The usual cases cost no copy; else the result lies in scratch, which is given back for the next call.
func av1Elementary(data, scratch []byte) (out, kept []byte) {
	for len(data) > 0 {
		kind, _, rest, ok := splitOBU(data)
		if !ok || kind != obuTemporalDelimiter {
			break
		}
		data = rest
	}
	for left := data; len(left) > 0; {
		_, body, rest, ok := splitOBU(left)
		if !ok {
			return data, scratch // damaged: the decoder says what it makes of it
		}
		if left[0]&2 == 0 { // has_size_field: without it the OBU reaches to the end
			head := left[1 : len(left)-len(body)]
			scratch = append(scratch[:0], data[:len(data)-len(left)]...)
			scratch = append(scratch, left[0]|2)
			scratch = append(scratch, head...)
			scratch = binary.AppendUvarint(scratch, uint64(len(body)))
			scratch = append(scratch, body...)
			return scratch, scratch
		}
		left = rest
	}
	return data, scratch
}

// av1HasSequenceHeader reports whether a temporal unit brings its sequence header along.
func av1HasSequenceHeader(data []byte) bool {
	for len(data) > 0 {
		kind, _, rest, ok := splitOBU(data)
		if !ok {
			return false
		}
		if kind == obuSequenceHeader {
			return true
		}
		data = rest
	}
	return false
}

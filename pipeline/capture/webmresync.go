package capture

import "bytes"

// plausible reports whether an element can be what it says at this place. Bytes of a broken cluster rarely pass.
func (r *WebMReader) plausible(id uint32, size int64, head int) bool {
	end := r.src.off + int64(head) + size
	switch id {
	case idSegment, idCluster:
		return size == ebmlUnknown || size >= 0
	case idSimpleBlock, idBlockGroup:
		// A cluster may be shorter than it says after a repair, but no block leaves it.
		if size < 4 || size > maxUnitBytes || r.clusterEnd >= 0 && end > r.clusterEnd {
			return false
		}
		return end <= r.cfg.Size
	case idTimestamp:
		return size >= 0 && size <= 8
	case idInfo, idTracks:
		return size >= 0 && size <= maxUnitBytes
	case idEBML, idCues, idSeekHead, idTags, idChapters, idAttachments, idVoid, idCRC, idPrevSize, idPosition:
		return size >= 0 && end <= r.cfg.Size
	}
	// Something unknown must be followed by something known.
	if size < 0 || end > r.cfg.Size {
		return false
	}
	if end == r.cfg.Size || end == r.clusterEnd {
		return true
	}
	if size > sourceBytes {
		return false
	}
	next, _, n := ebmlHead(tailOf(r.src.peek(head+int(size)+ebmlHeadBytes), head+int(size)))
	return n > 0 && knownElement(next)
}

func tailOf(b []byte, from int) []byte { return b[min(from, len(b)):] }

func knownElement(id uint32) bool {
	switch id {
	case idSegment, idCluster, idSimpleBlock, idBlockGroup, idTimestamp, idInfo, idTracks, idEBML, idCues, idSeekHead,
		idTags, idChapters, idAttachments, idVoid, idCRC, idPrevSize, idPosition:
		return true
	}
	return false
}

// resync passes over what cannot be read, up to the next cluster. Without one the file is torn here.
func (r *WebMReader) resync() (done bool, err error) {
	from := r.src.off
	mark := []byte{0x1F, 0x43, 0xB6, 0x75}
	for step := int64(1); ; {
		r.src.skip(step)
		b := r.src.peek(sourceBytes)
		if i := bytes.Index(b, mark); i >= 0 {
			r.src.skip(int64(i))
			if r.clusterHere() {
				r.log.add(DefectCorruptData, "%d bytes from byte %d on are no WebM", r.src.off-from, from)
				r.clusterEnd = -1
				return false, nil
			}
			step = 1
			continue
		}
		if len(b) < sourceBytes {
			r.src.skip(int64(len(b)))
			if err := r.src.failed(r.cfg.Name); err != nil {
				return true, err
			}
			r.stats.TornBytes = r.src.off - from
			return true, nil
		}
		step = int64(len(b) - len(mark) + 1)
	}
}

// clusterHere reports whether the four bytes of a cluster's id are really one: its first element must be one that
// belongs there.
func (r *WebMReader) clusterHere() bool {
	b := r.src.peek(2 * ebmlHeadBytes)
	_, _, head := ebmlHead(b)
	if head == 0 {
		return false
	}
	next, size, n := ebmlHead(b[head:])
	switch next {
	case idTimestamp:
		return n > 0 && size >= 0 && size <= 8
	case idCRC, idVoid, idPrevSize, idPosition, idSimpleBlock, idBlockGroup:
		return n > 0 && size >= 0
	}
	return false
}

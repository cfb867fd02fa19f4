package capture

// How readers that keep tables beside their file are left and gone on with.

// mp4Place is how far a reader came in the sample tables, or in the fragment in work.
type mp4Place struct {
	at    int64 // of the fragment's moof
	dts   int64 // where the track stood before it
	taken int64 // samples
}

// mark implements resumer. The tables lie in the file: how many of their samples were taken is enough.
func (r *MP4Reader) mark(p *packer) bool {
	inPart := r.part != nil
	at := r.at
	if inPart {
		at = r.begun.at
	}
	p.place(pointMP4, at)
	p.bool(r.tables)
	p.bool(inPart)
	p.uint(uint64(r.begun.taken))
	p.int(r.begun.dts)
	p.int(r.dts)
	p.int(r.first)
	p.bool(r.started)
	return !r.done
}

// resume implements resumer.
func (r *MP4Reader) resume(u *unpacker) error {
	at, ok := u.place(pointMP4, r.cfg.Size)
	tables, inPart, taken, before := u.bool(), u.bool(), u.number(), u.within(maxTicks)
	r.dts, r.first, r.started = u.int(), u.int(), u.bool()
	if !ok || u.bad || tables && inPart || int64(taken) > r.cfg.Size+maxMoovBytes {
		return errBadPoint
	}
	r.at, r.tables = at, tables
	next := r.track.samples.next
	switch {
	case inPart:
		kind, head, size, err := r.box()
		if err != nil {
			return err
		}
		if kind != "moof" {
			return errBadPoint
		}
		moof, err := r.body(head, size)
		if err != nil {
			return err
		}
		if moof == nil {
			return errBadPoint
		}
		r.begun = mp4Place{at: at, dts: before}
		r.part = newMP4Fragment(r.track, moof, at, at+size, before)
		r.at += size
		next = r.part.nextSample
	case !tables:
		return nil // between two fragments
	}
	for range taken {
		if _, ok := next(); !ok {
			return errBadPoint
		}
	}
	r.begun.taken = int64(taken)
	return nil
}

// mark implements resumer.
func (r *AnnexBReader) mark(p *packer) bool {
	p.place(pointAnnexB, r.src.off+int64(r.size))
	p.int(r.units)
	p.int(r.count)
	p.int(r.last)
	p.int(r.step)
	p.bool(r.tail)
	p.bool(r.byList)
	p.bytes(r.params.previousBytes)
	p.bool(r.list != nil)
	if l := r.list; l != nil {
		p.uint(uint64(l.line))
		p.bool(l.first)
		p.uint(uint64(l.last))
		p.int(l.ticks)
	}
	return !r.done
}

// resume implements resumer. The list's lines before the point are passed over: they are a few bytes for each unit.
func (r *AnnexBReader) resume(u *unpacker) error {
	off, ok := u.place(pointAnnexB, r.cfg.Size)
	r.units, r.count, r.last, r.step = u.within(maxTicks), u.within(maxTicks), u.int(), u.int()
	r.tail, r.byList = u.bool(), u.bool()
	if sps := u.bytes(); len(sps) > 0 {
		r.params.read(sps)
	}
	listed := u.bool()
	if !ok || u.bad || listed && r.list == nil {
		return errBadPoint
	}
	if !listed {
		r.list = nil
		return r.src.jump(off)
	}
	l, lines := r.list, u.number()
	for range lines {
		if !l.lines.Scan() {
			return errBadPoint
		}
	}
	l.line, l.first, l.last, l.ticks = lines, u.bool(), uint32(u.uint()), u.int()
	return r.src.jump(off)
}

package capture

// IndexOption changes how BuildIndex works.
type IndexOption func(*meter)

// WithProgress has report called while BuildIndex reads: with the bytes that were read and those that there are to
// read, both only ever growing. The total grows where a file turns out to need a second look. It is called by the
// goroutine of BuildIndex after every read of the file system, which is at most 256 KiB of most formats; it must be
// quick.
func WithProgress(report func(read, total int64)) IndexOption {
	return func(m *meter) { m.report = report }
}

// meter counts what BuildIndex reads.
type meter struct {
	report      func(read, total int64)
	read, total int64
	// before is what was read before the pass over the file in work, planned how much this pass will be.
	before, planned int64
}

// pass begins to read size bytes. A pass that was not foreseen adds to the total.
func (m *meter) pass(size int64, foreseen bool) {
	m.before, m.planned = m.read, size
	if !foreseen {
		m.total += size
	}
}

// add counts bytes of the pass. Readers look at some bytes twice; that never counts for more than the pass has.
func (m *meter) add(n int) {
	m.read = min(m.read+int64(n), m.before+m.planned)
	if m.report != nil {
		m.report(m.read, m.total)
	}
}

// end counts what the pass has left out too.
func (m *meter) end() {
	m.read = m.before + m.planned
	if m.report != nil {
		m.report(m.read, m.total)
	}
}

// meteredFile counts what is read of a file, and reads no more once the work is given up: readers have loops of
// their own.
type meteredFile struct {
	FileReader
	meter  *meter
	giveUp func() error // why to stop, or nil
}

// Read implements io.Reader.
func (f meteredFile) Read(b []byte) (int, error) {
	if err := f.giveUp(); err != nil {
		return 0, err
	}
	n, err := f.FileReader.Read(b)
	f.meter.add(n)
	return n, err
}

// ReadAt implements io.ReaderAt.
func (f meteredFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.giveUp(); err != nil {
		return 0, err
	}
	n, err := f.FileReader.ReadAt(b, at)
	f.meter.add(n)
	return n, err
}

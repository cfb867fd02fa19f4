package av

/*
#include "native.h"
*/
import "C"

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime/cgo"
	"syscall"
	"unsafe"
)

// Source is where a demuxer reads from. The caller keeps it open until the Input is closed.
type Source struct {
	Name string      // for messages
	R    io.ReaderAt // an *os.File is read without a call into Go
	Size int64       // bytes
	// Forward says that nobody will seek: libav does not go through all fragments of an MP4 for an index of them.
	Forward bool
	// PES says that this is MPEG-TS of which ReadPacket gives whole PES packets as they are, with timestamps of 33 bits:
	// nothing is probed, parsed or guessed, and Streams tells no more than the tables of the stream do.
	PES bool
}

// ioFile is a rushes_io with the Go handle behind it.
type ioFile struct {
	c      *C.rushes_io
	handle cgo.Handle
}

func newIO(target any, size int64, writable bool) (*ioFile, error) {
	f := &ioFile{}
	fd := C.int(-1)
	if file, ok := target.(*os.File); ok {
		fd = C.int(file.Fd())
	} else {
		f.handle = cgo.NewHandle(target)
	}
	w := C.int(0)
	if writable {
		w = 1
	}
	f.c = C.rushes_io_new(fd, C.uintptr_t(f.handle), C.int64_t(size), w)
	if f.c == nil {
		f.close()
		return nil, errors.New("out of memory")
	}
	return f, nil
}

func (f *ioFile) close() {
	C.rushes_io_free(f.c)
	f.c = nil
	if f.handle != 0 {
		f.handle.Delete()
		f.handle = 0
	}
}

// failed is the operating system's error behind a failure of libav, if there was one.
func (f *ioFile) failed() error {
	if f.c == nil || f.c.failed == 0 {
		return nil
	}
	return syscall.Errno(f.c.failed)
}

// interruptOn makes every later read and write fail once ctx ends, and every wait inside libav end.
func (f *ioFile) interruptOn(ctx context.Context) (stop func() bool) {
	c := f.c
	done := make(chan struct{})
	stopFunc := context.AfterFunc(ctx, func() {
		C.rushes_io_interrupt(c, 1)
		close(done)
	})
	return func() bool {
		if stopFunc() {
			return true
		}
		<-done // c must not be freed while the callback may touch it
		return false
	}
}

//export rushesReadAt
func rushesReadAt(handle C.uintptr_t, off C.int64_t, buf *C.uint8_t, n C.int) C.int {
	r, ok := cgo.Handle(handle).Value().(io.ReaderAt)
	if !ok {
		return -1
	}
	got, err := r.ReadAt(unsafe.Slice((*byte)(unsafe.Pointer(buf)), int(n)), int64(off))
	if got == 0 && err != nil && !errors.Is(err, io.EOF) {
		return -1
	}
	return C.int(got)
}

//export rushesWriteAt
func rushesWriteAt(handle C.uintptr_t, off C.int64_t, buf *C.uint8_t, n C.int) C.int {
	w, ok := cgo.Handle(handle).Value().(io.WriterAt)
	if !ok {
		return -1
	}
	put, err := w.WriteAt(unsafe.Slice((*byte)(unsafe.Pointer(buf)), int(n)), int64(off))
	if err != nil {
		return -1
	}
	return C.int(put)
}

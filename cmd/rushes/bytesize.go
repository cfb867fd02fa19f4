package main

import (
	"fmt"
	"math"

	"github.com/alecthomas/kong"
	"github.com/dustin/go-humanize"
)

// byteSize is a number of bytes that is written like 512MiB or 4GB.
type byteSize int64

var _ kong.MapperValue = (*byteSize)(nil)

// Decode reads the value of a flag.
func (b *byteSize) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("size", &text); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q is no size; write it like 512MiB or 4GB", text)
	}
	*b = byteSize(n)
	return nil
}

// String writes the size as the flag takes it.
func (b byteSize) String() string { return humanize.IBytes(uint64(max(b, 0))) }

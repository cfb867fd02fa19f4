package av

/*
#include "native.h"
*/
import "C"

import (
	"fmt"

	"github.com/asticode/go-astiav"
)

// Version gives libavcodec's version, such as "61.19.101".
func Version() string {
	v := uint(C.avcodec_version())
	return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff)
}

// License gives the licence that the linked libav is under, such as "GPL version 3 or later".
func License() string { return C.GoString(C.avcodec_license()) }

// HasDecoder tells whether a codec, by libav's name, can be decoded.
func HasDecoder(codec string) bool {
	id := codecID(codec)
	return id != C.AV_CODEC_ID_NONE && astiav.FindDecoder(astiav.CodecID(id)) != nil
}

// HasEncoder tells whether there is an encoder of this name ("libx264", "aac", …).
func HasEncoder(name string) bool { return astiav.FindEncoderByName(name) != nil }

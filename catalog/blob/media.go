package blob

import (
	"fmt"
	"mime"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFileName bounds the file name of a Content-Disposition, in bytes.
const maxFileName = 255

// MediaType returns the media type that the extension of key stands for, for
// backends that keep none: the formats that Rushes writes, and
// application/octet-stream for all others. It does not ask the machine's own
// tables, which differ.
func MediaType(key string) string {
	switch strings.ToLower(path.Ext(key)) {
	case ".mp4", ".m4v":
		return "video/mp4"
	case ".m4s":
		return "video/iso.segment" // RFC 8216bis
	case ".m4a":
		return "audio/mp4"
	case ".webm":
		return "video/webm"
	case ".ts":
		return "video/mp2t"
	case ".m3u8":
		return "application/vnd.apple.mpegurl" // RFC 8216 section 10
	case ".vtt":
		return "text/vtt"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	case ".json":
		return "application/json"
	case ".zip":
		return "application/zip"
	}
	return "application/octet-stream"
}

// CheckPresign reports why options cannot be signed: the content type is no
// media type, or the file name is no UTF-8.
func (o PresignOptions) CheckPresign() error {
	if o.ContentType != "" {
		if _, _, err := mime.ParseMediaType(o.ContentType); err != nil {
			return fmt.Errorf("content type %q: %w", o.ContentType, err)
		}
		if strings.ContainsFunc(o.ContentType, func(r rune) bool { return r > '~' || unicode.IsControl(r) }) {
			return fmt.Errorf("content type %q has a character that no header may have", o.ContentType)
		}
	}
	if !utf8.ValidString(o.FileName) {
		return fmt.Errorf("file name %q is not UTF-8", o.FileName)
	}
	return nil
}

// ContentDisposition returns the header's value (RFC 6266) for the options, or
// "" when they ask for nothing. A file name goes in twice: in ASCII with '_' for
// what may not stand there, and whole as RFC 5987 has it. Folders, control
// characters and characters that change the direction of the text are left out
// of it, so that what is shown is what is saved.
func (o PresignOptions) ContentDisposition() string {
	kind := "attachment"
	if o.Inline {
		kind = "inline"
	}
	name := plainName(o.FileName)
	if name == "" {
		if o.FileName == "" && !o.Inline {
			return ""
		}
		return kind
	}
	ascii := strings.Map(func(r rune) rune {
		// Some browsers decode %20 in here, others do not.
		if r > '~' || strings.ContainsRune(`"\%;`, r) {
			return '_'
		}
		return r
	}, name)
	value := kind + `; filename="` + ascii + `"`
	if ascii != name {
		value += "; filename*=UTF-8''" + escapeExtended(name)
	}
	return value
}

// plainName returns the last element of a file name without anything that is
// not to be seen, and bounded.
func plainName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	name = strings.TrimLeft(strings.TrimSpace(name), ".")
	if len(name) <= maxFileName {
		return name
	}
	ext := path.Ext(name)
	if len(ext) > 16 {
		ext = ""
	}
	cut := name[:maxFileName-len(ext)]
	for !utf8.ValidString(cut) {
		cut = cut[:len(cut)-1]
	}
	return cut + ext
}

// escapeExtended percent-encodes all but the attr-char of RFC 5987.
func escapeExtended(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&+-.^_`|~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

package s3

import (
	"crypto/md5" //nolint:gosec // what ETags are made of
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strings"
)

// digest is what the store should say of the bytes of a part.
type digest struct {
	size int64
	md5  [md5.Size]byte
	crc  uint32 // IEEE
}

// hasher makes a digest of what is written to it.
type hasher struct {
	size int64
	md5  hash.Hash
	crc  hash.Hash32
}

func newHasher() *hasher { return &hasher{md5: md5.New(), crc: crc32.NewIEEE()} } //nolint:gosec // see above

// Write takes p in.
func (h *hasher) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	_, _ = h.md5.Write(p) // hashes never fail
	_, _ = h.crc.Write(p)
	return len(p), nil
}

func (h *hasher) digest() digest {
	d := digest{size: h.size, crc: h.crc.Sum32()}
	h.md5.Sum(d.md5[:0])
	return d
}

func digestOf(r io.Reader) (digest, error) {
	h := newHasher()
	_, err := io.Copy(h, r)
	return h.digest(), err
}

func (d digest) md5Base64() *string {
	s := base64.StdEncoding.EncodeToString(d.md5[:])
	return &s
}

// crcBase64 is the form of x-amz-checksum-crc32: the big-endian value.
func (d digest) crcBase64() *string {
	s := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, d.crc))
	return &s
}

// etag is the ETag of an object or part that is kept in the clear.
func (d digest) etag() string { return hex.EncodeToString(d.md5[:]) }

// partsETag is the ETag of an object made of these parts: the MD5 sum of their
// MD5 sums, and their number.
func partsETag(parts []digest) string {
	h := md5.New() //nolint:gosec // see above
	for _, d := range parts {
		_, _ = h.Write(d.md5[:])
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(parts))
}

// kept is what the store says of bytes that it took.
type kept struct {
	etag string
	crc  *string
	sse  string
}

// bareETag returns an ETag without its quotes.
func bareETag(etag *string) string {
	if etag == nil {
		return ""
	}
	return strings.Trim(*etag, `"`)
}

// verify reports, as an error, that the store took other bytes than those of
// the digest, or does not say enough to know. With a key of the key service an
// ETag says nothing; that the store has verified the sum that it was sent with
// the bytes must be enough where it keeps no CRC.
func (k kept) verify(d digest) error {
	switch {
	case k.etag == "":
		return fmt.Errorf("the store gives no ETag of %d bytes", d.size)
	case k.crc != nil && *k.crc != *d.crcBase64():
		return fmt.Errorf("the store's CRC-32 of %d bytes is %s instead of %s", d.size, *k.crc, *d.crcBase64())
	case k.crc != nil, k.etag == d.etag(), strings.HasPrefix(k.sse, "aws:kms"):
		return nil
	}
	return fmt.Errorf("the store's ETag of %d bytes is %s instead of %s", d.size, k.etag, d.etag())
}

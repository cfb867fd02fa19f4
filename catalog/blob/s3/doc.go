// Package s3 keeps the objects of a blob store in a bucket of S3, or of any
// store that speaks its protocol.
//
// # What makes a Put sure
//
// S3 shows an object only when its last byte has arrived and its checksum is
// right; so far the protocol. Beyond it a Put that returns nil has held what
// the store says it has against what the body gave: the checksum of every part
// (the ETag where it is an MD5 sum, the CRC-32 where the store keeps it), and
// then, by a request of its own, the size and the ETag of the finished object.
// Every object carries the mark of the Put that made it, in its metadata, so
// that an answer that was lost on the way can be told from a refusal.
//
// # Interrupted uploads
//
// Bodies larger than Config.PartSize go up in parts. A Put that fails aborts
// its upload. A PutFile that fails leaves it, and the next one of the same key
// asks the store for its parts and sends only what is missing or differs; so a
// worker that was restarted goes on. What nobody finishes, AbortStale removes.
//
// Calls are repeated by the SDK, Config.MaxAttempts times; there is no other
// retry here but that of a read that breaks off, which goes on at the same byte
// of the same object.
package s3

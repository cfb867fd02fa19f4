// Package signed lets clients read objects of a blob store that has no HTTP of
// its own, as a folder: a [Signer] makes addresses, and its [Handler] serves
// GET and HEAD by them, with ranges and conditions (RFC 9110).
//
// # The address
//
//	<base>/<key>?e=<expiry>&k=<signing key's id>[&c=<content type>][&n=<file name>][&i=1]&s=<signature>
//
// The signature is the HMAC-SHA-256 of the escaped key and of the whole query
// before it, as they stand in the address, byte by byte. So whatever is changed,
// left out, added, doubled or written in another way, the address opens nothing;
// and it opens one object only. The method is not signed: GET and HEAD go with
// the same address. Neither is the base, so that a store may move.
//
// # Rotating keys
//
// The first of Config.Keys signs, all of them open. Put the new key first, and
// take the old one out when its last address has expired, after blob.MaxPresign
// at most.
package signed

package blob

import "errors"

var (
	// ErrNotFound says that there is no object under the key.
	ErrNotFound = errors.New("no such object")

	// ErrInvalidKey says that a key or prefix breaks the rules of CheckKey.
	// Trying again will not help.
	ErrInvalidKey = errors.New("invalid object key")

	// ErrInvalidRange says that a range begins after the last byte of the
	// object, or is negative. Trying again will not help.
	ErrInvalidRange = errors.New("range outside of the object")

	// ErrSizeMismatch says that a body was longer or shorter than announced.
	// Nothing was stored.
	ErrSizeMismatch = errors.New("size differs from the announced one")

	// ErrExists says that there is an object under the key already, where a Put
	// asked for none (PutOptions.IfAbsent). Nothing was changed.
	ErrExists = errors.New("object exists already")

	// ErrConflict says that a key is the folder of another object, or would need
	// another object to be a folder, and that the backend cannot hold both.
	ErrConflict = errors.New("key is both an object and a folder")
)

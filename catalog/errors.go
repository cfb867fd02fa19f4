package catalog

import "errors"

var (
	// ErrNotFound says that the catalog holds no asset or job under the given
	// id or key.
	ErrNotFound = errors.New("not in the catalog")

	// ErrInvalid says that a value breaks a rule of the catalog and was not
	// stored; the wrapping error names the field.
	ErrInvalid = errors.New("not valid in the catalog")
)

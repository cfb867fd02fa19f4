package catalog

import "errors"

var (
	// ErrNotFound says that the catalog holds no asset or job under the given
	// id or key.
	ErrNotFound = errors.New("not in the catalog")

	// ErrInvalid says that a value breaks a rule of the catalog and was not
	// stored; the wrapping error names the field.
	ErrInvalid = errors.New("not valid in the catalog")

	// ErrClaimLost says that the job has been claimed again, taken over or
	// ended since the claim was made: its holder stops, and what it has made is
	// discarded.
	ErrClaimLost = errors.New("the claim on the job is lost")

	// ErrNotClaimable says that the job does not wait for a worker: another one
	// holds it, it is over, or its time has not come.
	ErrNotClaimable = errors.New("the job does not wait for a worker")

	// ErrPlaceTaken says that another claim or asset has the storage key.
	ErrPlaceTaken = errors.New("the place in the store is taken")
)

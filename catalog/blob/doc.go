// Package blob keeps bytes under keys: finished media, playlists, thumbnails.
// It holds the contract, [Store], and the rules for keys; the backends are
// blob/dir, a folder, and blob/s3; blob/backup puts one store behind another,
// and blob/signed serves the objects of a store that has no HTTP of its own.
//
// # How to add a backend
//
// Write a package below this one with a type that implements [Store], check
// every key with [CheckKey] and every prefix with [CheckPrefix], return the
// sentinel errors of this package wrapped, and run blobtest.Run in its tests:
// what the suite asks for is the contract. A backend that can take over a
// finished local file without copying it implements [Adopter] too, one that
// uploads in parts [FilePutter], one whose objects can be read at any place
// [Opener], and one that clients can be sent to [Presigner].
package blob

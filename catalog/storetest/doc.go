// Package storetest is the conformance suite of catalogs: whatever passes [Run]
// keeps the contract that the rest of Rushes relies on, whichever database is
// below. A rule that is added to the contract gets its test here, where every
// database meets it.
package storetest

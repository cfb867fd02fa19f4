// Package blobtest is the conformance suite of blob stores: whatever passes
// [Run] keeps the contract of blob.Store, so that the rest of Rushes need not
// know which one it has. A rule that is added to the contract gets its test
// here, where every backend meets it.
package blobtest

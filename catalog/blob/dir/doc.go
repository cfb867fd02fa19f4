// Package dir keeps the objects of a blob store as files in a folder: the key
// "a/b.mp4" is the file <root>/a/b.mp4, so that people can use them without
// Rushes.
//
// An object is written under a temporary name in <root>/.incoming, its size is
// checked, it is synced and closed, and only then renamed to its place, whose
// folders are synced too. A process that dies leaves at most a temporary file;
// the next Open of the folder removes it. Temporary files of living processes
// are told apart by a lock (flock) that the kernel drops with the process, so
// several processes on one machine may share a folder. Symbolic links inside
// the folder cannot lead a key outside of it.
package dir

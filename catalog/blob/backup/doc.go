// Package backup puts one blob store behind another: what the main store
// refuses goes to the backup, so that a finished asset is not lost or rendered
// again because a bucket is away, and is brought to the main store later.
//
// The backup itself is the mark: an object is backed up as long as the backup
// has its key. Such an object is the newest under its key, so reads look there
// first, and a Put that reaches the main store takes it away. Options.OnBackup
// and Options.OnMove tell the catalog.
//
// What counts as a refusal is any error of the main store that is not about the
// call itself: a body that cannot be read, or is longer or shorter than
// announced, a key that is none or conflicts, a cancelled context are the
// caller's, and the backup would not cure them.
package backup

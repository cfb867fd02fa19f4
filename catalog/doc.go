// Package catalog says what an asset and a job are and which rules change
// them. It is pure: it opens no file and no database. catalog/sqlstore keeps
// its values, catalog/blob keeps the bytes that they point to.
//
// # One asset, once
//
// A job makes assets out of a capture. The bytes of an asset are stored first,
// under the key that a [Session] builds (api.md, "Storage paths"); the asset is
// registered afterwards, in one transaction. [Asset.Key] names what the asset
// is of ("this capture's room-composite"), so that a second run of the same
// capture finds the first run's asset instead of adding another one;
// [Asset.Settle] is that rule.
//
// # How to add an asset type
//
// Add the constant to the [AssetType] list and to [AssetTypes], the method of
// [Session] that builds its storage key, and its fields to [Metadata]; the
// golden file of the JSON shape shows what the API will answer.
package catalog

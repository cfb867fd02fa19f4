// Package api is the catalog's HTTP interface (api.md): what 100ms' recording
// APIs have, at the same paths and in the same shapes, and what Rushes adds.
// It decides nothing about media: it reads the catalog, signs links and hands
// wishes on to [Actions].
//
// # One request
//
// [API.ServeHTTP] gives the request an id, answers preflights, finds the
// route, and writes one line of access log; a panic becomes an answer with
// status 500. An operation behind a management token then passes, in this
// order: the token, the key's rate limit, the body's limits, the
// Idempotency-Key, huma's check of parameters and body, the handler. Whatever
// refuses a request answers in the one [Error] shape.
//
// # Whose is what
//
// An app has access keys, each with a secret. A job belongs to the app that
// queued it, an asset to its job's app, a room to the app whose job named it
// first. Single things of another app answer 403, lists never show them.
//
// # Links
//
// The link of an asset is an address of the store, which [blob.Presigner]
// signs. That of a room-vod is an address of this package whose playlists are
// rewritten on the way out, see playlist.go: each names its nested playlists by
// such addresses again and all else by addresses of the store. An address
// opens one object, until it expires.
//
// # How to add an operation
//
// Write a method of API that takes an input struct (path, query, header tags,
// Body) and returns a *reply, add it to the routes in the file's register
// function with register, and run the tests with -update: the golden copy of
// the OpenAPI description shows what clients will see.
package api

// Package stage holds the concrete stages of a job: the one room where capture, transcode, catalog and store meet.
//
// A capture gives a list of products, one for each asset to be made. Process runs every product through the
// same stages: render writes the asset's file into the job's scratch folder, thumbnails takes stills of it,
// publish moves both into the store, register puts the assets into the catalog in one transaction. Render and
// thumbnails are remembered by content key, so that a job that was cut off goes on where it was; publish and
// register are harmless to repeat. A product whose input is bad becomes a failed asset and does not keep the
// others from being made; trouble of the machine ends the job, to be tried again.
//
// # How to add an asset type
//
// Write a function that turns a capture into products (beam.go is the shortest) and add it to the table in
// products. A product says what the asset is, where it is stored and how its file is written; nothing else here
// needs to know of it.
package stage

// Package webhook tells the customer's servers what has become of captures: the
// events of api.md, in the shapes that 100ms documents.
//
// # How an event travels
//
// The store writes an event down in the transaction that ends a capture's job.
// A [Deliverer] turns it into deliveries, one for each endpoint and thing to
// tell, again in one transaction; then it sends each of them until the receiver
// answers 200. Both are rows: whatever dies in between, another process or the
// next one goes on, and nothing is lost. A delivery may be sent more than once,
// always with the same id. Deliveries to an endpoint that are of one capture are
// sent one after the other, in the order of what happened; those of different
// captures and those to other endpoints do not wait for each other.
//
// Addresses of the bytes are made for each attempt, so that a replay of next
// month carries fresh ones.
//
// # How to add an event
//
// Add its name to [EventTypes], a type with its data and its link method beside
// the others in data.go, its line in newData, and where it comes from in
// messages; the golden files show what receivers will get.
package webhook

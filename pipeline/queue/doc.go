// Package queue is the doorbell of the workers: it takes tickets, which say no
// more than "look at job X", and shows them to whoever serves. It is the only
// package that knows of Asynq and Redis.
//
// The catalog is the truth. Redis may lose everything at any time, show a ticket
// twice or late, and no job is lost or harmed: [Queue.Lost] tells the sweeper
// which tickets are gone, and a look at a job that needs nobody ends in
// [pipeline.Taken].
//
// # The doorbell contract
//
//   - A ticket that Redis keeps is shown at least once. A ticket that was being
//     looked at when its worker died, or when Redis was away for longer than
//     Asynq's lease (30 s), is shown again up to two minutes later.
//   - One Queue looks at a job at most once at a time, and a Serve has at most
//     [ServeOptions.Concurrency] looks in progress, whatever Asynq thinks of its
//     leases: another ticket of the same job is put back until the first look is
//     over. Other processes may look at the same job at the same time; the claim
//     in the catalog decides between them.
//   - A look is not tied to Redis: it goes on when Redis goes away. It is told to
//     end, by its context, when Serve is to end and after [LookLimit].
//   - What runs for longer than a look, the job itself, must not run in it: the
//     look claims the job, hands it to a goroutine of the worker and answers
//     Taken.
//
// # How Asynq is used
//
// One task per ticket, of type "look", whose id is the ticket's. Its payload is
// {"v":1,"job":"<id>"}; what has another version or is no JSON is logged, counted
// and removed. Nothing counts as a failure for Asynq, so that its retries are
// never used up and nothing is ever archived; nothing is retained. Lost and Depth
// read Asynq's keys themselves, because its inspector takes no context and forgets
// the names of all queues when Redis is emptied; a test holds them against Asynq.
package queue

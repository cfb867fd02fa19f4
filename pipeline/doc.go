// Package pipeline is the job: what it is, how its stages run, resume, are
// observed and fail. It knows nothing of media; the concrete stages live in
// pipeline/stage.
//
// A job is a list of small stages that Execute runs in order. What a stage has
// made stays in the job's Scratch under a content key, so that running the job
// again, after a failure or a kill, does only what is missing.
//
// # How jobs run
//
// The catalog is the truth and the queue is a doorbell. A Ticket says only "look at
// this job"; it is born as a row of the catalog's outbox in the transaction that
// queues the job, the Dispatcher carries it to the Queue, and the queue shows it to
// a Worker with Look. It may be lost, doubled or late without harm. Retries, limits
// and the time of the next attempt are states of the job, never of the queue.
//
// The worker waits for room on the machine (Admission), claims the job, which raises
// its fence, and makes the attempt in goroutines of its own. It renews the claim with
// a heartbeat, ends the attempt when the claim is lost, the job is to be canceled or
// the worker stops, and writes down how it ended. AttemptOf is the one place where
// the kind of an error decides what becomes of the job.
//
// The Sweeper, one at a time, takes over the jobs whose heartbeat is old and gives
// new tickets to those whose ticket the queue has lost. With the default times a
// dead worker's job is back in the outbox within 25 s: DeadAfter of the sweeper is
// longer than ClaimTTL of the worker, which has stopped by then if it lives.
//
// # How to add a stage
//
// Write a function that takes what it needs and returns what it makes, and give it
// to Make together with a function for its key:
//
//	plan := pipeline.Make("plan", planKey, makePlan)
//	render := pipeline.Make("render",
//		func() (string, error) { return pipeline.ContentKey("render v1", plan.Value(), options) },
//		func(ctx context.Context, run *pipeline.Run) (Rendered, error) {
//			dir, err := run.Scratch.Dir("render")
//			…
//			run.Progress(pipeline.Progress{Done: n, Total: total, Media: at})
//			return Rendered{File: "out.mp4"}, nil
//		})
//	err := pipeline.Execute(ctx, run, plan, render, publish)
//
// The rules:
//
//   - The key covers everything that the result depends on: the values of earlier
//     stages, the options, and a version of the stage's own that is raised when its
//     code begins to give another result. With the same key the result is taken
//     from the scratch folder and the function is not called.
//   - The result is a value that encoding/json can write and read. Files go into
//     the stage's own folder, Scratch.Dir with the stage's name, and the result
//     names them relative to it. The folder is emptied before the function runs.
//   - A stage with many parts remembers each with Remember, under a name of its
//     own such as "render.0007".
//   - A stage that must run every time (publishing, registering) is a StageFunc. It
//     must be harmless to run twice.
//   - What a stage opens for later stages goes to Run.CloseLater.
//   - It looks at ctx in every loop, and says in its errors what it was doing to
//     which thing; Execute adds the stage's name. Whether an error is worth a retry
//     is said by its type (see KindOf), never decided by a stage.
package pipeline

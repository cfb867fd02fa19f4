-- name: InsertJob :execrows
INSERT INTO jobs (
    id, capture_uri, capture_key, recording_id, room_id, session_id, template_id, source,
    state, stage, progress, attempts, created_at, updated_at, started_at, stopped_at,
    defects, error_kind, error_message,
    kind, parent_id, generation, options, queue, priority, cost_cpu, cost_memory, max_attempts,
    run_at, backfill_id, app_id
) VALUES (
    sqlc.arg(id), sqlc.arg(capture_uri), sqlc.arg(capture_key), sqlc.arg(recording_id),
    sqlc.arg(room_id), sqlc.arg(session_id), sqlc.arg(template_id), sqlc.arg(source),
    'queued', '', 0, 0, sqlc.arg(created_at), sqlc.arg(updated_at), sqlc.arg(started_at),
    sqlc.arg(stopped_at), sqlc.arg(defects), '', '',
    sqlc.arg(kind), sqlc.arg(parent_id), sqlc.arg(generation), sqlc.arg(options), sqlc.arg(queue),
    sqlc.arg(priority), sqlc.arg(cost_cpu), sqlc.arg(cost_memory), sqlc.arg(max_attempts),
    sqlc.arg(run_at), sqlc.arg(backfill_id), sqlc.arg(app_id)
)
ON CONFLICT (capture_key, generation, parent_id) DO NOTHING;

-- name: JobByID :one
SELECT * FROM jobs WHERE id = sqlc.arg(id);

-- name: JobByCapture :one
SELECT * FROM jobs
WHERE capture_key = sqlc.arg(capture_key)
    AND generation = sqlc.arg(generation)
    AND parent_id = sqlc.arg(parent_id);

-- name: LastGeneration :one
-- -1 when there is no job of the capture.
SELECT CAST(COALESCE(MAX(generation), -1) AS BIGINT) AS generation FROM jobs
WHERE capture_key = sqlc.arg(capture_key) AND parent_id = '';

-- name: MoveCapture :execrows
UPDATE jobs
SET capture_uri = sqlc.arg(capture_uri), updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND state <> 'running';

-- name: LockJob :execrows
-- Keeps other transactions from changing the job until this one ends; on SQLite
-- the transaction as a whole has done that already.
UPDATE jobs SET updated_at = updated_at WHERE id = sqlc.arg(id);

-- name: ClaimJob :one
UPDATE jobs
SET state = 'running', fence = fence + 1, attempts = attempts + 1, worker = sqlc.arg(worker),
    stage = '', error_kind = '', error_message = '',
    claimed_at = sqlc.arg(now), heartbeat_at = sqlc.arg(now), updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND state = 'queued' AND run_at <= sqlc.arg(now)
RETURNING *;

-- name: SeizeJob :one
UPDATE jobs
SET state = 'running', fence = fence + 1, attempts = attempts + 1, worker = sqlc.arg(worker),
    stage = '', error_kind = '', error_message = '', cancel_requested = 0, finished_at = 0,
    claimed_at = sqlc.arg(now), heartbeat_at = sqlc.arg(now), updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id)
RETURNING *;

-- name: Heartbeat :one
UPDATE jobs
SET heartbeat_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND fence = sqlc.arg(fence) AND state = 'running'
RETURNING cancel_requested;

-- name: UpdateJob :execrows
UPDATE jobs
SET stage = sqlc.arg(stage), progress = sqlc.arg(progress),
    heartbeat_at = sqlc.arg(now), updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND fence = sqlc.arg(fence) AND state = 'running';

-- name: HoldClaim :execrows
-- Writes under a claim begin with this: it finds out whether the claim is good
-- and keeps it so until the transaction ends.
UPDATE jobs SET updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND fence = sqlc.arg(fence) AND state = 'running';

-- name: MoveJob :one
-- The one way from a state to another for work that ends, is taken over, is
-- canceled or tried again: the caller has read the job, and what it read must
-- still be so.
UPDATE jobs
SET state = sqlc.arg(state), fence = sqlc.arg(fence), attempts = sqlc.arg(attempts),
    takeovers = sqlc.arg(takeovers), progress = sqlc.arg(progress),
    cancel_requested = sqlc.arg(cancel_requested), defects = sqlc.arg(defects),
    result = sqlc.arg(result), options = sqlc.arg(options),
    error_kind = sqlc.arg(error_kind), error_message = sqlc.arg(error_message),
    run_at = sqlc.arg(run_at), finished_at = sqlc.arg(finished_at), updated_at = sqlc.arg(updated_at),
    ticket_id = '', ticket_at = 0
WHERE id = sqlc.arg(id) AND fence = sqlc.arg(old_fence) AND state = sqlc.arg(old_state)
RETURNING *;

-- name: InsertAttempt :exec
INSERT INTO attempts (
    job_id, fence, worker, stage, ending, error_kind, error_message, started_at, ended_at, cpu, memory
) VALUES (
    sqlc.arg(job_id), sqlc.arg(fence), sqlc.arg(worker), sqlc.arg(stage), sqlc.arg(ending),
    sqlc.arg(error_kind), sqlc.arg(error_message), sqlc.arg(started_at), sqlc.arg(ended_at),
    sqlc.arg(cpu), sqlc.arg(memory)
);

-- name: AttemptByFence :one
SELECT * FROM attempts WHERE job_id = sqlc.arg(job_id) AND fence = sqlc.arg(fence);

-- name: Attempts :many
SELECT * FROM attempts WHERE job_id = sqlc.arg(job_id) ORDER BY fence;

-- name: OpenParts :many
-- The parts of a job that are not over.
SELECT * FROM jobs
WHERE parent_id <> '' AND parent_id = sqlc.arg(parent_id)
    AND state IN ('queued', 'running', 'waiting')
ORDER BY id;

-- name: CountOpenParts :one
SELECT COUNT(*) FROM jobs
WHERE parent_id <> '' AND parent_id = sqlc.arg(parent_id)
    AND state IN ('queued', 'running', 'waiting');

-- name: CancelQueuedParts :execrows
UPDATE jobs
SET state = 'canceled', finished_at = sqlc.arg(now), updated_at = sqlc.arg(now),
    error_kind = '', error_message = '', ticket_id = '', ticket_at = 0
WHERE parent_id <> '' AND parent_id = sqlc.arg(parent_id) AND state IN ('queued', 'waiting');

-- name: CancelRunningParts :execrows
UPDATE jobs
SET cancel_requested = 1, updated_at = sqlc.arg(now)
WHERE parent_id <> '' AND parent_id = sqlc.arg(parent_id) AND state = 'running';

-- name: ForgiveParts :execrows
-- Failed parts of a job that is tried again: as canceled ones they are queued with it.
UPDATE jobs
SET state = 'canceled', updated_at = sqlc.arg(now), error_kind = '', error_message = ''
WHERE parent_id <> '' AND parent_id = sqlc.arg(parent_id) AND state = 'failed';

-- name: RequestCancel :one
UPDATE jobs
SET cancel_requested = 1, updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND state = 'running'
RETURNING *;

-- name: SilentJobs :many
-- Running jobs without a sign of life since the given time.
SELECT id FROM jobs
WHERE state = 'running' AND heartbeat_at < sqlc.arg(before)
ORDER BY id
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: JoinableJobs :many
-- Waiting jobs whose parts are all over.
SELECT w.id FROM jobs w
WHERE w.state = 'waiting'
    AND NOT EXISTS (
        SELECT 1 FROM jobs p
        WHERE p.parent_id <> '' AND p.parent_id = w.id
            AND p.state IN ('queued', 'running', 'waiting')
    )
ORDER BY w.id
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: CountJobs :many
-- Of the jobs that are not over: their index holds no others.
SELECT kind, queue, state, COUNT(*) AS jobs, CAST(MIN(run_at) AS BIGINT) AS oldest FROM jobs
WHERE finished_at = 0
GROUP BY kind, queue, state
ORDER BY kind, queue, state;

-- name: ListJobsByParent :many
-- As the lists of assets: the most selective filter leads.
SELECT * FROM jobs
WHERE parent_id <> '' AND parent_id = sqlc.arg(parent_id) AND id < sqlc.arg(before)
    AND (CAST(sqlc.arg(room_id) AS TEXT) = '' OR room_id = CAST(sqlc.arg(room_id) AS TEXT))
    AND (CAST(sqlc.arg(kind) AS TEXT) = '' OR kind = CAST(sqlc.arg(kind) AS TEXT))
    AND (CAST(sqlc.arg(queue) AS TEXT) = '' OR queue = CAST(sqlc.arg(queue) AS TEXT))
    AND (CAST(sqlc.arg(state) AS TEXT) = '' OR state = CAST(sqlc.arg(state) AS TEXT))
    AND (CAST(sqlc.arg(backfill_id) AS TEXT) = '' OR backfill_id = CAST(sqlc.arg(backfill_id) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobsByBackfill :many
SELECT * FROM jobs
WHERE backfill_id <> '' AND backfill_id = sqlc.arg(backfill_id) AND id < sqlc.arg(before)
    AND (CAST(sqlc.arg(room_id) AS TEXT) = '' OR room_id = CAST(sqlc.arg(room_id) AS TEXT))
    AND (CAST(sqlc.arg(kind) AS TEXT) = '' OR kind = CAST(sqlc.arg(kind) AS TEXT))
    AND (CAST(sqlc.arg(queue) AS TEXT) = '' OR queue = CAST(sqlc.arg(queue) AS TEXT))
    AND (CAST(sqlc.arg(state) AS TEXT) = '' OR state = CAST(sqlc.arg(state) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobsByRoom :many
SELECT * FROM jobs
WHERE room_id = sqlc.arg(room_id) AND id < sqlc.arg(before)
    AND (CAST(sqlc.arg(kind) AS TEXT) = '' OR kind = CAST(sqlc.arg(kind) AS TEXT))
    AND (CAST(sqlc.arg(queue) AS TEXT) = '' OR queue = CAST(sqlc.arg(queue) AS TEXT))
    AND (CAST(sqlc.arg(state) AS TEXT) = '' OR state = CAST(sqlc.arg(state) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobsOfAppByState :many
SELECT * FROM jobs
WHERE app_id = sqlc.arg(app_id) AND state = sqlc.arg(state) AND id < sqlc.arg(before)
    AND (CAST(sqlc.arg(kind) AS TEXT) = '' OR kind = CAST(sqlc.arg(kind) AS TEXT))
    AND (CAST(sqlc.arg(queue) AS TEXT) = '' OR queue = CAST(sqlc.arg(queue) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobsOfApp :many
SELECT * FROM jobs
WHERE app_id = sqlc.arg(app_id) AND id < sqlc.arg(before)
    AND (CAST(sqlc.arg(kind) AS TEXT) = '' OR kind = CAST(sqlc.arg(kind) AS TEXT))
    AND (CAST(sqlc.arg(queue) AS TEXT) = '' OR queue = CAST(sqlc.arg(queue) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobsByQueueAndState :many
SELECT * FROM jobs
WHERE queue = sqlc.arg(queue) AND state = sqlc.arg(state) AND id < sqlc.arg(before)
    AND (CAST(sqlc.arg(kind) AS TEXT) = '' OR kind = CAST(sqlc.arg(kind) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobsByKindAndState :many
SELECT * FROM jobs
WHERE kind = sqlc.arg(kind) AND state = sqlc.arg(state) AND id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobsByQueue :many
SELECT * FROM jobs
WHERE queue = sqlc.arg(queue) AND id < sqlc.arg(before)
    AND (CAST(sqlc.arg(kind) AS TEXT) = '' OR kind = CAST(sqlc.arg(kind) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobsByState :many
SELECT * FROM jobs
WHERE state = sqlc.arg(state) AND id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobsByKind :many
SELECT * FROM jobs
WHERE kind = sqlc.arg(kind) AND id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListJobs :many
SELECT * FROM jobs
WHERE id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListRecordings :many
-- Of one state: the store merges the lists of several.
SELECT * FROM jobs
WHERE kind = 'capture' AND generation = 0 AND source <> 'live-stream' AND app_id = sqlc.arg(app_id) AND state = sqlc.arg(state) AND id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListLiveStreams :many
SELECT * FROM jobs
WHERE kind = 'capture' AND generation = 0 AND source = 'live-stream' AND app_id = sqlc.arg(app_id) AND state = sqlc.arg(state) AND id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListRecordingsByRoom :many
SELECT * FROM jobs
WHERE kind = 'capture' AND generation = 0 AND room_id = sqlc.arg(room_id) AND id < sqlc.arg(before)
    AND app_id = CAST(sqlc.arg(app_id) AS TEXT)
    AND (CAST(sqlc.arg(live) AS BIGINT) = 1 AND source = 'live-stream' OR CAST(sqlc.arg(live) AS BIGINT) = 0 AND source <> 'live-stream')
    AND (CAST(sqlc.arg(session_id) AS TEXT) = '' OR session_id = CAST(sqlc.arg(session_id) AS TEXT))
    AND (CAST(sqlc.arg(state) AS TEXT) = '' OR state = CAST(sqlc.arg(state) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListRecordingsBySession :many
SELECT * FROM jobs
WHERE kind = 'capture' AND generation = 0 AND session_id = sqlc.arg(session_id) AND id < sqlc.arg(before)
    AND app_id = CAST(sqlc.arg(app_id) AS TEXT)
    AND (CAST(sqlc.arg(live) AS BIGINT) = 1 AND source = 'live-stream' OR CAST(sqlc.arg(live) AS BIGINT) = 0 AND source <> 'live-stream')
    AND (CAST(sqlc.arg(room_id) AS TEXT) = '' OR room_id = CAST(sqlc.arg(room_id) AS TEXT))
    AND (CAST(sqlc.arg(state) AS TEXT) = '' OR state = CAST(sqlc.arg(state) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

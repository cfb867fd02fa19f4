-- name: BeginJob :one
INSERT INTO jobs (
    id, capture_uri, capture_key, recording_id, room_id, session_id, template_id, source,
    state, stage, progress, attempts, created_at, updated_at, started_at, stopped_at,
    defects, error_kind, error_message
) VALUES (
    sqlc.arg(id), sqlc.arg(capture_uri), sqlc.arg(capture_key), sqlc.arg(recording_id),
    sqlc.arg(room_id), sqlc.arg(session_id), sqlc.arg(template_id), sqlc.arg(source),
    sqlc.arg(state), '', 0, 1, sqlc.arg(created_at), sqlc.arg(updated_at),
    sqlc.arg(started_at), sqlc.arg(stopped_at), sqlc.arg(defects), '', ''
)
ON CONFLICT (capture_key) DO UPDATE SET
    capture_uri = excluded.capture_uri,
    recording_id = excluded.recording_id,
    room_id = excluded.room_id,
    session_id = excluded.session_id,
    template_id = excluded.template_id,
    source = excluded.source,
    state = excluded.state,
    stage = excluded.stage,
    progress = excluded.progress,
    attempts = jobs.attempts + 1,
    updated_at = excluded.updated_at,
    started_at = excluded.started_at,
    stopped_at = excluded.stopped_at,
    defects = excluded.defects,
    error_kind = excluded.error_kind,
    error_message = excluded.error_message
RETURNING *;

-- name: UpdateJob :execrows
UPDATE jobs
SET stage = sqlc.arg(stage), progress = sqlc.arg(progress), updated_at = sqlc.arg(updated_at)
WHERE id = sqlc.arg(id);

-- name: FinishJob :execrows
UPDATE jobs
SET state = sqlc.arg(state),
    progress = CASE WHEN sqlc.arg(state) = 'completed' THEN 1000 ELSE progress END,
    error_kind = sqlc.arg(error_kind),
    error_message = sqlc.arg(error_message),
    defects = sqlc.arg(defects),
    updated_at = sqlc.arg(updated_at)
WHERE id = sqlc.arg(id);

-- name: JobByID :one
SELECT * FROM jobs WHERE id = sqlc.arg(id);

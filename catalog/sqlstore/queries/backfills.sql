-- name: InsertBackfill :exec
INSERT INTO backfills (id, created_at, selection, options, rate, max_in_flight, state)
VALUES (
    sqlc.arg(id), sqlc.arg(created_at), sqlc.arg(selection), sqlc.arg(options),
    sqlc.arg(rate), sqlc.arg(max_in_flight), sqlc.arg(state)
);

-- name: InsertBackfillItem :exec
INSERT INTO backfill_items (backfill_id, asset_id, job_id, state, reason)
VALUES (sqlc.arg(backfill_id), sqlc.arg(asset_id), '', 'pending', '')
ON CONFLICT (backfill_id, asset_id) DO NOTHING;

-- name: BackfillByID :one
SELECT * FROM backfills WHERE id = sqlc.arg(id);

-- name: Backfills :many
SELECT * FROM backfills ORDER BY id DESC;

-- name: SetBackfillState :execrows
UPDATE backfills SET state = sqlc.arg(state) WHERE id = sqlc.arg(id);

-- name: BackfillItems :many
SELECT * FROM backfill_items
WHERE backfill_id = sqlc.arg(backfill_id) AND state = sqlc.arg(state) AND asset_id > sqlc.arg(after)
ORDER BY asset_id
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: UpdateBackfillItem :execrows
UPDATE backfill_items
SET job_id = sqlc.arg(job_id), state = sqlc.arg(state), reason = sqlc.arg(reason)
WHERE backfill_id = sqlc.arg(backfill_id) AND asset_id = sqlc.arg(asset_id);

-- name: CountBackfillItems :many
SELECT state, reason, COUNT(*) AS items FROM backfill_items
WHERE backfill_id = sqlc.arg(backfill_id)
GROUP BY state, reason
ORDER BY state, reason;

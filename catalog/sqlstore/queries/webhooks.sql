-- name: InsertEvent :exec
INSERT INTO events (id, job_id, capture_key, state, stage, error_kind, error_message, created_at)
VALUES (
    sqlc.arg(id), sqlc.arg(job_id), sqlc.arg(capture_key), sqlc.arg(state), sqlc.arg(stage),
    sqlc.arg(error_kind), sqlc.arg(error_message), sqlc.arg(created_at)
);

-- name: PendingEvents :many
-- The first one of each capture: the next one's deliveries come after its own.
SELECT * FROM events e
WHERE e.created_at > 0 AND NOT EXISTS (
    SELECT 1 FROM events o
    WHERE o.capture_key = e.capture_key
        AND (o.created_at < e.created_at OR o.created_at = e.created_at AND o.id < e.id)
)
ORDER BY e.created_at, e.id
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: DeleteEvent :execrows
DELETE FROM events WHERE id = sqlc.arg(id);

-- name: InsertDelivery :exec
INSERT INTO deliveries (
    id, endpoint, event_id, subject, type, lane, event_at, number, job_id, asset_id, payload,
    state, attempts, claim, run_at, replay, status, error, created_at, updated_at, delivered_at
) VALUES (
    sqlc.arg(id), sqlc.arg(endpoint), sqlc.arg(event_id), sqlc.arg(subject), sqlc.arg(type),
    sqlc.arg(lane), sqlc.arg(event_at), sqlc.arg(number), sqlc.arg(job_id), sqlc.arg(asset_id),
    sqlc.arg(payload), 'pending', 0, 0, sqlc.arg(now), 0, 0, '', sqlc.arg(now), sqlc.arg(now), 0
)
ON CONFLICT (endpoint, subject) DO NOTHING;

-- name: DueDeliveries :many
-- The first one of each lane, if its time has come: one that is being sent, or
-- waits for its next attempt, holds back those behind it.
SELECT * FROM deliveries d
WHERE d.endpoint = sqlc.arg(endpoint) AND d.state = 'pending' AND d.run_at <= sqlc.arg(now)
    AND NOT EXISTS (
        SELECT 1 FROM deliveries o
        WHERE o.endpoint = d.endpoint AND o.lane = d.lane AND o.state = 'pending'
            AND (
                o.event_at < d.event_at
                OR o.event_at = d.event_at AND (o.number < d.number OR o.number = d.number AND o.id < d.id)
            )
    )
ORDER BY d.run_at, d.id
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ClaimDelivery :execrows
UPDATE deliveries SET claim = claim + 1, run_at = sqlc.arg(until), updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND claim = sqlc.arg(claim) AND state = 'pending';

-- name: EndDelivery :execrows
UPDATE deliveries
SET state = sqlc.arg(state), attempts = sqlc.arg(attempts), run_at = sqlc.arg(run_at),
    status = sqlc.arg(status), error = sqlc.arg(error), updated_at = sqlc.arg(now),
    delivered_at = sqlc.arg(delivered_at)
WHERE id = sqlc.arg(id) AND claim = sqlc.arg(claim) AND state = 'pending';

-- name: ReplayDelivery :one
UPDATE deliveries
SET state = 'pending', attempts = 0, replay = 1, claim = claim + 1, run_at = sqlc.arg(now),
    updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND state <> 'pending'
RETURNING *;

-- name: DeliveryByID :one
SELECT * FROM deliveries WHERE id = sqlc.arg(id);

-- name: PruneDeliveries :execrows
DELETE FROM deliveries WHERE id IN (
    SELECT d.id FROM deliveries d
    WHERE d.state = 'delivered' AND d.updated_at < sqlc.arg(before)
    ORDER BY d.updated_at, d.id
    LIMIT CAST(sqlc.arg(max_rows) AS BIGINT)
);

-- name: ListDeliveriesByJob :many
SELECT * FROM deliveries
WHERE job_id = sqlc.arg(job_id) AND id < sqlc.arg(before)
    AND (CAST(sqlc.arg(endpoint) AS TEXT) = '' OR endpoint = CAST(sqlc.arg(endpoint) AS TEXT))
    AND (CAST(sqlc.arg(state) AS TEXT) = '' OR state = CAST(sqlc.arg(state) AS TEXT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListDeliveriesByEndpointAndState :many
SELECT * FROM deliveries
WHERE endpoint = sqlc.arg(endpoint) AND state = sqlc.arg(state) AND id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListDeliveriesByEndpoint :many
SELECT * FROM deliveries
WHERE endpoint = sqlc.arg(endpoint) AND id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListDeliveriesByState :many
SELECT * FROM deliveries
WHERE state = sqlc.arg(state) AND id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListDeliveries :many
SELECT * FROM deliveries
WHERE id < sqlc.arg(before)
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

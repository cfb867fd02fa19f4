-- name: InsertKey :exec
INSERT INTO access_keys (access_key, app_id, secret, created_at, revoked_at)
VALUES (sqlc.arg(access_key), sqlc.arg(app_id), sqlc.arg(secret), sqlc.arg(created_at), 0);

-- name: KeyByAccessKey :one
SELECT * FROM access_keys WHERE access_key = sqlc.arg(access_key);

-- name: Keys :many
SELECT * FROM access_keys
WHERE CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT)
ORDER BY app_id, access_key;

-- name: RevokeKey :execrows
UPDATE access_keys SET revoked_at = CASE WHEN revoked_at = 0 THEN CAST(sqlc.arg(now) AS BIGINT) ELSE revoked_at END
WHERE access_key = sqlc.arg(access_key);

-- name: PutRoom :execrows
INSERT INTO rooms (room_id, app_id, created_at)
VALUES (sqlc.arg(room_id), sqlc.arg(app_id), sqlc.arg(created_at))
ON CONFLICT (room_id) DO NOTHING;

-- name: RoomByID :one
SELECT * FROM rooms WHERE room_id = sqlc.arg(room_id);

-- name: AssetsOfCapture :many
SELECT a.* FROM jobs j JOIN assets a ON a.job_id = j.id
WHERE j.capture_key = sqlc.arg(capture_key) AND j.parent_id = '' AND a.superseded_by = ''
ORDER BY a.id;

-- name: AssetTypesOfCapture :many
SELECT DISTINCT a.type FROM jobs j JOIN assets a ON a.job_id = j.id
WHERE j.capture_key = sqlc.arg(capture_key) AND j.parent_id = '' AND a.superseded_by = ''
ORDER BY a.type;

-- name: PutRequest :execrows
INSERT INTO requests (app_id, request_key, digest, holder, created_at, status, body)
VALUES (sqlc.arg(app_id), sqlc.arg(request_key), sqlc.arg(digest), sqlc.arg(holder), sqlc.arg(created_at), 0, '')
ON CONFLICT (app_id, request_key) DO NOTHING;

-- name: TakeRequest :execrows
-- A request without an answer goes to the next one after a while, and one with
-- an answer is forgotten after a longer one.
UPDATE requests
SET digest = sqlc.arg(digest), holder = sqlc.arg(holder), created_at = sqlc.arg(created_at), status = 0, body = ''
WHERE app_id = sqlc.arg(app_id) AND request_key = sqlc.arg(request_key)
    AND (created_at < sqlc.arg(expired) OR status = 0 AND created_at < sqlc.arg(stale));

-- name: RequestByKey :one
SELECT * FROM requests WHERE app_id = sqlc.arg(app_id) AND request_key = sqlc.arg(request_key);

-- name: AnswerRequest :execrows
UPDATE requests SET status = sqlc.arg(status), body = sqlc.arg(body)
WHERE app_id = sqlc.arg(app_id) AND request_key = sqlc.arg(request_key) AND holder = sqlc.arg(holder);

-- name: ReleaseRequest :execrows
DELETE FROM requests
WHERE app_id = sqlc.arg(app_id) AND request_key = sqlc.arg(request_key)
    AND holder = sqlc.arg(holder) AND status = 0;

-- name: ForgetRequests :execrows
DELETE FROM requests WHERE created_at < sqlc.arg(expired);

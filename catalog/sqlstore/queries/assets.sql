-- name: InsertAsset :exec
INSERT INTO assets (
    id, job_id, room_id, session_id, type, path, size, duration, status, created_at, started_at,
    thumbnails, metadata, error_kind, error_message, version, supersedes, software, asset_key,
    superseded_by, app_id
) VALUES (
    sqlc.arg(id), sqlc.arg(job_id), sqlc.arg(room_id), sqlc.arg(session_id), sqlc.arg(type),
    sqlc.arg(path), sqlc.arg(size), sqlc.arg(duration), sqlc.arg(status), sqlc.arg(created_at),
    sqlc.arg(started_at), sqlc.arg(thumbnails), sqlc.arg(metadata), sqlc.arg(error_kind),
    sqlc.arg(error_message), sqlc.arg(version), sqlc.arg(supersedes), sqlc.arg(software),
    sqlc.arg(asset_key), sqlc.arg(superseded_by), sqlc.arg(app_id)
);

-- name: ReplaceAsset :execrows
-- A completed asset never changes; the rule stands here too.
UPDATE assets
SET job_id = sqlc.arg(job_id), room_id = sqlc.arg(room_id), session_id = sqlc.arg(session_id),
    type = sqlc.arg(type), path = sqlc.arg(path), size = sqlc.arg(size),
    duration = sqlc.arg(duration), status = sqlc.arg(status), started_at = sqlc.arg(started_at),
    thumbnails = sqlc.arg(thumbnails), metadata = sqlc.arg(metadata),
    error_kind = sqlc.arg(error_kind), error_message = sqlc.arg(error_message),
    supersedes = sqlc.arg(supersedes), software = sqlc.arg(software)
WHERE id = sqlc.arg(id) AND status <> 'completed';

-- name: SupersedeAsset :execrows
UPDATE assets SET superseded_by = sqlc.arg(superseded_by) WHERE id = sqlc.arg(id);

-- name: DeleteAsset :execrows
DELETE FROM assets WHERE id = sqlc.arg(id);

-- name: AssetByID :one
SELECT * FROM assets WHERE id = sqlc.arg(id);

-- name: AssetByKeyAndVersion :one
SELECT * FROM assets WHERE asset_key = sqlc.arg(asset_key) AND version = sqlc.arg(version);

-- name: AssetByKeyAndJob :one
SELECT * FROM assets
WHERE asset_key = sqlc.arg(asset_key) AND job_id = sqlc.arg(job_id)
ORDER BY version DESC LIMIT 1;

-- name: LastVersion :one
-- 0 when there is no asset of the key.
SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) AS version FROM assets
WHERE asset_key = sqlc.arg(asset_key);

-- name: LatestCompletedAsset :one
SELECT * FROM assets
WHERE asset_key = sqlc.arg(asset_key) AND status = 'completed'
ORDER BY version DESC LIMIT 1;

-- name: LatestAssetByKey :one
-- The newest completed one, or the newest when none is.
SELECT * FROM assets
WHERE asset_key = sqlc.arg(asset_key)
ORDER BY CASE WHEN status = 'completed' THEN 1 ELSE 0 END DESC, version DESC LIMIT 1;

-- name: PutPlace :execrows
INSERT INTO places (path, job_id, fence, asset_key, asset_id)
VALUES (sqlc.arg(path), sqlc.arg(job_id), sqlc.arg(fence), sqlc.arg(asset_key), '')
ON CONFLICT (path) DO NOTHING;

-- name: PlaceByPath :one
SELECT * FROM places WHERE path = sqlc.arg(path);

-- name: FillPlace :execrows
UPDATE places SET asset_id = sqlc.arg(asset_id) WHERE path = sqlc.arg(path);

-- name: EmptyPlaces :execrows
UPDATE places SET asset_id = '' WHERE asset_id <> '' AND asset_id = sqlc.arg(asset_id);

-- name: StrayPlaces :many
SELECT p.* FROM places p JOIN jobs j ON j.id = p.job_id
WHERE p.asset_id = ''
    AND (j.fence > p.fence OR j.state IN ('completed', 'failed', 'canceled'))
ORDER BY p.path
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ForgetPlace :execrows
DELETE FROM places WHERE path = sqlc.arg(path) AND asset_id = '';

-- name: ListAssetsByJob :many
-- A list is led by its most selective filter, whose index gives the order too; the
-- other filters are written so that no engine picks their index instead.
SELECT * FROM assets
WHERE job_id = sqlc.arg(job_id) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(session_id) AS TEXT) = '' OR session_id = CAST(sqlc.arg(session_id) AS TEXT))
    AND (CAST(sqlc.arg(room_id) AS TEXT) = '' OR room_id = CAST(sqlc.arg(room_id) AS TEXT))
    AND (CAST(sqlc.arg(type) AS TEXT) = '' OR type = CAST(sqlc.arg(type) AS TEXT))
    AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
    AND (CAST(sqlc.arg(superseded) AS BIGINT) = 1 OR superseded_by = '')
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListAssetsBySession :many
SELECT * FROM assets
WHERE session_id = sqlc.arg(session_id) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(room_id) AS TEXT) = '' OR room_id = CAST(sqlc.arg(room_id) AS TEXT))
    AND (CAST(sqlc.arg(type) AS TEXT) = '' OR type = CAST(sqlc.arg(type) AS TEXT))
    AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
    AND (CAST(sqlc.arg(superseded) AS BIGINT) = 1 OR superseded_by = '')
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListAssetsByRoom :many
SELECT * FROM assets
WHERE room_id = sqlc.arg(room_id) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(type) AS TEXT) = '' OR type = CAST(sqlc.arg(type) AS TEXT))
    AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
    AND (CAST(sqlc.arg(superseded) AS BIGINT) = 1 OR superseded_by = '')
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListAllAssets :many
-- With superseded ones, over all rooms: nobody is in a hurry for that.
SELECT * FROM assets
WHERE id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(type) AS TEXT) = '' OR type = CAST(sqlc.arg(type) AS TEXT))
    AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
    AND (CAST(sqlc.arg(superseded) AS BIGINT) = 1 OR superseded_by = '')
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListCurrentAssetsOfRoomByStatus :many
-- Lists of current assets say so in the words of their partial indexes.
SELECT * FROM assets
WHERE superseded_by = '' AND room_id = sqlc.arg(room_id) AND status = sqlc.arg(status) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(type) AS TEXT) = '' OR type = CAST(sqlc.arg(type) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListCurrentAssetsOfRoomByType :many
SELECT * FROM assets
WHERE superseded_by = '' AND room_id = sqlc.arg(room_id) AND type = sqlc.arg(type) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListCurrentAssetsOfApp :many
SELECT * FROM assets
WHERE superseded_by = '' AND version > 0 AND app_id = sqlc.arg(app_id) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListCurrentAssetsOfAppByStatus :many
SELECT * FROM assets
WHERE superseded_by = '' AND app_id = sqlc.arg(app_id) AND status = sqlc.arg(status) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(type) AS TEXT) = '' OR type = CAST(sqlc.arg(type) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListCurrentAssetsOfAppByType :many
SELECT * FROM assets
WHERE superseded_by = '' AND app_id = sqlc.arg(app_id) AND type = sqlc.arg(type) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListCurrentAssets :many
SELECT * FROM assets
WHERE superseded_by = '' AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListCurrentAssetsByStatus :many
SELECT * FROM assets
WHERE superseded_by = '' AND size >= 0 AND status = sqlc.arg(status) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(type) AS TEXT) = '' OR type = CAST(sqlc.arg(type) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListCurrentAssetsByType :many
SELECT * FROM assets
WHERE superseded_by = '' AND size >= 0 AND type = sqlc.arg(type) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT))
    AND (CAST(sqlc.arg(software) AS TEXT) = '' OR software = CAST(sqlc.arg(software) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: ListCurrentAssetsBySoftware :many
SELECT * FROM assets
WHERE superseded_by = '' AND size >= 0 AND software = sqlc.arg(software) AND id < sqlc.arg(before) AND id > sqlc.arg(after)
    AND (CAST(sqlc.arg(type) AS TEXT) = '' OR type = CAST(sqlc.arg(type) AS TEXT))
    AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT))
    AND (CAST(sqlc.arg(any_app) AS BIGINT) = 1 OR app_id = CAST(sqlc.arg(app_id) AS TEXT))
    AND (CAST(sqlc.arg(created_from) AS BIGINT) = 0 OR created_at >= CAST(sqlc.arg(created_from) AS BIGINT))
    AND (CAST(sqlc.arg(created_before) AS BIGINT) = 0 OR created_at < CAST(sqlc.arg(created_before) AS BIGINT))
ORDER BY id DESC
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- The schema is written for SQLite and PostgreSQL alike: ids and JSON are TEXT,
-- times are BIGINT microseconds since 1970 in UTC (0: none), durations BIGINT
-- nanoseconds.

-- +goose Up
CREATE TABLE jobs (
    id            TEXT   NOT NULL PRIMARY KEY,
    capture_uri   TEXT   NOT NULL,
    capture_key   TEXT   NOT NULL,
    recording_id  TEXT   NOT NULL,
    room_id       TEXT   NOT NULL,
    session_id    TEXT   NOT NULL,
    template_id   TEXT   NOT NULL,
    source        TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    stage         TEXT   NOT NULL,
    progress      BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    started_at    BIGINT NOT NULL,
    stopped_at    BIGINT NOT NULL,
    defects       TEXT   NOT NULL,
    error_kind    TEXT   NOT NULL,
    error_message TEXT   NOT NULL
);

CREATE UNIQUE INDEX jobs_by_capture ON jobs (capture_key);

CREATE TABLE assets (
    id            TEXT   NOT NULL PRIMARY KEY,
    job_id        TEXT   NOT NULL REFERENCES jobs (id),
    room_id       TEXT   NOT NULL,
    session_id    TEXT   NOT NULL,
    type          TEXT   NOT NULL,
    path          TEXT   NOT NULL,
    size          BIGINT NOT NULL,
    duration      BIGINT NOT NULL,
    status        TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    started_at    BIGINT NOT NULL,
    thumbnails    TEXT   NOT NULL,
    metadata      TEXT   NOT NULL,
    error_kind    TEXT   NOT NULL,
    error_message TEXT   NOT NULL,
    version       BIGINT NOT NULL,
    supersedes    TEXT   NOT NULL,
    software      TEXT   NOT NULL,
    asset_key     TEXT   NOT NULL
);

-- The last line of defence against a second asset of the same thing.
CREATE UNIQUE INDEX assets_by_key ON assets (asset_key, version);

-- Lists are newest first by id, so each filter's index ends in the id.
CREATE INDEX assets_by_room ON assets (room_id, id);
CREATE INDEX assets_by_session ON assets (session_id, id);
CREATE INDEX assets_by_job ON assets (job_id, id);
CREATE INDEX assets_by_type ON assets (type, id);
CREATE INDEX assets_by_status ON assets (status, id);
CREATE INDEX assets_by_type_and_status ON assets (type, status, id);

-- +goose Down
DROP TABLE assets;
DROP TABLE jobs;

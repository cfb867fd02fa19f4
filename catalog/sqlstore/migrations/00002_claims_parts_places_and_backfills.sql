-- Jobs are queued, claimed with a fence, divided into parts and made again;
-- assets follow each other; storage keys belong to claims.

-- +goose Up
ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'capture';
ALTER TABLE jobs ADD COLUMN parent_id TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN options TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN result TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN queue TEXT NOT NULL DEFAULT 'default';
ALTER TABLE jobs ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN cost_cpu BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN cost_memory BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN max_attempts BIGINT NOT NULL DEFAULT 5;
ALTER TABLE jobs ADD COLUMN takeovers BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN worker TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN claimed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN heartbeat_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN run_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN cancel_requested BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN backfill_id TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN finished_at BIGINT NOT NULL DEFAULT 0;
-- The ticket of the job that the queue was given last, and when; '' and 0: none
-- since the job was queued.
ALTER TABLE jobs ADD COLUMN ticket_id TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN ticket_at BIGINT NOT NULL DEFAULT 0;

-- A job of the first schema has had a claim for each attempt. One that is still
-- running was left by a process that died: the sweeper finds its last sign of
-- life.
UPDATE jobs SET fence = attempts, run_at = created_at;
UPDATE jobs SET claimed_at = updated_at, heartbeat_at = updated_at WHERE state = 'running';
UPDATE jobs SET finished_at = updated_at WHERE state IN ('completed', 'failed');

DROP INDEX jobs_by_capture;
-- A part's capture_key is a name within its parent.
CREATE UNIQUE INDEX jobs_by_capture ON jobs (capture_key, generation, parent_id);

CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE INDEX jobs_by_kind ON jobs (kind, id);
CREATE INDEX jobs_by_kind_and_state ON jobs (kind, state, id);
CREATE INDEX jobs_by_queue ON jobs (queue, id);
CREATE INDEX jobs_by_queue_and_state ON jobs (queue, state, id);
CREATE INDEX jobs_by_room ON jobs (room_id, id);
CREATE INDEX jobs_by_parent ON jobs (parent_id, id) WHERE parent_id <> '';
CREATE INDEX jobs_by_backfill ON jobs (backfill_id, id) WHERE backfill_id <> '';
-- What the sweeper and the counts look at, however many jobs are over.
CREATE INDEX jobs_running ON jobs (id) WHERE state = 'running';
CREATE INDEX jobs_open ON jobs (kind, queue, state, run_at) WHERE finished_at = 0;

CREATE TABLE outbox (
    id       TEXT   NOT NULL PRIMARY KEY,
    job_id   TEXT   NOT NULL REFERENCES jobs (id),
    queue    TEXT   NOT NULL,
    priority BIGINT NOT NULL,
    run_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX outbox_by_job ON outbox (job_id);
CREATE INDEX outbox_by_turn ON outbox (priority DESC, run_at, id);

CREATE TABLE attempts (
    job_id        TEXT   NOT NULL REFERENCES jobs (id),
    fence         BIGINT NOT NULL,
    worker        TEXT   NOT NULL,
    stage         TEXT   NOT NULL,
    ending        TEXT   NOT NULL,
    error_kind    TEXT   NOT NULL,
    error_message TEXT   NOT NULL,
    started_at    BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    cpu           BIGINT NOT NULL,
    memory        BIGINT NOT NULL,
    PRIMARY KEY (job_id, fence)
);

CREATE TABLE leases (
    name       TEXT   NOT NULL PRIMARY KEY,
    holder     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);

ALTER TABLE assets ADD COLUMN superseded_by TEXT NOT NULL DEFAULT '';
UPDATE assets
SET superseded_by = COALESCE((
    SELECT MAX(n.id) FROM assets n WHERE n.supersedes = assets.id AND n.status = 'completed'
), '')
WHERE id IN (SELECT supersedes FROM assets WHERE supersedes <> '');

-- Lists leave superseded assets out; where a filter can meet a great many of
-- them, the index leaves them out too.
CREATE INDEX assets_current ON assets (id) WHERE superseded_by = '';
CREATE INDEX assets_current_by_type ON assets (type, id) WHERE superseded_by = '';
CREATE INDEX assets_current_by_status ON assets (status, id) WHERE superseded_by = '';
CREATE INDEX assets_current_by_type_and_status ON assets (type, status, id) WHERE superseded_by = '';
CREATE INDEX assets_current_by_software ON assets (software, id) WHERE superseded_by = '';
CREATE INDEX assets_by_software ON assets (software, id);

-- asset_id is the asset whose bytes lie there, or '' while there is none.
CREATE TABLE places (
    path      TEXT   NOT NULL PRIMARY KEY,
    job_id    TEXT   NOT NULL REFERENCES jobs (id),
    fence     BIGINT NOT NULL,
    asset_key TEXT   NOT NULL,
    asset_id  TEXT   NOT NULL
);
CREATE INDEX places_by_asset ON places (asset_id, path);
INSERT INTO places (path, job_id, fence, asset_key, asset_id)
SELECT path, job_id, 0, asset_key, id FROM assets
WHERE id IN (SELECT MAX(id) FROM assets WHERE path <> '' GROUP BY path);

CREATE TABLE backfills (
    id            TEXT             NOT NULL PRIMARY KEY,
    created_at    BIGINT           NOT NULL,
    selection     TEXT             NOT NULL,
    options       TEXT             NOT NULL,
    rate          DOUBLE PRECISION NOT NULL,
    max_in_flight BIGINT           NOT NULL,
    state         TEXT             NOT NULL
);

CREATE TABLE backfill_items (
    backfill_id TEXT NOT NULL REFERENCES backfills (id),
    asset_id    TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    PRIMARY KEY (backfill_id, asset_id)
);
CREATE INDEX backfill_items_by_state ON backfill_items (backfill_id, state, asset_id);

-- +goose Down
DROP TABLE backfill_items;
DROP TABLE backfills;
DROP TABLE places;
DROP INDEX assets_by_software;
DROP INDEX assets_current_by_software;
DROP INDEX assets_current_by_type_and_status;
DROP INDEX assets_current_by_status;
DROP INDEX assets_current_by_type;
DROP INDEX assets_current;
ALTER TABLE assets DROP COLUMN superseded_by;
DROP TABLE leases;
DROP TABLE attempts;
DROP TABLE outbox;
DELETE FROM assets WHERE job_id IN (SELECT id FROM jobs WHERE kind <> 'capture' OR generation > 0);
DELETE FROM jobs WHERE kind <> 'capture' OR generation > 0;
DROP INDEX jobs_open;
DROP INDEX jobs_running;
DROP INDEX jobs_by_backfill;
DROP INDEX jobs_by_parent;
DROP INDEX jobs_by_room;
DROP INDEX jobs_by_queue_and_state;
DROP INDEX jobs_by_queue;
DROP INDEX jobs_by_kind_and_state;
DROP INDEX jobs_by_kind;
DROP INDEX jobs_by_state;
DROP INDEX jobs_by_capture;
ALTER TABLE jobs DROP COLUMN ticket_at;
ALTER TABLE jobs DROP COLUMN ticket_id;
ALTER TABLE jobs DROP COLUMN finished_at;
ALTER TABLE jobs DROP COLUMN backfill_id;
ALTER TABLE jobs DROP COLUMN cancel_requested;
ALTER TABLE jobs DROP COLUMN run_at;
ALTER TABLE jobs DROP COLUMN heartbeat_at;
ALTER TABLE jobs DROP COLUMN claimed_at;
ALTER TABLE jobs DROP COLUMN worker;
ALTER TABLE jobs DROP COLUMN fence;
ALTER TABLE jobs DROP COLUMN takeovers;
ALTER TABLE jobs DROP COLUMN max_attempts;
ALTER TABLE jobs DROP COLUMN cost_memory;
ALTER TABLE jobs DROP COLUMN cost_cpu;
ALTER TABLE jobs DROP COLUMN priority;
ALTER TABLE jobs DROP COLUMN queue;
ALTER TABLE jobs DROP COLUMN result;
ALTER TABLE jobs DROP COLUMN options;
ALTER TABLE jobs DROP COLUMN generation;
ALTER TABLE jobs DROP COLUMN parent_id;
ALTER TABLE jobs DROP COLUMN kind;
CREATE UNIQUE INDEX jobs_by_capture ON jobs (capture_key);

-- Apps have rooms, jobs and assets; lists have an index for every filter.

-- +goose Up
-- '' is the app of whatever was queued without one.
ALTER TABLE jobs ADD COLUMN app_id TEXT NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN app_id TEXT NOT NULL DEFAULT '';

CREATE TABLE rooms (
    room_id    TEXT   NOT NULL PRIMARY KEY,
    app_id     TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE access_keys (
    access_key TEXT   NOT NULL PRIMARY KEY,
    app_id     TEXT   NOT NULL,
    secret     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);
CREATE INDEX access_keys_by_app ON access_keys (app_id, access_key);

CREATE TABLE requests (
    app_id      TEXT   NOT NULL,
    request_key TEXT   NOT NULL,
    digest      TEXT   NOT NULL,
    holder      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    status      BIGINT NOT NULL,
    body        TEXT   NOT NULL,
    PRIMARY KEY (app_id, request_key)
);
CREATE INDEX requests_by_age ON requests (created_at);

-- Without statistics SQLite takes the narrowest index that fits somehow. Where
-- that would be one of another list, its condition has a word that only its own
-- lists say, and that is true of every asset: version > 0, size >= 0.
--
-- What follows the id in an index is what the other filters look at, so that
-- rows that do not fit are passed over without being read.
DROP INDEX assets_by_room;
CREATE INDEX assets_by_room ON assets (room_id, id, superseded_by);
CREATE INDEX assets_by_room_and_type ON assets (room_id, type, id, status) WHERE superseded_by = '';
CREATE INDEX assets_by_room_and_status ON assets (room_id, status, id, type) WHERE superseded_by = '';
DROP INDEX assets_by_session;
CREATE INDEX assets_by_session ON assets (session_id, id, type, status, room_id, superseded_by);
DROP INDEX assets_by_type;
DROP INDEX assets_by_status;
DROP INDEX assets_by_type_and_status;
DROP INDEX assets_by_software;
DROP INDEX assets_current_by_type;
DROP INDEX assets_current_by_status;
DROP INDEX assets_current_by_type_and_status;
DROP INDEX assets_current_by_software;
CREATE INDEX assets_current_by_software ON assets (software, id, type, status) WHERE superseded_by = '' AND size >= 0;
CREATE INDEX assets_current_by_type ON assets (type, id, status) WHERE superseded_by = '' AND size >= 0;
CREATE INDEX assets_current_by_status ON assets (status, id, type) WHERE superseded_by = '' AND size >= 0;
CREATE INDEX assets_by_app ON assets (app_id, id) WHERE superseded_by = '' AND version > 0;
CREATE INDEX assets_by_app_and_type ON assets (app_id, type, id, status) WHERE superseded_by = '';
CREATE INDEX assets_by_app_and_status ON assets (app_id, status, id, type) WHERE superseded_by = '';

CREATE INDEX jobs_by_app ON jobs (app_id, id, kind, state, queue);
CREATE INDEX jobs_by_app_and_state ON jobs (app_id, state, id, kind, queue);
-- Recordings are captures that were made for the first time.
CREATE INDEX jobs_recordings_by_room ON jobs (room_id, id) WHERE kind = 'capture' AND generation = 0;
CREATE INDEX jobs_recordings_by_session ON jobs (session_id, id) WHERE kind = 'capture' AND generation = 0;
CREATE INDEX jobs_recordings ON jobs (app_id, state, id) WHERE kind = 'capture' AND generation = 0 AND source <> 'live-stream';
CREATE INDEX jobs_live_streams ON jobs (app_id, state, id) WHERE kind = 'capture' AND generation = 0 AND source = 'live-stream';

-- +goose Down
DROP INDEX jobs_live_streams;
DROP INDEX jobs_recordings;
DROP INDEX jobs_recordings_by_session;
DROP INDEX jobs_recordings_by_room;
DROP INDEX jobs_by_app_and_state;
DROP INDEX jobs_by_app;
DROP INDEX assets_by_app_and_status;
DROP INDEX assets_by_app_and_type;
DROP INDEX assets_by_app;
DROP INDEX assets_current_by_status;
DROP INDEX assets_current_by_type;
DROP INDEX assets_current_by_software;
CREATE INDEX assets_current_by_software ON assets (software, id) WHERE superseded_by = '';
CREATE INDEX assets_current_by_type ON assets (type, id) WHERE superseded_by = '';
CREATE INDEX assets_current_by_status ON assets (status, id) WHERE superseded_by = '';
CREATE INDEX assets_current_by_type_and_status ON assets (type, status, id) WHERE superseded_by = '';
CREATE INDEX assets_by_software ON assets (software, id);
CREATE INDEX assets_by_type_and_status ON assets (type, status, id);
CREATE INDEX assets_by_status ON assets (status, id);
CREATE INDEX assets_by_type ON assets (type, id);
DROP INDEX assets_by_session;
CREATE INDEX assets_by_session ON assets (session_id, id);
DROP INDEX assets_by_room_and_status;
DROP INDEX assets_by_room_and_type;
DROP INDEX assets_by_room;
CREATE INDEX assets_by_room ON assets (room_id, id);
DROP TABLE requests;
DROP TABLE access_keys;
DROP TABLE rooms;
ALTER TABLE assets DROP COLUMN app_id;
ALTER TABLE jobs DROP COLUMN app_id;

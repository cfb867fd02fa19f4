-- What is told to the customer's servers: the ends of jobs, and what becomes of
-- them for each endpoint.

-- +goose Up
-- An event stays until its deliveries are there.
CREATE TABLE events (
    id            TEXT   NOT NULL PRIMARY KEY,
    job_id        TEXT   NOT NULL REFERENCES jobs (id),
    capture_key   TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    stage         TEXT   NOT NULL,
    error_kind    TEXT   NOT NULL,
    error_message TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE INDEX events_by_turn ON events (created_at, id);
CREATE INDEX events_by_capture ON events (capture_key, created_at, id);

-- A delivery outlives the asset and the endpoint that it is of.
CREATE TABLE deliveries (
    id           TEXT   NOT NULL PRIMARY KEY,
    endpoint     TEXT   NOT NULL,
    event_id     TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    type         TEXT   NOT NULL,
    lane         TEXT   NOT NULL,
    event_at     BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    job_id       TEXT   NOT NULL,
    asset_id     TEXT   NOT NULL,
    payload      TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    attempts     BIGINT NOT NULL,
    claim        BIGINT NOT NULL,
    run_at       BIGINT NOT NULL,
    replay       BIGINT NOT NULL,
    status       BIGINT NOT NULL,
    error        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    delivered_at BIGINT NOT NULL
);
-- Nothing is told twice, whoever makes the deliveries of an event.
CREATE UNIQUE INDEX deliveries_by_subject ON deliveries (endpoint, subject);
CREATE INDEX deliveries_due ON deliveries (endpoint, run_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_by_lane ON deliveries (endpoint, lane, event_at, number) WHERE state = 'pending';
CREATE INDEX deliveries_by_age ON deliveries (state, updated_at, id);
CREATE INDEX deliveries_by_state ON deliveries (state, id);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, id);
CREATE INDEX deliveries_by_endpoint_and_state ON deliveries (endpoint, state, id);
CREATE INDEX deliveries_by_job ON deliveries (job_id, id);

-- +goose Down
DROP TABLE deliveries;
DROP TABLE events;

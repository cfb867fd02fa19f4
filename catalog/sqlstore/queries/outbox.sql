-- name: PutTicket :exec
-- A job has one ticket in the outbox at most; a new one takes the old one's
-- place, because the job may now run at another time.
INSERT INTO outbox (id, job_id, queue, priority, run_at)
VALUES (sqlc.arg(id), sqlc.arg(job_id), sqlc.arg(queue), sqlc.arg(priority), sqlc.arg(run_at))
ON CONFLICT (job_id) DO UPDATE SET
    id = excluded.id, queue = excluded.queue, priority = excluded.priority, run_at = excluded.run_at;

-- name: AddTicket :execrows
-- For a job that is queued and has no ticket in the outbox.
INSERT INTO outbox (id, job_id, queue, priority, run_at)
SELECT CAST(sqlc.arg(ticket_id) AS TEXT), j.id, j.queue, j.priority, j.run_at FROM jobs j
WHERE j.id = sqlc.arg(job_id) AND j.state = 'queued'
ON CONFLICT (job_id) DO NOTHING;

-- name: DropTicketsOfJob :execrows
DELETE FROM outbox WHERE job_id = sqlc.arg(job_id);

-- name: DropTicketsOfParts :execrows
DELETE FROM outbox
WHERE job_id IN (SELECT j.id FROM jobs j WHERE j.parent_id <> '' AND j.parent_id = sqlc.arg(parent_id));

-- name: DropTicket :execrows
DELETE FROM outbox WHERE id = sqlc.arg(id);

-- name: NoteTicket :execrows
-- Of a ticket that is still in the outbox; what the job remembers is newer
-- otherwise. The job comes before its outbox row, as in all transactions.
UPDATE jobs SET ticket_id = CAST(sqlc.arg(ticket_id) AS TEXT), ticket_at = sqlc.arg(now)
WHERE jobs.id = sqlc.arg(job_id) AND state = 'queued'
    AND EXISTS (SELECT 1 FROM outbox o WHERE o.id = CAST(sqlc.arg(ticket_id) AS TEXT));

-- name: DueTickets :many
SELECT * FROM outbox
WHERE run_at <= sqlc.arg(now)
ORDER BY priority DESC, run_at, id
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: WaitingTickets :many
-- Tickets that the queue was given before a time, of jobs that still wait.
SELECT j.ticket_id, j.id AS job_id, j.queue, j.priority, j.run_at FROM jobs j
WHERE j.state = 'queued' AND j.id > sqlc.arg(after)
    AND j.ticket_at > 0 AND j.ticket_at < sqlc.arg(before)
    AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.job_id = j.id)
ORDER BY j.id
LIMIT CAST(sqlc.arg(max_rows) AS BIGINT);

-- name: RenewLease :execrows
UPDATE leases SET holder = sqlc.arg(holder), expires_at = sqlc.arg(expires_at)
WHERE name = sqlc.arg(name) AND (holder = sqlc.arg(holder) OR expires_at <= sqlc.arg(now));

-- name: NewLease :execrows
INSERT INTO leases (name, holder, expires_at)
VALUES (sqlc.arg(name), sqlc.arg(holder), sqlc.arg(expires_at))
ON CONFLICT (name) DO NOTHING;

-- name: DropLease :execrows
DELETE FROM leases WHERE name = sqlc.arg(name) AND holder = sqlc.arg(holder);

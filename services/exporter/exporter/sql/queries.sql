-- insert_job: create the row of each job, which is the lock for what follows
INSERT INTO job (job_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING;

-- lock_job: lock a job and return what the admission of its trigger depends on
SELECT
    deleted,
    (SELECT count(*) FROM run WHERE run.job_id = job.job_id AND state = 'queued') AS queued,
    (SELECT count(*) FROM run WHERE run.job_id = job.job_id AND state = 'running') AS running
FROM job
WHERE job_id = $1
FOR UPDATE;

-- insert_run: admit a run; returns nothing when it was admitted before
INSERT INTO run (
    run_id, job_id, tenant_id, slot, settings, state, queued_at, not_before, cancel_reason, ended_at, cause
)
VALUES (
    :run_id, :job_id, :tenant_id, :slot, :settings::text::jsonb, :state, :now, :now, :cancel_reason,
    CASE WHEN :state = 'queued' THEN NULL ELSE :now::timestamptz END, :cause
)
ON CONFLICT DO NOTHING
RETURNING run_id;

-- take_early_cancel: remove and return the cancel command that arrived before its run
DELETE FROM early_cancel WHERE run_id = $1 RETURNING requested_by;

-- insert_early_cancel: keep a cancel command until its run is admitted
INSERT INTO early_cancel (run_id, requested_by) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- run_exists: whether a run was admitted, in any state
SELECT true FROM run WHERE run_id = $1;

-- request_cancel: request that open runs be cancelled; the first reason stays
UPDATE run
SET cancel_reason = $2, cancel_by = $3
WHERE run_id = ANY ($1::uuid[]) AND state IN ('queued', 'running') AND cancel_reason IS NULL;

-- delete_job: mark a job as deleted; returns its open runs
WITH deleted_job AS (
    INSERT INTO job (job_id, deleted) VALUES ($1, true)
    ON CONFLICT (job_id) DO UPDATE SET deleted = true
    RETURNING job_id
)
SELECT run_id FROM run JOIN deleted_job USING (job_id) WHERE state IN ('queued', 'running');

-- save_certificate: save a certificate unless a newer version is already saved
INSERT INTO certificate (certificate_id, tenant_id, version, active, pem)
VALUES (:certificate_id, :tenant_id, :version, :active, :pem)
ON CONFLICT (certificate_id) DO UPDATE
SET version = excluded.version, active = excluded.active, pem = excluded.pem
WHERE certificate.version < excluded.version;

-- save_source_numbers: save tenants' numbers, except where the tenant has one or the number has a tenant
INSERT INTO source_number (tenant_id, source_tenant)
SELECT tenant_id, source_tenant FROM unnest($1::uuid[], $2::integer[]) AS published (tenant_id, source_tenant)
ON CONFLICT DO NOTHING;

-- find_source_number_clash: a tenant and number that are not those on record
SELECT tenant_id, source_tenant FROM unnest($1::uuid[], $2::integer[]) AS published (tenant_id, source_tenant)
EXCEPT SELECT tenant_id, source_tenant FROM source_number
LIMIT 1;

-- source_number: the number of a tenant's rows in the source
SELECT source_tenant FROM source_number WHERE tenant_id = $1;

-- forget_certificate: remove a certificate that was deleted long ago
DELETE FROM certificate WHERE certificate_id = $1;

-- list_certificates: the certificates to encrypt for: the named ones, or else all of the tenant; active ones only
SELECT pem
FROM certificate
WHERE tenant_id = $1 AND active AND ($2::uuid[] IS NULL OR certificate_id = ANY ($2))
ORDER BY certificate_id;

-- cancel_unclaimed: cancel runs on request that are queued, or whose lease has expired
UPDATE run
SET state = 'cancelled', ended_at = clock_timestamp(), lease_until = NULL, lease_expired = false, snapshot = NULL, seq = seq + 1,
    sweep_at = clock_timestamp() + interval '1 minute'
WHERE run_id IN (
    SELECT run_id FROM run
    WHERE cancel_reason IS NOT NULL AND (state = 'queued' OR lease_expired)
    FOR UPDATE SKIP LOCKED
)
RETURNING run_id, job_id, tenant_id, token, seq, cancel_reason, cancel_by, ended_at;

-- lock_claims: serialize claims, so that a tenant's limit is exact
SELECT pg_advisory_xact_lock(hashtext('exporter.claim'));

-- claim: claim the next run, of the tenant with the fewest running, then the oldest; a takeover is not an attempt
WITH next AS (
    SELECT run_id, state AS previous_state
    FROM claimable_run
    WHERE :tenant_limit::integer IS NULL OR tenant_running < :tenant_limit
    ORDER BY tenant_running, queued_at, run_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE run
SET state = 'running',
    token = token + 1,
    seq = 0,
    attempt = attempt + CASE next.previous_state WHEN 'queued' THEN 1 ELSE 0 END,
    exporter = :exporter,
    lease_until = clock_timestamp() + :lease::interval,
    lease_length = :lease,
    lease_expired = false
FROM next
WHERE run.run_id = next.run_id
RETURNING
    run.run_id, job_id, tenant_id, slot, cause, settings::text AS settings, attempt, token, window_start, window_end,
    window_note, window_position, previous_state,
    (SELECT complete_through FROM job WHERE job.job_id = run.job_id) AS complete_through;

-- has_claimable_runs: whether an exporter with a free worker place would claim a run; $1 limits a tenant's running runs
SELECT EXISTS (SELECT FROM claimable_run WHERE $1::integer IS NULL OR tenant_running < $1);

-- seconds_to_retry: how long until a queued run may be tried again; NULL when there is none
SELECT extract(epoch FROM min(not_before) - clock_timestamp())::float8
FROM run
WHERE state = 'queued' AND not_before > clock_timestamp();

-- list_leases: the leases on runs and on helpers' slices that are not known to have expired
SELECT run_id, NULL::text AS kind, NULL::integer AS number, token, heartbeat, lease_until AS until,
    lease_length AS length
FROM run
WHERE state = 'running' AND NOT lease_expired
UNION ALL
SELECT run_id, kind, number, token, heartbeat, lease_until, lease_length
FROM slice
WHERE state = 'running' AND lease_until IS NOT NULL AND NOT lease_expired;

-- expire_run: mark the lease on a run as expired, unless it was renewed, claimed or ended since it was listed
UPDATE run
SET lease_expired = true
WHERE run_id = $1 AND token = $2 AND heartbeat = $3 AND lease_until = $4 AND state = 'running';

-- expire_slice: mark the lease on a slice as expired, unless it was renewed, claimed or released since it was listed
UPDATE slice
SET lease_expired = true
WHERE run_id = $1 AND token = $2 AND heartbeat = $3 AND lease_until = $4 AND kind = $5 AND number = $6
  AND state = 'running';

-- renew: extend a run's lease; returns nothing when the claim is lost, or else whether the run is to be cancelled
UPDATE run
SET heartbeat = heartbeat + 1, lease_until = clock_timestamp() + $3::interval, lease_length = $3, lease_expired = false
WHERE run_id = $1 AND token = $2 AND state = 'running'
RETURNING cancel_reason IS NOT NULL AS cancelled;

-- lock_claim: lock a claimed run and number its next event; returns nothing when the claim is lost
UPDATE run
SET seq = seq + 1
WHERE run_id = $1 AND token = $2 AND state = 'running'
RETURNING seq, clock_timestamp() AS at, cancel_reason, cancel_by;

-- begin_attempt: save what later attempts need; no helper can join until the new coordinator has a snapshot
UPDATE run
SET window_start = :window_start, window_end = :window_end, window_note = :window_note,
    window_position = :window_position, certificates = :certificates, snapshot = NULL
WHERE run_id = :run_id;

-- has_same_recipients: whether a run's parts were encrypted for exactly these certificates
SELECT certificates IS NOT DISTINCT FROM $2::text[] FROM run WHERE run_id = $1;

-- delete_parts: forget a run's parts, which can no longer be used
DELETE FROM part WHERE run_id = $1;

-- delete_slices: forget a run's slices
DELETE FROM slice WHERE run_id = $1;

-- share_snapshot: let helpers join the coordinator's snapshot
UPDATE run SET snapshot = $2 WHERE run_id = $1;

-- insert_slices: save a run's planned slices
INSERT INTO slice (run_id, kind, number, key_first, key_before, rows_expected, snapshot)
SELECT :run_id::uuid, kind, number, key_first, key_before, rows_expected, :snapshot::text
FROM unnest(
    :kinds::text[], :numbers::integer[], :first_keys::text[], :before_keys::text[], :rows_expected::bigint[]
) AS planned (kind, number, key_first, key_before, rows_expected);

-- claim_own_slice: claim the coordinator's next slice; returns nothing when there is none, or the run's claim is lost
WITH next AS (
    SELECT slice.run_id, slice.kind, slice.number, slice.snapshot, slice.state AS previous_state
    FROM slice
    JOIN run USING (run_id)
    WHERE slice.run_id = :run_id
      AND run.token = :token
      AND run.state = 'running'
      AND (slice.state = 'waiting' OR slice.lease_expired)
    ORDER BY slice.kind, slice.number
    LIMIT 1
    FOR UPDATE OF slice SKIP LOCKED
)
UPDATE slice
SET state = 'running', token = token + 1, exporter = :exporter, lease_until = NULL, lease_expired = false,
    snapshot = :snapshot
FROM next
WHERE slice.run_id = next.run_id AND slice.kind = next.kind AND slice.number = next.number
RETURNING
    slice.run_id, slice.kind, slice.number, slice.token, slice.key_first, slice.key_before, slice.rows_expected,
    slice.snapshot, next.snapshot AS counted_in, next.previous_state;

-- claim_slice: claim a slice as a helper, of one shared run or of any: the one with the fewest helpers, then the oldest
WITH next AS (
    SELECT slice.run_id, slice.kind, slice.number, slice.snapshot, slice.state AS previous_state, run.snapshot AS joined
    FROM slice
    JOIN run USING (run_id)
    WHERE (slice.state = 'waiting' OR slice.lease_expired)
      AND run.state = 'running'
      AND NOT run.lease_expired
      AND run.cancel_reason IS NULL
      AND run.snapshot IS NOT NULL
      AND (:run_id::uuid IS NULL OR slice.run_id = :run_id)
    ORDER BY
        (SELECT count(*) FROM slice AS busy WHERE busy.run_id = slice.run_id AND busy.state = 'running'),
        run.queued_at,
        slice.run_id,
        slice.kind,
        slice.number
    LIMIT 1
    FOR UPDATE OF slice SKIP LOCKED
)
UPDATE slice
SET state = 'running', token = token + 1, exporter = :exporter, lease_until = clock_timestamp() + :lease::interval,
    lease_length = :lease, lease_expired = false, snapshot = next.joined
FROM next
WHERE slice.run_id = next.run_id AND slice.kind = next.kind AND slice.number = next.number
RETURNING
    slice.run_id, slice.kind, slice.number, slice.token, slice.key_first, slice.key_before, slice.rows_expected,
    slice.snapshot, next.snapshot AS counted_in, next.previous_state;

-- sum_finished_parts: the finished parts of a slice, and the key after which it continues
SELECT
    count(*) AS parts,
    coalesce(sum(rows), 0)::bigint AS rows,
    coalesce(sum(bytes_raw), 0)::bigint AS bytes_raw,
    (array_agg(last_key ORDER BY number DESC))[1] AS last_key
FROM part
WHERE run_id = $1 AND kind = $2 AND slice = $3;

-- read_shared_run: what a helper needs to know about a run
SELECT run_id, job_id, tenant_id, slot, settings::text AS settings, window_start, window_end, certificates
FROM run
WHERE run_id = $1;

-- renew_slice: extend a helper's lease; returns nothing when it is lost, or else whether the run is to be cancelled
UPDATE slice
SET heartbeat = slice.heartbeat + 1, lease_until = clock_timestamp() + :lease::interval, lease_length = :lease,
    lease_expired = false
FROM run
WHERE run.run_id = slice.run_id
  AND slice.run_id = :run_id AND slice.kind = :kind AND slice.number = :number AND slice.token = :token
  AND slice.state = 'running' AND run.state = 'running'
RETURNING run.cancel_reason IS NOT NULL AS cancelled;

-- lock_run_of_slice: lock a slice's run and number its next event; a coordinator's token ($2) must be the run's
UPDATE run
SET seq = seq + 1
WHERE run_id = $1 AND state = 'running' AND ($2::bigint IS NULL OR token = $2)
RETURNING job_id, tenant_id, token, seq, clock_timestamp() AS at;

-- lock_slice: lock a claimed slice, which its claim may just have finished; returns nothing when the claim is lost
SELECT true FROM slice
WHERE run_id = $1 AND kind = $2 AND number = $3 AND token = $4 AND state <> 'waiting'
FOR UPDATE;

-- save_slice_progress: how far a slice has come, under its claim
UPDATE slice
SET rows_done = :rows, bytes_done = :bytes_raw
WHERE run_id = :run_id AND kind = :kind AND number = :number AND token = :token AND state = 'running';

-- finish_slice: mark a slice as done, under a claim that `lock_slice` has checked
UPDATE slice
SET state = 'done', lease_until = NULL, lease_expired = false, rows_expected = $4, rows_done = $4,
    bytes_done = (
        SELECT coalesce(sum(bytes_raw), 0) FROM part
        WHERE part.run_id = slice.run_id AND part.kind = slice.kind AND part.slice = slice.number
    )
WHERE run_id = $1 AND kind = $2 AND number = $3;

-- release_slice: release a slice, under its claim
UPDATE slice
SET state = 'waiting', lease_until = NULL, lease_expired = false, exporter = NULL
WHERE run_id = $1 AND kind = $2 AND number = $3 AND token = $4 AND state = 'running';

-- release_own_slices: release the slices that an earlier coordinator worked on; helpers keep theirs
UPDATE slice
SET state = 'waiting', exporter = NULL
WHERE run_id = $1 AND state = 'running' AND lease_until IS NULL;

-- release_slices: release all slices of a run that is handed back
UPDATE slice
SET state = 'waiting', lease_until = NULL, lease_expired = false, exporter = NULL
WHERE run_id = $1 AND state = 'running';

-- list_slices: how far a run's slices have come, in order
SELECT kind, number, state, token, rows_expected, rows_done, bytes_done
FROM slice
WHERE run_id = $1
ORDER BY kind, number;

-- insert_part: save a finished part; returns nothing when it was saved before
INSERT INTO part (run_id, kind, slice, number, token, object, rows, bytes_raw, bytes_packed, sha256, last_key, snapshot)
VALUES (
    :run_id, :kind, :slice, :number, :token, :object, :rows, :bytes_raw, :bytes_packed, :sha256, :last_key, :snapshot
)
ON CONFLICT DO NOTHING
RETURNING true;

-- count_parts: how many parts of a kind are finished
SELECT count(*) FROM part WHERE run_id = $1 AND kind = $2;

-- list_parts: a run's finished parts in the order of their records
SELECT kind, slice, number, token, object, rows, bytes_raw, bytes_packed, sha256, last_key, snapshot
FROM part
WHERE run_id = $1
ORDER BY kind, slice, number;

-- end_run: end a run, under a claim that `lock_claim` has checked
UPDATE run
SET state = $2, ended_at = clock_timestamp(), lease_until = NULL, lease_expired = false, snapshot = NULL,
    sweep_at = clock_timestamp() + interval '1 minute'
WHERE run_id = $1;

-- requeue: hand a run back, under a claim that `lock_claim` has checked; $3 is added to its attempts
UPDATE run
SET state = 'queued', lease_until = NULL, lease_expired = false, exporter = NULL, snapshot = NULL,
    not_before = clock_timestamp() + $2::interval, retry_delay = $2, attempt = attempt + $3
WHERE run_id = $1
RETURNING not_before;

-- save_watermark: the instant up to which the job's exported data is complete; it never moves backwards
UPDATE job SET complete_through = greatest(complete_through, $2) WHERE job_id = $1;

-- measure_queue: the number of runs waiting for an exporter, and the age of the oldest in seconds
SELECT
    count(*) AS waiting,
    greatest(coalesce(extract(epoch FROM clock_timestamp() - min(greatest(queued_at, not_before))), 0), 0)::float8 AS oldest
FROM run
WHERE state = 'queued' AND clock_timestamp() NOT BETWEEN not_before - retry_delay AND not_before;

-- read_run_state: a run's current state and fencing token
SELECT state, token FROM run WHERE run_id = $1;

-- list_part_objects: the objects of a run's finished parts
SELECT object FROM part WHERE run_id = $1;

-- take_due_sweeps: return the runs to sweep now; the next sweep is later each time, until a day after the run's end
UPDATE run
SET sweep_at = CASE
    WHEN clock_timestamp() < ended_at + interval '1 day' THEN clock_timestamp() + 3 * (clock_timestamp() - ended_at)
END
WHERE run_id IN (
    SELECT run_id FROM run WHERE sweep_at <= clock_timestamp() ORDER BY sweep_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING run_id;

-- schedule_sweep: have an ended run swept after a delay at the latest
UPDATE run
SET sweep_at = least(sweep_at, clock_timestamp() + $2::interval)
WHERE run_id = $1 AND ended_at IS NOT NULL;

-- save_destination: save a destination unless a newer version is already saved; a change is tried at once
INSERT INTO destination (destination_id, tenant_id, version, state, name, kind, address, credentials)
VALUES (
    :destination_id, :tenant_id, :version, :state, :name, :kind, :address::text::jsonb, :credentials::text::jsonb
)
ON CONFLICT (destination_id) DO UPDATE
SET version = excluded.version, state = excluded.state, name = excluded.name, kind = excluded.kind,
    address = excluded.address, credentials = excluded.credentials, failures = 0, not_before = clock_timestamp(),
    retry_delay = '0'
WHERE destination.version < excluded.version;

-- forget_destination: remove a destination that was deleted long ago
DELETE FROM destination WHERE destination_id = $1;

-- read_run_delivery: what a run's deliveries are made of; nothing where its job has no destination
SELECT settings::text AS settings, slot FROM run
WHERE run_id = $1 AND jsonb_typeof(settings -> 'delivery') = 'object';

-- find_destination: a destination's name and kind, for the tenant that it belongs to
SELECT name, kind FROM destination WHERE destination_id = $1 AND tenant_id = $2 AND state <> 'deleted';

-- insert_delivery: create a delivery; returns nothing when it was created before
INSERT INTO delivery (
    delivery_id, run_id, job_id, tenant_id, destination_id, title, type, slot, settings, files, manifest, state,
    created_at, not_before, give_up_at
)
VALUES (
    :delivery_id, :run_id, :job_id, :tenant_id, :destination_id, :title, :type, :slot, :settings::text::jsonb,
    :files::text::jsonb, :manifest, 'pending', :now, :now, :now::timestamptz + make_interval(hours => :within_hours)
)
ON CONFLICT DO NOTHING
RETURNING give_up_at;

-- request_delivery_cancel: request that an open delivery be cancelled; an older command than the last has no effect
UPDATE delivery
SET cancel_reason = 'requested', cancel_by = $3, requested_at = $4
WHERE delivery_id = $1 AND tenant_id = $2 AND state IN ('pending', 'delivering') AND cancel_reason IS NULL
  AND (requested_at IS NULL OR requested_at < $4);

-- cancel_deliveries_of: request that a deleted destination's open deliveries be cancelled
UPDATE delivery
SET cancel_reason = 'destination-deleted'
WHERE destination_id = $1 AND tenant_id = $2 AND state IN ('pending', 'delivering') AND cancel_reason IS NULL;

-- retry_delivery: make a delivery that failed or was cancelled pending again; an older command has no effect
UPDATE delivery
SET state = 'pending', seq = seq + 1, attempt = 0, cancel_reason = NULL, cancel_by = NULL, ended_at = NULL,
    requested_at = $3, not_before = clock_timestamp(), retry_delay = '0', error_code = NULL, error_message = NULL,
    give_up_at = clock_timestamp() + make_interval(hours => (settings ->> 'within_hours')::integer)
WHERE delivery_id = $1 AND tenant_id = $2 AND state IN ('failed', 'cancelled')
  AND (requested_at IS NULL OR requested_at < $3)
RETURNING run_id, job_id, destination_id, token, seq, clock_timestamp() AS at, give_up_at;

-- lock_delivery_claims: serialize claims, so that the limits are exact
SELECT pg_advisory_xact_lock(hashtext('exporter.delivery'));

-- claim_delivery: claim the next delivery: of the destination and tenant with the fewest at work, then the oldest
WITH at_work AS (
    SELECT destination_id, tenant_id FROM delivery WHERE state = 'delivering' AND NOT lease_expired
), of_destination AS (
    SELECT destination_id, count(*) AS busy FROM at_work GROUP BY destination_id
), of_tenant AS (
    SELECT tenant_id, count(*) AS busy FROM at_work GROUP BY tenant_id
), next AS (
    SELECT delivery.delivery_id, delivery.state AS previous_state
    FROM delivery
    JOIN destination USING (destination_id, tenant_id)
    LEFT JOIN of_destination USING (destination_id)
    LEFT JOIN of_tenant USING (tenant_id)
    WHERE delivery.cancel_reason IS NULL
      AND destination.state = 'active'
      AND clock_timestamp() NOT BETWEEN destination.not_before - destination.retry_delay AND destination.not_before
      AND coalesce(of_destination.busy, 0) < CASE WHEN destination.failures > 0 THEN 1 ELSE :destination_limit END
      AND coalesce(of_tenant.busy, 0) < :tenant_limit
      AND (
          (delivery.state = 'pending'
           AND clock_timestamp() NOT BETWEEN delivery.not_before - delivery.retry_delay AND delivery.not_before)
          OR (delivery.state = 'delivering' AND delivery.lease_expired)
      )
    ORDER BY coalesce(of_destination.busy, 0), coalesce(of_tenant.busy, 0), delivery.created_at, delivery.delivery_id
    LIMIT 1
    FOR UPDATE OF delivery SKIP LOCKED
)
UPDATE delivery
SET state = 'delivering', token = token + 1, seq = 1,
    attempt = attempt + CASE next.previous_state WHEN 'pending' THEN 1 ELSE 0 END,
    deliverer = :deliverer, lease_length = :lease, lease_expired = false
FROM next, destination
WHERE delivery.delivery_id = next.delivery_id AND destination.destination_id = delivery.destination_id
RETURNING
    delivery.delivery_id, run_id, job_id, delivery.tenant_id, delivery.destination_id, title, type, slot,
    settings::text AS settings, files::text AS files, manifest, attempt, token, next.previous_state,
    clock_timestamp() AS at, destination.version, kind, address::text AS address, credentials::text AS credentials;

-- list_delivery_leases: the leases on deliveries that are not known to have expired
SELECT delivery_id, token, heartbeat, lease_length AS length
FROM delivery
WHERE state = 'delivering' AND NOT lease_expired;

-- expire_delivery: mark the lease on a delivery as expired, unless it was renewed, claimed or ended since it was listed
UPDATE delivery
SET lease_expired = true
WHERE delivery_id = $1 AND token = $2 AND heartbeat = $3 AND state = 'delivering';

-- renew_delivery: extend a delivery's lease; returns nothing when the claim is lost, or whether it is to be cancelled
UPDATE delivery
SET heartbeat = heartbeat + 1, lease_length = $3, lease_expired = false
WHERE delivery_id = $1 AND token = $2 AND state = 'delivering'
RETURNING cancel_reason IS NOT NULL AS cancelled;

-- lock_delivery_claim: lock a claimed delivery and number its next event; returns nothing when the claim is lost
UPDATE delivery
SET seq = seq + 1
WHERE delivery_id = $1 AND token = $2 AND state = 'delivering'
RETURNING seq, clock_timestamp() AS at, cancel_reason, cancel_by, bytes_sent, give_up_at <= clock_timestamp() AS overdue;

-- add_bytes_sent: count bytes that were sent to the destination
UPDATE delivery SET bytes_sent = bytes_sent + $2 WHERE delivery_id = $1;

-- save_delivered_object: an object is complete at the destination, under a claim that was checked
INSERT INTO delivered_object (delivery_id, name, size, sha256, tag, verified_at)
VALUES (:delivery_id, :name, :size, :sha256, :tag, :at)
ON CONFLICT (delivery_id, name) DO UPDATE
SET size = excluded.size, sha256 = excluded.sha256, tag = excluded.tag, verified_at = excluded.verified_at;

-- list_delivered_objects: the objects of a delivery that are complete at the destination
SELECT name, size, sha256, tag FROM delivered_object WHERE delivery_id = $1;

-- end_delivery: end a delivery, under a claim that was checked
UPDATE delivery
SET state = $2, ended_at = clock_timestamp(), lease_length = NULL, lease_expired = false, deliverer = NULL,
    error_code = $3, error_message = $4
WHERE delivery_id = $1;

-- requeue_delivery: hand a delivery back, under a claim that was checked; no later than it is given up
UPDATE delivery
SET state = 'pending', lease_length = NULL, lease_expired = false, deliverer = NULL, attempt = attempt + $3,
    not_before = least(clock_timestamp() + $2::interval, give_up_at), retry_delay = $2,
    error_code = coalesce($4, error_code), error_message = coalesce($5, error_message)
WHERE delivery_id = $1
RETURNING not_before;

-- delay_destination: a destination made an attempt fail: it is tried again later each time, after 300 s at most
UPDATE destination
SET failures = failures + 1,
    not_before = clock_timestamp() + make_interval(secs => least(300, 2 ^ least(failures, 10))),
    retry_delay = make_interval(secs => least(300, 2 ^ least(failures, 10)))
WHERE destination_id = $1 AND version = $2;

-- clear_destination: a destination works
UPDATE destination SET failures = 0, retry_delay = '0' WHERE destination_id = $1 AND failures > 0;

-- end_unclaimed_deliveries: cancel or give up deliveries that no deliverer holds
UPDATE delivery
SET state = CASE WHEN cancel_reason IS NOT NULL THEN 'cancelled' ELSE 'failed' END,
    ended_at = clock_timestamp(), lease_length = NULL, lease_expired = false, deliverer = NULL, seq = seq + 1
WHERE delivery_id IN (
    SELECT delivery_id FROM delivery
    WHERE (state = 'pending' OR (state = 'delivering' AND lease_expired))
      AND (cancel_reason IS NOT NULL OR give_up_at <= clock_timestamp())
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
)
RETURNING delivery_id, run_id, job_id, tenant_id, destination_id, token, seq, attempt, state, cancel_reason, cancel_by,
    error_code, error_message, ended_at;

-- seconds_to_delivery: how long until a pending delivery or its destination may be tried again; NULL without one
SELECT extract(epoch FROM min(greatest(delivery.not_before, destination.not_before)) - clock_timestamp())::float8
FROM delivery
JOIN destination USING (destination_id, tenant_id)
WHERE delivery.state = 'pending' AND destination.state = 'active'
  AND greatest(delivery.not_before, destination.not_before) > clock_timestamp();

-- measure_deliveries: deliveries that are pending, the age of the oldest in seconds, and the destinations that fail
SELECT
    count(*) AS pending,
    greatest(coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0), 0)::float8 AS oldest,
    (SELECT count(*) FROM destination WHERE failures > 0 AND state = 'active') AS failing
FROM delivery
WHERE state = 'pending';

-- insert_destination_test: save a requested test, once
INSERT INTO destination_test (test_id, destination_id, tenant_id, version)
VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING;

-- claim_destination_test: begin the next test whose destination is known in the requested version, or should have been
UPDATE destination_test
SET not_before = clock_timestamp() + interval '2 minutes'
WHERE test_id = (
    SELECT test_id FROM destination_test AS test
    WHERE ended_at IS NULL AND not_before <= clock_timestamp()
      AND (
          received_at < clock_timestamp() - interval '30 seconds'
          OR EXISTS (
              SELECT FROM destination
              WHERE destination.destination_id = test.destination_id AND destination.tenant_id = test.tenant_id
                AND destination.version >= test.version
          )
      )
    ORDER BY received_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING test_id, destination_id, tenant_id, version;

-- read_destination: a tenant's destination as it is now
SELECT destination_id, tenant_id, version, state, kind, address::text AS address, credentials::text AS credentials
FROM destination
WHERE destination_id = $1 AND tenant_id = $2 AND state <> 'deleted';

-- end_destination_test: a test has ended; returns nothing when it had ended before
UPDATE destination_test SET ended_at = clock_timestamp() WHERE test_id = $1 AND ended_at IS NULL
RETURNING ended_at;

-- purge_destination_tests: remove tests whose command can no longer be read again
DELETE FROM destination_test WHERE ended_at < clock_timestamp() - interval '8 days';

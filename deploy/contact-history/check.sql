-- Checks the three views of the schema contact_history. Run it as the role that Sluice logs in with (sluice_reader);
-- it only reads. Each check returns one line: "ok", or what to fix in views.sql. The checks of ids and dates read all
-- rows, so on a large database they take about as long as counting them.

WITH RECURSIVE expected (view_name, column_name, data_type) AS (
    VALUES
        ('interaction', 'id', 'text'), ('interaction', 'status', 'integer'),
        ('interaction', 'entity_type_id', 'integer'), ('interaction', 'media_type_id', 'text'),
        ('interaction', 'type_id', 'text'), ('interaction', 'subtype_id', 'text'),
        ('interaction', 'external_id', 'text'), ('interaction', 'owner_id', 'integer'),
        ('interaction', 'contact_id', 'text'), ('interaction', 'parent_id', 'text'),
        ('interaction', 'start_date', 'timestamp with time zone'),
        ('interaction', 'modified_date', 'timestamp with time zone'),
        ('interaction', 'end_date', 'timestamp with time zone'), ('interaction', 'thread_id', 'text'),
        ('interaction', 'category_id', 'text'), ('interaction', 'time_shift', 'integer'),
        ('interaction', 'subject', 'text'), ('interaction', 'text', 'text'),
        ('interaction', 'structured_text', 'text'), ('interaction', 'struct_text_mimetype', 'text'),
        ('interaction', 'the_comment', 'text'), ('interaction', 'tenant_id', 'integer'),
        ('interaction', 'subtenant_id', 'integer'), ('interaction', 'thread_hash', 'text'),
        ('interaction', 'can_be_parent', 'boolean'), ('interaction', 'creator_app_id', 'integer'),
        ('interaction', 'queue_name', 'text'), ('interaction', 'all_attributes', 'jsonb'),
        ('interaction', 'is_spam', 'boolean'), ('interaction', 'web_safe_email_status', 'text'),
        ('contact', 'id', 'text'), ('contact', 'tenant_id', 'integer'),
        ('contact', 'created_date', 'timestamp with time zone'),
        ('contact', 'modified_date', 'timestamp with time zone'), ('contact', 'first_name', 'text'),
        ('contact', 'last_name', 'text'), ('contact', 'customer_id', 'text'), ('contact', 'email_addresses', 'jsonb'),
        ('contact', 'phone_numbers', 'jsonb'), ('contact', 'attributes', 'jsonb'), ('attachment', 'id', 'text'),
        ('attachment', 'entity_id', 'text'), ('attachment', 'tenant_id', 'integer'), ('attachment', 'name', 'text'),
        ('attachment', 'mime_type', 'text'), ('attachment', 'size', 'bigint'), ('attachment', 'content', 'bytea')
),
-- pg_attribute rather than information_schema, which shows a column only to roles that may read it.
actual AS (
    SELECT c.relname AS view_name, a.attname AS column_name, format_type(a.atttypid, NULL) AS data_type
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = to_regnamespace('contact_history')
),
wrong_columns AS (
    SELECT string_agg(
        format('%s.%s should be %s, is %s', e.view_name, e.column_name, e.data_type, coalesce(a.data_type, 'missing')),
        '; ' ORDER BY e.view_name, e.column_name) AS detail
    FROM expected e LEFT JOIN actual a USING (view_name, column_name)
    WHERE a.data_type IS DISTINCT FROM e.data_type
),
writable AS (
    SELECT string_agg(v || ' is writable', '; ') AS detail
    FROM unnest(ARRAY['interaction', 'contact', 'attachment']) v
    WHERE has_table_privilege('contact_history.' || v, 'INSERT, UPDATE, DELETE, TRUNCATE')
),
rows_without AS (
    SELECT 'interaction' AS view_name, count(*) AS n FROM contact_history.interaction
    WHERE id IS NULL OR tenant_id IS NULL OR start_date IS NULL OR modified_date IS NULL
    UNION ALL
    SELECT 'contact', count(*) FROM contact_history.contact
    WHERE id IS NULL OR tenant_id IS NULL OR created_date IS NULL OR modified_date IS NULL
    UNION ALL
    SELECT 'attachment', count(*) FROM contact_history.attachment
    WHERE id IS NULL OR tenant_id IS NULL OR entity_id IS NULL
),
repeated AS (
    SELECT 'interaction' AS view_name, count(id) - count(DISTINCT id) AS n FROM contact_history.interaction
    UNION ALL
    SELECT 'contact', count(id) - count(DISTINCT id) FROM contact_history.contact
    UNION ALL
    SELECT 'attachment', count(id) - count(DISTINCT id) FROM contact_history.attachment
),
-- What the views read: other views, tables, and their partitions.
below (oid) AS (
    SELECT oid FROM pg_class
    WHERE relnamespace = to_regnamespace('contact_history') AND relname IN ('interaction', 'contact', 'attachment')
    UNION
    SELECT next.oid FROM below CROSS JOIN LATERAL (
        SELECT refobjid AS oid
        FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
        WHERE ev_class = below.oid AND refclassid = 'pg_class'::regclass
        UNION ALL
        SELECT inhrelid FROM pg_inherits WHERE inhparent = below.oid
    ) AS next
),
elsewhere AS (
    SELECT string_agg(DISTINCT oid::regclass::text, ', ') AS detail
    FROM below JOIN pg_class USING (oid) WHERE relkind IN ('f', 'm')
),
subscribed AS (
    SELECT string_agg(DISTINCT subname::text, ', ') AS detail
    FROM pg_subscription_rel JOIN pg_subscription ON pg_subscription.oid = srsubid
    WHERE srrelid IN (SELECT oid FROM below)
),
endless AS (
    SELECT count(*) AS n FROM contact_history.interaction
    WHERE NOT (isfinite(start_date) AND isfinite(modified_date) AND isfinite(coalesce(end_date, start_date)))
)
SELECT 'columns and their types' AS "check", coalesce(detail, 'ok') AS result FROM wrong_columns
UNION ALL
SELECT 'the views are read-only', coalesce(detail, 'ok') FROM writable
UNION ALL
SELECT 'required values of ' || view_name,
    CASE n WHEN 0 THEN 'ok' ELSE n || ' rows have NULL in a required column' END FROM rows_without
UNION ALL
SELECT 'ids of ' || view_name || ' are unique', CASE n WHEN 0 THEN 'ok' ELSE n || ' rows repeat an id' END FROM repeated
UNION ALL
SELECT 'instants are finite', CASE n WHEN 0 THEN 'ok' ELSE n || ' interactions have an infinite date' END FROM endless
UNION ALL
SELECT 'other sessions are visible (for "since last run")',
    CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN 'ok'
        ELSE 'GRANT pg_read_all_stats TO ' || quote_ident(current_user) END
UNION ALL
SELECT 'rows are written on this server (for "since last run")',
    CASE
        WHEN pg_is_in_recovery() THEN 'this is a standby: set SLUICE_EXPORTER_SOURCE_PRIMARY to the DSN of its primary'
        WHEN detail IS NOT NULL THEN 'the subscription ' || detail
            || ' writes them: set SLUICE_EXPORTER_SOURCE_PRIMARY to the DSN of its publisher'
        ELSE 'ok'
    END
FROM subscribed
UNION ALL
SELECT 'changes show when they are committed (for "since last run")',
    coalesce('foreign tables or materialized views, which "since last run" refuses: ' || detail, 'ok') FROM elsewhere
UNION ALL
SELECT 'no prepared transaction is left (for "since last run")',
    CASE count(*) WHEN 0 THEN 'ok'
        ELSE count(*) || ' prepared transactions are older than an hour: commit them or roll them back' END
FROM pg_prepared_xacts WHERE database = current_database() AND prepared < now() - interval '1 hour';

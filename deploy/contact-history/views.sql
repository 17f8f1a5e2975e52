-- Sluice reads a contact history only through three views. This file creates them over the sample's tables
-- (sample-tables.sql). To use your own tables, copy the file, replace what follows each FROM and precedes each AS, and
-- keep the names and types of the views. Run it, then run check.sql.
--
-- Rules for a mapping
--   * Every column must exist, in any order, with the type that its comment names. For a value that you do not have,
--     write NULL with a cast: NULL::text AS queue_name. Only columns marked "required" must never be NULL.
--   * Cast a column of type json to jsonb: json keeps its line breaks, and an export has one record per line.
--   * Convert timestamp without time zone: created_utc AT TIME ZONE 'UTC'. The values infinity and -infinity are not
--     instants: NULLIF(ended_at, 'infinity').
--   * Keep the views fast: rename, cast and compute, but do not join, aggregate or use ORDER BY. tenant_id, id,
--     entity_id and the dates should be plain columns, or expressions with an index. PostgreSQL then filters and sorts
--     by index, and an export is as fast as the table.
--   * tenant_id is the owner of a row. Sluice adds "tenant_id = ..." to every query, so rows with other numbers are
--     never read. If your database belongs to one organisation, use a constant: 101 AS tenant_id.
--
-- Run it as a superuser, or as a role that may create roles, and schemas in this database. Replace contact_owner by
-- the role that owns your tables: the views read with its rights. Safe to run again.

-- 1. Roles -----------------------------------------------------------------------------------------------------------

-- Sluice logs in as sluice_reader. Set its password where your pg_hba.conf requires one:
--   ALTER ROLE sluice_reader PASSWORD '...';
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'contact_owner') THEN
        CREATE ROLE contact_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_reader') THEN
        CREATE ROLE sluice_reader LOGIN;
        -- The grants below allow no writing; this setting also rejects temporary tables by default.
        ALTER ROLE sluice_reader SET default_transaction_read_only = on;
    END IF;
EXCEPTION
    -- A concurrent session is creating the same roles, perhaps for another database of this server.
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

-- Only a superuser may act for other roles without membership.
DO $$
BEGIN
    IF NOT pg_has_role('contact_owner', 'USAGE') THEN
        EXECUTE format('GRANT contact_owner TO %I', current_user);
    END IF;
END
$$;

-- The timeframe "since last run" has to know the oldest transaction that is still writing; otherwise it would miss rows
-- that are committed late. It reads other sessions from pg_stat_activity, which requires this membership. All other
-- timeframes work without it.
DO $$
BEGIN
    IF NOT pg_has_role('sluice_reader', 'pg_read_all_stats', 'MEMBER') THEN
        GRANT pg_read_all_stats TO sluice_reader;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE WARNING 'Exports "since last run" need: GRANT pg_read_all_stats TO sluice_reader (ask an administrator).';
END
$$;

CREATE SCHEMA IF NOT EXISTS contact_history AUTHORIZATION contact_owner;

SET ROLE contact_owner;

-- 2. Interactions ----------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW contact_history.interaction AS
SELECT
    conversation_key AS id,
    state::integer AS status,
    kind_code::integer AS entity_type_id,
    channel AS media_type_id,
    direction AS type_id,
    reason AS subtype_id,
    foreign_ref AS external_id,
    agent_no AS owner_id,
    customer_key AS contact_id,
    answers_key AS parent_id,
    started_at AS start_date,
    changed_at AS modified_date,
    ended_at AS end_date,
    thread_key AS thread_id,
    topic_code AS category_id,
    clock_shift_minutes::integer AS time_shift,
    subject_line::text AS subject,
    body_plain AS text,
    body_rich AS structured_text,
    body_rich_type AS struct_text_mimetype,
    remark AS the_comment,
    org_no AS tenant_id,
    sub_org_no::integer AS subtenant_id,
    encode(thread_digest, 'hex') AS thread_hash,
    answerable AS can_be_parent,
    source_app AS creator_app_id,
    routed_via AS queue_name,
    extras AS all_attributes,
    spam AS is_spam,
    reply_form_state AS web_safe_email_status
FROM suite.conversation;

COMMENT ON VIEW contact_history.interaction IS
    'One row per interaction with a customer: mail, chat, call, callback, message or task.';
COMMENT ON COLUMN contact_history.interaction.id IS
    'text, required: identifies the interaction; unique. Exports are ordered by it.';
COMMENT ON COLUMN contact_history.interaction.status IS
    'integer: state as your suite numbers it. The sample: 1 new, 2 in progress, 3 done, 4 stopped. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.entity_type_id IS
    'integer: kind of record as your suite numbers it. The sample: 0 call, 1 mail, 2 chat, 3 message, 4 callback, '
    '5 task. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.media_type_id IS
    'text: media type, one of the ids set up for the tenant, such as email, chat, voice, callback, sms. '
    'NULL rows are exported only by jobs for all media types.';
COMMENT ON COLUMN contact_history.interaction.type_id IS
    'text: direction, such as Inbound, Outbound, Internal. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.subtype_id IS
    'text: kind within the direction, such as InboundNew, OutboundReply. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.external_id IS
    'text: id in another system: Message-ID of a mail, call id of a switch, id of a post. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.owner_id IS
    'integer: the agent who handled it. NULL without one.';
COMMENT ON COLUMN contact_history.interaction.contact_id IS
    'text: contact_history.contact.id of the customer. NULL when unknown.';
COMMENT ON COLUMN contact_history.interaction.parent_id IS
    'text: id of the interaction that this one answers. NULL for the first of a thread.';
COMMENT ON COLUMN contact_history.interaction.start_date IS
    'timestamptz, required: when it began. Timeframes "fixed" and "last" compare it.';
COMMENT ON COLUMN contact_history.interaction.modified_date IS
    'timestamptz, required: when the row was last changed; must be updated with every change, also of attachments. '
    'The timeframe "since last run" compares it. If you do not have it, map start_date, and do not use that timeframe.';
COMMENT ON COLUMN contact_history.interaction.end_date IS
    'timestamptz: when it ended. NULL while it is open.';
COMMENT ON COLUMN contact_history.interaction.thread_id IS
    'text: the same for all interactions of one conversation over time; the sample takes the id of the first. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.category_id IS
    'text: topic given by an agent or by classification. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.time_shift IS
    'integer: minutes the customer''s clock is ahead of UTC (behind: negative). Or NULL.';
COMMENT ON COLUMN contact_history.interaction.subject IS
    'text: subject line. Or NULL; an empty one is an empty text.';
COMMENT ON COLUMN contact_history.interaction.text IS
    'text: what was said, as plain text. NULL for calls.';
COMMENT ON COLUMN contact_history.interaction.structured_text IS
    'text: the same with its structure: HTML of a mail, transcript of a chat as XML or JSON. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.struct_text_mimetype IS
    'text: the media type of structured_text, such as text/html. NULL when that is NULL.';
COMMENT ON COLUMN contact_history.interaction.the_comment IS
    'text: note of an agent. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.tenant_id IS
    'integer, required: the number of the organisation that owns the row. A constant when there is only one.';
COMMENT ON COLUMN contact_history.interaction.subtenant_id IS
    'integer: a division within the organisation. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.thread_hash IS
    'text: digest that matches replies to a thread. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.can_be_parent IS
    'boolean: whether other interactions can answer it. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.creator_app_id IS
    'integer: the application that created it. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.queue_name IS
    'text: the queue through which it was routed. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.all_attributes IS
    'jsonb: everything else that you store about it, one object. Or NULL.';
COMMENT ON COLUMN contact_history.interaction.is_spam IS
    'boolean: whether it was classified as spam. NULL when not classified.';
COMMENT ON COLUMN contact_history.interaction.web_safe_email_status IS
    'text: state of a mail that the customer reads and answers in a secure web form. NULL for all others.';

-- 3. Contacts --------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW contact_history.contact AS
SELECT
    customer_key AS id,
    org_no AS tenant_id,
    created_utc AT TIME ZONE 'UTC' AS created_date,
    changed_utc AT TIME ZONE 'UTC' AS modified_date,
    given_name AS first_name,
    family_name AS last_name,
    account_no::text AS customer_id,
    to_jsonb(mails) AS email_addresses,
    to_jsonb(phones) AS phone_numbers,
    profile::jsonb AS attributes
FROM suite.customer;

COMMENT ON VIEW contact_history.contact IS 'One row per customer of the contact centre.';
COMMENT ON COLUMN contact_history.contact.id IS
    'text, required: identifies the contact; unique. Exports are ordered by it.';
COMMENT ON COLUMN contact_history.contact.tenant_id IS
    'integer, required: the number of the organisation that owns the row. A constant when there is only one.';
COMMENT ON COLUMN contact_history.contact.created_date IS
    'timestamptz, required: when the contact was first recorded. Timeframes "fixed" and "last" compare it.';
COMMENT ON COLUMN contact_history.contact.modified_date IS
    'timestamptz, required: when the row was last changed. The timeframe "since last run" compares it. '
    'If you do not have it, map created_date, and do not use that timeframe.';
COMMENT ON COLUMN contact_history.contact.first_name IS 'text: given name. Or NULL.';
COMMENT ON COLUMN contact_history.contact.last_name IS 'text: family name. Or NULL.';
COMMENT ON COLUMN contact_history.contact.customer_id IS
    'text: number or key of the customer in your other systems. Or NULL.';
COMMENT ON COLUMN contact_history.contact.email_addresses IS
    'jsonb: array of texts. NULL when not stored; an empty array when there is none.';
COMMENT ON COLUMN contact_history.contact.phone_numbers IS
    'jsonb: array of texts, preferably like +49301234567. NULL when not stored; an empty array when there is none.';
COMMENT ON COLUMN contact_history.contact.attributes IS
    'jsonb: everything else that you store about the contact, one object. Or NULL.';

-- 4. Attachments -----------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW contact_history.attachment AS
SELECT
    file_key AS id,
    conversation_key AS entity_id,
    org_no AS tenant_id,
    file_name AS name,
    content_type AS mime_type,
    byte_count::bigint AS size,
    body AS content
FROM suite.file;

COMMENT ON VIEW contact_history.attachment IS
    'One row per file of an interaction. Without any attachments, keep the view, with WHERE false.';
COMMENT ON COLUMN contact_history.attachment.id IS 'text, required: identifies the attachment; unique.';
COMMENT ON COLUMN contact_history.attachment.entity_id IS
    'text, required: contact_history.interaction.id of its interaction.';
COMMENT ON COLUMN contact_history.attachment.tenant_id IS
    'integer, required: the same as for its interaction. Used to filter; not exported.';
COMMENT ON COLUMN contact_history.attachment.name IS 'text: file name as sent. Or NULL.';
COMMENT ON COLUMN contact_history.attachment.mime_type IS 'text: media type, such as application/pdf. Or NULL.';
COMMENT ON COLUMN contact_history.attachment.size IS
    'bigint: length of the content in bytes. If you do not have it: octet_length(content). Or NULL.';
COMMENT ON COLUMN contact_history.attachment.content IS
    'bytea: the bytes. NULL when they have been deleted (an empty file is an empty bytea). '
    'With many files, ALTER COLUMN ... SET STORAGE EXTERNAL allows large ones to be read in pieces.';

-- 5. Indexes on your tables ------------------------------------------------------------------------------------------
-- Exports sort by id in byte order (COLLATE "C"), regardless of the collation of your database, so an index in another
-- collation is of no use. On a table in use, run CREATE INDEX CONCURRENTLY, one statement at a time. If tenant_id is a
-- constant in your views, omit org_no from the indexes.

-- Whole exports, in order, split into slices by id:
CREATE INDEX IF NOT EXISTS conversation_export ON suite.conversation (org_no, conversation_key COLLATE "C");
CREATE INDEX IF NOT EXISTS customer_export ON suite.customer (org_no, customer_key COLLATE "C");
CREATE INDEX IF NOT EXISTS file_export ON suite.file (org_no, file_key COLLATE "C");

-- Timeframes "fixed" and "last" (start_date, created_date), and "since last run" (modified_date):
CREATE INDEX IF NOT EXISTS conversation_started ON suite.conversation (org_no, started_at);
CREATE INDEX IF NOT EXISTS conversation_changed ON suite.conversation (org_no, changed_at);
-- The view computes these two, so the index must contain the same expression.
CREATE INDEX IF NOT EXISTS customer_created ON suite.customer (org_no, (created_utc AT TIME ZONE 'UTC'));
CREATE INDEX IF NOT EXISTS customer_changed ON suite.customer (org_no, (changed_utc AT TIME ZONE 'UTC'));

-- The attachments of exported interactions, one by one (equality, in the collation of the column) and in order:
CREATE INDEX IF NOT EXISTS file_conversation ON suite.file (conversation_key);
CREATE INDEX IF NOT EXISTS file_conversation_export ON suite.file (org_no, conversation_key COLLATE "C");

-- 6. Rights ----------------------------------------------------------------------------------------------------------
-- SELECT on the three views; nothing on the tables, which the views read with the rights of their owner.

GRANT USAGE ON SCHEMA contact_history TO sluice_reader;
GRANT SELECT ON contact_history.interaction, contact_history.contact, contact_history.attachment TO sluice_reader;

RESET ROLE;

-- 7. Check the mapping -----------------------------------------------------------------------------------------------
-- a) Log in as sluice_reader and run check.sql: each line is "ok", or says what to fix.
-- b) Read some rows as they will be exported:
--      SELECT row_to_json(i) FROM contact_history.interaction i WHERE tenant_id = 101 ORDER BY id LIMIT 3;
-- c) Verify that the order comes from an index ("Index Scan" and no "Sort"):
--      EXPLAIN SELECT row_to_json(i) FROM
--          (SELECT * FROM contact_history.interaction WHERE tenant_id = 101 ORDER BY id COLLATE "C") i;
--    If PostgreSQL sorts although the index exists, ANALYZE the table first, and set effective_cache_size to the memory
--    that the machine has for caching. A table far larger than that, whose rows are not in the order of their ids, is
--    exported fastest after CLUSTER suite.conversation USING conversation_export (which locks the table meanwhile).

-- The tables of a fictitious contact centre suite, in place of a customer's own: names, types and structure differ from
-- the views in views.sql, which map them. Safe to run again. Run it as a superuser, or as a role that may create roles,
-- and schemas in this database.

DO $$
BEGIN
    CREATE ROLE contact_owner NOLOGIN;
EXCEPTION
    -- Roles belong to the whole server: another database or a concurrent session may have created it.
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

CREATE SCHEMA IF NOT EXISTS suite AUTHORIZATION contact_owner;

SET ROLE contact_owner;

-- One row per mail, chat, call, message or task.
CREATE TABLE IF NOT EXISTS suite.conversation (
    conversation_key text PRIMARY KEY,
    org_no integer NOT NULL,
    sub_org_no smallint,
    channel text,
    state smallint,
    kind_code smallint,
    direction text,
    reason text,
    foreign_ref text,
    agent_no integer,
    customer_key text,
    answers_key text,
    thread_key text,
    thread_digest bytea,
    topic_code text,
    started_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    ended_at timestamptz,
    clock_shift_minutes smallint,
    subject_line varchar(4000),
    body_plain text,
    body_rich text,
    body_rich_type text,
    remark text,
    answerable boolean,
    source_app integer,
    routed_via text,
    spam boolean,
    reply_form_state text,
    extras jsonb
);

-- One row per customer. The suite stores UTC in columns without a time zone, lists in arrays, and JSON verbatim.
CREATE TABLE IF NOT EXISTS suite.customer (
    customer_key text PRIMARY KEY,
    org_no integer NOT NULL,
    account_no bigint,
    given_name text,
    family_name text,
    mails text[],
    phones text[],
    profile json,
    created_utc timestamp NOT NULL,
    changed_utc timestamp NOT NULL
);

-- One row per file of a conversation.
CREATE TABLE IF NOT EXISTS suite.file (
    file_key text PRIMARY KEY,
    conversation_key text NOT NULL,
    org_no integer NOT NULL,
    file_name text,
    content_type text,
    byte_count integer,
    body bytea
);

-- Most files are compressed already. Stored uncompressed, PostgreSQL reads pieces of a large one directly.
ALTER TABLE suite.file ALTER COLUMN body SET STORAGE EXTERNAL;

-- The sample that the generator (python -m deploy.sample) has loaded: no row, or one.
CREATE TABLE IF NOT EXISTS suite.sample_set (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    generator integer NOT NULL,
    seed bigint NOT NULL,
    interactions bigint NOT NULL,
    tenants integer NOT NULL,
    contacts bigint NOT NULL,
    attachments bigint NOT NULL,
    bytes bigint NOT NULL
);

RESET ROLE;

-- A few conversations, a customer and a file for the tenant 101, in the tables of deploy/contact-history/sample-tables.sql.
INSERT INTO suite.conversation (conversation_key, org_no, channel, started_at, changed_at, subject_line)
SELECT 'conversation-' || number, 101, 'mail', timestamptz '2026-01-01' + number * interval '1 minute', now(), 'No. ' || number
FROM generate_series(1, 500) AS number;
INSERT INTO suite.file (file_key, conversation_key, org_no, file_name, content_type, byte_count, body)
VALUES ('file-1', 'conversation-1', 101, 'a.txt', 'text/plain', 5, 'hello');
INSERT INTO suite.customer (customer_key, org_no, given_name, created_utc, changed_utc)
VALUES ('customer-1', 101, 'Ada', now(), now());

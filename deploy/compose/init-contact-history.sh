#!/bin/sh
# PostgreSQL's image runs this once, when its data folder is empty. It creates a database in place of a customer's own,
# with the sample's tables (empty) and the three views, and the role that reads them.
set -eu
views=${CONTACT_HISTORY:-/contact-history} secrets=${SECRETS:-/run/secrets}
psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -q -d "$POSTGRES_DB" -c 'CREATE DATABASE contact_history'
psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -q -d contact_history -f "$views/sample-tables.sql" -f "$views/views.sql"
# The reader connects to its database alone, and Sluice's roles not to it.
psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -v sluice="$POSTGRES_DB" -q -d contact_history <<'SQL'
REVOKE CONNECT, TEMPORARY ON DATABASE :"sluice" FROM PUBLIC;
REVOKE CONNECT, TEMPORARY ON DATABASE contact_history, postgres FROM PUBLIC;
GRANT CONNECT ON DATABASE contact_history TO sluice_reader;
SQL
# The password is passed on standard input: an argument would be visible in the process list.
printf "ALTER ROLE sluice_reader LOGIN PASSWORD '%s';\n" "$(cat "$secrets/source_password")" |
    psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -q -d contact_history

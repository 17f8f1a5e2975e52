#!/bin/sh
# PostgreSQL's image runs this once, over an empty data folder: a database with the sample's empty tables and the three
# views, which stands for a customer's own, and the role that reads it.
set -eu
views=${CONTACT_HISTORY:-/contact-history} secrets=${SECRETS:-/run/secrets}
psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -q -d "$POSTGRES_DB" -c 'CREATE DATABASE contact_history'
psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -q -d contact_history -f "$views/sample-tables.sql" -f "$views/views.sql"
# The password goes in over standard input: an argument could be read in the process list.
printf "ALTER ROLE sluice_reader LOGIN PASSWORD '%s';\n" "$(cat "$secrets/source_password")" |
    psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -q -d contact_history

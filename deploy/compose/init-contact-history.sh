#!/bin/sh
# PostgreSQL's image runs this once, over an empty data folder: a database with the sample's empty tables and the three
# views, which stands for a customer's own, and the role that reads it.
set -eu
psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -q -d "$POSTGRES_DB" -c 'CREATE DATABASE contact_history'
psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -q -d contact_history -f /contact-history/sample-tables.sql -f /contact-history/views.sql
# The password goes in over standard input: an argument could be read in the process list.
printf "ALTER ROLE sluice_reader LOGIN PASSWORD '%s';\n" "$(cat /run/secrets/source_password)" |
    psql -U "${POSTGRES_USER:-postgres}" -v ON_ERROR_STOP=1 -q -d contact_history

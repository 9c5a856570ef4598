#!/bin/sh
# Run once by the database's container: Airflow's own database and role.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$AIRFLOW_DB_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
create role backroom_airflow login password :'password';
create database backroom_airflow owner backroom_airflow;
revoke connect on database backroom from public;
SQL

-- A database as dayfill left it at migration 0001: the tables of those days, kept as they were. What it held is in
-- rows.sql. Never brought up to date: it stands for the databases that are out there.
create table __diesel_schema_migrations (
    version varchar(50) primary key not null,
    run_on  timestamp   not null default current_timestamp
);

create table processed_days (
    dataset         text        not null,
    day             date        not null,
    state           text        not null,
    attempts        integer     not null default 0,
    worker          text,
    claim           text,
    lease_until     timestamp,
    next_attempt_at timestamp,
    source_url      text,
    source_etag     text,
    source_bytes    integer,
    source_modified timestamp,
    source_hash     text,
    definition_hash text,
    loaded_at       timestamp,
    rows_read       integer,
    rows_filtered   integer,
    rows_rejected   integer,
    rows_loaded     integer,
    started_at      timestamp,
    finished_at     timestamp,
    error           text,
    note            text,
    primary key (dataset, day),
    constraint processed_days_state check (state in ('running', 'loaded', 'waiting', 'failed', 'refused', 'absent', 'skipped')),
    constraint processed_days_attempts check (attempts >= 0),
    constraint processed_days_claim check (
        (state = 'running') = (claim is not null)
        and (claim is null) = (worker is null)
        and (claim is null) = (lease_until is null)
    ),
    constraint processed_days_loaded check (state <> 'loaded' or (loaded_at is not null and rows_loaded is not null))
);

create table load_attempts (
    claim         text        not null primary key,
    dataset       text        not null,
    day           date        not null,
    attempt       integer     not null,
    trigger       text        not null,
    worker        text        not null,
    started_at    timestamp   not null,
    finished_at   timestamp,
    outcome       text,
    source_ms     integer,
    stage_ms      integer,
    audit_ms      integer,
    publish_ms    integer,
    rows_read     integer,
    rows_filtered integer,
    rows_rejected integer,
    rows_loaded   integer,
    error         text,
    constraint load_attempts_outcome check (
        (outcome is null) = (finished_at is null)
        and outcome in ('loaded', 'failed', 'refused', 'interrupted', 'database', 'lost')
    )
);
create index load_attempts_day on load_attempts (dataset, day, started_at);

create table rejected_rows (
    dataset     text    not null,
    day         date    not null,
    line        integer not null,
    column_name text,
    value       text,
    reason      text    not null,
    primary key (dataset, day, line)
);

create table workers (
    id           text        not null primary key,
    host         text        not null,
    pid          integer     not null,
    version      text        not null,
    started_at   timestamp   not null,
    heartbeat_at timestamp   not null
);

create table "orders" ("id" text not null, "amount" integer, "note" text, "has_note" boolean, "file_date" text not null, "created_at" text not null default (strftime('%Y-%m-%d %H:%M:%f+00', 'now')), primary key ("file_date", "id"));

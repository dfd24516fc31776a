-- A database as dayfill left it at migration 0001: the tables of those days, kept as they were. What it held is in
-- rows.sql. Never brought up to date: it stands for the databases that are out there.
set timezone = 'UTC';

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
    lease_until     timestamptz,
    next_attempt_at timestamptz,
    source_url      text,
    source_etag     text,
    source_bytes    bigint,
    source_modified timestamptz,
    source_hash     text,
    definition_hash text,
    loaded_at       timestamptz,
    rows_read       bigint,
    rows_filtered   bigint,
    rows_rejected   bigint,
    rows_loaded     bigint,
    started_at      timestamptz,
    finished_at     timestamptz,
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
comment on table processed_days is 'One row per dataset and day that was ever looked at; a wanted day without a row is missing';
comment on column processed_days.attempts is 'Attempts begun in this series, counted when they begin; a new series begins when a loaded day is loaded again, and when a day is retried or forgotten';
comment on column processed_days.claim is 'Random token of the process that loads the day; publishing proves it';
comment on column processed_days.lease_until is 'Until when the claim holds without a heartbeat, by this database''s clock';
comment on column processed_days.next_attempt_at is 'When a waiting or failed day is due for its next look';
comment on column processed_days.source_hash is 'SHA-256 of the stored bytes of the file that was loaded';
comment on column processed_days.definition_hash is 'SHA-256 of the dataset''s definition that shaped the rows';
comment on column processed_days.loaded_at is 'When the target last took the day''s rows; set only by publishing';

create table load_attempts (
    claim         text        not null primary key,
    dataset       text        not null,
    day           date        not null,
    attempt       integer     not null,
    trigger       text        not null,
    worker        text        not null,
    started_at    timestamptz not null,
    finished_at   timestamptz,
    outcome       text,
    source_ms     bigint,
    stage_ms      bigint,
    audit_ms      bigint,
    publish_ms    bigint,
    rows_read     bigint,
    rows_filtered bigint,
    rows_rejected bigint,
    rows_loaded   bigint,
    error         text,
    constraint load_attempts_outcome check (
        (outcome is null) = (finished_at is null)
        and outcome in ('loaded', 'failed', 'refused', 'interrupted', 'database', 'lost')
    )
);
create index load_attempts_day on load_attempts (dataset, day, started_at);
comment on table load_attempts is 'One row per try at loading a day; no outcome while it runs';
comment on column load_attempts.outcome is 'interrupted: stopped by a person; database: the database itself failed; lost: the process died or stalled and another took the day';

create table rejected_rows (
    dataset     text   not null,
    day         date   not null,
    line        bigint not null,
    column_name text,
    value       text,
    reason      text   not null,
    primary key (dataset, day, line)
);
comment on table rejected_rows is 'The first 10,000 rows of a day that could not be taken, replaced by each attempt that is published or refused';

create table workers (
    id           text        not null primary key,
    host         text        not null,
    pid          bigint      not null,
    version      text        not null,
    started_at   timestamptz not null,
    heartbeat_at timestamptz not null
);
comment on table workers is 'One row per running process; its session also holds an advisory lock for life';

create table "orders" ("id" text not null, "amount" bigint, "note" text, "has_note" boolean, "file_date" date not null, "created_at" timestamptz not null default now(), primary key ("file_date", "id"));

-- What a person did on the page or through its API.
create table audit_log (
    id       integer   not null primary key autoincrement,
    at       timestamp not null,
    who      text      not null,
    action   text      not null,
    dataset  text,
    from_day date,
    to_day   date,
    reason   text,
    outcome  text      not null
);
create index audit_log_at on audit_log (at);

create table paused_datasets (
    dataset text      not null primary key,
    at      timestamp not null,
    who     text      not null
);

alter table load_attempts add column log text;

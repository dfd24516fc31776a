-- What a person did on the page or through its API.
create table audit_log (
    id       bigint      generated always as identity primary key,
    at       timestamptz not null,
    who      text        not null,
    action   text        not null,
    dataset  text,
    from_day date,
    to_day   date,
    reason   text,
    outcome  text        not null
);
create index audit_log_at on audit_log (at);
comment on table audit_log is 'What persons and programs did on the page or through its API';
comment on column audit_log.who is 'The user or token; local where nobody has to log in';
comment on column audit_log.outcome is 'What came of it: done, or why not';

create table paused_datasets (
    dataset text        primary key,
    at      timestamptz not null,
    who     text        not null
);
comment on table paused_datasets is 'Datasets of which the daemons begin no days by themselves';

alter table load_attempts add column log text;
comment on column load_attempts.log is 'What was done, a line each with the milliseconds since the attempt began';

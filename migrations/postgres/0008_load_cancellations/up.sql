-- Loads that somebody asked to be cancelled. A table of its own: while a day is published its row is locked.
create table load_cancellations (
    claim  text        primary key,
    at     timestamptz not null,
    who    text        not null,
    reason text
);
comment on table load_cancellations is 'Loads that somebody asked to be cancelled; the process that loads looks here';
comment on column load_cancellations.claim is 'The attempt: load_attempts.claim';

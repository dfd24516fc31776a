-- Loads that somebody asked to be cancelled. A table of its own: while a day is published its row is locked.
create table load_cancellations (
    claim  text      not null primary key,
    at     timestamp not null,
    who    text      not null,
    reason text
);

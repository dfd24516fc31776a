-- Why a dataset is paused, and where an attempt was made: the row in workers goes with the process.

alter table paused_datasets add column reason text;
comment on column paused_datasets.reason is 'Why, where that was said';

alter table load_attempts add column host text;
alter table load_attempts add column pid bigint;
comment on column load_attempts.host is 'Where its worker ran, and pid there';

-- Why a dataset is paused, and where an attempt was made: the row in workers goes with the process.

alter table paused_datasets add column reason text;

alter table load_attempts add column host text;
alter table load_attempts add column pid integer;

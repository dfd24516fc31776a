alter table load_attempts drop column pid;
alter table load_attempts drop column host;
alter table paused_datasets drop column reason;

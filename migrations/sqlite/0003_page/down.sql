alter table load_attempts drop column log;
drop table paused_datasets;
drop table audit_log;

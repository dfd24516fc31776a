-- "audit" is the check before a day is published; who did what is the activity log.
alter table audit_log rename to activity_log;
alter index audit_log_pkey rename to activity_log_pkey;
alter index audit_log_at rename to activity_log_at;
alter sequence audit_log_id_seq rename to activity_log_id_seq;
comment on table activity_log is 'What users, tokens and commands did through the web UI, the API and the command line';

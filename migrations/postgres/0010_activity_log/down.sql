comment on table activity_log is 'What persons and programs did on the page or through its API';
alter sequence activity_log_id_seq rename to audit_log_id_seq;
alter index activity_log_at rename to audit_log_at;
alter index activity_log_pkey rename to audit_log_pkey;
alter table activity_log rename to audit_log;

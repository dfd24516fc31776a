alter table activity_log rename to audit_log;
drop index activity_log_at;
create index audit_log_at on audit_log (at);

-- "audit" is the check before a day is published; who did what is the activity log.
alter table audit_log rename to activity_log;
drop index audit_log_at;
create index activity_log_at on activity_log (at);

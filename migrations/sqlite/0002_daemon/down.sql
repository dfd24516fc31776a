alter table workers drop column refused_config;
drop index processed_days_not_loaded;
drop index processed_days_open;
alter table processed_days drop column newer_etag;
alter table processed_days drop column waiting_since;

alter table processed_days add column waiting_since timestamp;
alter table processed_days add column newer_etag text;

-- What the daemons look at between ticks: few rows of many.
create index processed_days_open on processed_days (dataset, day) where state in ('running', 'waiting', 'failed');
-- What a plan looks at beside the primary key. Others of these days may be many: absent and skipped ones.
create index processed_days_not_loaded on processed_days (dataset, day) where state <> 'loaded';

alter table workers add column refused_config text;

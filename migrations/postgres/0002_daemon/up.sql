alter table processed_days add column waiting_since timestamptz;
alter table processed_days add column newer_etag text;
comment on column processed_days.waiting_since is 'When the file of a waiting day was first looked for; the day is given up from then on counted';
comment on column processed_days.newer_etag is 'ETag of a newer file that was seen at the source and is not loaded';

-- What the daemons look at between ticks: few rows of many.
create index processed_days_open on processed_days (dataset, day) where state in ('running', 'waiting', 'failed');
-- What a plan looks at beside the primary key. Others of these days may be many: absent and skipped ones.
create index processed_days_not_loaded on processed_days (dataset, day) where state <> 'loaded';

alter table workers add column refused_config text;
comment on column workers.refused_config is 'What is wrong with the configuration that a daemon refused; it goes on with the one before';

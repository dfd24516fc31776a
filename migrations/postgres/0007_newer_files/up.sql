-- Days of which the source has a newer file than the one that was loaded: few of many, and they need attention.
create index processed_days_newer_file on processed_days (dataset, day) where newer_etag is not null;

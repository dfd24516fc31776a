drop index processed_days_newer_file;

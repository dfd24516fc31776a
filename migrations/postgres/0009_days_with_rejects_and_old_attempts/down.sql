drop index load_attempts_finished_at;
drop index processed_days_with_rejects;

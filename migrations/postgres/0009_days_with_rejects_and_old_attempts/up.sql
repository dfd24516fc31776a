-- Loaded days of which rows were rejected: few of many, and they are marked wherever days are shown.
create index processed_days_with_rejects on processed_days (dataset, day) where rows_rejected > 0;
-- Attempts that are kept long enough are cleared, the oldest first.
create index load_attempts_finished_at on load_attempts (finished_at);

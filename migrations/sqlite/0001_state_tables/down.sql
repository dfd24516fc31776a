drop table workers;
drop table rejected_rows;
drop table load_attempts;
drop table processed_days;

drop table load_cancellations;

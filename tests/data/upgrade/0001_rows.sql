-- A week of the dataset orders at migration 0001, in words that both databases read: a day in each state, an attempt
-- with each outcome. 2024-03-05 was running when its process died; 2024-03-07 was never looked at.
insert into __diesel_schema_migrations (version, run_on) values ('0001', '2024-03-01 02:00:00');

insert into processed_days values
    ('orders', '2024-02-28', 'absent', 0, null, null, null, null, '/data/orders/2024-02-28.csv', null, null, null, null, null, null, null, null, null, null, '2024-03-07 02:00:00.100000', '2024-03-07 02:00:00.200000', 'no such file', null),
    ('orders', '2024-03-01', 'loaded', 1, null, null, null, null, '/data/orders/2024-03-01.csv', '"a1e0e3-661568174bf18-2d"', 45, '2024-03-02 01:30:00.257624', '1ec7bbfb813d4a0abba278ca8f9a0e9875e60b82139b56b40f1e32c0c64717ef', '3ec6d4d953daf21ed11dc163ff0fdc5cce0afe4dfe6631f45f288760a5a3f025', '2024-03-02 02:00:03.612435', 4, 1, 1, 2, '2024-03-02 02:00:03.584924', '2024-03-02 02:00:03.612435', null, null),
    ('orders', '2024-03-02', 'refused', 1, null, null, null, null, null, '"a1e0f3-661568174bf18-1c"', 28, '2024-03-03 01:30:00.257624', 'f9a4e73ea54a1452b6b4c9bec900ff1a716e0dea778148a15048b3d138cc1c62', null, null, 2, null, 1, null, '2024-03-03 02:00:00.634723', '2024-03-03 02:00:00.639220', '1 of 2 rows rejected (50.0%), the limit is 10%', null),
    ('orders', '2024-03-03', 'waiting', 0, null, null, null, '2024-03-07 14:07:30', '/data/orders/2024-03-03.csv', null, null, null, null, null, null, null, null, null, null, '2024-03-07 13:53:58.653844', '2024-03-07 13:53:58.658462', 'no such file', null),
    ('orders', '2024-03-04', 'failed', 2, null, null, null, '2024-03-05 02:01:00.479819', null, null, null, null, null, null, null, null, null, null, null, '2024-03-05 02:00:00.659461', '2024-03-05 02:00:00.677262', '/data/orders/2024-03-04.csv is a folder, not a file', null),
    ('orders', '2024-03-05', 'running', 1, '44f31531-b4bc-44fd-a463-59832440f55f', '0d2a3c1b-90be-4c55-9c0e-1f1f6d6a6f05', '2024-03-06 02:01:00.584924', null, null, null, null, null, null, null, null, null, null, null, null, '2024-03-06 02:00:00.584924', null, null, null),
    ('orders', '2024-03-06', 'skipped', 0, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, 'a holiday');

insert into load_attempts values
    ('0d2a3c1b-90be-4c55-9c0e-1f1f6d6a6f01', 'orders', '2024-03-01', 1, 'catch-up', '2b0c1e9e-0f3a-4b52-8a51-7a1f0b8f3a01', '2024-03-02 02:00:00.584924', '2024-03-02 02:00:01.584924', 'interrupted', null, null, null, null, null, null, null, null, null),
    ('0d2a3c1b-90be-4c55-9c0e-1f1f6d6a6f11', 'orders', '2024-03-01', 1, 'catch-up', '2b0c1e9e-0f3a-4b52-8a51-7a1f0b8f3a01', '2024-03-02 02:00:03.584924', '2024-03-02 02:00:03.612435', 'loaded', 0, 1, 0, 21, 4, 1, 1, 2, null),
    ('0d2a3c1b-90be-4c55-9c0e-1f1f6d6a6f02', 'orders', '2024-03-02', 1, 'catch-up', '2b0c1e9e-0f3a-4b52-8a51-7a1f0b8f3a02', '2024-03-03 02:00:00.634723', '2024-03-03 02:00:00.639220', 'refused', 0, 1, 0, null, 2, null, 1, null, '1 of 2 rows rejected (50.0%), the limit is 10%'),
    ('0d2a3c1b-90be-4c55-9c0e-1f1f6d6a6f03', 'orders', '2024-03-04', 1, 'catch-up', '2b0c1e9e-0f3a-4b52-8a51-7a1f0b8f3a03', '2024-03-05 01:00:00.659461', '2024-03-05 01:00:00.677262', 'lost', null, null, null, null, null, null, null, null, null),
    ('0d2a3c1b-90be-4c55-9c0e-1f1f6d6a6f13', 'orders', '2024-03-04', 1, 'catch-up', '2b0c1e9e-0f3a-4b52-8a51-7a1f0b8f3a03', '2024-03-05 01:30:00.659461', '2024-03-05 01:30:00.677262', 'database', 0, null, null, null, null, null, null, null, 'the database has no room'),
    ('0d2a3c1b-90be-4c55-9c0e-1f1f6d6a6f04', 'orders', '2024-03-04', 2, 'load', '2b0c1e9e-0f3a-4b52-8a51-7a1f0b8f3a04', '2024-03-05 02:00:00.659461', '2024-03-05 02:00:00.677262', 'failed', 0, null, null, null, null, null, null, null, '/data/orders/2024-03-04.csv is a folder, not a file'),
    ('0d2a3c1b-90be-4c55-9c0e-1f1f6d6a6f05', 'orders', '2024-03-05', 1, 'catch-up', '44f31531-b4bc-44fd-a463-59832440f55f', '2024-03-06 02:00:00.584924', null, null, null, null, null, null, null, null, null, null, null);

insert into rejected_rows values
    ('orders', '2024-03-01', 5, 'id', null, 'is required'),
    ('orders', '2024-03-02', 3, 'amount', 'zz', 'is not a bigint');

insert into workers values
    ('44f31531-b4bc-44fd-a463-59832440f55f', 'etl-1', 4711, '0.1.0', '2024-03-06 01:59:59.500000', '2024-03-06 02:00:00.584924');

insert into orders values
    ('a', 1, 'x', true, '2024-03-01', '2024-03-02 02:00:03.612+00'),
    ('b', null, null, false, '2024-03-01', '2024-03-02 02:00:03.612+00');

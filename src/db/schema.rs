//! The state tables, as diesel sees them in both databases; `migrations/` creates them.
//!
//! Timestamps are declared `Timestamp`, which both databases can read and write. PostgreSQL's columns are
//! `timestamptz`: the two have one wire format (microseconds since 2000-01-01 UTC), and every session runs in UTC.

diesel::table! {
    /// One row per dataset and day that was ever looked at.
    processed_days (dataset, day) {
        dataset -> Text,
        day -> Date,
        state -> Text,
        attempts -> Integer,
        worker -> Nullable<Text>,
        claim -> Nullable<Text>,
        lease_until -> Nullable<Timestamp>,
        next_attempt_at -> Nullable<Timestamp>,
        source_url -> Nullable<Text>,
        source_etag -> Nullable<Text>,
        source_bytes -> Nullable<BigInt>,
        source_modified -> Nullable<Timestamp>,
        source_hash -> Nullable<Text>,
        definition_hash -> Nullable<Text>,
        loaded_at -> Nullable<Timestamp>,
        rows_read -> Nullable<BigInt>,
        rows_filtered -> Nullable<BigInt>,
        rows_rejected -> Nullable<BigInt>,
        rows_loaded -> Nullable<BigInt>,
        started_at -> Nullable<Timestamp>,
        finished_at -> Nullable<Timestamp>,
        error -> Nullable<Text>,
        note -> Nullable<Text>,
        waiting_since -> Nullable<Timestamp>,
        newer_etag -> Nullable<Text>,
    }
}

diesel::table! {
    /// One row per try at loading a day; its claim's token is its key.
    load_attempts (claim) {
        claim -> Text,
        dataset -> Text,
        day -> Date,
        attempt -> Integer,
        trigger -> Text,
        worker -> Text,
        started_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
        outcome -> Nullable<Text>,
        source_ms -> Nullable<BigInt>,
        stage_ms -> Nullable<BigInt>,
        audit_ms -> Nullable<BigInt>,
        publish_ms -> Nullable<BigInt>,
        rows_read -> Nullable<BigInt>,
        rows_filtered -> Nullable<BigInt>,
        rows_rejected -> Nullable<BigInt>,
        rows_loaded -> Nullable<BigInt>,
        error -> Nullable<Text>,
        host -> Nullable<Text>,
        pid -> Nullable<BigInt>,
        log -> Nullable<Text>,
    }
}

diesel::table! {
    /// What a person did on the page or through its API.
    activity_log (id) {
        id -> BigInt,
        at -> Timestamp,
        who -> Text,
        action -> Text,
        dataset -> Nullable<Text>,
        from_day -> Nullable<Date>,
        to_day -> Nullable<Date>,
        reason -> Nullable<Text>,
        outcome -> Text,
    }
}

diesel::table! {
    /// Datasets of which the daemons begin no days by themselves.
    paused_datasets (dataset) {
        dataset -> Text,
        at -> Timestamp,
        who -> Text,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    /// Loads that somebody asked to be cancelled.
    load_cancellations (claim) {
        claim -> Text,
        at -> Timestamp,
        who -> Text,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    /// The first rows of a day that could not be taken.
    rejected_rows (dataset, day, line) {
        dataset -> Text,
        day -> Date,
        line -> BigInt,
        column_name -> Nullable<Text>,
        value -> Nullable<Text>,
        reason -> Text,
    }
}

diesel::table! {
    /// One row per running process.
    workers (id) {
        id -> Text,
        host -> Text,
        pid -> BigInt,
        version -> Text,
        started_at -> Timestamp,
        heartbeat_at -> Timestamp,
        refused_config -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(load_attempts, processed_days);

//! load_day

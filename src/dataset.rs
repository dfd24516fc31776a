//! A dataset: one daily file turned into rows of one table, as its configuration file describes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::Weekday;

use crate::column::{Column, Derived, Identifier, Sql, TableName};
use crate::day::Day;
use crate::policy::{OnChange, Policy};
use crate::url_template::UrlTemplate;
use crate::zone::Zone;

/// A dataset's name: its file's stem; `@table` is appended for days loaded into another table than its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetName(String);

impl DatasetName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatasetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !text.is_empty() && text.len() <= 100 && text.chars().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err("is not a dataset name (letters, digits, _ and -, at most 100)".to_owned())
        }
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Everything known of a dataset before any of its days is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its name.
    pub name: DatasetName,
    /// Where its files are.
    pub source: SourceSpec,
    /// When its days are wanted.
    pub schedule: Schedule,
    /// How its files are written.
    pub csv: CsvFormat,
    /// Where its rows go.
    pub target: Target,
    /// What its rows are.
    pub rows: Rows,
    /// How much may be wrong with a day.
    pub limits: Limits,
    /// How its days are caught up with, tried again and waited for.
    pub policy: Policy,
}

/// Where a dataset's files are and how they are reached.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSpec {
    /// The file of a day; a plain path is absolute by now.
    pub url: UrlTemplate,
    /// S3, Google, Azure: unsigned requests.
    pub anonymous: bool,
    /// S3: the bucket's region, where the environment should not say.
    pub region: Option<String>,
    /// S3: another service than Amazon's.
    pub endpoint: Option<String>,
    /// S3: plain http is allowed for the endpoint.
    pub allow_http: bool,
    /// S3: the bucket is named in the path, not in the host.
    pub path_style: bool,
    /// A file must rest that long after its last change before it is taken.
    pub settle: Duration,
    /// The largest window of a zstd file, as the power of two of its bytes; the window is kept in memory.
    pub zstd_window_log: u32,
    /// How long a server is waited for until it answers, and then for each further piece of its answer.
    pub timeout: Duration,
    /// Where a server may send on to.
    pub redirects: Redirects,
    /// HTTP: the file that holds user and password.
    pub user_file: Option<PathBuf>,
    /// HTTP: the file that holds headers, such as one with a token.
    pub headers_file: Option<PathBuf>,
    /// What a 403 means.
    pub forbidden: Forbidden,
    /// The files of loaded days among that many newest ones are looked at again at each tick.
    pub recheck_days: u32,
    /// What to do when such a file is another than the one that was loaded.
    pub on_change: OnChange,
}

impl SourceSpec {
    /// How long a server is waited for unless the dataset says.
    pub const TIMEOUT: Duration = Duration::from_mins(1);

    /// 8 MiB, unless the dataset says: what RFC 8878 has every decoder take, and what the levels up to 19 of `zstd`
    /// need.
    pub const ZSTD_WINDOW_LOG: u32 = 23;

    /// Files that are there, and everything else as it is where the dataset says nothing; but they are not looked at
    /// again after they were loaded.
    #[must_use]
    pub fn new(url: UrlTemplate) -> Self {
        Self {
            url,
            anonymous: false,
            region: None,
            endpoint: None,
            allow_http: false,
            path_style: false,
            settle: Duration::ZERO,
            zstd_window_log: Self::ZSTD_WINDOW_LOG,
            timeout: Self::TIMEOUT,
            redirects: Redirects::default(),
            user_file: None,
            headers_file: None,
            forbidden: Forbidden::Failed,
            recheck_days: 0,
            on_change: OnChange::Ignore,
        }
    }
}

/// Where a server may send on to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Redirects {
    /// To the same host only: no other one learns what is asked for.
    #[default]
    SameHost,
    /// To every host. User, password and headers stay behind all the same.
    Any,
}

/// What a 403 means: some buckets answer it for a key that does not exist (S3 without `s3:ListBucket`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// Permission is missing: the day fails.
    Failed,
    /// The file is not there yet: the day waits.
    Waiting,
}

/// When a dataset's days are wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Five or six cron fields, or a nickname such as `@daily`.
    pub cron: String,
    /// The zone the cron fields are read in.
    pub timezone: Zone,
    /// The first wanted day.
    pub start: Day,
    /// The last wanted day; `None` goes on for ever.
    pub end: Option<Day>,
    /// How many days before the tick's date the tick's newest day lies.
    pub lag_days: u32,
    /// The weekdays that bring a file.
    pub days: Weekdays,
}

/// A set of weekdays, written `mon-fri` or `mon,wed,sat-sun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays([bool; 7]);

impl Weekdays {
    /// Every day of the week.
    pub const ALL: Self = Self([true; 7]);

    /// True when the set holds the weekday.
    #[must_use]
    pub fn contains(self, weekday: Weekday) -> bool {
        self.0[weekday.num_days_from_monday() as usize]
    }

    /// The names of those that it holds, from `mon` to `sun`.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        names.into_iter().zip(self.0).filter(|(_, held)| *held).map(|(name, _)| name).collect()
    }
}

impl FromStr for Weekdays {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut set = [false; 7];
        for part in text.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let number = |name: &str| {
                let weekday: Weekday =
                    name.trim().parse().map_err(|_| format!("has {name:?}, which is not a weekday"))?;
                Ok::<_, String>(weekday.num_days_from_monday() as usize)
            };
            let (mut weekday, last) = (number(from)?, number(to)?);
            set[weekday] = true;
            while weekday != last {
                weekday = (weekday + 1) % 7;
                set[weekday] = true;
            }
        }
        Ok(Self(set))
    }
}

/// How a dataset's files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFormat {
    /// The byte between fields.
    pub delimiter: u8,
    /// The byte around fields.
    pub quote: u8,
    /// The texts that stand for null, for columns of every type.
    pub null: Vec<String>,
    /// True when a file whose last row has no line end is taken for cut off (the default).
    pub last_line_end_required: bool,
}

/// The table a dataset's rows end up in.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The table.
    pub table: TableName,
    /// What becomes of rows that are there already.
    pub mode: Mode,
    /// The columns that tell a day's rows apart.
    pub key: Vec<Identifier>,
    /// The column that holds the row's day.
    pub day_column: Identifier,
    /// A timestamp column for the time of the load.
    pub loaded_at: Option<Identifier>,
}

impl Target {
    /// The columns of the target's primary key: with the day for `replace_day`, the bare key for the other modes.
    #[must_use]
    pub fn primary_key(&self) -> Vec<&Identifier> {
        let day = (self.mode == Mode::ReplaceDay && !self.key.contains(&self.day_column)).then_some(&self.day_column);
        day.into_iter().chain(&self.key).collect()
    }
}

/// What becomes of rows that are in the target already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The table holds exactly the file's rows for that day.
    ReplaceDay,
    /// The first row of a key wins.
    InsertNew,
    /// The row of the latest day wins.
    Upsert,
}

impl Mode {
    /// All modes with their names in a dataset file.
    pub const ALL: [(&'static str, Self); 3] =
        [("replace_day", Self::ReplaceDay), ("insert_new", Self::InsertNew), ("upsert", Self::Upsert)];
}

/// What a dataset's rows are.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The columns taken from the file, in the target's order.
    pub columns: Vec<Column>,
    /// Which staged rows go to the target; `None` lets all pass.
    pub filter: Option<Sql>,
    /// The columns computed from the staged row.
    pub derive: Vec<Derived>,
}

/// How much may be wrong with a day, and how much it may be, before it is refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How many rows may be rejected.
    pub max_rejected: MaxRejected,
    /// How many bytes its file may hold, decompressed.
    pub max_bytes: u64,
    /// How many times its stored size a compressed file may grow to.
    pub max_ratio: u64,
    /// How long a load may take from its claim to its commit; `None` is for as long as it takes.
    pub max_duration: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_rejected: MaxRejected::Count(0), max_bytes: 64 << 30, max_ratio: 500, max_duration: None }
    }
}

/// A bound on rejected rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxRejected {
    /// That many rows.
    Count(u64),
    /// That share of the rows read, in percent.
    Percent(f64),
}

impl FromStr for MaxRejected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is neither a count nor a percentage such as \"1%\"".to_owned();
        match text.strip_suffix('%') {
            Some(number) => match number.trim().parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Percent(percent)),
                _ => Err(wrong()),
            },
            None => text.parse().map(Self::Count).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for MaxRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Dataset {
    /// The same dataset with another table as its target; its days are kept apart under `name@table`.
    #[must_use]
    pub fn into_table(mut self, table: TableName) -> Self {
        if !table.same(&self.target.table) {
            self.name = DatasetName(format!("{}@{table}", self.name));
            self.target.table = table;
        }
        self
    }

    /// True when both replace whole days of one table by one column: each would delete the other's rows.
    #[must_use]
    pub fn replaces_the_same_days(&self, other: &Self) -> bool {
        let (one, other) = (&self.target, &other.target);
        one.mode == Mode::ReplaceDay
            && other.mode == Mode::ReplaceDay
            && one.table.same(&other.table)
            && one.day_column == other.day_column
    }

    /// True when it is loaded into another table than its own. No schedule wants its days then.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.name.as_str().contains('@')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays() {
        let set: Weekdays = "mon-fri".parse().unwrap();
        assert!(set.contains(Weekday::Fri) && !set.contains(Weekday::Sat));
        let set: Weekdays = "Sat-Mon, wed".parse().unwrap();
        let held = |day| set.contains(day);
        assert!(held(Weekday::Sat) && held(Weekday::Sun) && held(Weekday::Mon) && held(Weekday::Wed));
        assert!(!held(Weekday::Tue) && !held(Weekday::Thu) && !held(Weekday::Fri));
        assert_eq!(set.names(), ["mon", "wed", "sat", "sun"]);
        for bad in ["", "mon-", "lundi", "mon..fri", "mon,,tue"] {
            assert!(bad.parse::<Weekdays>().is_err(), "{bad}");
        }
    }

    #[test]
    fn limits() {
        assert_eq!("1%".parse(), Ok(MaxRejected::Percent(1.0)));
        assert_eq!("12".parse(), Ok(MaxRejected::Count(12)));
        for bad in ["", "%", "-1", "101%", "1.5", "NaN%", "one"] {
            assert!(bad.parse::<MaxRejected>().is_err(), "{bad}");
        }
    }
}

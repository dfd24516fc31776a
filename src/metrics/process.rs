//! This process as the system sees it, from `/proc`. What cannot be told is left out: other systems have no `/proc`.

use std::fs;

use chrono::{DateTime, Utc};

/// Ticks of the system's clock per second, as processes are shown them: 100 on every Linux that Rust knows, whatever
/// the kernel was built with.
const TICKS: i64 = 100;

/// This process as the system sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Process {
    /// Milliseconds of CPU that it used, for itself and in the kernel.
    pub cpu_ms: Option<i64>,
    /// Bytes of memory that are in RAM.
    pub resident_bytes: Option<u64>,
    /// Files and sockets that it has open.
    pub open_fds: Option<usize>,
    /// Its threads.
    pub threads: Option<u64>,
    /// When it started.
    pub started: Option<DateTime<Utc>>,
}

impl Process {
    /// Of now.
    #[must_use]
    pub fn read() -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
        let open = fs::read_dir("/proc/self/fd").ok();
        Self {
            // One of them is the folder itself, open to be read.
            open_fds: open.map(|open| open.count().saturating_sub(1)),
            ..Self::of(&read("self/stat"), &read("self/status"), &read("stat"))
        }
    }

    /// Of the files that tell of it.
    fn of(stat: &str, status: &str, system: &str) -> Self {
        // The fields from the third on: the second is the program's name, which may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<i64>().ok());
        let ticks_ms = |ticks: i64| ticks * 1000 / TICKS;
        let named = |text: &str, name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            value.split_whitespace().next()?.parse::<u64>().ok()
        };
        let booted = named(system, "btime ").and_then(|seconds| i64::try_from(seconds).ok());
        let started_ms = booted.zip(field(22)).map(|(booted, ticks)| booted * 1000 + ticks_ms(ticks));
        Self {
            cpu_ms: field(14).zip(field(15)).map(|(user, system)| ticks_ms(user + system)),
            resident_bytes: named(status, "VmRSS:").map(|kibibytes| kibibytes * 1024),
            open_fds: None,
            threads: named(status, "Threads:"),
            started: started_ms.and_then(DateTime::from_timestamp_millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_from_what_the_system_says() {
        let stat = "4242 (day (fill) 1) S 1 4242 4242 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 9 0 8000 250000 2000 \
                    18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let status = "Name:\tdayfill\nVmPeak:\t  250000 kB\nVmRSS:\t   12345 kB\nThreads:\t9\n";
        let system = "cpu  1 2 3 4\nbtime 1554163200\nprocesses 5000\n";
        assert_eq!(
            Process::of(stat, status, system),
            Process {
                cpu_ms: Some(1680),
                resident_bytes: Some(12_345 * 1024),
                open_fds: None,
                threads: Some(9),
                started: Some("2019-04-02T00:01:20Z".parse().unwrap()),
            }
        );
        assert_eq!(Process::of("", "", ""), Process::default());
        assert_eq!(Process::of("4242 (dayfill", "VmRSS:", "btime x"), Process::default());
    }

    #[test]
    fn this_process_is_seen() {
        let before = Process::read();
        let file = fs::File::open("/proc/self/status").unwrap();
        let now = Process::read();
        drop(file);
        assert!(now.resident_bytes.is_some_and(|bytes| bytes > 1024 * 1024), "{now:?}");
        assert!(now.threads.is_some_and(|threads| threads >= 1), "{now:?}");
        assert!(now.cpu_ms >= before.cpu_ms && now.cpu_ms.is_some(), "{before:?} {now:?}");
        assert!(now.open_fds.is_some_and(|open| open > 3), "{now:?}");
        assert_eq!(now.started, before.started);
        assert!(now.started.is_some_and(|started| started <= Utc::now()), "{now:?}");
    }
}

//! Every URL of the web, in one place. The page may live below a path of its own (`web.base_path`).

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::day::Day;

/// What stands in a path or a query as it is; all else is percent-encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn encoded(text: &str) -> impl Display {
    utf8_percent_encode(text, ENCODED)
}

/// The URLs of the web, below its base path. Names of datasets are percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    base: String,
}

impl Links {
    /// The URLs below a path such as `/dayfill`; `/` and the empty text are the root.
    #[must_use]
    pub fn new(base_path: &str) -> Self {
        let base = base_path.trim_matches('/');
        Self { base: if base.is_empty() { String::new() } else { format!("/{base}") } }
    }

    /// The overview of all datasets.
    #[must_use]
    pub fn overview(&self) -> String {
        self.at("/")
    }

    /// A page of the overview, from 1, of the datasets that a filter leaves.
    #[must_use]
    pub fn overview_page(&self, query: &str, page: usize) -> String {
        format!("{}/?q={}&page={page}", self.base, encoded(query))
    }

    /// A page of the overview, from 1, of the datasets that need a person for a reason.
    #[must_use]
    pub fn needing(&self, why: &str, page: usize) -> String {
        format!("{}/?why={}&page={page}", self.base, encoded(why))
    }

    /// A dataset's page.
    #[must_use]
    pub fn dataset(&self, dataset: &str) -> String {
        format!("{}/datasets/{}", self.base, encoded(dataset))
    }

    /// The page of a dataset's day.
    #[must_use]
    pub fn day(&self, dataset: &str, day: Day) -> String {
        format!("{}/{day}", self.days(dataset))
    }

    /// A day's rejected rows that come behind a line.
    #[must_use]
    pub fn rejects_after(&self, dataset: &str, day: Day, line: i64) -> String {
        format!("{}?after={line}#rejects", self.day(dataset, day))
    }

    /// A day's rejected rows that come before a line.
    #[must_use]
    pub fn rejects_before(&self, dataset: &str, day: Day, line: i64) -> String {
        format!("{}?before={line}#rejects", self.day(dataset, day))
    }

    /// What `GET ?day=` of sends to the page of that day: the form that opens a day needs no JavaScript.
    #[must_use]
    pub fn days(&self, dataset: &str) -> String {
        format!("{}/days", self.dataset(dataset))
    }

    /// The dry run; `GET` with `action`, and `from` and `to` where it is about a range.
    #[must_use]
    pub fn dry_run(&self, dataset: &str) -> String {
        format!("{}/dry-run", self.dataset(dataset))
    }

    /// Where actions are asked for: `POST` with `action`, `from`, `to`, `reason`.
    #[must_use]
    pub fn actions(&self, dataset: &str) -> String {
        format!("{}/actions", self.dataset(dataset))
    }

    /// The processes at work.
    #[must_use]
    pub fn daemons(&self) -> String {
        self.at("/daemons")
    }

    /// The configuration in force.
    #[must_use]
    pub fn configuration(&self) -> String {
        self.at("/configuration")
    }

    /// Who did what.
    #[must_use]
    pub fn activity_log(&self) -> String {
        self.at("/activity-log")
    }

    /// Who did what after an entry of the log.
    #[must_use]
    pub fn activity_log_after(&self, entry: i64) -> String {
        format!("{}?after={entry}", self.activity_log())
    }

    /// Who did what before an entry of the log.
    #[must_use]
    pub fn activity_log_before(&self, entry: i64) -> String {
        format!("{}?before={entry}", self.activity_log())
    }

    /// The login: `GET` shows the form, `POST` takes `next`, `name`, `password`.
    #[must_use]
    pub fn login(&self) -> String {
        self.at("/login")
    }

    /// The end of a session: `POST`.
    #[must_use]
    pub fn logout(&self) -> String {
        self.at("/logout")
    }

    /// The stream of events that keeps a page up to date.
    #[must_use]
    pub fn events(&self) -> String {
        self.at("/api/v1/events")
    }

    /// The description of the API.
    #[must_use]
    pub fn openapi(&self) -> String {
        self.at("/api/openapi.json")
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.at("/metrics")
    }

    /// The path of an asset below the base path.
    #[must_use]
    pub fn asset(&self, path: &str) -> String {
        self.at(path)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_written_one_way() {
        for base in ["/fill", "fill/", "/fill/", "fill"] {
            assert_eq!(Links::new(base).daemons(), "/fill/daemons", "{base}");
        }
        for base in ["", "/"] {
            assert_eq!(Links::new(base).overview(), "/", "{base:?}");
        }
        assert_eq!(Links::new("/a/b").dataset("x"), "/a/b/datasets/x");
    }

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        let links = Links::new("");
        assert_eq!(links.dataset("orders@other.table"), "/datasets/orders%40other.table");
        assert_eq!(links.dataset("a/../b?c#d\"é"), "/datasets/a%2F..%2Fb%3Fc%23d%22%C3%A9");
        assert_eq!(links.overview_page("a&page=9 b", 2), "/?q=a%26page%3D9%20b&page=2");
        assert_eq!(links.needing("newer-file", 1), "/?why=newer-file&page=1");
    }
}

//! The place of a dataset's files, with a gap for the day: `s3://bucket/{day}.csv` or `/data/{day:%Y/%m/%d}.csv.gz`.

use std::fmt;
use std::fmt::Write as _;

use chrono::NaiveDate;
use chrono::format::{Item, StrftimeItems};

use crate::day::Day;

/// A URL or path in which `{day}` (or `{day:FORMAT}`, with chrono's strftime codes) stands for the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Day(String),
}

impl UrlTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// A message when a brace is left open, something other than `day` stands in braces, a strftime code is unknown or
    /// needs a time of day, or the day does not occur or its format has no code (every day would be the same file).
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            parts.push(Part::Text(rest[..open].to_owned()));
            let close = rest[open..].find('}').ok_or("has a { without a }")? + open;
            parts.push(Part::Day(day_format(&rest[open + 1..close])?));
            rest = &rest[close + 1..];
        }
        parts.push(Part::Text(rest.to_owned()));
        if parts.len() == 1 {
            return Err("has no {day}: every day would be the same file".to_owned());
        }
        let template = Self { text: text.to_owned(), parts };
        // They differ in year, month, week, day and weekday.
        let days = [(2019, 4, 1), (2020, 12, 31)].map(|(year, month, day)| NaiveDate::from_ymd_opt(year, month, day));
        let [first, other] = days.map(|date| template.of(Day::new(date.unwrap_or_default())));
        if first == other {
            return Err("says nothing of the day: every day would be the same file; {day:FORMAT} takes codes such as \
                        %Y%m%d"
                .to_owned());
        }
        Ok(template)
    }

    /// What stands before the first gap.
    pub(crate) fn before_day(&self) -> String {
        let text = |part: &Part| if let Part::Text(text) = part { Some(text.clone()) } else { None };
        self.parts.iter().map_while(text).collect()
    }

    /// The same template below a folder, whose own braces mean nothing.
    #[must_use]
    pub fn within(mut self, folder: &str) -> Self {
        let folder = format!("{}/", folder.trim_end_matches('/'));
        self.text.insert_str(0, &folder);
        self.parts.insert(0, Part::Text(folder));
        self
    }

    /// The URL or path of one day's file.
    #[must_use]
    pub fn of(&self, day: Day) -> String {
        let mut url = String::with_capacity(self.text.len() + 8);
        for part in &self.parts {
            match part {
                Part::Text(text) => url.push_str(text),
                // The format was tried when the template was read, so that writing cannot fail here.
                Part::Day(format) => _ = write!(url, "{}", day.date().format(format)),
            }
        }
        url
    }
}

fn day_format(inside: &str) -> Result<String, String> {
    let format = match inside.split_once(':') {
        None if inside == "day" => "%Y-%m-%d",
        Some(("day", format)) => format,
        _ => return Err(format!("has {{{inside}}}, which is not {{day}} or {{day:FORMAT}}")),
    };
    if StrftimeItems::new(format).any(|item| item == Item::Error) {
        return Err(format!("has {{{inside}}}, which is not a strftime format"));
    }
    let mut sample = String::new();
    write!(sample, "{}", chrono::NaiveDate::default().format(format))
        .map_err(|_| format!("has {{{inside}}}, which needs a time of day"))?;
    Ok(format.to_owned())
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_fills_every_gap() {
        let day: Day = "2019-04-01".parse().unwrap();
        for (template, url) in [
            ("s3://b/{day}.csv", "s3://b/2019-04-01.csv"),
            ("/d/{day:%Y/%m/%d}.csv.gz", "/d/2019/04/01.csv.gz"),
            ("{day:%Y}/{day}.csv", "2019/2019-04-01.csv"),
            ("{day:%G-W%V}-{day:%j}", "2019-W14-091"),
        ] {
            assert_eq!(UrlTemplate::parse(template).unwrap().of(day), url);
        }
    }

    #[test]
    fn a_folder_keeps_its_braces() {
        let template = UrlTemplate::parse("{day}.csv").unwrap().within("/a{b}");
        assert_eq!(template.of("2019-04-01".parse().unwrap()), "/a{b}/2019-04-01.csv");
        assert_eq!(template.to_string(), "/a{b}/{day}.csv");
    }

    #[test]
    fn what_names_no_day_is_refused() {
        for template in [
            "s3://b/file.csv",
            "{date}.csv",
            "{day.csv",
            "{day:%H}.csv",
            "{day:%!}.csv",
            "{}",
            "{day:x}.csv",
            "{day:%%}/{day:}.csv",
        ] {
            assert!(UrlTemplate::parse(template).is_err(), "{template}");
        }
        for template in ["{day:%Y}", "{day:%j}", "{day:%a}", "{day:x}/{day:%d}"] {
            assert!(UrlTemplate::parse(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn what_stands_before_the_day_is_the_same_for_all_days() {
        for (template, before) in
            [("{day}.csv", "/a{b}/"), ("x/y-{day:%Y}/{day}.csv", "/a{b}/x/y-"), ("{day}/x", "/a{b}/")]
        {
            assert_eq!(UrlTemplate::parse(template).unwrap().within("/a{b}").before_day(), before);
        }
    }
}

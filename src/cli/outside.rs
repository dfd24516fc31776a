//! Days that a command names and a schedule does not reach: they are told of, and at a terminal asked about before they
//! are loaded.

use std::io::{self, BufRead, IsTerminal, Write};

use chrono::Utc;

use crate::cli::failure::Failure;
use crate::cli::loads::DatasetDays;
use crate::dataset::Dataset;
use crate::day::{Day, DayRange};
use crate::db::days;
use crate::db::pool::Conn;
use crate::exit_code::ExitCode;
use crate::plan::Outside;

/// Tells of such days. At a terminal a person is asked whether they are meant, unless `yes` says so; elsewhere nobody
/// could answer, and who wrote a script meant them.
pub(super) fn confirm(conn: &mut Conn, all: &[DatasetDays], yes: bool) -> Result<(), Failure> {
    let mut any = false;
    for DatasetDays { dataset, days } in all {
        any |= tell(conn, dataset, days)?;
    }
    let is_asked = any && !yes && io::stdin().is_terminal() && io::stderr().is_terminal();
    if is_asked && !is_meant(&mut io::stdin().lock(), &mut io::stderr())? {
        return Err(Failure::new(ExitCode::Failed, "nothing was done"));
    }
    Ok(())
}

/// Tells of such days among those that were named; true when there are any.
pub(super) fn tell(conn: &mut Conn, dataset: &Dataset, named: &[Day]) -> Result<bool, Failure> {
    // No schedule reaches the days of a copy.
    let (Some(from), Some(to), false) = (named.iter().min(), named.iter().max(), dataset.is_copy()) else {
        return Ok(false);
    };
    let (known, _) = days::known(conn, &dataset.name, DayRange { from: *from, to: *to })?;
    let states = named.iter().map(|day| (*day, known.get(day).map(|known| known.state)));
    let outside = Outside::count(&dataset.schedule, Utc::now(), states);
    if !outside.is_empty() {
        log::warn!("{}: outside its schedule: {outside}", dataset.name);
    }
    Ok(!outside.is_empty())
}

fn is_meant(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<bool> {
    write!(output, "Load them all? [y/N] ")?;
    output.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        for (answer, is_one) in
            [("y\n", true), ("Yes\r\n", true), ("\n", false), ("", false), ("n\n", false), ("yesterday\n", false)]
        {
            let mut asked = Vec::new();
            assert_eq!(is_meant(&mut answer.as_bytes(), &mut asked).unwrap(), is_one, "{answer:?}");
            assert_eq!(asked, b"Load them all? [y/N] ");
        }
    }
}

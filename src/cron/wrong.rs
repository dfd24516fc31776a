//! What is wrong with a cron expression, for the person who wrote it: croner names neither the field nor what it takes.

use crate::wording::counted;

/// The nicknames that are understood.
pub const NICKNAMES: [&str; 5] = ["@yearly", "@monthly", "@weekly", "@daily", "@hourly"];

/// The fields, the optional one first, and what each takes.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12 or jan to dec"),
    ("weekday", "0 to 7 or sun to sat"),
];

/// Why an expression cannot be read. `is_read` says whether one can; `said` is what the parser said of this one.
pub(super) fn why(cron: &str, is_read: impl Fn(&str) -> bool, said: &str) -> String {
    let given: Vec<&str> = cron.split_whitespace().collect();
    let wanted = "write five fields (minute, hour, day of the month, month, weekday) such as \"0 2 * * *\", six \
                  with the seconds in front, or a nickname such as \"@daily\"";
    match given.len() {
        0 => format!("it is empty; {wanted}"),
        _ if cron.trim_start().starts_with('@') => format!("the nicknames are {}", NICKNAMES.join(", ")),
        5 | 6 => wrong_field(&given, is_read).unwrap_or_else(|| said.trim_end_matches('.').to_owned()),
        number => format!("it has {}; {wanted}", counted(number, "field")),
    }
}

/// The first field that is wrong however the others are.
fn wrong_field(given: &[&str], is_read: impl Fn(&str) -> bool) -> Option<String> {
    let wrong = (0..given.len()).find(|place| {
        let alone: Vec<&str> = (0..given.len()).map(|at| if at == *place { given[at] } else { "*" }).collect();
        !is_read(&alone.join(" "))
    })?;
    let (name, takes) = FIELDS[FIELDS.len() - given.len() + wrong];
    let field = given[wrong];
    Some(format!("its {name} is {field:?}; it takes {takes}, *, ranges (1-5), lists (1,3) and steps (*/2)"))
}

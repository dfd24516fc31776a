//! An order: what is asked for, understood.

use crate::day::{Day, DayRange, MOST_DAYS};
use crate::web::action::{Action, LONGEST_REASON};
use crate::wording::quoted;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionOrder {
    /// What.
    pub action: Action,
    /// With which days; none where the action is about the dataset.
    pub days: Option<DayRange>,
    /// Why, where that was said.
    pub reason: Option<String>,
    /// That it loads days which the schedule does not reach was confirmed.
    pub allow_outside: bool,
}

/// What is wrong with an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct InvalidOrder {
    /// In which field: `action`, `from`, `to` or `reason`.
    pub field: &'static str,
    /// What, with the value where there is one.
    pub why: String,
}

impl InvalidOrder {
    fn new(field: &'static str, why: impl Into<String>) -> Self {
        Self { field, why: why.into() }
    }
}

impl ActionOrder {
    /// Understands an order; nothing in it is confirmed. A day without an end stands for itself.
    ///
    /// # Errors
    /// What is [`InvalidOrder`] with it.
    pub fn new(action: &str, from: Option<&str>, to: Option<&str>, reason: Option<&str>) -> Result<Self, InvalidOrder> {
        let action = Action::by_name(action).ok_or_else(|| {
            let known: Vec<&str> = Action::ALL.into_iter().map(Action::name).collect();
            InvalidOrder::new("action", format!("{} is none of {}", quoted(action), known.join(", ")))
        })?;
        let day = |field, text: Option<&str>| {
            text.map(|text| text.parse::<Day>().map_err(|_| InvalidOrder::new(field, not_a_day(text)))).transpose()
        };
        let days = range(action, day("from", from)?, day("to", to)?)?;
        if let Some(reason) = reason {
            if reason.chars().count() > LONGEST_REASON {
                return Err(InvalidOrder::new("reason", format!("has more than {LONGEST_REASON} characters")));
            }
            // PostgreSQL has no character for some of them.
            if reason.chars().any(char::is_control) {
                return Err(InvalidOrder::new("reason", "has characters that cannot be shown, such as line ends"));
            }
        }
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty()).map(ToOwned::to_owned);
        Ok(Self { action, days, reason, allow_outside: false })
    }
}

fn not_a_day(text: &str) -> String {
    format!("{} is not a day (YYYY-MM-DD)", quoted(text))
}

fn range(action: Action, from: Option<Day>, to: Option<Day>) -> Result<Option<DayRange>, InvalidOrder> {
    if !action.takes_days() {
        let field = from.map(|_| "from").or(to.map(|_| "to"));
        return field
            .map_or(Ok(None), |field| Err(InvalidOrder::new(field, format!("{} takes no days", action.name()))));
    }
    let from = from.ok_or_else(|| InvalidOrder::new("from", format!("{} needs a day", action.name())))?;
    let to = to.unwrap_or(from);
    if to < from {
        return Err(InvalidOrder::new("to", format!("{to} is before {from}")));
    }
    let range = DayRange { from, to };
    if range.days().take(MOST_DAYS + 1).count() > MOST_DAYS {
        return Err(InvalidOrder::new("to", format!("{range} has more than {MOST_DAYS} days")));
    }
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_understood() {
        for (action, from, to, days) in [
            ("catch_up", None, None, None),
            ("load", Some("2024-03-01"), None, Some("2024-03-01")),
            ("skip", Some("2024-03-01"), Some("2024-03-07"), Some("2024-03-01..2024-03-07")),
            ("reload", Some("2010-01-01"), Some("2020-12-13"), Some("2010-01-01..2020-12-13")),
        ] {
            let order = ActionOrder::new(action, from, to, Some(" why ")).unwrap();
            assert_eq!((order.action.name(), order.reason.as_deref()), (action, Some("why")));
            assert_eq!(order.days, days.map(|days| days.parse().unwrap()));
        }
        assert_eq!(ActionOrder::new("pause", None, None, Some("  ")).unwrap().reason, None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value() {
        let long = "x".repeat(LONGEST_REASON + 1);
        for (action, from, to, reason, wrong) in [
            ("lod", None, None, None, "action: \"lod\" is none of catch_up, load,"),
            ("load", None, None, None, "from: load needs a day"),
            ("load", Some("2024-02-30"), None, None, "from: \"2024-02-30\" is not a day (YYYY-MM-DD)"),
            ("load", Some("2024-03-01"), Some("soon"), None, "to: \"soon\" is not a day"),
            ("load", Some("2024-03-02"), Some("2024-03-01"), None, "to: 2024-03-01 is before 2024-03-02"),
            (
                "load",
                Some("2010-01-01"),
                Some("2020-12-14"),
                None,
                "to: 2010-01-01..2020-12-14 has more than 4000 days",
            ),
            ("load", Some("0001-01-01"), Some("9999-12-31"), None, "to: 0001-01-01..9999-12-31 has more than"),
            ("catch_up", Some("2024-03-01"), None, None, "from: catch_up takes no days"),
            ("pause", None, Some("2024-03-01"), None, "to: pause takes no days"),
            ("pause", None, None, Some("a\0b"), "reason: has characters that"),
            ("pause", None, None, Some(&long), "reason: has more than 1000"),
        ] {
            let found = ActionOrder::new(action, from, to, reason).unwrap_err().to_string();
            assert!(found.starts_with(wrong), "{found}");
        }
    }
}

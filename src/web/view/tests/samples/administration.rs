//! The pages beside the datasets.

use chrono::TimeDelta;

use super::{Texts, at, day, range};
use crate::daemon::BrokenDataset;
use crate::status::{ActivityEntry, RegisteredWorker};
use crate::web::view::model::{
    ActivityLogPage, ConfigurationKey, ConfigurationPage, DaemonRow, DaemonsPage, ForbiddenPage, LoginPage,
    ProblemPage, RejectedConfiguration, UnreachablePage,
};

pub(in crate::web::view::tests) fn daemons(t: &Texts) -> DaemonsPage {
    let one = |host: &str, this_one, stalled, loads: &[&str], refused: Option<&str>| DaemonRow {
        worker: RegisteredWorker {
            id: "5b6c".to_owned(),
            host: t.text(host),
            pid: 4711,
            version: t.text("0.2.0"),
            started_at: at("2026-11-02T08:14:00Z"),
            heartbeat_at: at("2026-11-20T07:30:00Z"),
            refused_config: refused.map(|problems| t.text(problems)),
        },
        silence: TimeDelta::seconds(if stalled { 212 } else { 8 }),
        stalled,
        loads: loads.iter().map(|name| (t.text(name), day("2026-11-20"))).collect(),
        this_one,
    };
    DaemonsPage {
        daemons: vec![
            one("etl-1.example.com", true, false, &["orders", "payments"], None),
            one(
                "etl-2.example.com",
                false,
                false,
                &[],
                Some("datasets/orders.toml: rows.where: column \"amuont\" does not exist"),
            ),
            one("etl-3.example.com", false, true, &[], None),
        ],
    }
}

pub(in crate::web::view::tests) fn configuration(t: &Texts) -> ConfigurationPage {
    let keys = [
        ("catch_up.concurrency", "4", "DAYFILL__CATCH_UP__CONCURRENCY"),
        ("claim.lease", "\"60s\"", "default"),
        (
            "database.url",
            "\"postgres://etl:***@db.example.com/shop?sslmode=verify-full&sslrootcert=system\"",
            "database.url_file",
        ),
        ("log.level", "\"info\"", "default"),
        ("retry.max_attempts", "5", "/etc/dayfill/dayfill.toml"),
        ("waiting.deadline", "\"07:30\"", "/etc/dayfill/dayfill.toml"),
    ];
    let problems = [
        "datasets/orders.toml: rows.where: column \"amuont\" does not exist",
        "retry.max_attempts = 0: has to be from 1 to 1000",
    ];
    ConfigurationPage {
        file: t.text("/etc/dayfill/dayfill.toml"),
        since: at("2026-11-02T08:14:00Z"),
        keys: keys
            .map(|(name, value, origin)| ConfigurationKey {
                name: t.text(name),
                value: t.text(value),
                origin: t.text(origin),
            })
            .into(),
        refused: Some(RejectedConfiguration {
            at: at("2026-11-20T06:58:21Z"),
            problems: problems.map(|problem| t.text(problem)).into(),
        }),
        broken: vec![BrokenDataset {
            name: t.text("orders"),
            older_in_force: true,
            problems: vec![t.text("datasets/orders.toml: limits.max_rejected = \"1 percent\": is not a percentage")],
        }],
    }
}

pub(in crate::web::view::tests) fn activity_log(t: &Texts) -> ActivityLogPage {
    let entry = |second: &str, what: &str, days: Option<&str>, reason: Option<&str>, outcome: &str| ActivityEntry {
        id: 1,
        at: at(&format!("2026-11-20T07:{second}Z")),
        who: t.text("marta"),
        action: t.text(what),
        dataset: days.map(|_| t.text("shopify_config")),
        from: days.map(|days| range(days).from),
        to: days.map(|days| range(days).to),
        reason: reason.map(|reason| t.text(reason)),
        outcome: t.text(outcome),
    };
    ActivityLogPage {
        entries: vec![
            entry(
                "30:11",
                "reload",
                Some("2026-11-01..2026-11-07"),
                Some("the shop sent them again"),
                "done: 7 days asked for",
            ),
            entry("24:50", "forget", Some("2026-11-13"), None, "turned down: the role viewer may not"),
            entry("24:02", "login", None, None, "done"),
        ],
        newer: Some(120),
        older: Some(71),
    }
}

pub(in crate::web::view::tests) fn login(t: &Texts) -> LoginPage {
    LoginPage {
        name: t.text("marta"),
        next: t.text("/datasets/orders"),
        error: Some(t.text("Name or password is wrong.")),
    }
}

pub(in crate::web::view::tests) fn problem(t: &Texts) -> ProblemPage {
    ProblemPage {
        status: 404,
        title: t.text("There is no such dataset"),
        detail: Some(t.text("No file in the folder of datasets is called ordres.toml.")),
    }
}

pub(in crate::web::view::tests) fn may_not(t: &Texts) -> ForbiddenPage {
    ForbiddenPage { what: t.text("To reload days"), needs: t.text("operator") }
}

pub(in crate::web::view::tests) fn unreachable(t: &Texts) -> UnreachablePage {
    UnreachablePage {
        database: t.text("postgres://etl:***@db.example.com/shop"),
        since: at("2026-11-20T07:12:00Z"),
        error: t.text("connection to server at \"db.example.com\" (10.1.2.3), port 5432 failed: Connection refused"),
    }
}

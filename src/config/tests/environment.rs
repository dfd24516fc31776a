//! What is wrong with a variable.

use super::{Folder, GOOD};

#[test]
fn problems_of_the_environment_name_the_variable() {
    let folder = Folder::new("").write("datasets/a.toml", GOOD);
    let problems = folder.problems([
        ("DAYFILL__CATCH_UP__CONCURRENCY", "many"),
        ("DAYFILL__LOG__LEVL", "info"),
        ("DAYFILL__LGO__LEVEL", "info"),
        ("DAYFILL__LOG", "info"),
        ("DAYFILL__DATABASE__URL", "postgres://u:hunter22"),
    ]);
    let mut lines: Vec<&str> = problems.lines().collect();
    lines.sort_unstable();
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.starts_with("DAYFILL__LOG")).collect();
    assert_eq!(
        lines,
        [
            "DAYFILL__CATCH_UP__CONCURRENCY: catch_up.concurrency = \"many\": is not a whole number from 1 to 64",
            "DAYFILL__DATABASE__URL: database.url = ***: has a port that is not a number from 1 to 65535",
            "DAYFILL__LGO__LEVEL: lgo: unknown key; did you mean \"log\"?",
        ]
    );
    let problems = folder.problems([("DAYFILL__LOG__LEVL", "info")]);
    assert_eq!(problems, "DAYFILL__LOG__LEVL: log.levl: unknown key; did you mean \"level\"?");
    let unset = "no key of a dataset can be set by a variable: set it in the dataset's file; DAYFILL__DATASETS, with \
                 nothing behind it, is the folder of these files";
    let problems = folder.problems([
        ("DAYFILL__DATASETS", "datasets"),
        ("DAYFILL__DATASETS__A__SCHEDULE__CRON", "@daily"),
        ("dayfill__datasets__b", "hunter22"),
        ("DAYFILL__DATASETS__C", ""),
    ]);
    assert_eq!(
        problems,
        format!("DAYFILL__DATASETS__A__SCHEDULE__CRON: {unset}\ndayfill__datasets__b: {unset}"),
        "beside the folder or not, and never the value"
    );
    let problems = folder.problems([("DAYFILL__DATASETS", "elsewhere")]);
    assert!(
        problems.starts_with("DAYFILL__DATASETS: datasets = \"elsewhere\": cannot be read as a folder"),
        "{problems}"
    );
}

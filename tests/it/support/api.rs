//! The daemon in the test's own process, with its API behind the guard.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use dayfill::config::{self, Environment};
use dayfill::daemon::{self, DaemonConfig, DaemonHandle, DatabaseSettings, Start};
use dayfill::events::Subscribers;
use dayfill::load_day::Job;
use dayfill::service_manager::ServiceManager;
use dayfill::source::Source;
use dayfill::web::auth::{Role, users_file};
use dayfill::web::{Site, api};
use serde_json::Value;
use tokio::sync::oneshot;

use super::Database;
use super::page::{self, Answer, Page};
use super::project::Project;
use super::wait_until;

/// The daemon and its API, until they are dropped.
pub(crate) struct Api {
    page: Page,
    site: Arc<Site>,
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    operator: String,
    reader: String,
}

impl Api {
    /// The daemon on that project and its database, with nothing to catch up with at the start.
    pub(crate) fn start(project: &Project, database: &dyn Database) -> Self {
        Self::start_with(project, database, Subscribers::default())
    }

    /// The same, with those who hear of events.
    pub(crate) fn start_with(project: &Project, database: &dyn Database, subscribers: Subscribers) -> Self {
        let (file, url) = (project.path("dayfill.toml"), database.url().to_owned());
        let read = move || told(&file, &url);
        let (send_site, site) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        // The loop stays on one thread.
        let daemon = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                let configuration = read().expect("the configuration is right");
                let manager = ServiceManager::new(|_| None);
                let start = Start { configuration, read: Arc::new(read), catch_up: Some(false), manager, subscribers };
                let ready = daemon::start(start).await.expect("it starts");
                drop(send_site.send(Site::start(ready.handle())));
                tokio::select! {
                    () = ready.run() => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let site = site.recv().expect("it starts");
        let page = page::Start { open: api::health(&site), closed: api::router(&site, ""), ..page::Start::default() };
        let page = page.with_users();
        let token = |name, scope| users_file::add_token(page.users(), name, scope).expect("the file is written");
        let (operator, reader) = (token("robot", Role::Operator), token("viewer", Role::Reader));
        let bearer = |token: Option<String>| format!("Bearer {}", token.expect("it is new"));
        let (operator, reader) = (bearer(operator), bearer(reader));
        let api = Self { page, site, thread: Some(daemon), stop: Some(stop), operator, reader };
        wait_until("the database is reached", || api.daemon().status().context.is_some());
        api
    }

    pub(crate) fn page(&self) -> &Page {
        &self.page
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn daemon(&self) -> &DaemonHandle {
        self.site.daemon()
    }

    /// What may change everything.
    pub(crate) fn operator(&self) -> &str {
        &self.operator
    }

    /// What may look at everything.
    pub(crate) fn reader(&self) -> &str {
        &self.reader
    }

    /// What is answered to a reader.
    pub(crate) fn answer(&self, path: &str) -> Answer {
        self.page.get(path, &[("Authorization", &self.reader)])
    }

    /// The JSON at a path, which is there.
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.answer(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{path}: {answer:?}");
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// What is answered to an operator who asks for something.
    pub(crate) fn ask(&self, dataset: &str, request: &Value) -> Answer {
        let headers = [("Authorization", self.operator.as_str()), ("Content-Type", "application/json")];
        self.page.ask("POST", &format!("/api/v1/datasets/{dataset}/actions"), &headers, &request.to_string())
    }

    /// The same, where it is done.
    pub(crate) fn done(&self, dataset: &str, request: &Value) -> Value {
        let answer = self.ask(dataset, request);
        assert_eq!(answer.status, 202, "{request}: {answer:?}");
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// Waits until a dataset's counts, or something else of it, are so.
    pub(crate) fn wait_for(&self, dataset: &str, field: &str, value: &Value) {
        wait_until(&format!("{field} of {dataset} is {value}"), || {
            self.get(&format!("/api/v1/datasets/{dataset}"))[field] == *value
        });
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.site.events().end();
        drop(self.stop.take());
        if let Some(daemon) = self.thread.take() {
            drop(daemon.join());
        }
    }
}

/// What the daemon is told of the project's files.
fn told(file: &std::path::Path, url: &str) -> Result<DaemonConfig, Vec<String>> {
    let environment = Environment::from_pairs([("DAYFILL__DATABASE__URL", url)]);
    let config = config::load(Some(file), &environment)
        .map_err(|problems| problems.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let job = |dataset: &dayfill::dataset::Dataset| {
        let source = Source::new(&dataset.source, &[]).expect("a source");
        Arc::new(Job::new(dataset.clone(), source))
    };
    Ok(DaemonConfig {
        file: "dayfill.toml".to_owned(),
        jobs: config.datasets.iter().map(job).collect(),
        broken: config.broken.iter().map(Into::into).collect(),
        connection: DatabaseSettings {
            database: config.settings.database.url.clone(),
            lease: config.settings.claim.lease,
            max_parallel_loads: config.settings.max_parallel_loads,
        },
        keep_attempts: config.settings.retention.attempts,
        read_url: Arc::new(|| None),
        grace: config.settings.shutdown.grace,
        watched: if config.settings.reload.watch { config.read_from() } else { Vec::new() },
        keys: Arc::new(config.keys),
        in_force: Box::new(|| {}),
    })
}

/// A stream of events.
pub(crate) struct Events(BufReader<TcpStream>);

impl Api {
    /// What happens from here on; its greeting was heard.
    pub(crate) fn events(&self) -> Events {
        let mut stream = self.page.connect();
        let request = format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n",
            self.page.address(),
            self.reader
        );
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut events = Events(BufReader::new(stream));
        let (kind, hello) = events.next().expect("a greeting");
        assert_eq!((kind.as_str(), &hello["version"]), ("hello", &env!("CARGO_PKG_VERSION").into()));
        events
    }
}

impl Events {
    /// The next event, its kind and its data; `None` when the stream has ended.
    pub(crate) fn next(&mut self) -> Option<(String, Value)> {
        let mut kind = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).expect("something within 30 s") == 0 {
                return None;
            }
            // Between them stand the lengths of HTTP's chunks.
            if let Some(name) = line.strip_prefix("event: ") {
                name.trim_end().clone_into(&mut kind);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((kind, serde_json::from_str(data).expect("JSON")));
            }
        }
    }

    /// Waits for an event of that kind which is so.
    pub(crate) fn wait_for(&mut self, kind: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut heard = Vec::new();
        loop {
            match self.next() {
                Some((told, data)) if told == kind && is_so(&data) => return data,
                Some(other) => heard.push(other),
                None => panic!("the stream ended without such a {kind}: {heard:?}"),
            }
        }
    }
}

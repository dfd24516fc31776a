//! `run`: the daemon, told what the files say.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::app::{App, level, read_url};
use crate::cli::args::{Global, RunArgs};
use crate::cli::failure::Failure;
use crate::config::{self, Config, Environment};
use crate::daemon::{self, BrokenDataset, DaemonConfig, DatabaseSettings, Start, StartError};
use crate::exit_code::ExitCode;
use crate::load_day::Job;
use crate::logging::{self, LogFormat};
use crate::service_manager::ServiceManager;
use crate::source::Source;
use crate::web;
use tokio::sync::{oneshot, watch};

pub(super) fn run(app: &App, global: &Global, args: &RunArgs) -> Result<ExitCode, Failure> {
    let (page, page_settings) = watch::channel(app.config.settings.web.clone());
    let files = Files {
        page: Arc::new(page),
        named: global.config.clone(),
        environment: app.environment.clone(),
        verbosity: (global.verbose, global.quiet),
        format: global.log_format,
    };
    let configuration =
        files.told(&app.config).map_err(|problems| Failure::of_lines(ExitCode::Configuration, problems))?;
    let manager = ServiceManager::new(|name| app.environment.get(name));
    let catch_up = if args.catch_up { Some(true) } else { args.no_catch_up.then_some(false) };
    // The loop and requests to sources; loads have threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let read = Arc::new(move || files.read());
    let subscribers = app.subscribers()?;
    let start = Start { configuration, read, catch_up, manager, subscribers: subscribers.clone() };
    let started = runtime.block_on(async {
        let ready = daemon::start(start).await?;
        let (end, ended) = oneshot::channel::<()>();
        let stop = async { drop(ended.await) };
        let page = tokio::spawn(web::run(ready.handle(), page_settings, stop));
        ready.run().await;
        drop(end);
        drop(page.await);
        Ok::<(), StartError>(())
    });
    // What is still under way has nothing to lose, and may take long: a name server that does not answer.
    runtime.shutdown_background();
    started.map_err(|error| Failure::new(ExitCode::Failed, error.to_string()))?;
    Ok(ExitCode::Success)
}

/// Where the configuration comes from, each time it is read.
struct Files {
    named: Option<PathBuf>,
    environment: Environment,
    verbosity: (u8, u8),
    format: Option<LogFormat>,
    /// Tells the page of its settings.
    page: Arc<watch::Sender<web::WebSettings>>,
}

impl Files {
    fn read(&self) -> Result<DaemonConfig, Vec<String>> {
        let config = config::load(self.named.as_deref(), &self.environment)
            .map_err(|problems| problems.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        self.told(&config)
    }

    /// What the daemon is told of it.
    fn told(&self, config: &Config) -> Result<DaemonConfig, Vec<String>> {
        let settings = &config.settings;
        let mut jobs = Vec::new();
        let mut broken: Vec<BrokenDataset> = config.broken.iter().map(Into::into).collect();
        for dataset in &config.datasets {
            match Source::new(&dataset.source, &self.environment.pairs()) {
                Ok(source) => jobs.push(Arc::new(Job::new(dataset.clone(), source))),
                Err(error) => {
                    let problems = vec![format!("{}: {error}", dataset.name)];
                    broken.push(BrokenDataset { name: dataset.name.to_string(), problems, older_in_force: false });
                }
            }
        }
        web::check(&settings.web).map_err(|error| vec![error.to_string()])?;
        let (page, page_settings) = (Arc::clone(&self.page), settings.web.clone());
        let (level, format) = (level(settings.log.level, self.verbosity), self.format.unwrap_or(settings.log.format));
        Ok(DaemonConfig {
            file: config.file.display().to_string(),
            jobs,
            broken,
            connection: DatabaseSettings {
                database: settings.database.url.clone(),
                lease: settings.claim.lease,
                max_parallel_loads: settings.max_parallel_loads,
            },
            keep_attempts: settings.retention.attempts,
            read_url: read_url(config, &self.environment),
            grace: settings.shutdown.grace,
            watched: if settings.reload.watch { config.read_from() } else { Vec::new() },
            keys: Arc::new(config.keys.clone()),
            in_force: Box::new(move || {
                logging::set(level, format);
                page.send_if_modified(|told| {
                    let changed = *told != page_settings;
                    told.clone_from(&page_settings);
                    changed
                });
            }),
        })
    }
}

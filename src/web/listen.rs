//! Keeps the page where its settings say, and moves it when they change. What keeps it from listening is said once and
//! tried again: a page that is not there is no reason to load no days.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::auth::{Auth, AuthError, users_file};
use super::guard::{Guard, plain};
use super::limits::RequestLimits;
use super::pages::Pages;
use super::serve::{Tls, TlsError, serve};
use super::settings::WebSettings;
use super::site::Site;
use super::{api, metrics};
use crate::daemon::DaemonHandle;

/// How long after an address could not be had it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(15);

/// What the page consists of.
struct Routers {
    /// What everybody may look at: the login page, scripts and styles.
    open: Router,
    /// What whoever is known may look at, and operators may change.
    closed: Router,
    /// Health: for everybody, and on the listener of metrics.
    health: Router,
    /// Metrics: on a listener of their own for everybody, else for whoever is known.
    metrics: Router,
    pages: Pages,
}

impl Routers {
    fn of(site: &Arc<Site>, base_path: &str) -> Self {
        let pages = Pages::new(Arc::clone(site), base_path);
        Self {
            open: pages.open(),
            closed: pages.closed().merge(api::router(site, base_path)),
            health: api::health(site),
            metrics: metrics::router(site),
            pages,
        }
    }
}

/// The page cannot be as its settings say.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The users.
    #[error("web.auth: {0}")]
    Auth(#[from] AuthError),
    /// The certificate.
    #[error("web.tls_certificate: {0}")]
    Tls(#[from] TlsError),
}

/// Sees whether the page can be as its settings say, but for the addresses.
///
/// # Errors
/// A [`SetUpError`].
pub fn check(settings: &WebSettings) -> Result<(), SetUpError> {
    if settings.listen.is_some() {
        open(settings)?;
    }
    Ok(())
}

/// The same for who only looks: it makes no file.
///
/// # Errors
/// A [`SetUpError`].
pub fn look(settings: &WebSettings) -> Result<(), SetUpError> {
    if settings.listen.is_some() {
        settings.auth.as_deref().map(users_file::read).transpose()?;
        settings.tls.clone().map(Tls::open).transpose()?;
    }
    Ok(())
}

fn open(settings: &WebSettings) -> Result<(Auth, Option<Tls>), SetUpError> {
    let auth = Auth::open(settings.auth.as_deref())?;
    let tls = settings.tls.clone().map(Tls::open).transpose()?;
    Ok((auth, tls))
}

/// Serves the page until the stop: as its settings say, and anew when they change.
pub async fn run(
    daemon: Arc<DaemonHandle>,
    mut settings: watch::Receiver<WebSettings>,
    stop: impl Future<Output = ()>,
) {
    // Begun when somebody can ask for it: a daemon without a page reads no summaries.
    let mut site: Option<Arc<Site>> = None;
    let mut stop = std::pin::pin!(stop);
    loop {
        let now = settings.borrow_and_update().clone();
        let over = Arc::new(Notify::new());
        let mut served = Vec::new();
        if now.listen.is_some() || now.metrics.is_some() {
            let site = site.get_or_insert_with(|| Site::start(Arc::clone(&daemon)));
            served = start(&now, Routers::of(site, &now.base_path), &over);
        }
        // Settings whose sender is gone change no more.
        let changed = async {
            if settings.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            () = &mut stop => true,
            () = changed => false,
        };
        if let Some(site) = &site {
            // Streams do not end by themselves for minutes, and would have what is served wait for its whole grace.
            if ended { site.events().end() } else { site.events().disconnect_all() }
        }
        over.notify_waiters();
        for task in served {
            drop(task.await);
        }
        if ended {
            return;
        }
    }
}

/// An address to listen on, and what is there.
struct Endpoint {
    address: SocketAddr,
    /// What is at the address, as a log line begins.
    what: &'static str,
    /// The key that names the address.
    key: &'static str,
    base_path: String,
    tls: Option<Tls>,
    proxies: Vec<IpNet>,
}

/// Starts listening where these settings say, until it is over.
fn start(settings: &WebSettings, routers: Routers, over: &Arc<Notify>) -> Vec<JoinHandle<()>> {
    let Routers { open: everybody, closed, health, metrics, pages } = routers;
    let limits = RequestLimits::default();
    let mut served = Vec::new();
    let mut closed = closed;
    match settings.metrics {
        Some(address) => {
            let router = plain(health.clone().merge(metrics), limits);
            let (what, key, proxies) = ("health and metrics", "metrics.listen", Vec::new());
            served.push(listen(
                Endpoint { address, what, key, base_path: String::new(), tls: None, proxies },
                router,
                over,
            ));
        }
        None => closed = closed.merge(metrics),
    }
    let Some(address) = settings.listen else { return served };
    match open(settings) {
        Ok((auth, tls)) => {
            let guard = Guard::new(settings.clone(), auth).with_page(move |refused| pages.refusal(refused));
            let router = guard.mount(everybody.merge(health), closed);
            let (base_path, proxies) = (settings.base_path.clone(), settings.trusted_proxies.clone());
            let endpoint = Endpoint { address, what: "web UI", key: "web.listen", base_path, tls, proxies };
            served.push(listen(endpoint, router, over));
        }
        Err(error) => log::error!("{error}; web UI disabled until this is fixed and the configuration reloaded"),
    }
    served
}

fn listen(endpoint: Endpoint, router: Router, over: &Arc<Notify>) -> JoinHandle<()> {
    let Endpoint { address, what, key, base_path, tls, proxies } = endpoint;
    // Made before the task begins, so that it misses nothing.
    let over = Arc::clone(over).notified_owned();
    tokio::spawn(async move {
        let mut over = std::pin::pin!(over);
        let listener = tokio::select! {
            listener = bound(address, key) => listener,
            () = &mut over => return,
        };
        if let Ok(address) = listener.local_addr() {
            let scheme = if tls.is_some() { "https" } else { "http" };
            log::info!("{what} at {scheme}://{address}{base_path}/");
        }
        serve(listener, router, tls, RequestLimits::default(), proxies, over).await;
    })
}

/// Binds the address, and tries again until it can be had.
async fn bound(address: SocketAddr, key: &str) -> TcpListener {
    let mut said = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if said => log::debug!("{key} = {address}: {error}"),
            Err(error) => {
                said = true;
                log::error!("{key} = {address}: cannot listen: {error}; retrying");
            }
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

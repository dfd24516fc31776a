//! Watching the configuration's folders for changes.

use std::path::{self, Path, PathBuf};

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Calls `changed` when a file of the configuration may be another by now, until it is dropped. A folder that cannot be
/// watched is said, and then left to be read when the daemon is told to.
pub(super) struct Watch {
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches these folders, and where each stands: a folder may be replaced as a whole.
    pub(super) fn start(folders: &[PathBuf], changed: impl Fn() + Send + 'static) -> Self {
        if folders.is_empty() {
            return Self { _watcher: None };
        }
        // The paths of what happens are absolute, whatever those are that are watched.
        let folders: Vec<PathBuf> =
            folders.iter().map(|folder| path::absolute(folder).unwrap_or_else(|_| folder.clone())).collect();
        let ours = folders.clone();
        let started = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| matters(&event, &ours)) {
                changed();
            }
        })
        .and_then(|mut watcher| {
            for folder in &folders {
                let stands_in = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
                for watched in stands_in.into_iter().chain(folder.exists().then_some(folder.as_path())) {
                    watcher.watch(watched, RecursiveMode::NonRecursive)?;
                }
            }
            Ok(watcher)
        });
        if let Err(error) = &started {
            log::warn!("changes of the configuration go unnoticed until the daemon is told to reload: {error}");
        }
        Self { _watcher: started.ok() }
    }
}

/// True when the configuration may be another after this. Databases and logs may be beside it, and being read changes
/// nothing. A mounted volume changes its files by turning a link (`..data` in Kubernetes) to another folder.
fn matters(event: &notify::Event, folders: &[PathBuf]) -> bool {
    let read = matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)));
    let ours = |path: &Path| {
        let within = path.parent().is_some_and(|parent| folders.iter().any(|folder| folder == parent));
        let file = path.extension().is_some_and(|extension| extension == "toml")
            || path.file_name().is_some_and(|name| name == "..data");
        (within && file) || folders.iter().any(|folder| folder == path)
    };
    !read && event.paths.iter().any(|path| ours(path))
}

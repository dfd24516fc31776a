//! Watching the configuration's folders for changes.

use std::path::{Path, PathBuf};

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Calls `changed` when a file of the configuration may be another by now, until it is dropped. A folder that cannot be
/// watched is said, and then left to be read when the daemon is told to.
pub(super) struct Watch {
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches these folders.
    pub(super) fn start(folders: &[PathBuf], changed: impl Fn() + Send + 'static) -> Self {
        if folders.is_empty() {
            return Self { _watcher: None };
        }
        let started = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| matters(&event)) {
                changed();
            }
        })
        .and_then(|mut watcher| {
            for folder in folders {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
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
fn matters(event: &notify::Event) -> bool {
    let read = matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)));
    let ours = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "toml")
            || path.file_name().is_some_and(|name| name == "..data")
    };
    !read && event.paths.iter().any(|path| ours(path))
}

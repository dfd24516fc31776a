//! Watching the configuration's files for changes, whatever links lead to them.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// How many links a path may lead over; Linux follows no more either.
const MOST_LINKS: usize = 40;

/// Calls `changed` when a file of the configuration may be another by now, until it is dropped. What cannot be watched is
/// said, and then left to be read when the daemon is told to.
pub(super) struct FileWatch {
    _watcher: Option<RecommendedWatcher>,
}

impl FileWatch {
    /// Watches these folders with the dataset files in them, and these files: where each is, where each link on the way to
    /// it stands, and the folder around it, since a folder may be replaced as a whole.
    pub(super) fn start(watched: &[PathBuf], changed: impl Fn() + Send + 'static) -> Self {
        if watched.is_empty() {
            return Self { _watcher: None };
        }
        let places = WatchedPaths::of(watched);
        let around = places.around();
        let started = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| places.matter(&event)) {
                changed();
            }
        })
        .and_then(|mut watcher| {
            around.iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive))?;
            Ok(watcher)
        });
        if let Err(error) = &started {
            log::warn!("changes of the configuration go unnoticed until the daemon is told to reload: {error}");
        }
        Self { _watcher: started.ok() }
    }
}

/// What a change is a change of the configuration. The folder of each path is free of links: however the configuration
/// was named, that is how the system's events are named.
#[derive(Debug, Default, PartialEq, Eq)]
struct WatchedPaths {
    /// Folders of which every file that may be one of ours counts.
    folders: BTreeSet<PathBuf>,
    /// Links, files and folders that count themselves.
    single: BTreeSet<PathBuf>,
}

impl WatchedPaths {
    fn of(watched: &[PathBuf]) -> Self {
        let mut places = Self::default();
        for path in watched {
            let end = places.follow(path);
            if !end.is_dir() {
                continue;
            }
            for file in end.read_dir().into_iter().flatten().flatten().filter(|entry| is_ours(entry.file_name())) {
                if file.file_type().is_ok_and(|kind| kind.is_symlink()) {
                    places.follow(&file.path());
                }
            }
            places.folders.insert(end);
        }
        places
    }

    /// Notes each link on the way to a path, and where the way ends: at what is there, or at the first that is not.
    fn follow(&mut self, path: &Path) -> PathBuf {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut ahead: VecDeque<OsString> = names(&path);
        let (mut at, mut links) = (PathBuf::from("/"), 0);
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            at.push(name);
            match std::fs::read_link(&at) {
                Ok(target) if links < MOST_LINKS => {
                    links += 1;
                    self.single.insert(at.clone());
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    } else {
                        at.pop();
                    }
                    names(&target).into_iter().rev().for_each(|name| ahead.push_front(name));
                }
                // No link, or nothing at all: then it is noticed when something comes there.
                _ if at.symlink_metadata().is_ok() => {}
                _ => break,
            }
        }
        self.single.insert(at.clone());
        at
    }

    /// The folders whose events tell of all these.
    fn around(&self) -> BTreeSet<PathBuf> {
        let stand_in = self.single.iter().filter_map(|path| path.parent()).filter(|folder| folder.is_dir());
        stand_in.map(Path::to_owned).chain(self.folders.iter().cloned()).collect()
    }

    /// True when the configuration may be another after this. Databases and logs may be beside it, and being read changes
    /// nothing.
    fn matter(&self, event: &notify::Event) -> bool {
        let read = matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)));
        let ours = |path: &PathBuf| {
            let within = path.parent().is_some_and(|folder| self.folders.contains(folder));
            self.single.contains(path) || (within && path.file_name().is_some_and(is_ours))
        };
        !read && event.paths.iter().any(ours)
    }
}

/// True for the name of a file of the configuration. A volume of Kubernetes changes its files by turning a link of that
/// name to another folder.
fn is_ours(name: impl AsRef<OsStr>) -> bool {
    let name = Path::new(name.as_ref());
    name.extension().is_some_and(|extension| extension == "toml") || name.as_os_str() == "..data"
}

/// The names of a path, one below the other.
fn names(path: &Path) -> VecDeque<OsString> {
    let named = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(|part| named(*part)).map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_link_on_the_way_counts_and_the_end_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path);
        create_dir_all(at("releases/1/etc/datasets")).unwrap();
        create_dir_all(at("common")).unwrap();
        write(at("common/orders.toml"), "").unwrap();
        write(at("releases/1/etc/datasets/returns.toml"), "").unwrap();
        symlink("releases/1", at("current")).unwrap();
        symlink("../../../../common/orders.toml", at("releases/1/etc/datasets/orders.toml")).unwrap();
        symlink(at("common/missing/gone.toml"), at("releases/1/etc/datasets/gone.toml")).unwrap();
        symlink("round.toml", at("releases/1/etc/datasets/round.toml")).unwrap();
        let places = WatchedPaths::of(&[at("current/etc"), at("common/../current/etc/datasets")]);
        let datasets = "releases/1/etc/datasets";
        let single = [
            "current",
            "releases/1/etc",
            datasets,
            "releases/1/etc/datasets/orders.toml",
            "common/orders.toml",
            "releases/1/etc/datasets/gone.toml",
            "common/missing",
            "releases/1/etc/datasets/round.toml",
        ];
        assert_eq!(places.single, single.map(at).into());
        assert_eq!(places.folders, ["releases/1/etc", datasets].map(at).into());
        let around = ["", "releases/1", "releases/1/etc", datasets, "common"].map(|path| root.join(path));
        assert_eq!(places.around(), around.map(|path| path.components().collect()).into());

        let event = |path: &str| notify::Event::new(EventKind::Modify(ModifyKind::Any)).add_path(at(path));
        for (path, matters) in [
            ("current", true),
            ("releases/1/etc/dayfill.toml", true),
            ("releases/1/etc/datasets/new.toml", true),
            ("releases/1/etc/datasets/..data", true),
            ("common/orders.toml", true),
            ("common/missing", true),
            ("common/other.toml", false),
            ("releases/1/etc/dayfill.db-wal", false),
            ("releases/2", false),
        ] {
            assert_eq!(places.matter(&event(path)), matters, "{path}");
        }
    }
}

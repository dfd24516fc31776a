//! The service manager's side of a process: it is told when the process is ready, reloads, stops and still lives, as
//! `sd_notify(3)` describes. Where no service manager listens, nothing is sent.
//!
//! The words come from the crate sd-notify; the datagrams are sent here. The crate's own `notify` reads the environment
//! at each call, which is the shell's to do, and knows no abstract sockets.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::wording::{MOST_BYTES, printable};

/// How long a datagram may wait for room: a service manager that hangs must not take the process with it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The service manager that started this process, if one did.
#[derive(Debug)]
pub struct ServiceManager {
    /// `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    socket: Option<String>,
    watchdog: Option<Duration>,
    /// When the watchdog was fed last.
    fed: Instant,
    /// A failure was logged; the next ones say nothing new.
    failed: AtomicBool,
}

impl ServiceManager {
    /// What the environment's variables say: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    #[must_use]
    pub fn new<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self {
            socket: variable("NOTIFY_SOCKET").map(str::to_owned),
            watchdog: watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id()),
            fed: Instant::now(),
            failed: AtomicBool::new(false),
        }
    }

    /// The process is up, or is done reloading.
    pub fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(&printable(status, MOST_BYTES))]);
    }

    /// The configuration is read anew; `ready` ends it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            // Without the time the service manager would take the reload for failed.
            Err(error) => self.note(&error),
        }
    }

    /// The process is about to end.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.send(&[NotifyState::Status(&printable(text, MOST_BYTES))]);
    }

    /// The process lives. Told a few times per interval, however often this is called, and to nobody who does not
    /// watch.
    pub fn feed_watchdog(&mut self) {
        let Some(interval) = self.watchdog else { return };
        if self.fed.elapsed() >= interval / 4 {
            self.send(&[NotifyState::Watchdog]);
            self.fed = Instant::now();
        }
    }

    /// After how long without `feed_watchdog` the process is taken for hung; half of it is a good pace. `None` when
    /// nobody watches.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let message: String = states.iter().flat_map(|state| [state.to_string(), "\n".to_owned()]).collect();
        if let Err(error) = send(socket, &message) {
            self.note(&error);
        }
    }

    fn note(&self, error: &io::Error) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            log::debug!("the service manager was not told: {error}");
        }
    }
}

fn send(socket: &str, message: &str) -> io::Result<()> {
    // A new socket each time: the service manager's own may be another one after it was restarted.
    let datagram = UnixDatagram::unbound()?;
    datagram.set_write_timeout(Some(PATIENCE))?;
    datagram.send_to_addr(message.as_bytes(), &address(socket)?).map(drop)
}

fn address(socket: &str) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = socket.strip_prefix('@') {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    SocketAddr::from_pathname(socket)
}

/// What `sd_watchdog_enabled(3)` would say: how often, unless it is meant for another process or cannot be read.
fn watchdog(usec: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    let usec: u64 = usec?.parse().ok().filter(|usec| (1..u64::MAX).contains(usec))?;
    let ours = pid.is_none_or(|pid| pid.parse() == Ok(own_pid));
    ours.then(|| Duration::from_micros(usec))
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;

    use super::*;

    fn listener(address: &SocketAddr) -> UnixDatagram {
        let listener = UnixDatagram::bind_addr(address).unwrap();
        // Only so that a failing test ends.
        listener.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        listener
    }

    fn received(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn told(socket: &str, listener: &UnixDatagram) {
        let manager = ServiceManager::new(|name| (name == "NOTIFY_SOCKET").then_some(socket));
        manager.ready("3 datasets");
        assert_eq!(received(listener), "READY=1\nSTATUS=3 datasets\n");
        manager.status("two\nlines\r\nREADY=1");
        assert_eq!(received(listener), "STATUS=two\\nlines\\r\\nREADY=1\n");
        manager.stopping();
        assert_eq!(received(listener), "STOPPING=1\n");

        let microseconds = || match NotifyState::monotonic_usec_now().unwrap() {
            NotifyState::MonotonicUsec(now) => now,
            other => panic!("{other:?}"),
        };
        let before = microseconds();
        manager.reloading();
        let message = received(listener);
        let now: i128 =
            message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().strip_suffix('\n').unwrap().parse().unwrap();
        assert!((before..=microseconds()).contains(&now), "{message}");
    }

    #[test]
    fn a_socket_with_a_path_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = listener(&SocketAddr::from_pathname(&path).unwrap());
        told(path.to_str().unwrap(), &listener);
    }

    #[test]
    fn a_socket_with_an_abstract_name_is_told() {
        let name = format!("dayfill-test-{}", uuid::Uuid::new_v4());
        let listener = listener(&SocketAddr::from_abstract_name(&name).unwrap());
        told(&format!("@{name}"), &listener);
    }

    #[test]
    fn nobody_there_is_no_failure() {
        ServiceManager::new(|_| None).ready("alone");
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone").to_str().unwrap().to_owned();
        let manager = ServiceManager::new(|name| (name == "NOTIFY_SOCKET").then_some(gone.as_str()));
        manager.ready("nobody listens");
        manager.stopping();
    }

    #[test]
    fn the_watchdog_is_fed_when_it_is_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = listener(&SocketAddr::from_pathname(&path).unwrap());
        // Microseconds: one that has long passed, one that does not within a test, and nobody who watches.
        for (usec, fed) in [(Some("1"), true), (Some("3600000000"), false), (None, false)] {
            let mut manager = ServiceManager::new(|name| match name {
                "NOTIFY_SOCKET" => path.to_str(),
                "WATCHDOG_USEC" => usec,
                _ => None,
            });
            manager.status("before");
            assert_eq!(received(&listener), "STATUS=before\n");
            manager.feed_watchdog();
            manager.status("after");
            if fed {
                assert_eq!(received(&listener), "WATCHDOG=1\n");
            }
            assert_eq!(received(&listener), "STATUS=after\n", "{usec:?}");
        }
    }

    #[test]
    fn the_watchdog_is_ours_or_nobodys() {
        for (usec, pid, found) in [
            (None, None, None),
            (None, Some("7"), None),
            (Some("20000000"), None, Some(20)),
            (Some("20000000"), Some("7"), Some(20)),
            (Some("20000000"), Some("8"), None),
            (Some("20000000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("-1"), None, None),
            (Some("18446744073709551615"), None, None),
            (Some("soon"), None, None),
        ] {
            assert_eq!(watchdog(usec, pid, 7), found.map(Duration::from_secs), "{usec:?} {pid:?}");
        }
    }
}

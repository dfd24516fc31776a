//! A small web server that can hold an answer, before it begins or half way, and says when it was asked: what a slow
//! source looks like, without anybody sleeping. For tests of loads and of the daemon; what a source makes of odd answers is
//! tested with `http`.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A web server with a file for each day. Dropping it ends it.
pub(crate) struct SlowHttp {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    files: Mutex<Files>,
    changed: Condvar,
}

#[derive(Default)]
struct Files {
    /// The text of each file, by its path.
    texts: HashMap<String, String>,
    /// The paths whose next answer is held.
    to_hold: HashMap<String, Hold>,
    /// The paths of which an answer is held.
    held: HashSet<String>,
    /// How many answers were under way at once, at most. One is over before its last half is sent.
    most: usize,
    under_way: usize,
    /// The server ends; nothing is held any more.
    over: bool,
}

/// How much of an answer is sent before it is held.
#[derive(Clone, Copy)]
enum Hold {
    Nothing,
    Half,
}

impl SlowHttp {
    /// A server on a free port of this machine, with no files.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("the port's number");
        let shared = Arc::new(Shared::default());
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if shared.files().over {
                        return;
                    }
                    let shared = Arc::clone(&shared);
                    // A client that was killed breaks its connection; that is what the tests are about.
                    std::thread::spawn(move || drop(shared.answer(stream)));
                }
            }
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// The line of a dataset's `[source]` that reads from here.
    pub(crate) fn source(&self) -> String {
        format!("url = \"http://{}/{{day}}.csv\"", self.address)
    }

    /// Writes the file of a day, under the header `id,amount,note`. Answers under way keep the text they began with.
    pub(crate) fn day(&self, day: &str, rows: &str) {
        self.shared.files().texts.insert(path(day), format!("id,amount,note\n{rows}"));
    }

    /// Has the next answer for that day stop half way until it is released; later ones are whole at once.
    pub(crate) fn hold_next(&self, day: &str) {
        self.shared.files().to_hold.insert(path(day), Hold::Half);
    }

    /// The same, but without a word: whoever asked is sure to hang.
    pub(crate) fn hold_next_unanswered(&self, day: &str) {
        self.shared.files().to_hold.insert(path(day), Hold::Nothing);
    }

    /// Waits until an answer for that day is held.
    pub(crate) fn wait_until_held(&self, day: &str) {
        let files = self.shared.files();
        let waited = self.shared.changed.wait_timeout_while(files, PATIENCE, |files| !files.held.contains(&path(day)));
        let (_files, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "nobody asked for {day} within {PATIENCE:?}");
    }

    /// Waits until that many answers are held.
    pub(crate) fn wait_until_so_many_are_held(&self, number: usize) {
        let files = self.shared.files();
        let waited = self.shared.changed.wait_timeout_while(files, PATIENCE, |files| files.held.len() < number);
        let (files, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "not {number} within {PATIENCE:?}: {:?}", files.held);
    }

    /// Lets every held answer go on.
    pub(crate) fn release_all(&self) {
        self.shared.files().held.clear();
        self.shared.changed.notify_all();
    }

    /// How many answers were under way at once, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.files().most
    }

    /// Lets the held answer for that day go on.
    pub(crate) fn release(&self, day: &str) {
        assert!(self.shared.files().held.remove(&path(day)), "no answer for {day} is held");
        self.shared.changed.notify_all();
    }
}

impl Drop for SlowHttp {
    fn drop(&mut self) {
        self.shared.files().over = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

impl Shared {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();

        let (text, hold) = {
            let mut files = self.files();
            files.under_way += 1;
            files.most = files.most.max(files.under_way);
            (files.texts.get(&path).cloned(), files.to_hold.remove(&path))
        };
        let Some(text) = text else {
            self.files().under_way -= 1;
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
        let answer = format!("{head}{text}");
        let (first, second) = answer.as_bytes().split_at(match hold {
            Some(Hold::Nothing) => 0,
            Some(Hold::Half) | None => head.len() + text.len() / 2,
        });
        // A client that was killed is noticed below.
        let begun = stream.write_all(first);
        if hold.is_some() {
            self.wait_for_release(&path);
        }
        self.files().under_way -= 1;
        begun?;
        stream.write_all(second)
    }

    fn wait_for_release(&self, path: &str) {
        let mut files = self.files();
        files.held.insert(path.to_owned());
        self.changed.notify_all();
        drop(self.changed.wait_while(files, |files| files.held.contains(path) && !files.over));
    }
}

fn path(day: &str) -> String {
    format!("/{day}.csv")
}

//! The program as a process that runs beside the test: signalled, stopped, killed, and never left behind.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::project::{Project, Ran};
use super::{Database, wait_until};

/// The program, running. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    lines: Receiver<String>,
    /// What it has written to standard error so far, as far as it was read.
    stderr: String,
}

impl Process {
    /// Starts the program with these arguments.
    pub(crate) fn start(project: &Project, arguments: &[&str]) -> Self {
        Self::of(&mut project.command(arguments))
    }

    /// Starts a command whose output is piped.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let mut stdout = child.stdout.take().expect("it is piped");
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("UTF-8");
            text
        });
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                drop(send.send(line));
            }
        });
        Self { child, stdout: Some(stdout), lines, stderr: String::new() }
    }

    /// Waits for its next line on standard error; `None` when it ended without one.
    pub(crate) fn line(&mut self) -> Option<String> {
        let line = match self.lines.recv_timeout(Duration::from_secs(30)) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => panic!("it wrote no further line within 30 s:\n{}", self.stderr),
        };
        self.stderr.push_str(&line);
        self.stderr.push('\n');
        Some(line)
    }

    /// Waits for a line on standard error that says so.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while let Some(line) = self.line() {
            if line.contains(text) {
                return;
            }
        }
        panic!("it ended without a line with {text:?}:\n{}", self.stderr);
    }

    /// What it has written to standard error, as far as somebody waited for it.
    pub(crate) fn stderr(&self) -> &str {
        &self.stderr
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True when it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it was started here").is_some()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the process takes the signal");
    }

    /// Stops it with SIGSTOP, and waits until all of its threads stand still: the signal alone reaches them one by one.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let pid = WaitId::Pid(Pid::from_child(&self.child));
        wait_until("the process stands still", || {
            let stopped = waitid(pid.clone(), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
            stopped.expect("it was started here").is_some()
        });
    }

    /// Stops it at an instant when it does not hold what all writers need, as a beat of `SQLite` does for a moment.
    pub(crate) fn stop_between_writes(&self, database: &dyn Database) {
        wait_until("the process can be stopped", || {
            self.stop();
            let free = database.is_free();
            if !free {
                self.signal(Signal::CONT);
            }
            free
        });
    }

    /// Kills it with SIGKILL, and waits until it is gone. False when it had ended before.
    pub(crate) fn kill(mut self) -> bool {
        self.child.kill().expect("it was started here");
        self.child.wait().expect("it was started here").code().is_none()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let mut status: Option<ExitStatus> = None;
        wait_until("the program ends", || {
            status = self.child.try_wait().expect("it was started here");
            status.is_some()
        });
        while self.line().is_some() {}
        let stdout = self.stdout.take().expect("it is taken here only").join().expect("the output is read");
        let code = status.and_then(|status| status.code()).expect("it was not killed");
        Ran { code, stdout, stderr: std::mem::take(&mut self.stderr) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails where it has ended before.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

//! A password from whoever runs the command; it is never an argument, which every process of the machine could read.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::cli::failure::Failure;
use crate::exit_code::ExitCode;

/// The shortest password that is taken, in characters.
const SHORTEST: usize = 8;
/// The longest password that is taken, in bytes.
const LONGEST: usize = 1024;

/// A password: typed twice and not shown where there is a terminal, else the first line of standard input.
pub(super) fn read(name: &str) -> Result<String, Failure> {
    let password = if io::stdin().is_terminal() {
        // First, and over both lines, so that whoever types sooner than they are asked is not shown either.
        let _silent = Silent::begin()?;
        let password = typed(&format!("Password for {name}: "))?;
        if typed("Once more: ")? != password {
            return Err(Failure::new(ExitCode::Failed, "the two are not the same"));
        }
        password
    } else {
        line()?
    };
    if password.chars().count() < SHORTEST {
        return Err(Failure::new(ExitCode::Failed, format!("a password has at least {SHORTEST} characters")));
    }
    if password.len() > LONGEST {
        return Err(Failure::new(ExitCode::Failed, format!("a password has at most {LONGEST} bytes")));
    }
    Ok(password)
}

fn typed(prompt: &str) -> io::Result<String> {
    write!(io::stderr(), "{prompt}")?;
    line()
}

/// A line of standard input without its end, and no more of it than tells that it is too long.
fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().take(LONGEST as u64 + 3).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The terminal shows nothing of what is typed but the end of the line, until this is dropped.
struct Silent(Termios);

impl Silent {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

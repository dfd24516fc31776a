//! `dayfill run`, as a process among others.

mod process;
mod reload;
mod several;
mod systemd;

//! `dayfill run`, as a process among others.

mod broken;
mod credentials;
mod links;
mod page;
mod policy;
mod process;
mod reload;
mod retention;
mod schedule;
mod several;
mod shown;
mod states;
mod supply;
mod systemd;
mod trouble;

//! What a request meets on its way to the page: real HTTP over loopback, with a small page of the test's own behind it.

mod changes;
mod limits;
mod login;
mod names;
mod proxies;
mod tls;

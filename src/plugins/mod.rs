//! Plugins: found, probed in a child process, loaded, shaken hands with, called.
//! The host's only `unsafe`. A library is never unloaded.

mod calls;
mod crash;
mod examples;
mod instance;
mod library;
mod manifest;
mod probe;
mod reply;
mod search;

pub use calls::watch;
pub use crash::{leave, report_crashes};
pub use examples::{Broken, broken};
pub use instance::{Given, Instance};
pub use library::{Library, load};
pub use manifest::check_ports_of;
pub use probe::{PROBE_COMMAND, broken_examples, probe_here};
pub use reply::Show;
pub use search::{PATH_VARIABLE, Plugins, library_file};

//! The `segue` command: parse, call, print diagnostics, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    segue::cli::main()
}

//! A plugin that takes the whole process down, or never comes back: the last words name
//! its stage and batch.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::batches::project;

/// What a run of `plugins/batch.c` says whose batch 2 is `statement`, and how it ended:
/// a code, or `None` for a signal.
fn run(statement: &str) -> (Option<i32>, String) {
    let project = project(&[&format!("-DAT_BATCH={statement}")]);
    let ran = project.run(&["run", "graph.toml", "--quiet"]);
    assert_eq!(ran.stdout, "");
    (ran.code, ran.stderr)
}

#[test]
fn a_fatal_signal_is_named_with_its_stage_and_batch() {
    for (statement, signal) in [
        ("*(volatile int *)8 = 1", "SIGSEGV, a bad memory access"),
        ("abort()", "SIGABRT, it called abort"),
        (
            "__builtin_trap()",
            "SIGILL, an instruction that this processor lacks",
        ),
        ("raise(SIGFPE)", "SIGFPE, such as a division by zero"),
        ("raise(SIGBUS)", "SIGBUS, a bad memory access"),
        ("return overflow(\"a\")", "SIGSEGV, a bad memory access"),
    ] {
        let (code, stderr) = run(statement);
        assert_eq!(code, None, "{statement}: {stderr}");
        let words = format!("error[plugin-crash]: `odd` crashed with {signal} on batch 2\n");
        assert!(stderr.contains(&words), "{statement}: {stderr}");
        assert!(stderr.contains("lib/odd.so\n"), "{stderr}");
        assert_eq!(stderr.matches("error[").count(), 1, "{stderr}");
    }
}

#[test]
fn a_crash_on_a_thread_of_the_plugins_own_names_who_was_at_work() {
    let (code, stderr) = run("crash_on_a_thread()");
    assert_eq!(code, None, "{stderr}");
    let words = "SIGSEGV, a bad memory access on a thread that is not a stage's, \
                 while there was at work:\n  `odd` on batch 2\n";
    assert!(stderr.contains(words), "{stderr}");
}

#[test]
fn a_plugin_that_ends_the_program_makes_the_run_fail() {
    // `_exit` and its like ask no handler.
    for statement in [
        "exit(0)",
        "exit(7)",
        "_exit(0)",
        "_Exit(0)",
        "quick_exit(0)",
    ] {
        let (ended, stderr) = run(statement);
        assert_eq!(ended, Some(1), "{statement}: {stderr}");
        let words = "error[plugin-exit]: `odd` ended the program on batch 2\n";
        assert_eq!(stderr.matches(words).count(), 1, "{statement}: {stderr}");
        assert_eq!(stderr.matches("error[").count(), 1, "{stderr}");
    }
}

/// A child that a plugin forks ends as it likes.
#[test]
fn a_child_of_a_plugin_says_nothing() {
    for ending in ["_exit(0)", "exit(0)", "abort()"] {
        let statement = format!("if (fork() == 0) {ending}");
        let (code, stderr) = run(&statement);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{ending}");
    }
}

#[test]
fn a_crash_in_check_names_the_operator() {
    let project = project(&["-DAT_COLUMNS=abort()"]);
    let ran = project.run(&["check", "graph.toml"]);
    assert_eq!(ran.code, None);
    let words = "`odd` crashed with SIGABRT, it called abort as it was asked about its columns\n";
    assert!(ran.stderr.contains(words), "{ran}");
}

#[test]
fn a_plugin_that_never_comes_back_is_told_of() {
    let project = project(&["-DAT_BATCH=for (;;) pause()"]);
    let mut run = project.command(&["run", "graph.toml", "--quiet"]);
    run.env("SEGUE_SLOW_SECONDS", "1").stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(run.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(
        line.starts_with("`odd` has worked on batch 2 for "),
        "{line}"
    );
}

/// Whoever reads what a run says may be gone.
#[test]
fn nobody_listens_on_stderr() {
    let project = project(&[]);
    let mut run = project.command(&["run", "graph.toml"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = run.stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(project.lines("out.jsonl").len(), 16);
}

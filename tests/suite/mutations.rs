//! Every file that Segue reads, damaged at random: it is refused or it works, and nothing else.
//!
//! The damage is the same each time. What goes wrong is shown, and the damaged file is kept in
//! the folder `mutations` of cargo's for tests.

mod models;
pub mod mutate;
mod records;
mod runs;
mod seeds;

use std::path::Path;
use std::process::Command;

use crate::harness::{Project, Ran, Random, finish_within};

/// Damaged files of each kind.
const CASES: u64 = 200;
/// The longest that a run may take, seconds.
const SECONDS_MAX: u64 = 20;
/// The most that a run may hold in memory, KiB.
const KIB_MAX: u64 = 1 << 20;

/// One way to damage a file.
type Damage = fn(&[u8], &mut Random) -> Vec<u8>;

/// What is damaged, and what must hold of it.
struct Kind<'a> {
    name: &'a str,
    /// The file that is damaged.
    file: &'a str,
    seed: &'a [u8],
    damage: Damage,
    /// The arguments of `segue`.
    arguments: &'a [&'a str],
    /// What it may have left from the case before.
    outputs: &'a [&'a str],
}

/// Damages a file again and again and gives each to `segue`; `judge` is given what became of
/// it and the damaged bytes, and says what is wrong.
fn check(project: &Project, kind: &Kind<'_>, judge: impl Fn(&Ran, &[u8]) -> Result<(), String>) {
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for case in 0..CASES {
        let mut random = Random(0x5eed + 977 * case);
        // The first numbers of like seeds are alike.
        (0..20).for_each(|_| _ = random.next());
        let damaged = (kind.damage)(kind.seed, &mut random);
        for output in kind.outputs {
            // It may not be there.
            let _ = std::fs::remove_file(project.path(output));
        }
        project.write(kind.file, &damaged);
        let ran = bounded(project, kind.arguments);
        accepted += usize::from(ran.as_ref().is_some_and(|ran| ran.code == Some(0)));
        let verdict = match &ran {
            None => Err(format!("it hangs for {SECONDS_MAX} s")),
            Some(ran) => decent(ran).and_then(|()| judge(ran, &damaged)),
        };
        if let Err(why) = verdict {
            let kept = keep(kind, case, &damaged);
            let told = ran.map_or(String::new(), |ran| ran.to_string());
            let told: String = told.chars().take(1_500).collect();
            wrong.push(format!("case {case}, `{kept}`: {why}\n{told}"));
        }
    }
    println!("{}: {accepted} of {CASES} accepted", kind.name);
    let count = wrong.len();
    assert!(
        wrong.is_empty(),
        "{count} of {}:\n{}",
        kind.name,
        wrong.join("\n")
    );
    assert!(accepted > 0, "none is accepted");
}

/// Runs `segue` with bounds on its time and memory; `None` when it hangs.
fn bounded(project: &Project, arguments: &[&str]) -> Option<Ran> {
    let inner = project.command(arguments);
    let mut command = Command::new("sh");
    // Of what it could write, not of what it only reserves.
    command.args(["-c", &format!("ulimit -d {KIB_MAX} && exec \"$0\" \"$@\"")]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let command = project.prepare(command);
    finish_within(command, std::time::Duration::from_secs(SECONDS_MAX))
}

/// It ended by itself, without a panic, and what it complains about is an error.
fn decent(ran: &Ran) -> Result<(), String> {
    let noise = ["panicked", "backtrace", "thread '", "memory allocation of"];
    if let Some(noise) = noise.iter().find(|noise| ran.stderr.contains(**noise)) {
        return Err(format!("`{noise}` on stderr"));
    }
    match ran.code {
        Some(0) => Ok(()),
        Some(1 | 2) if ran.stderr.contains("error[") => Ok(()),
        Some(1 | 2) => Err("no error is told".to_owned()),
        code => Err(format!("it ended with {code:?}")),
    }
}

/// Keeps a damaged file, and gives its path.
fn keep(kind: &Kind<'_>, case: u64, damaged: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let name = kind.file.replace('/', "-");
    let path = folder.join(format!("{}-{case}-{name}", kind.name.replace(' ', "-")));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(&path, damaged).unwrap();
    path.display().to_string()
}

//! A project in a folder of its own, the commands run in it, and golden files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::tiny::Tiny;

/// The longest that anything may take before it counts as hung, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(900);

/// The project's root.
pub const ROOT: &str = {
    let package = env!("CARGO_MANIFEST_DIR");
    package.split_at(package.len() - "/src/cli".len()).0
};

/// Words that reviews are made of; they are the tiny model's vocabulary too.
pub const WORDS: [&str; 32] = [
    "a", "and", "at", "bad", "boring", "but", "charming", "dull", "end", "ending", "film", "fine",
    "good", "great", "i", "in", "it", "lovely", "movie", "my", "never", "not", "of", "plot",
    "poor", "scene", "slow", "the", "this", "to", "was", "worst",
];

/// A folder with files, which goes when this does.
pub struct Project {
    folder: TempDir,
    plugin_path: Option<PathBuf>,
}

/// What a command answered.
#[derive(Debug)]
pub struct Ran {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Project {
            folder,
            plugin_path: None,
        }
    }

    /// A project with `graph.toml`.
    pub fn with_graph(graph: &str) -> Self {
        Project::new().file("graph.toml", graph)
    }

    /// Adds a file; folders in its name are made.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(name, content);
        self
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Adds a tiny model in the folder `name`.
    pub fn model(self, name: &str, tiny: Tiny) -> Self {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        tiny.write(&path);
        self
    }

    /// Adds the operators of `tests/plugin`, and looks for plugins there first.
    pub fn test_plugin(self) -> Self {
        let library = beside_this("libtest_plugin.so");
        assert!(library.exists(), "no `{}`", library.display());
        let folder = self.path("test-plugin");
        fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(library, folder.join("libtest_plugin.so")).unwrap();
        self.look_in("test-plugin")
    }

    /// Sets `SEGUE_PLUGIN_PATH` to the folder `name`.
    pub fn look_in(mut self, name: &str) -> Self {
        self.plugin_path = Some(self.path(name));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("`{name}`: {e}"))
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("`{name}`: {e}"))
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The objects of a JSON Lines file.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = self.read(name);
        assert!(text.is_empty() || text.ends_with('\n'), "`{name}` is torn");
        let line = |line| serde_json::from_str(line).unwrap();
        text.lines().map(line).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The real binary, in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segue"));
        command.args(arguments).env_remove("SEGUE_PLUGIN_PATH");
        command.env("RUST_BACKTRACE", "1");
        command.envs((self.plugin_path.iter()).map(|path| ("SEGUE_PLUGIN_PATH", path.as_os_str())));
        self.prepare(command)
    }

    /// Sets folder and stdin.
    pub fn prepare(&self, mut command: Command) -> Command {
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs `segue` to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments))
    }

    /// Runs `segue` to its end with more in its environment.
    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        finish(command)
    }

    /// Runs `segue run graph.toml` with `more`, which must succeed.
    pub fn run_graph(&self, more: &[&str]) -> Ran {
        self.run(&[&["run", "graph.toml"], more].concat()).ok()
    }

    /// Runs another program in this folder, which must succeed.
    pub fn program(&self, mut command: Command) -> Ran {
        command.env_remove("SEGUE_PLUGIN_PATH");
        finish(self.prepare(command)).ok()
    }
}

impl Ran {
    /// It succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// It ended with `code`; gives what it complained about.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self}");
        assert_eq!(self.stdout, "", "{self}");
        self.stderr
    }

    /// It ended with `code` and with one error, whose kind is `kind` and whose text
    /// contains each of `parts`.
    pub fn failed_with(self, code: i32, kind: &str, parts: &[&str]) -> String {
        let text = self.failed(code);
        assert!(text.starts_with(&format!("error[{kind}]: ")), "{text}");
        assert_eq!(text.matches("error[").count(), 1, "{text}");
        for noise in ["backtrace", "RUST_BACKTRACE", "thread '"] {
            assert!(!text.contains(noise), "{text}");
        }
        for part in parts {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        text
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ran {
            code,
            stdout,
            stderr,
        } = self;
        write!(f, "code {code:?}\n-- stdout\n{stdout}\n-- stderr\n{stderr}")
    }
}

/// Runs `command` to its end.
fn finish(command: Command) -> Ran {
    let shown = format!("{command:?}");
    finish_within(command, PATIENCE).unwrap_or_else(|| panic!("hung: {shown}"))
}

/// Runs `command` to its end; `None` when it takes longer, and is killed. Output goes through
/// files, which never fill up.
pub fn finish_within(mut command: Command, patience: Duration) -> Option<Ran> {
    let folder = TempDir::new().unwrap();
    let paths = ["stdout", "stderr"].map(|name| folder.path().join(name));
    let [stdout, stderr] = [&paths[0], &paths[1]].map(|path| File::create(path).unwrap());
    let child = command.stdout(stdout).stderr(stderr).spawn();
    let mut child = child.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let status = wait(&mut child, patience);
    let [stdout, stderr] =
        paths.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
    if status.is_none() {
        println!("hung: {command:?}\n{stdout}\n{stderr}");
    }
    Some(Ran {
        code: status?.code(),
        stdout,
        stderr,
    })
}

/// `None` when it hangs; it is then killed.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if started.elapsed() > patience {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The file `name` in the folder of this test's own binary.
pub fn beside_this(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(name)
}

/// Compiles `source`, C, to the shared library `library`, with `flags` besides.
pub fn compile(source: &Path, library: &Path, flags: &[&str]) {
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    let mut command = Command::new("cc");
    command
        .args(["-std=c11", "-Wall", "-O1", "-fPIC", "-shared"])
        .arg(format!("-I{ROOT}/plugins/api"))
        .args(flags)
        .arg("-o")
        .args([library, source]);
    let ran = finish(command).ok();
    assert_eq!(ran.stderr, "", "the compiler warns");
}

/// Compiles the plugin in C that ships, in the folder `folder`.
pub fn compile_word_count(folder: &Path) -> PathBuf {
    let library = folder.join("libsegue_word_count.so");
    let source = Path::new(ROOT).join("plugins/word-count/word_count.c");
    compile(&source, &library, &[]);
    library
}

/// Compiles the operator in C that keeps state, into `folder`.
pub fn compile_row_count(folder: &Path) -> PathBuf {
    let library = folder.join("libsegue_row_count.so");
    let source = Path::new(ROOT).join("plugins/row-count/row_count.c");
    compile(&source, &library, &[]);
    library
}

/// Holds `actual` to the file `name` of this suite; `UPDATE=1` writes it instead.
pub fn golden(name: &str, actual: &str) {
    let path = Path::new(ROOT).join("tests/suite").join(name);
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "`{name}` is not as golden; `UPDATE=1` rewrites it\n-- expected\n{expected}\n-- actual\n{actual}"
    );
}

/// `count` reviews as CSV: `label,text`, of 1 to 40 words.
pub fn reviews(count: usize) -> String {
    let mut random = Random(7);
    let mut text = "label,text\n".to_owned();
    for _ in 0..count {
        let length = 1 + random.below(40);
        let words: Vec<&str> = (0..length)
            .map(|_| WORDS[random.below(WORDS.len())])
            .collect();
        text += &format!("{},{}\n", random.below(2), words.join(" "));
    }
    text
}

/// Xorshift: the same numbers everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 to `end`, which it does not reach.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) % end as u64) as usize
    }
}

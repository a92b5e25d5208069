//! What a plugin can do to the process that it runs in.

use std::io::Write;

use segue_plugin::{Batch, Columns, Result, Stage};

/// Prints much, and words that are not the host's, then passes its rows on, until it ends
/// the whole process.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EndsTheProcess {
    /// The batch at which it does; left out, it never does.
    #[serde(default = "never")]
    pub at: u64,
    /// `abort` or `exit`.
    #[serde(default)]
    pub how: String,
    /// Bytes that it prints to stderr at each batch.
    #[serde(default)]
    pub prints: usize,
}

fn never() -> u64 {
    u64::MAX
}

impl Stage for EndsTheProcess {
    fn columns(&self) -> Columns {
        Columns::new()
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        // Whether anybody reads it is no matter here.
        let _ = std::io::stdout().write_all(b"done\nbegins 7\n\xff\xfe\n");
        let _ = std::io::stdout().flush();
        let _ = std::io::stderr().write_all(&vec![b'.'; self.prints]);
        match (batch.time() >= self.at, self.how.as_str()) {
            (false, _) => Ok(batch),
            (true, "exit") => std::process::exit(0),
            (true, _) => std::process::abort(),
        }
    }
}

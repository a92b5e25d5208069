//! The options that a search found best, as they come to a stage that works with them.

use segue_plugin::{Batch, Error, Result};

/// The last that came. A stage that is stateful keeps it from one commit to the next.
#[derive(Clone, Debug, Default)]
pub struct BestOptions(Option<String>);

impl BestOptions {
    /// Takes the last row's `options`, as `search-best` gives them.
    ///
    /// # Errors
    /// `missing-column`
    pub fn add(&mut self, batch: &Batch) -> Result<()> {
        if let Some(Some(options)) = batch.text("options")?.iter().last() {
            self.0 = Some(options.to_owned());
        }
        Ok(())
    }

    /// Such as `cost=2.5,ngrams=3`.
    ///
    /// # Errors
    /// `no-best` when none came
    pub fn text(&self) -> Result<&str> {
        let none = || Error::new("no-best", "no options came to learn with");
        self.0.as_deref().ok_or_else(none)
    }

    /// A stage's state: nothing where none came, for a search names one option at least.
    pub fn snapshot(&self) -> Vec<u8> {
        self.0.clone().unwrap_or_default().into_bytes()
    }

    /// What a snapshot holds.
    ///
    /// # Errors
    /// `no-state`
    pub fn restore(&mut self, state: &[u8]) -> Result<()> {
        let options = String::from_utf8(state.to_vec());
        let options = options.map_err(|error| Error::new("no-state", error.to_string()))?;
        self.0 = Some(options).filter(|options| !options.is_empty());
        Ok(())
    }
}

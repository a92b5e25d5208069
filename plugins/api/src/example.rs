//! Examples that run as tests.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rows in, under these options, and the rows that must come out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The `with.*` options, an object.
    #[serde(default)]
    pub options: Value,
    /// One object a row: column name to value.
    pub input: Vec<Value>,
    /// One object a row; columns it leaves out are not compared.
    pub output: Vec<Value>,
}

impl Example {
    /// An example from JSON values, such as `json!` makes.
    pub fn new(options: Value, input: Vec<Value>, output: Vec<Value>) -> Self {
        Example {
            options,
            input,
            output,
        }
    }
}

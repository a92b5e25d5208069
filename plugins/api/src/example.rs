//! Examples that run as tests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rows in, under these options, and the rows that must come out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The `with.*` options, an object.
    #[serde(default)]
    pub options: Value,
    /// One object a row: column name to value. At the first input port, where there are ports.
    #[serde(default)]
    pub input: Vec<Value>,
    /// In place of `input` for an operator with several input ports: the rows of each. Those
    /// of side inputs come first, then each port's in the order of the ports.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Vec<Value>>,
    /// One object a row; columns it leaves out are not compared.
    pub output: Vec<Value>,
}

impl Example {
    /// An example from JSON values, such as `json!` makes.
    pub fn new(options: Value, input: Vec<Value>, output: Vec<Value>) -> Self {
        Example {
            options,
            input,
            inputs: BTreeMap::new(),
            output,
        }
    }

    /// The same with the rows of each input port.
    pub fn at_ports<const PORTS: usize>(
        options: Value,
        inputs: [(&str, Vec<Value>); PORTS],
        output: Vec<Value>,
    ) -> Self {
        let inputs = inputs.map(|(port, rows)| (port.to_owned(), rows));
        Example {
            inputs: BTreeMap::from(inputs),
            ..Example::new(options, Vec::new(), output)
        }
    }
}

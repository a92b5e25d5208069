//! Column types, and what an operator reads and writes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};

/// The type of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// True or false.
    Bool,
    /// Signed integers of 8, 16, 32 and 64 bits.
    I8,
    /// 16 bits.
    I16,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// Unsigned integers of 8, 16, 32 and 64 bits.
    U8,
    /// 16 bits.
    U16,
    /// 32 bits.
    U32,
    /// 64 bits.
    U64,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 64 bits.
    F64,
    /// Text.
    Utf8,
    /// Numbers as a file writes them, digit by digit: text to whoever reads it. Plugins see it
    /// as [`Scalar::Utf8`].
    Number,
}

const SCALARS: [(Scalar, &str, DataType); 13] = [
    (Scalar::Bool, "bool", DataType::Boolean),
    (Scalar::I8, "i8", DataType::Int8),
    (Scalar::I16, "i16", DataType::Int16),
    (Scalar::I32, "i32", DataType::Int32),
    (Scalar::I64, "i64", DataType::Int64),
    (Scalar::U8, "u8", DataType::UInt8),
    (Scalar::U16, "u16", DataType::UInt16),
    (Scalar::U32, "u32", DataType::UInt32),
    (Scalar::U64, "u64", DataType::UInt64),
    (Scalar::F32, "f32", DataType::Float32),
    (Scalar::F64, "f64", DataType::Float64),
    (Scalar::Utf8, "utf8", DataType::Utf8),
    // Behind text, which is what an Arrow type of strings means where nothing else is said.
    (Scalar::Number, "number", DataType::Utf8),
];

impl Scalar {
    fn row(self) -> &'static (Scalar, &'static str, DataType) {
        SCALARS
            .iter()
            .find(|row| row.0 == self)
            .unwrap_or(&SCALARS[0])
    }

    fn from_arrow(data_type: &DataType) -> Option<Self> {
        SCALARS
            .iter()
            .find(|row| row.2 == *data_type)
            .map(|row| row.0)
    }

    /// Bytes of one element; `None` for text.
    pub fn bytes(self) -> Option<usize> {
        match self {
            Scalar::Bool => Some(1),
            Scalar::Utf8 => None,
            other => other.row().2.primitive_width(),
        }
    }
}

/// The type of a column.
///
/// In JSON and in messages it is text: `f32`, `list u32`, `fixed f32[2]`,
/// `ragged f32[384]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Type {
    /// One element a row.
    Scalar(Scalar),
    /// Any number of elements a row.
    List(Scalar),
    /// A vector of N elements a row.
    Fixed(Scalar, usize),
    /// Any number of vectors of N elements a row, with no padding.
    Ragged(Scalar, usize),
}

/// `ragged f32[width]`: any number of vectors a row.
pub fn ragged_f32(width: usize) -> Type {
    Type::Ragged(Scalar::F32, width)
}

/// `fixed f32[width]`: one vector a row.
pub fn fixed_f32(width: usize) -> Type {
    Type::Fixed(Scalar::F32, width)
}

/// `list u32`: any number of integers a row.
pub fn list_u32() -> Type {
    Type::List(Scalar::U32)
}

impl Type {
    /// The Arrow type: `list<fixed_size_list<f32>[384]>` for `ragged f32[384]`.
    pub fn to_arrow(self) -> DataType {
        let item = |data_type| Arc::new(Field::new("item", data_type, false));
        let fixed = |s: Scalar, n: usize| {
            DataType::FixedSizeList(
                item(s.row().2.clone()),
                i32::try_from(n).unwrap_or(i32::MAX),
            )
        };
        match self {
            Type::Scalar(s) => s.row().2.clone(),
            Type::List(s) => DataType::List(item(s.row().2.clone())),
            Type::Fixed(s, n) => fixed(s, n),
            Type::Ragged(s, n) => DataType::List(item(fixed(s, n))),
        }
    }

    /// The type of an Arrow column, or `None` for one that Segue does not carry.
    pub fn from_arrow(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::List(item) => match item.data_type() {
                DataType::FixedSizeList(inner, n) => Some(Type::Ragged(
                    Scalar::from_arrow(inner.data_type())?,
                    usize::try_from(*n).ok()?,
                )),
                other => Some(Type::List(Scalar::from_arrow(other)?)),
            },
            DataType::FixedSizeList(item, n) => Some(Type::Fixed(
                Scalar::from_arrow(item.data_type())?,
                usize::try_from(*n).ok()?,
            )),
            other => Some(Type::Scalar(Scalar::from_arrow(other)?)),
        }
    }

    /// Whether a row holds one element.
    pub fn is_scalar(self) -> bool {
        matches!(self, Type::Scalar(_))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Scalar(s) => f.write_str(s.row().1),
            Type::List(s) => write!(f, "list {}", s.row().1),
            Type::Fixed(s, n) => write!(f, "fixed {}[{n}]", s.row().1),
            Type::Ragged(s, n) => write!(f, "ragged {}[{n}]", s.row().1),
        }
    }
}

impl FromStr for Type {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| format!("`{text}` is not a column type"))
    }
}

fn parse(text: &str) -> Option<Type> {
    let scalar = |name: &str| SCALARS.iter().find(|row| row.1 == name).map(|row| row.0);
    let vector = |text: &str| {
        let (name, width) = text.strip_suffix(']')?.split_once('[')?;
        Some((
            scalar(name)?,
            width
                .parse::<usize>()
                .ok()
                .filter(|n| *n > 0 && *n <= i32::MAX as usize)?,
        ))
    };
    match text.split_once(' ') {
        None => scalar(text).map(Type::Scalar),
        Some(("list", item)) => scalar(item).map(Type::List),
        Some(("fixed", item)) => vector(item).map(|(s, n)| Type::Fixed(s, n)),
        Some(("ragged", item)) => vector(item).map(|(s, n)| Type::Ragged(s, n)),
        Some(_) => None,
    }
}

impl TryFrom<String> for Type {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Type> for String {
    fn from(column_type: Type) -> Self {
        column_type.to_string()
    }
}

impl From<&str> for Type {
    /// For types written in source code.
    ///
    /// # Panics
    /// When `text` is no type: a mistake in the plugin, which its first test shows.
    fn from(text: &str) -> Self {
        match text.parse() {
            Ok(column_type) => column_type,
            Err(message) => panic!("{message}"),
        }
    }
}

/// A named column and its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Unique among the columns of an edge.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: Type,
    /// What its classes 0, 1, ... are called, where that is known: of logits the name of each
    /// number, of a text column the texts it can have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// At which input port it is; empty where the operator names none, and for what is written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub port: String,
}

impl Column {
    /// The column `name` of type `column_type`.
    pub fn new(name: impl Into<String>, column_type: impl Into<Type>) -> Self {
        Column {
            name: name.into(),
            column_type: column_type.into(),
            labels: Vec::new(),
            port: String::new(),
        }
    }

    /// The same at the input port `port`.
    pub fn at_port(self, port: impl Into<String>) -> Self {
        let port = port.into();
        Column { port, ..self }
    }

    /// Whether `other` has this name and type, whatever its classes are called. Numbers that are
    /// text are text.
    pub fn fits(&self, other: &Column) -> bool {
        let plain = |column: &Column| match column.column_type {
            Type::Scalar(Scalar::Number) => Type::Scalar(Scalar::Utf8),
            other => other,
        };
        (&self.name, plain(self)) == (&other.name, plain(other))
    }

    /// The column as a plugin sees it.
    pub fn for_plugins(&self) -> Column {
        match self.column_type {
            Type::Scalar(Scalar::Number) => Column {
                column_type: Type::Scalar(Scalar::Utf8),
                ..self.clone()
            },
            _ => self.clone(),
        }
    }
}

/// How output rows relate to input rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rows {
    /// Output row i belongs to input row i.
    #[default]
    Same,
    /// The output's column `row: u32` names the input row of each output row, ascending.
    Mapped,
    /// Output rows are unrelated to input rows: no column passes through.
    New,
}

/// What an operator reads and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// Columns that must reach the stage.
    pub reads: Vec<Column>,
    /// Columns it adds, or replaces.
    pub writes: Vec<Column>,
    /// Columns that end here.
    pub drops: Vec<String>,
    /// How its rows relate to those it reads.
    pub rows: Rows,
    /// Whether batches build on each other, as in training: the stage has one instance,
    /// which gets every batch in order of time, and nothing it was given is committed
    /// before it says so ([`Host::saved`](crate::Host::saved)) or ends. Plugins before ABI 1.2
    /// call it `keeps`.
    #[serde(alias = "keeps")]
    pub stateful: bool,
    /// Whether a stage that keeps state gives it to the host when it is asked for, and
    /// gets it back when it starts again, maybe on another device
    /// ([`Stage::snapshot`](crate::Stage::snapshot)): then it saves nothing itself.
    pub snapshots: bool,
    /// The least milliseconds between two times that it is asked.
    pub snapshot_ms: u64,
    /// With new rows: each batch is for itself and nothing is held back until the end of its
    /// time, so that the batches of one time may be dealt over all replicas. Those of stages
    /// whose rows are the same or mapped always may.
    pub spreads: bool,
}

impl Columns {
    /// Reads nothing, writes nothing, row for row.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also reads `name`.
    pub fn reads(mut self, name: &str, column_type: impl Into<Type>) -> Self {
        self.reads.push(Column::new(name, column_type));
        self
    }

    /// Also reads `name` at the input port `port`.
    pub fn reads_at(mut self, port: &str, name: &str, column_type: impl Into<Type>) -> Self {
        self.reads
            .push(Column::new(name, column_type).at_port(port));
        self
    }

    /// Also writes `name`.
    pub fn writes(mut self, name: &str, column_type: impl Into<Type>) -> Self {
        self.writes.push(Column::new(name, column_type));
        self
    }

    /// Says what the classes of the written column `name` are called; without effect when it
    /// writes none of that name.
    pub fn labelled(mut self, name: &str, labels: &[String]) -> Self {
        let written = self.writes.iter_mut().find(|column| column.name == name);
        if let Some(column) = written {
            column.labels = labels.to_vec();
        }
        self
    }

    /// Also ends `name`: nothing downstream sees it.
    pub fn drops(mut self, name: &str) -> Self {
        self.drops.push(name.to_owned());
        self
    }

    /// Relates its rows to the input's as `rows` says.
    pub fn rows(mut self, rows: Rows) -> Self {
        self.rows = rows;
        self
    }

    /// Its rows are new, and each batch is for itself.
    pub fn spreads(mut self) -> Self {
        (self.rows, self.spreads) = (Rows::New, true);
        self
    }

    /// Its batches build on each other.
    pub fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// Its batches build on each other, and it gives its state to the host, at least
    /// `pause_ms` milliseconds apart.
    pub fn snapshots(mut self, pause_ms: u64) -> Self {
        (self.stateful, self.snapshots, self.snapshot_ms) = (true, true, pause_ms);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_survive_text_and_arrow() {
        for text in [
            "utf8",
            "bool",
            "i64",
            "list u32",
            "fixed f32[2]",
            "ragged f32[384]",
        ] {
            let column_type: Type = text.parse().unwrap();
            assert_eq!(column_type.to_string(), text);
            assert_eq!(Type::from_arrow(&column_type.to_arrow()), Some(column_type));
        }
    }

    #[test]
    fn what_plugins_called_keeps_is_still_read() {
        let columns: Columns = serde_json::from_str(r#"{"keeps": true}"#).unwrap();
        assert_eq!(columns, Columns::new().stateful());
        let text = serde_json::to_string(&columns).unwrap();
        assert!(text.contains(r#""stateful":true"#), "{text}");
    }

    #[test]
    fn nonsense_is_no_type() {
        for text in [
            "",
            "text",
            "list",
            "list ",
            "fixed f32",
            "fixed f32[]",
            "fixed f32[0]",
            "ragged f32[-1]",
            "fixed f32[9999999999]",
        ] {
            assert!(text.parse::<Type>().is_err(), "{text}");
        }
    }
}

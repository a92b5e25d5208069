//! JSON values: objects keep the order of their names, and what is nested
//! stays text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::super::batch::Kind;
use super::super::records::Cell;

/// A record as written.
pub struct Object(pub Vec<(String, Value)>);

/// A value in a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// An array or object, as compact JSON.
    Nested(String),
}

/// What a column holds, as far as the first records tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    /// Nothing but nulls.
    Unknown,
    Bool,
    Int,
    Float,
    Text,
    /// Arrays, objects or a mixture: strings as they are, all else as JSON.
    Any,
}

impl Type {
    /// The type of a column that holds `value` too.
    pub fn with(self, value: &Value) -> Self {
        let other = match value {
            Value::Null => return self,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Float(_) => Type::Float,
            Value::Text(_) => Type::Text,
            Value::Nested(_) => Type::Any,
        };
        match (self, other) {
            (Type::Unknown, _) => other,
            (Type::Int, Type::Float) | (Type::Float, Type::Int) => Type::Float,
            _ if self == other => self,
            _ => Type::Any,
        }
    }

    pub fn column(self) -> Kind {
        match self {
            Type::Bool => Kind::Bool,
            Type::Int => Kind::Int,
            Type::Float => Kind::Float64,
            Type::Unknown | Type::Text | Type::Any => Kind::Text,
        }
    }

    /// `value` as a cell of this column; else what the value is.
    pub fn cell(self, value: Value) -> Result<Cell, &'static str> {
        Ok(match (self, value) {
            (_, Value::Null) => Cell::Null,
            (Type::Bool, Value::Bool(value)) => Cell::Bool(value),
            (Type::Int, Value::Int(value)) => Cell::Int(value),
            (Type::Float, Value::Float(value)) => Cell::Float(value),
            (Type::Float, Value::Int(value)) => Cell::Float(value as f64),
            (Type::Text, Value::Text(value)) => Cell::Text(value),
            (Type::Any | Type::Unknown, Value::Text(value)) => Cell::Text(value),
            (Type::Any | Type::Unknown, value) => Cell::Text(value.to_json()),
            (_, value) => return Err(value.type_name()),
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Type::Bool => "booleans",
            Type::Int => "integers",
            Type::Float => "numbers",
            Type::Text => "strings",
            Type::Any | Type::Unknown => "anything",
        }
    }
}

impl Value {
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number that is no 64-bit integer",
            Value::Text(_) => "a string",
            Value::Nested(_) => "an array or object",
        }
    }

    fn to_json(&self) -> String {
        match self {
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => serde_json::Value::from(*value).to_string(),
            Value::Text(value) => quoted(value),
            Value::Nested(value) => value.clone(),
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Object(entries))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Value>()? {
            items.push(item.to_json());
        }
        Ok(Value::Nested(format!("[{}]", items.join(","))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            items.push(format!("{}:{}", quoted(&name), value.to_json()));
        }
        Ok(Value::Nested(format!("{{{}}}", items.join(","))))
    }
}

//! A stage's options, with those of a candidate in their place.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use segue_plugin::{Error, Result};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Options as a graph gave them, which stay at hand: a candidate has values for some of them, and
/// the rest stays as it was.
#[derive(Clone, Debug)]
pub struct Given<O> {
    map: Map<String, Value>,
    own: O,
}

impl<'d, O: DeserializeOwned> Deserialize<'d> for Given<O> {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::deserialize(deserializer)?;
        let own = O::deserialize(Value::Object(map.clone())).map_err(D::Error::custom)?;
        Ok(Given { map, own })
    }
}

impl<O: JsonSchema> JsonSchema for Given<O> {
    fn schema_name() -> Cow<'static, str> {
        O::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        O::json_schema(generator)
    }
}

impl<O: DeserializeOwned + JsonSchema> Given<O> {
    /// As the graph gave them.
    pub fn own(&self) -> &O {
        &self.own
    }

    /// With those that `text` names, such as `cost=2.5,ngrams=3`, in their place.
    ///
    /// # Errors
    /// `bad-candidate` when there is no such option, or it cannot have such a value
    pub fn with(&self, text: &str) -> Result<O> {
        let wrong = |what: String| Error::new("bad-candidate", what);
        let mut map = self.map.clone();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let pair = part.split_once('=');
            let (name, value) = pair.ok_or_else(|| wrong(format!("`{part}` has no value")))?;
            let (name, value) = (name.trim(), value.trim());
            if KEPT.contains(&name) {
                let why = "which names what is read or written, not how to learn";
                return Err(wrong(format!("`{name}` cannot be searched, {why}")));
            }
            if !has::<O>(name) {
                return Err(wrong(format!(
                    "`{name}` of the searched options is none that this stage has"
                )));
            }
            map.insert(name.to_owned(), plain(value));
        }
        O::deserialize(Value::Object(map))
            .map_err(|error| wrong(format!("`{text}` cannot be its options: {error}")))
    }
}

/// Options that no candidate may have of its own.
const KEPT: [&str; 4] = ["model", "output", "options", "labels"];

/// Whether `O` has an option of this name.
fn has<O: JsonSchema>(name: &str) -> bool {
    let schema = schemars::schema_for!(O);
    let names = schema.get("properties").and_then(Value::as_object);
    names.is_some_and(|names| names.contains_key(name))
}

/// A number or a truth value where it is one, else text.
fn plain(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Inner {
        cost: f64,
        kernel: String,
    }

    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case", default)]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
        most_words: usize,
        fast: bool,
    }

    fn given() -> Given<Outer> {
        let json = r#"{"cost": 2.0, "most-words": 7, "kernel": "rbf"}"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_a_candidate_does_not_name_stays() {
        let with = given()
            .with("most-words=9,fast=true,kernel=linear")
            .unwrap();
        let inner = Inner {
            cost: 2.0,
            kernel: "linear".into(),
        };
        let expected = Outer {
            inner,
            most_words: 9,
            fast: true,
        };
        assert_eq!(with, expected);
        assert_eq!(given().with("").unwrap(), *given().own());
    }

    #[test]
    fn options_that_cannot_be_are_refused() {
        for text in [
            "most-worms=3",
            "most-words=2.5",
            "fast",
            "cost=much",
            "output=x",
        ] {
            let error = given().with(text).unwrap_err();
            assert_eq!(error.code, "bad-candidate", "{text}: {error}");
        }
    }
}

//! What `config.json` says of a model of any family, also of one that cannot be run.

use std::path::Path;

use serde_json::Value;

use crate::config::CONFIG_BYTES_MAX;
use crate::error::ModelError;
use crate::fields::Fields;
use crate::files;
use crate::find::folder_of;

/// What whoever makes tokens for a model must know of it; `None` where the file does not say it,
/// or makes no sense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// `model_type`
    pub family: Option<String>,
    /// Rows of the word table.
    pub vocab_size: Option<usize>,
    /// Rows of the position table.
    pub positions: Option<usize>,
}

impl Outline {
    /// Reads `config.json` in `dir`; all is unknown where there is none.
    ///
    /// # Errors
    /// `model-missing` when it cannot be read, `model-config` when it is not a JSON object.
    pub fn read(dir: &Path) -> Result<Self, ModelError> {
        let path = folder_of(dir).join("config.json");
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = files::read_text(&path, CONFIG_BYTES_MAX)?;
        Self::parse(&text)
            .map_err(|e| ModelError::new("model-config", format!("`{}`: {e}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let Value::Object(object) = &json else {
            return Err("it is not a JSON object".into());
        };
        let fields = Fields(object);
        let size = |name: &str| fields.size(name, usize::MAX).ok();
        Ok(Self {
            family: fields.text("model_type").ok().flatten().map(str::to_owned),
            vocab_size: size("vocab_size"),
            positions: size("max_position_embeddings"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_family_has_an_outline() {
        let text =
            r#"{"model_type": "roberta", "vocab_size": 50265, "max_position_embeddings": -1}"#;
        let expected = Outline {
            family: Some("roberta".to_owned()),
            vocab_size: Some(50265),
            positions: None,
        };
        assert_eq!(Outline::parse(text), Ok(expected));
        assert_eq!(Outline::parse("{}"), Ok(Outline::default()));
        assert!(Outline::parse("[]").is_err());
    }
}

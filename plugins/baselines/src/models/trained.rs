//! A trained model in a folder: `config.json`, `vocabulary.txt`, `model.safetensors`.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use segue_learn::scorer::predict;
use segue_learn::store::{Packed, make_folder, pack, write_whole};
use segue_plugin::{Error, Result};

use crate::features::Features;
use crate::features::rows::Rows;
use crate::features::words::Lexicon;
use crate::models::Model;
use crate::models::recipe::Recipe;

const CONFIG: &str = "config.json";
const VOCABULARY: &str = "vocabulary.txt";
const TENSORS: &str = "model.safetensors";

/// A model with all that it takes to judge texts.
pub struct Trained {
    /// What it was made from.
    pub recipe: Recipe,
    /// The words that its features are made of, and maybe more.
    pub lexicon: Lexicon,
    /// What a text is to it.
    pub features: Features,
    /// The model itself.
    pub model: Box<dyn Model>,
}

impl Trained {
    /// The class of each text, and its score.
    ///
    /// # Errors
    /// `failed-tensor`
    pub fn judge<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Result<Vec<(usize, f32)>> {
        let mut rows = Rows::new(self.features.width());
        for text in texts {
            self.features.push(&self.lexicon.known(text), &mut rows);
        }
        predict(self.model.as_ref(), &rows, rows.len())
    }

    /// Writes it to `folder`, which is made if there is none.
    ///
    /// # Errors
    /// `failed-write`, `write-failed`
    pub fn save(&self, folder: &Path) -> Result<()> {
        let failed = |e: &dyn Display| {
            let message = format!("cannot write the model to `{}`: {e}", folder.display());
            Error::new("failed-write", message).option("output")
        };
        make_folder(folder)?;
        // Without its configuration a folder is no model: until all is written, this one
        // is none, whatever it held before.
        match fs::remove_file(folder.join(CONFIG)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(&e)),
            _ => {}
        }
        let mut names = self.features.names(&self.lexicon).join("\n");
        names.push('\n');
        let write = |name: &str, bytes: &[u8]| {
            write_whole(&folder.join(name), bytes).map_err(|e| failed(&e.message))
        };
        write(VOCABULARY, names.as_bytes())?;
        let parameters = self.model.weights()?;
        let weights = self.features.weights();
        let tensors = pack(&[("parameters", &parameters[..]), ("weights", weights)]);
        write(TENSORS, &tensors.map_err(|e| failed(&e.message))?)?;
        let config = serde_json::to_string_pretty(&self.recipe).map_err(|e| failed(&e))?;
        write(CONFIG, (config + "\n").as_bytes())
    }

    /// Reads what [`Trained::save`] wrote.
    ///
    /// # Errors
    /// `model-missing`, `bad-model`
    pub fn load(folder: &Path) -> Result<Self> {
        let bad = |name: &str, e: &dyn Display| {
            let message = format!("cannot use `{}`: {e}", folder.join(name).display());
            Error::new("bad-model", message).option("model")
        };
        let read = |name: &str| {
            fs::read(folder.join(name)).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => {
                    let message = format!("`{}` has no `{name}`", folder.display());
                    Error::new("model-missing", message).option("model")
                }
                _ => bad(name, &e),
            })
        };
        let config = read(CONFIG)?;
        let recipe: Recipe = serde_json::from_slice(&config).map_err(|e| bad(CONFIG, &e))?;
        let names = String::from_utf8(read(VOCABULARY)?).map_err(|e| bad(VOCABULARY, &e))?;
        let names: Vec<&str> = names.lines().collect();
        let tensors = read(TENSORS)?;
        let tensors = Packed::open(&tensors).map_err(|e| bad(TENSORS, &e))?;
        let numbers = |name: &str| tensors.floats(name).map_err(|e| bad(TENSORS, &e));
        let (features, lexicon) =
            Features::from_names(&recipe.features, &names, numbers("weights")?)?;
        let mut model = recipe.model(features.width())?;
        let set = model.set_weights(&numbers("parameters")?);
        set.map_err(|e| bad(TENSORS, &e.message))?;
        Ok(Trained {
            recipe,
            lexicon,
            features,
            model,
        })
    }
}

//! The header of a safetensors file.

use std::collections::HashMap;
use std::fmt;

use safetensors::tensor::TensorInfo;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The most bytes of a header: a model of a thousand layers has a tenth of it.
pub(crate) const HEADER_BYTES_MAX: u64 = 16 << 20;

/// The tensors of a file, by name.
#[derive(Debug)]
pub(crate) struct Header(pub HashMap<String, TensorInfo>);

impl Header {
    /// Reads the JSON text of a header.
    ///
    /// # Errors
    /// Text that is not one, or in which tensors share bytes or leave some out
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let header: Header = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        header.check_offsets()?;
        Ok(header)
    }

    /// The bytes of all tensors.
    pub fn data_bytes(&self) -> usize {
        let ends = self.0.values().map(|info| info.data_offsets.1);
        ends.max().unwrap_or(0)
    }

    /// The format has the tensors one after the other, so a wrong offset shows.
    fn check_offsets(&self) -> Result<(), String> {
        let mut all: Vec<(usize, usize, &str)> = (self.0.iter())
            .map(|(name, info)| (info.data_offsets.0, info.data_offsets.1, name.as_str()))
            .collect();
        all.sort_unstable();
        let mut at = 0;
        for (from, to, name) in all {
            if from != at || to < from {
                return Err(format!(
                    "`{name}` has the bytes {from}..{to}, but those before it end at {at}"
                ));
            }
            at = to;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut tensors = HashMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let info: TensorInfo = map.next_value()?;
            if tensors.contains_key(&name) {
                return Err(A::Error::custom(format!("two tensors are called `{name}`")));
            }
            tensors.insert(name, info);
        }
        Ok(Header(tensors))
    }
}

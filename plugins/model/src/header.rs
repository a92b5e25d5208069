//! The header of a safetensors file.

use std::collections::HashMap;
use std::fmt;

use safetensors::tensor::TensorInfo;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The most bytes of a header: a model of a thousand layers has a tenth of it.
pub(crate) const HEADER_BYTES_MAX: u64 = 16 << 20;

/// Where the header of a file with [sparse](Header::sparse) tensors says their shapes.
const SPARSE: &str = "segue.sparse";

/// What a header says.
#[derive(Debug)]
pub(crate) struct Header {
    /// The tensors of the file, by name.
    pub tensors: HashMap<String, TensorInfo>,
    /// The shapes of those that are stored without their zeros, by name: each is two tensors of
    /// the file.
    pub sparse: HashMap<String, Vec<usize>>,
}

impl Header {
    /// Reads the JSON text of a header.
    ///
    /// # Errors
    /// Text that is not one, or in which tensors share bytes or leave some out
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let header: Header = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        header.check_offsets()?;
        match header
            .sparse
            .keys()
            .find(|name| header.tensors.contains_key(*name))
        {
            Some(name) => Err(format!("`{name}` is there with its zeros and without")),
            None => Ok(header),
        }
    }

    /// The bytes of all tensors.
    pub fn data_bytes(&self) -> usize {
        let ends = self.tensors.values().map(|info| info.data_offsets.1);
        ends.max().unwrap_or(0)
    }

    /// The format has the tensors one after the other, so a wrong offset shows.
    fn check_offsets(&self) -> Result<(), String> {
        let mut all: Vec<(usize, usize, &str)> = (self.tensors.iter())
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

/// The shapes of sparse tensors that `metadata` tells of.
fn shapes(metadata: &Value) -> Result<HashMap<String, Vec<usize>>, String> {
    match metadata[SPARSE].as_str() {
        Some(text) => serde_json::from_str(text)
            .map_err(|e| format!("what `{SPARSE}` says is no table of shapes: {e}")),
        None => Ok(HashMap::new()),
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let (mut tensors, mut sparse) = (HashMap::new(), HashMap::new());
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                sparse = shapes(&map.next_value::<Value>()?).map_err(A::Error::custom)?;
                continue;
            }
            let info: TensorInfo = map.next_value()?;
            if tensors.contains_key(&name) {
                return Err(A::Error::custom(format!("two tensors are called `{name}`")));
            }
            tensors.insert(name, info);
        }
        Ok(Header { tensors, sparse })
    }
}

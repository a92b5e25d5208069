//! TOML files that people write: a tree in which every key and value keeps its place, and
//! the checks that graph files and cluster files share.

mod node;
mod reader;

pub use node::{Entry, Kind, Node, parse_file, parse_value};
pub use reader::{At, Reader};

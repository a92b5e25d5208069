//! Text -> profile, with every error in its place.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{DeviceProfile, LinkProfile, Profile, UnitProfile};
use crate::diagnostic::{Diagnostic, Sources};
use crate::toml_file::{Entry, Kind, Node, Reader, parse_file};

const TOP_KEYS: [&str; 4] = ["format", "unit", "device", "link"];
const UNIT_KEYS: [&str; 3] = ["name", "bytes-out", "weights"];
const DEVICE_KEYS: [&str; 3] = ["other-seconds", "seconds", "at"];
const LINK_KEYS: [&str; 4] = ["from", "to", "bytes-per-second", "delay-seconds"];

/// The profile in `sources` number `source`.
///
/// # Errors
/// Every error there is, in the order of the file
pub fn parse(sources: &Sources, source: usize) -> Result<Profile, Vec<Diagnostic>> {
    let (entries, errors) = parse_file(sources.text(source), source);
    let mut reader = ProfileReader {
        toml: Reader::new(errors),
    };
    let profile = reader.file(&entries, source);
    if reader.toml.errors.is_empty() {
        return Ok(profile);
    }
    Err(reader.toml.errors)
}

struct ProfileReader {
    toml: Reader,
}

impl ProfileReader {
    fn file(&mut self, entries: &[Entry], source: usize) -> Profile {
        let mut profile = Profile::default();
        self.toml.has_format(entries, source);
        for entry in entries {
            match entry.key.as_str() {
                "format" => self.toml.format(&entry.node),
                "unit" => profile.units = self.each(entry, Self::unit),
                "device" => profile.devices = self.each(entry, Self::device),
                "link" => profile.links = self.links(entry),
                _ => self.toml.unknown(entry, "keys of a profile", &TOP_KEYS),
            }
        }
        profile
    }

    /// A table of tables, by their names.
    fn each<T>(
        &mut self,
        entry: &Entry,
        read: impl Fn(&mut Self, &Entry) -> T,
    ) -> BTreeMap<String, T> {
        let of = self.entries(entry).iter();
        of.map(|one| (one.key.clone(), read(self, one))).collect()
    }

    fn unit(&mut self, entry: &Entry) -> UnitProfile {
        let mut unit = UnitProfile::default();
        for entry in self.entries(entry) {
            match entry.key.as_str() {
                "name" => unit.name = self.text(entry),
                "bytes-out" => unit.bytes_out = self.number(entry),
                // As many bytes as there are fit into a number.
                "weights" => unit.weights = self.number(entry) as u64,
                _ => self.toml.unknown(entry, "keys of a unit", &UNIT_KEYS),
            }
        }
        unit
    }

    fn device(&mut self, entry: &Entry) -> DeviceProfile {
        let mut device = DeviceProfile::default();
        for entry in self.entries(entry) {
            match entry.key.as_str() {
                "other-seconds" => device.other_seconds = self.number(entry),
                "seconds" => device.seconds = self.each(entry, Self::number),
                "at" => {
                    for at in self.entries(entry) {
                        match at.key.parse() {
                            Ok(tokens) => {
                                drop(device.at.insert(tokens, self.each(at, Self::number)))
                            }
                            Err(_) => {
                                let message = format!("`{}` is not a number of tokens", at.key);
                                let error = Diagnostic::new("bad-value", message);
                                self.toml.errors.push(error.at(at.key_span));
                            }
                        }
                    }
                }
                _ => self.toml.unknown(entry, "keys of a device", &DEVICE_KEYS),
            }
        }
        device
    }

    fn links(&mut self, entry: &Entry) -> Vec<LinkProfile> {
        match &entry.node.kind {
            Kind::Array(links) => links.iter().map(|link| self.link(link)).collect(),
            _ => {
                self.toml.wrong(entry, "a list of tables", &entry.node);
                Vec::new()
            }
        }
    }

    fn link(&mut self, node: &Node) -> LinkProfile {
        let mut link = LinkProfile::default();
        let entries = self.toml.table(node, "`link`");
        for entry in entries {
            match entry.key.as_str() {
                "from" => link.from = self.text(entry),
                "to" => link.to = self.text(entry),
                "bytes-per-second" => {
                    link.bytes_per_second = self.number(entry);
                    if link.bytes_per_second == 0.0 {
                        let message = "`bytes-per-second` must be more than 0";
                        let error = Diagnostic::new("bad-value", message);
                        self.toml.errors.push(error.at(entry.node.span));
                    }
                }
                "delay-seconds" => link.delay_seconds = self.number(entry),
                _ => self.toml.unknown(entry, "keys of a link", &LINK_KEYS),
            }
        }
        for key in &LINK_KEYS[..3] {
            if !entries.iter().any(|entry| entry.key == *key) {
                let message = format!("a link does not say its `{key}`");
                self.toml
                    .errors
                    .push(Diagnostic::new("missing-key", message).at(node.span));
            }
        }
        link
    }

    /// A number that is not negative; 0 where there is none.
    fn number(&mut self, entry: &Entry) -> f64 {
        let number = match &entry.node.kind {
            Kind::Plain(Value::Number(number)) => number.as_f64(),
            _ => None,
        };
        match number {
            Some(number) if number >= 0.0 && number.is_finite() => return number,
            Some(_) => {
                let message = format!("`{}` must be 0 or more", entry.key);
                self.toml
                    .errors
                    .push(Diagnostic::new("bad-value", message).at(entry.node.span));
            }
            None => self.toml.wrong(entry, "a number", &entry.node),
        }
        0.0
    }

    fn text(&mut self, entry: &Entry) -> String {
        self.toml
            .string(entry)
            .map(|text| text.value)
            .unwrap_or_default()
    }

    fn entries<'a>(&mut self, entry: &'a Entry) -> &'a [Entry] {
        self.toml.table(&entry.node, &format!("`{}`", entry.key))
    }
}

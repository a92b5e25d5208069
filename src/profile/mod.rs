//! Profiles: what units took and gave on each device, and how fast links are, as it was
//! measured. A profile is a TOML file; no file is opened here.
//!
//! ```toml
//! format = 1
//! [unit."encoder/0"]              # a stage, or one unit of it, counted from 0
//! name = "layer 0"                # for people
//! bytes-out = 240128.0            # what a row takes behind it
//! weights = 7090176               # bytes
//! [device.kitchen]
//! other-seconds = 0.00002         # a row: reading, writing, all that is in no unit
//! [device.kitchen.seconds]        # a row, on one worker
//! "encoder/0" = 0.0021
//! [device.kitchen.at.64]          # optional: the same where no row has more tokens
//! "encoder/0" = 0.0008
//! [[link]]                        # from one device to another
//! from = "kitchen"
//! to = "hall"
//! bytes-per-second = 11800000.0
//! delay-seconds = 0.0004
//! ```

mod read;
mod write;

use std::collections::BTreeMap;

pub use read::parse;

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// What each unit gives and holds, wherever it runs.
    pub units: BTreeMap<String, UnitProfile>,
    /// What each device takes.
    pub devices: BTreeMap<String, DeviceProfile>,
    /// From one device to another.
    pub links: Vec<LinkProfile>,
}

/// A unit, wherever it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitProfile {
    /// For people.
    pub name: String,
    /// What a row takes behind it.
    pub bytes_out: f64,
    /// Bytes of weights.
    pub weights: u64,
}

/// What one device takes for a row, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceProfile {
    /// Outside of units.
    pub other_seconds: f64,
    /// In each unit, on one worker.
    pub seconds: BTreeMap<String, f64>,
    /// The same by the most tokens that a row had.
    pub at: BTreeMap<u64, BTreeMap<String, f64>>,
}

/// A link from one device to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkProfile {
    /// The device that sends.
    pub from: String,
    /// The device that receives.
    pub to: String,
    /// How fast it is.
    pub bytes_per_second: f64,
    /// Until the first byte is there.
    pub delay_seconds: f64,
}

/// The name of unit number `unit` of stage `stage`; of the whole stage where it has no units.
pub fn unit_name(stage: &str, unit: Option<usize>) -> String {
    match unit {
        Some(unit) => format!("{stage}/{unit}"),
        None => stage.to_owned(),
    }
}

impl Profile {
    /// Takes what `other` has measured in place of what was known of the same things.
    pub fn merge(&mut self, other: Self) {
        self.units.extend(other.units);
        self.devices.extend(other.devices);
        for link in other.links {
            let same = |known: &LinkProfile| known.from == link.from && known.to == link.to;
            self.links.retain(|known| !same(known));
            self.links.push(link);
        }
        self.links
            .sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    }

    /// How fast the link between two devices is, measured in this direction or the other.
    pub fn link(&self, from: &str, to: &str) -> Option<&LinkProfile> {
        let between = |a: &str, b: &str| {
            let (a, b) = (a.to_owned(), b.to_owned());
            self.links
                .iter()
                .find(move |link| link.from == a && link.to == b)
        };
        between(from, to).or_else(|| between(to, from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;

    fn example() -> Profile {
        let mut profile = Profile::default();
        let unit = UnitProfile {
            name: "layer 0".into(),
            bytes_out: 240_128.5,
            weights: 7_090_176,
        };
        profile.units.insert("encoder/0".into(), unit);
        let mut device = DeviceProfile {
            other_seconds: 0.000_02,
            ..DeviceProfile::default()
        };
        device.seconds.insert("encoder/0".into(), 0.0021);
        device.at.insert(64, device.seconds.clone());
        profile.devices.insert("kitchen".into(), device);
        profile.links.push(LinkProfile {
            from: "kitchen".into(),
            to: "hall".into(),
            bytes_per_second: 11_800_000.0,
            delay_seconds: 0.0004,
        });
        profile
    }

    fn errors(text: &str) -> Vec<String> {
        let mut sources = Sources::new();
        let number = sources.add("profile.toml", text);
        let errors = parse(&sources, number).expect_err("it is wrong");
        errors.iter().map(|error| error.render(&sources)).collect()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut sources = Sources::new();
        let number = sources.add("profile.toml", example().to_toml());
        let read = parse(&sources, number);
        assert_eq!(read.expect("it was written so"), example());
    }

    #[test]
    fn what_is_measured_anew_counts() {
        let mut profile = example();
        let mut other = example();
        other.links[0].bytes_per_second = 1.0;
        other.units.clear();
        let cellar = other.devices["kitchen"].clone();
        other.devices = [("cellar".to_owned(), cellar)].into();
        profile.merge(other);
        assert_eq!(profile.links.len(), 1);
        assert_eq!(
            profile
                .link("hall", "kitchen")
                .map(|link| link.bytes_per_second),
            Some(1.0)
        );
        assert_eq!((profile.units.len(), profile.devices.len()), (1, 2));
    }

    #[test]
    fn every_error_has_its_place() {
        let all = errors(
            "format = 1\n[device.kitchen]\nseconds = { a = -1.0 }\nat = { x = {} }\n\
             [[link]]\nfrom = \"kitchen\"\nto = \"hall\"\nbytes-per-second = 0\n[nuit]\n",
        );
        for (error, part) in all.iter().zip([
            "3 | seconds = { a = -1.0 }",
            "4 | at = { x = {} }",
            "8 | bytes-per-second = 0",
            "did you mean `unit`?",
        ]) {
            assert!(error.contains(part), "no `{part}` in {error}");
        }
        assert_eq!(all.len(), 4, "{all:?}");
        let none = errors("[device.kitchen]\n");
        assert!(none[0].starts_with("error[missing-format]"), "{none:?}");
    }
}

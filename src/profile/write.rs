//! A profile as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Profile;

impl Profile {
    /// As a file has it; the same text for the same profile.
    pub fn to_toml(&self) -> String {
        let mut text = "format = 1\n".to_owned();
        for (name, unit) in &self.units {
            let (shown, bytes, weights) = (quoted(&unit.name), unit.bytes_out, unit.weights);
            let _ = writeln!(text, "\n[unit.{}]\nname = {shown}", quoted(name));
            let _ = writeln!(text, "bytes-out = {bytes:?}\nweights = {weights}");
        }
        for (name, device) in &self.devices {
            let _ = writeln!(text, "\n[device.{}]", quoted(name));
            let _ = writeln!(text, "other-seconds = {}", decimal(device.other_seconds));
            let _ = writeln!(text, "\n[device.{}.seconds]", quoted(name));
            seconds(&mut text, &device.seconds);
            for (tokens, at) in &device.at {
                let _ = writeln!(text, "\n[device.{}.at.{tokens}]", quoted(name));
                seconds(&mut text, at);
            }
        }
        for link in &self.links {
            let (from, to) = (quoted(&link.from), quoted(&link.to));
            let _ = writeln!(text, "\n[[link]]\nfrom = {from}\nto = {to}");
            let _ = writeln!(
                text,
                "bytes-per-second = {}",
                decimal(link.bytes_per_second)
            );
            let _ = writeln!(text, "delay-seconds = {}", decimal(link.delay_seconds));
        }
        text
    }
}

fn seconds(text: &mut String, all: &BTreeMap<String, f64>) {
    for (unit, seconds) in all {
        let _ = writeln!(text, "{} = {}", quoted(unit), decimal(*seconds));
    }
}

/// With a point, and no exponent, so that people can compare them.
fn decimal(number: f64) -> String {
    let text = format!("{number}");
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

/// A TOML string or key.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

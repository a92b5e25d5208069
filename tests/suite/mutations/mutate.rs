//! Damage of every sort, the same each time: bytes, and what the bytes mean.

use serde_json::{Value, json};

use crate::harness::Random;

/// What takes the place of a number, a string or any other value.
const VALUES: [&str; 26] = [
    "0",
    "1",
    "2",
    "-1",
    "0.5",
    "1.0",
    "-0.0",
    "1e-45",
    "1e308",
    "1e999",
    "nan",
    "NaN",
    "-Infinity",
    "1000000",
    "2147483648",
    "4294967296",
    "-9223372036854775808",
    "9223372036854775807",
    "18446744073709551616",
    "true",
    "null",
    "\"\"",
    "\"\\u0000\"",
    "\"x\"",
    "[]",
    "{}",
];

/// Bytes that mean something to some format.
const SPECIAL: &[u8] = b"\0\n\r\t \"',;:\\/#[]{}()=<>|-+.019aAzZ\x1b\x7f\x80\xc3\xe2\xff";

/// One change of `bytes`, a text.
pub fn text(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0..4 => binary(bytes, random),
        4..7 => value(bytes, random),
        7 => string(bytes, random),
        8..10 => line(bytes, random),
        10 => doubled(bytes, random),
        _ => repeated(bytes, random),
    }
}

/// One change of `bytes`, a TOML file: half of them are other values where values belong.
pub fn toml(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let values: Vec<_> = (runs(bytes, |byte| *byte != b'\n').into_iter())
        .filter_map(|line| {
            let sign = bytes[line.clone()]
                .windows(3)
                .position(|part| part == b" = ")?;
            Some(line.start + sign + 3..line.end)
        })
        .collect();
    if random.below(2) == 0 || values.is_empty() {
        return text(bytes, random);
    }
    let at = values[random.below(values.len())].clone();
    let new = match random.below(4) {
        0 => bytes[values[random.below(values.len())].clone()].to_vec(),
        1 => [b"[", &bytes[at.clone()], b"]"].concat(),
        _ => VALUES[random.below(VALUES.len())].into(),
    };
    replaced(bytes, at, &new)
}

/// One change of `bytes`, a JSON file: most leave it JSON.
pub fn json(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let whole = serde_json::from_slice::<Value>(bytes);
    let (true, Ok(mut whole)) = (random.below(4) > 0, whole) else {
        return text(bytes, random);
    };
    change(&mut whole, random);
    format!("{whole:#}\n").into_bytes()
}

/// Changes one value somewhere within `value`, or a key.
fn change(value: &mut Value, random: &mut Random) {
    // Of a list or an object, rather what is in it than itself.
    match value {
        Value::Array(items) if !items.is_empty() && random.below(8) > 0 => {
            let at = random.below(items.len());
            match random.below(10) {
                0 => drop(items.remove(at)),
                1 => items.insert(at, items[at].clone()),
                2 => items.reverse(),
                _ => change(&mut items[at], random),
            }
        }
        Value::Object(map) if !map.is_empty() && random.below(8) > 0 => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let [key, other] = [0, 1].map(|_| &keys[random.below(keys.len())]);
            match random.below(10) {
                0 => drop(map.remove(key)),
                1 => {
                    let new = map[key].clone();
                    map.insert(other.clone(), new);
                }
                2 => {
                    let value = map.remove(key).unwrap();
                    map.insert(format!("{key}x"), value);
                }
                _ => change(&mut map[key.as_str()], random),
            }
        }
        _ => *value = another(value, random),
    }
}

/// Something else in place of a value; more often of the same type.
fn another(value: &Value, random: &mut Random) -> Value {
    let near = match value.as_i64() {
        Some(number) => json!([-number, number + 1, number - 1, number * 2, number as f64]),
        None => match value.as_str() {
            Some(text) => json!([
                "",
                format!("{text}x"),
                text.to_uppercase(),
                text.repeat(999)
            ]),
            None => json!([null, true, false]),
        },
    };
    let far: Vec<Value> = (VALUES.iter())
        .filter_map(|text| serde_json::from_str(text).ok())
        .collect();
    match random.below(2) {
        0 => near[random.below(near.as_array().map_or(1, Vec::len))].clone(),
        _ => far[random.below(far.len())].clone(),
    }
}

/// One change of `bytes`, whatever they are.
pub fn binary(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut new = bytes.to_vec();
    let at = random.below(bytes.len());
    let special = SPECIAL[random.below(SPECIAL.len())];
    let end = (at + 1 + random.below(8)).min(bytes.len());
    match random.below(9) {
        0 => new[at] ^= 1 << random.below(8),
        1 => new[at] = random.below(256) as u8,
        2 => new[at] = special,
        3 => new.insert(at, special),
        4 => drop(new.drain(at..end)),
        5 => new.truncate(at),
        6 => new[at..end].fill([0, 0x7f, 0x80, 0xff][random.below(4)]),
        7 => {
            let from = random.below(bytes.len());
            let piece = bytes[from..(from + 40).min(bytes.len())].to_vec();
            new.splice(at..at, piece);
        }
        _ => {
            let other = random.below(bytes.len());
            new.swap(at, other);
        }
    }
    new
}

/// The ranges of `bytes` for which `is` holds.
fn runs(bytes: &[u8], is: impl Fn(&u8) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut at = 0;
    for piece in bytes.split(|byte| !is(byte)) {
        if !piece.is_empty() {
            runs.push(at..at + piece.len());
        }
        at += piece.len() + 1;
    }
    runs
}

/// Another value in place of a word: a number, `true`, a bare key.
fn value(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let is = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
    let words = runs(bytes, is);
    let numbers: Vec<_> = (words.iter())
        .filter(|range| bytes[range.start].is_ascii_digit())
        .collect();
    let at = match (numbers.is_empty(), words.is_empty()) {
        (false, _) if random.below(4) > 0 => numbers[random.below(numbers.len())].clone(),
        (_, false) => words[random.below(words.len())].clone(),
        _ => return binary(bytes, random),
    };
    replaced(bytes, at, VALUES[random.below(VALUES.len())].as_bytes())
}

/// Another value in place of a string, or a long or odd string.
fn string(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let quotes: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i] == b'"').collect();
    if quotes.len() < 2 {
        return value(bytes, random);
    }
    let pair = 2 * random.below(quotes.len() / 2);
    let at = quotes[pair]..quotes[pair + 1] + 1;
    let long = format!("\"{}\"", "x".repeat(5_000));
    let new = match random.below(5) {
        0 => &long,
        1 => "\"../../../none\"",
        2 => "\"\u{202e}\u{1f3ac}\\n\"",
        _ => VALUES[random.below(VALUES.len())],
    };
    replaced(bytes, at, new.as_bytes())
}

/// A line that is gone, comes twice, or changes places with another.
fn line(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let (at, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(3) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(other, lines[at]),
        _ => lines.swap(at, other),
    }
    lines.concat()
}

/// A key that comes twice, with another value: in a line of its own, or after a comma.
fn doubled(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let ends = runs(bytes, |byte| !b"\n,{}".contains(byte));
    if ends.is_empty() {
        return binary(bytes, random);
    }
    let entry = ends[random.below(ends.len())].clone();
    let (key, sign) = match bytes[entry.clone()].iter().position(|b| b":=".contains(b)) {
        Some(at) => (entry.start..entry.start + at, bytes[entry.start + at]),
        None => return line(bytes, random),
    };
    let after = if sign == b'=' { "\n" } else { "," };
    let value = VALUES[random.below(VALUES.len())];
    let mut new = bytes[key.clone()].to_vec();
    new.extend(format!("{}{value}{after}", sign as char).into_bytes());
    replaced(bytes, key.start..key.start, &new)
}

/// A piece that comes many times: deep nesting, long fields, large files.
fn repeated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let at = random.below(bytes.len());
    let piece = &bytes[at..(at + 1 + random.below(6)).min(bytes.len())];
    replaced(bytes, at..at, &piece.repeat(20_000))
}

fn replaced(bytes: &[u8], at: std::ops::Range<usize>, new: &[u8]) -> Vec<u8> {
    [&bytes[..at.start], new, &bytes[at.end..]].concat()
}

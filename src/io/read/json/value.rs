//! JSON values, as they are written.
//!
//! The parser is our own because numbers must keep their digits, which serde's rounds to 64
//! bits, and because many tools write `NaN`, which is no JSON and must not cost the record. On
//! anything else they agree, and a test holds them to it.

use std::borrow::Cow;

use super::super::batch::Kind;
use super::super::number::json_number;
use super::super::records::Cell;

/// Arrays and objects inside each other, as many as serde takes.
const DEPTH: usize = 126;
/// The largest integer up to which a 64-bit float has them all.
const FLOAT_INTEGER_MAX: u64 = 1 << 53;
/// Significant digits that come back from a 64-bit float.
const FLOAT_DIGITS: usize = 17;

/// A value in a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Any other number whose digits a 64-bit float keeps.
    Float(f64),
    /// A number that only its text keeps.
    Number(&'a str),
    /// `NaN`, `Infinity` or `-Infinity`.
    NotFinite(&'a str),
    /// A string, with its quotes and escapes.
    Text(&'a str),
    /// An array or object.
    Nested(&'a str),
}

/// What a column holds, as far as the first records tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    /// Nothing but nulls.
    Unknown,
    Bool,
    Int,
    /// Integers, some of which no float has.
    LongInt,
    Float,
    /// Numbers that only their texts keep.
    Number,
    Text,
    /// Arrays, objects or a mixture: strings as they are, all else as JSON.
    Any,
}

impl Type {
    /// The type of a column that holds `value` too.
    pub fn with(self, value: &Value) -> Self {
        let other = match value {
            Value::Null | Value::NotFinite(_) => return self,
            Value::Bool(_) => Type::Bool,
            Value::Int(value) if value.unsigned_abs() > FLOAT_INTEGER_MAX => Type::LongInt,
            Value::Int(_) => Type::Int,
            Value::Float(_) => Type::Float,
            Value::Number(_) => Type::Number,
            Value::Text(_) => Type::Text,
            Value::Nested(_) => Type::Any,
        };
        let numeric =
            |one: Type| matches!(one, Type::Int | Type::LongInt | Type::Float | Type::Number);
        match (self, other) {
            (Type::Unknown, _) => other,
            _ if self == other => self,
            (Type::Int, Type::Float) | (Type::Float, Type::Int) => Type::Float,
            (Type::Int, Type::LongInt) | (Type::LongInt, Type::Int) => Type::LongInt,
            _ if numeric(self) && numeric(other) => Type::Number,
            _ => Type::Any,
        }
    }

    pub fn column(self) -> Kind {
        match self {
            Type::Bool => Kind::Bool,
            Type::Int | Type::LongInt => Kind::Int,
            Type::Float => Kind::Float64,
            Type::Number => Kind::Number,
            Type::Unknown | Type::Text | Type::Any => Kind::Text,
        }
    }

    /// `value` as a cell of this column; else what the value is. `raw` is its text.
    pub fn cell(self, value: Value, raw: &str) -> Result<Cell, &'static str> {
        Ok(match (self, value) {
            (_, Value::Null) => Cell::Null,
            (Type::Bool, Value::Bool(value)) => Cell::Bool(value),
            (Type::Int | Type::LongInt, Value::Int(value)) => Cell::Int(value),
            (Type::Float, Value::Float(value)) => Cell::Float(value),
            (Type::Float, Value::Int(value)) if value.unsigned_abs() <= FLOAT_INTEGER_MAX => {
                Cell::Float(value as f64)
            }
            (Type::Number, Value::Int(_) | Value::Float(_) | Value::Number(_)) => {
                Cell::Text(raw.into())
            }
            (Type::Text | Type::Any | Type::Unknown, Value::Text(text)) => Cell::Text(lossy(text)),
            (Type::Text | Type::Any | Type::Unknown, Value::Nested(text)) => {
                Cell::Text(compact(text))
            }
            (Type::Text | Type::Any | Type::Unknown, _) => Cell::Text(raw.into()),
            (_, value) => return Err(value.type_name()),
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Type::Bool => "booleans",
            Type::Int | Type::LongInt => "integers",
            Type::Float | Type::Number => "numbers",
            Type::Text => "strings",
            Type::Any | Type::Unknown => "anything",
        }
    }
}

impl Value<'_> {
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) | Value::Number(_) => "a number",
            Value::NotFinite(_) => "not a finite number",
            Value::Text(_) => "a string",
            Value::Nested(_) => "an array or object",
        }
    }
}

/// What a string says; `None` where an escape is wrong.
pub fn unescaped(quoted: &str) -> Option<Cow<'_, str>> {
    if quoted.contains('\\') {
        serde_json::from_str(quoted).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(&quoted[1..quoted.len() - 1]))
    }
}

/// The same, with an escape that is wrong as it stands.
fn lossy(quoted: &str) -> String {
    let text = unescaped(quoted).map(Cow::into_owned);
    text.unwrap_or_else(|| quoted[1..quoted.len() - 1].to_owned())
}

/// JSON without the white space between its parts.
fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for letter in json.chars() {
        if quoted || !letter.is_ascii_whitespace() {
            compact.push(letter);
        }
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    compact
}

/// The object on `line` with each value's text; `None` where it is not one.
pub fn object<'a>(
    line: &'a str,
    mut each: impl FnMut(Cow<'a, str>, Value<'a>, &'a str),
) -> Option<()> {
    let mut parser = Parser { text: line, at: 0 };
    parser.space();
    parser.take(b'{')?;
    parser.space();
    if parser.take(b'}').is_none() {
        loop {
            parser.space();
            let name = unescaped(parser.string()?)?;
            parser.space();
            parser.take(b':')?;
            parser.space();
            let start = parser.at;
            let value = parser.value(DEPTH)?;
            each(name, value, &line[start..parser.at]);
            parser.space();
            if parser.take(b'}').is_some() {
                break;
            }
            parser.take(b',')?;
        }
    }
    parser.space();
    (parser.at == line.len()).then_some(())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn space(&mut self) {
        let space = self
            .rest()
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
        self.at += space.count();
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.rest().first() == Some(&byte)).then(|| self.at += 1)
    }

    /// A string with its quotes. Which escapes there are is not looked at.
    fn string(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.take(b'"')?;
        loop {
            let rest = self.rest();
            let end = rest
                .iter()
                .position(|b| matches!(b, b'"' | b'\\') || *b < b' ')?;
            match rest[end] {
                b'"' => {
                    self.at += end + 1;
                    return Some(&self.text[start..self.at]);
                }
                b'\\' => {
                    // Of a character that is escaped only the first byte is passed over, so that
                    // it must be one byte long: any other is no escape.
                    if !rest.get(end + 1)?.is_ascii() {
                        return None;
                    }
                    self.at += end + 2;
                }
                _ => return None,
            }
        }
    }

    fn word(&mut self, word: &'a str) -> bool {
        let is = self.rest().starts_with(word.as_bytes());
        self.at += if is { word.len() } else { 0 };
        is
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        let start = self.at;
        match self.rest().first()? {
            b'"' => self.string().map(Value::Text),
            b'{' | b'[' => {
                self.nested(depth)?;
                Some(Value::Nested(&self.text[start..self.at]))
            }
            _ if self.word("null") => Some(Value::Null),
            _ if self.word("true") => Some(Value::Bool(true)),
            _ if self.word("false") => Some(Value::Bool(false)),
            _ if self.word("NaN") || self.word("Infinity") || self.word("-Infinity") => {
                Some(Value::NotFinite(&self.text[start..self.at]))
            }
            _ => {
                let length = json_number(self.rest());
                self.at += length;
                (length > 0).then(|| number(&self.text[start..self.at]))
            }
        }
    }

    fn nested(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let object = self.take(b'{').is_some();
        let end = if object { b'}' } else { b']' };
        if !object {
            self.take(b'[')?;
        }
        self.space();
        if self.take(end).is_some() {
            return Some(());
        }
        loop {
            self.space();
            if object {
                self.string()?;
                self.space();
                self.take(b':')?;
                self.space();
            }
            self.value(depth)?;
            self.space();
            if self.take(end).is_some() {
                return Some(());
            }
            self.take(b',')?;
        }
    }
}

fn number(text: &str) -> Value<'_> {
    let whole = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if whole {
        return match text.parse() {
            // As an integer it would lose its sign.
            Ok(0) if text.starts_with('-') => Value::Float(-0.0),
            Ok(value) => Value::Int(value),
            Err(_) => Value::Number(text),
        };
    }
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa
        .bytes()
        .filter(u8::is_ascii_digit)
        .skip_while(|b| *b == b'0')
        .count();
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && digits <= FLOAT_DIGITS => Value::Float(value),
        _ => Value::Number(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(line: &str) -> bool {
        object(line, |_, _, _| {}).is_some()
    }

    /// serde is the reference for what an object is.
    #[test]
    fn agrees_with_serde() {
        let parts = [
            "{", "}", "[", "]", "\"", "a", "\\n", "\\", ":", ",", " ", "1", "0", "-", ".", "e",
            "true", "null", "\"b\":", "\"x\"", "\u{e9}", "\t", "\"c\":1,",
        ];
        let mut seed = 7_u64;
        let mut accepted = 0;
        for round in 0..60_000_u64 {
            let mut line = String::from("{");
            for _ in 0..round % 13 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                line += parts[(seed >> 33) as usize % parts.len()];
            }
            if round % 2 == 0 {
                line.push('}');
            }
            seed = seed.wrapping_add(round);
            let known: Result<serde_json::Map<String, serde_json::Value>, _> =
                serde_json::from_str(&line);
            // What stands in a string that is not decoded is not looked at.
            if line.contains('\\') && accepts(&line) {
                continue;
            }
            assert_eq!(accepts(&line), known.is_ok(), "{line}");
            accepted += u32::from(known.is_ok());
        }
        assert!(accepted > 500, "{accepted}");
    }

    #[test]
    fn numbers_keep_their_digits() {
        let long = "123456789012345678901234567890";
        for text in [
            "9223372036854775808",
            "18446744073709551615",
            long,
            "1e999",
            "0.1000000000000000055511",
        ] {
            assert_eq!(number(text), Value::Number(text));
        }
        assert_eq!(number("-9223372036854775808"), Value::Int(i64::MIN));
        assert_eq!(number("1.50"), Value::Float(1.5));
        assert!(matches!(number("-0"), Value::Float(zero) if zero.is_sign_negative()));
    }

    #[test]
    fn not_a_number_and_deep_nesting() {
        assert!(accepts("{\"a\":NaN,\"b\":[-Infinity,Infinity]}"));
        assert!(!accepts("{\"a\":nan}"));
        let nested =
            |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(accepts(&nested(100)));
        assert!(!accepts(&nested(100_000)));
    }

    #[test]
    fn types_meet_where_nothing_is_lost() {
        let of = |values: &[&str]| {
            let types = values.iter().fold(Type::Unknown, |so_far, text| {
                let mut parser = Parser { text, at: 0 };
                so_far.with(&parser.value(9).unwrap())
            });
            types.column()
        };
        assert_eq!(of(&["1", "2.5", "null"]), Kind::Float64);
        assert_eq!(of(&["1", "9007199254740993"]), Kind::Int);
        assert_eq!(of(&["9007199254740993", "2.5"]), Kind::Number);
        assert_eq!(of(&["42", "9223372036854775813"]), Kind::Number);
        assert_eq!(of(&["1", "NaN"]), Kind::Int);
        assert_eq!(of(&["1", "\"a\""]), Kind::Text);
        assert_eq!(of(&["true", "1"]), Kind::Text);
    }
}

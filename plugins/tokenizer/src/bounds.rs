//! How much a normalizer makes of a text: a few rules of a few letters can make gigabytes.

use serde_json::Value;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::tokenizer::pattern::Pattern;
use tokenizers::utils::SysRegex;
use tokenizers::{NormalizedString, Normalizer};

/// The longest text that is taken, in bytes, before and after it is normalized. A byte takes
/// some 100 bytes of memory on its way.
pub const TEXT_MAX: usize = 4 << 20;

/// The most bytes that a normalizer of fixed rules makes of one: the 3 of U+FDFA become 33.
const FIXED_GROWTH: usize = 11;

/// Bytes of a text that a fixed rule is tried on at once.
const PIECE: usize = 64 << 10;

/// A normalizer's rules, in order.
#[derive(Default)]
pub struct Bounds {
    steps: Vec<Step>,
    /// What no text grows by more than.
    growth: usize,
}

struct Step {
    rule: NormalizerWrapper,
    growth: usize,
    kind: Kind,
}

enum Kind {
    /// Letter by letter, by no more than [`FIXED_GROWTH`].
    Fixed,
    /// What it looks for, and how many bytes it puts there.
    Replaces(SysRegex, usize),
    /// How many bytes.
    Prepends(usize),
}

impl Bounds {
    /// The rules of `normalizer`.
    pub fn new(normalizer: Option<&NormalizerWrapper>) -> tokenizers::Result<Self> {
        let mut steps = Vec::new();
        if let Some(normalizer) = normalizer {
            flatten(normalizer, &mut steps)?;
        }
        let growths = steps.iter().map(|step| step.growth);
        let growth = growths.fold(1, usize::saturating_mul);
        Ok(Bounds { steps, growth })
    }

    /// Whether `text` stays within [`TEXT_MAX`], whatever the normalizer does with it.
    pub fn hold(&self, text: &str) -> bool {
        if text.len().saturating_mul(self.growth) <= TEXT_MAX {
            return true;
        }
        if text.len() > TEXT_MAX {
            return false;
        }
        // It may become too long, so each rule is tried with what it makes kept in sight.
        let mut text = text.to_owned();
        for step in &self.steps {
            match step.apply(&text) {
                Some(made) => text = made,
                None => return false,
            }
        }
        true
    }
}

impl Step {
    /// What the rule makes of `text`; `None` when it is too long. A text that the rule cannot
    /// be applied to stays: it is refused when it is tokenized.
    fn apply(&self, text: &str) -> Option<String> {
        match &self.kind {
            Kind::Replaces(pattern, bytes) => {
                let size = |((start, end), is_match): &((usize, usize), bool)| {
                    if *is_match { *bytes } else { end - start }
                };
                let found = pattern.find_matches(text).unwrap_or_default();
                let total = found.iter().map(size).fold(0, usize::saturating_add);
                (total <= TEXT_MAX).then(|| self.made(text))
            }
            Kind::Prepends(bytes) => {
                (text.len().saturating_add(*bytes) <= TEXT_MAX).then(|| self.made(text))
            }
            Kind::Fixed => {
                let (mut rest, mut all) = (text, String::new());
                while !rest.is_empty() && all.len() <= TEXT_MAX {
                    let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
                    all.push_str(&self.made(piece));
                    rest = after;
                }
                (all.len() <= TEXT_MAX).then_some(all)
            }
        }
    }

    fn made(&self, text: &str) -> String {
        let mut normalized = NormalizedString::from(text);
        match self.rule.normalize(&mut normalized) {
            Ok(()) => normalized.get().to_owned(),
            Err(_) => text.to_owned(),
        }
    }
}

fn flatten(normalizer: &NormalizerWrapper, steps: &mut Vec<Step>) -> tokenizers::Result<()> {
    let (growth, kind) = match normalizer {
        NormalizerWrapper::Sequence(sequence) => {
            return sequence
                .as_ref()
                .iter()
                .try_for_each(|rule| flatten(rule, steps));
        }
        NormalizerWrapper::Replace(replace) => {
            let bytes = replace.content.len();
            let pattern = &serde_json::to_value(replace)?["pattern"];
            (
                bytes.saturating_add(1),
                Kind::Replaces(regex(pattern)?, bytes),
            )
        }
        NormalizerWrapper::Prepend(prepend) => {
            let bytes = prepend.prepend.len();
            (bytes.saturating_add(1), Kind::Prepends(bytes))
        }
        NormalizerWrapper::StripNormalizer(_) | NormalizerWrapper::StripAccents(_) => {
            (1, Kind::Fixed)
        }
        // At most 3 bytes become 9: a Chinese character and two spaces, a letter and two accents.
        NormalizerWrapper::BertNormalizer(_) | NormalizerWrapper::Lowercase(_) => (3, Kind::Fixed),
        NormalizerWrapper::ByteLevel(_) => (2, Kind::Fixed),
        _ => (FIXED_GROWTH, Kind::Fixed),
    };
    steps.push(Step {
        rule: normalizer.clone(),
        growth,
        kind,
    });
    Ok(())
}

/// What `Replace` makes of its pattern.
fn regex(pattern: &Value) -> tokenizers::Result<SysRegex> {
    match pattern["Regex"].as_str() {
        Some(regex) => SysRegex::new(regex),
        None => {
            let plain = pattern["String"].as_str().unwrap_or_default();
            let escape = |c: char| {
                if c.is_alphanumeric() {
                    c.to_string()
                } else {
                    format!("\\x{{{:x}}}", u32::from(c))
                }
            };
            SysRegex::new(&plain.chars().map(escape).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bounds(normalizer: &Value) -> Bounds {
        let normalizer: NormalizerWrapper = serde_json::from_value(normalizer.clone()).unwrap();
        Bounds::new(Some(&normalizer)).unwrap()
    }

    fn doubling(times: usize) -> Value {
        let rule = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        json!({"type": "Sequence", "normalizers": vec![rule; times]})
    }

    #[test]
    fn rules_that_multiply_are_noticed_before_they_are_applied() {
        assert!(bounds(&doubling(20)).hold("a"));
        assert!(!bounds(&doubling(40)).hold("a"));
        assert!(bounds(&doubling(40)).hold("nothing else"));
        let long = "x".repeat(TEXT_MAX / 4);
        let everywhere =
            json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "0123456789"});
        assert!(!bounds(&everywhere).hold(&long));
        let dots = json!({"type": "Replace", "pattern": {"String": "."}, "content": long});
        assert!(bounds(&dots).hold("one. two. three"));
        assert!(!bounds(&dots).hold("one. two. three. four. five."));
        let before = json!({"type": "Prepend", "prepend": long});
        assert!(bounds(&before).hold(&long));
        let thrice = json!({"type": "Sequence", "normalizers": vec![before; 4]});
        assert!(!bounds(&thrice).hold("a"));
    }

    #[test]
    fn what_common_models_do_is_allowed() {
        let bert = json!({"type": "BertNormalizer", "clean_text": true, "lowercase": true,
            "handle_chinese_chars": true, "strip_accents": null});
        assert!(bounds(&bert).hold(&"你好 ".repeat(100_000)));
        let albert = json!({"type": "Sequence", "normalizers": [
            {"type": "Replace", "pattern": {"String": "``"}, "content": "\""},
            {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        ]});
        assert!(bounds(&albert).hold(&"``naïve''  ".repeat(50_000)));
        assert!(!Bounds::new(None).unwrap().hold(&"a".repeat(TEXT_MAX + 1)));
    }
}

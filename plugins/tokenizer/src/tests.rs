//! Tokenizers as people have them: what their files say is done, or they are refused.

use std::fs;
use std::path::Path;

use segue_plugin::{Error, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bounds::TEXT_MAX;
use crate::model::Model;
use crate::settings::Settings;

/// `\u{e9}` and the rest are letters of their own here, so that it shows what is made of them.
const WORDS: [&str; 14] = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "cafe",
    "caf\u{e9}",
    "great",
    "GREAT",
    "Great",
    "\u{4f60}",
    "\u{597d}",
    "\u{4f60}\u{597d}",
    "!",
];

const TEXT: &str = "GREAT caf\u{e9} \u{4f60}\u{597d}!";

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "config.json",
        &json!({"model_type": "bert", "vocab_size": WORDS.len()}),
    );
    folder
}

fn write(folder: &Path, name: &str, content: &Value) {
    fs::write(folder.join(name), content.to_string()).unwrap();
}

/// A folder with `vocab.txt`.
fn with_words() -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("vocab.txt"), WORDS.join("\n")).unwrap();
    folder
}

fn tokenizer_json() -> Value {
    let vocab: serde_json::Map<_, _> = WORDS
        .iter()
        .zip(0..)
        .map(|(w, i)| ((*w).to_owned(), json!(i)))
        .collect();
    let special = |(id, content): (usize, &&str)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true})
    };
    json!({
        "version": "1.0",
        "truncation": {"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": null,
        "added_tokens": WORDS[..5].iter().enumerate().map(special).collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab},
    })
}

/// A folder with `tokenizer.json`, changed by `edit`.
fn with_json(edit: impl FnOnce(&mut Value)) -> TempDir {
    let folder = folder();
    let mut file = tokenizer_json();
    edit(&mut file);
    write(folder.path(), "tokenizer.json", &file);
    folder
}

fn load(folder: &TempDir) -> Result<Model> {
    Model::load(folder.path(), &Settings::read(folder.path())?)
}

/// The tokens of `text`, with those around it.
fn tokens(folder: &TempDir, text: &str) -> String {
    let model = load(folder).unwrap();
    let ids = model.wrap(&model.ids(text).unwrap());
    let words = ids
        .iter()
        .map(|id| WORDS.get(*id as usize).copied().unwrap_or("?"));
    words.collect::<Vec<_>>().join(" ")
}

fn refused(folder: &TempDir, parts: &[&str]) {
    let Err(Error {
        code,
        message,
        option,
    }) = load(folder)
    else {
        panic!("it is taken; expected {parts:?}");
    };
    assert_eq!(
        (code.as_str(), option.as_deref()),
        ("bad-model", Some("model")),
        "{message}"
    );
    for part in parts {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
}

#[test]
fn tokenizer_config_is_followed() {
    let plain = "[CLS] great cafe \u{4f60} \u{597d} ! [SEP]";
    for (config, expected) in [
        (json!({}), plain),
        (
            json!({"do_lower_case": true, "tokenizer_class": "BertTokenizer"}),
            plain,
        ),
        (
            json!({"do_lower_case": false}),
            "[CLS] GREAT caf\u{e9} \u{4f60} \u{597d} ! [SEP]",
        ),
        (
            json!({"strip_accents": false}),
            "[CLS] great caf\u{e9} \u{4f60} \u{597d} ! [SEP]",
        ),
        (
            json!({"do_lower_case": false, "strip_accents": true}),
            "[CLS] GREAT cafe \u{4f60} \u{597d} ! [SEP]",
        ),
        (
            json!({"tokenize_chinese_chars": false, "strip_accents": null}),
            "[CLS] great cafe \u{4f60}\u{597d} ! [SEP]",
        ),
    ] {
        let nested = |file: &mut Value| {
            let bert = file["normalizer"].take();
            file["normalizer"] =
                json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, bert]});
        };
        for folder in [with_words(), with_json(|_| {}), with_json(nested)] {
            write(folder.path(), "tokenizer_config.json", &config);
            assert_eq!(tokens(&folder, TEXT), expected, "{config}");
        }
    }
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let lower = |file: &mut Value| file["normalizer"] = json!({"type": "Lowercase"});
    let folder = with_json(lower);
    for (config, part) in [
        (json!({"do_lower_case": false}), "`do_lower_case: false`"),
        (json!({"strip_accents": true}), "`strip_accents: true`"),
        (
            json!({"tokenize_chinese_chars": true}),
            "`tokenize_chinese_chars: true`",
        ),
        (
            json!({"do_lower_case": "no"}),
            "`do_lower_case` is `\"no\"`",
        ),
    ] {
        write(folder.path(), "tokenizer_config.json", &config);
        refused(&folder, &["tokenizer_config.json", part]);
    }
    write(
        folder.path(),
        "tokenizer_config.json",
        &json!({"do_lower_case": true}),
    );
    assert!(load(&folder).is_ok());
    let japanese = with_words();
    let class = json!({"tokenizer_class": "BertJapaneseTokenizer"});
    write(japanese.path(), "tokenizer_config.json", &class);
    refused(&japanese, &["vocab.txt", "BertJapaneseTokenizer"]);
}

#[test]
fn special_tokens_stand_around_a_text_even_if_the_file_forgets_them() {
    let expected = "[CLS] great [SEP]";
    for post in [
        json!(null),
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
    ] {
        let folder = with_json(|file| file["post_processor"] = post);
        assert_eq!(tokens(&folder, "great"), expected);
    }
    let none = with_json(|file| {
        file["post_processor"] = Value::Null;
        let vocab = file["model"]["vocab"].as_object_mut().unwrap();
        vocab.remove("[CLS]");
        file["added_tokens"]
            .as_array_mut()
            .unwrap()
            .retain(|token| token["content"] != "[CLS]");
    });
    refused(&none, &["no token such as `[CLS]` in front"]);
    let named = with_json(|file| file["post_processor"] = Value::Null);
    let config = json!({"cls_token": "[MASK]", "sep_token": {"content": "[PAD]"}});
    write(named.path(), "tokenizer_config.json", &config);
    assert_eq!(tokens(&named, "great"), "[MASK] great [PAD]");
    let other = with_json(|file| file["post_processor"]["cls"] = json!(["[CLS]", 7]));
    refused(&other, &["`[CLS]`", "number 7"]);
}

#[test]
fn a_vocabulary_that_does_not_fit_its_model_is_refused() {
    let added = with_json(|file| {
        let mut token = file["added_tokens"][0].clone();
        (token["id"], token["content"]) = (json!(WORDS.len()), json!("[SPOILER]"));
        file["added_tokens"].as_array_mut().unwrap().push(token);
    });
    refused(
        &added,
        &[
            "`[SPOILER]` is number 14",
            "`vocab_size` in `config.json` is 14",
        ],
    );
    let words = with_words();
    let more = [&WORDS[..], &["one", "two"]].concat();
    fs::write(words.path().join("vocab.txt"), more.join("\n")).unwrap();
    refused(&words, &["`two` is number 15"]);
    let elsewhere = with_json(|file| file["added_tokens"][4]["id"] = json!(9));
    refused(&elsewhere, &["`[MASK]` is said to be number 9, but is 4"]);
    let by_name = with_words();
    write(
        by_name.path(),
        "added_tokens.json",
        &json!({"[SPOILER]": WORDS.len()}),
    );
    refused(&by_name, &["`[SPOILER]` is number 14"]);
}

#[test]
fn a_vocabulary_without_a_token_for_the_unknown_is_refused() {
    let pieces = with_json(|file| {
        file["model"]["vocab"]
            .as_object_mut()
            .unwrap()
            .remove("[UNK]");
    });
    refused(&pieces, &["lacks `[UNK]`"]);
    let words = with_words();
    let text = WORDS.join("\n").replace("[UNK]", "[unused1]");
    fs::write(words.path().join("vocab.txt"), text).unwrap();
    refused(&words, &["lacks `[UNK]`"]);
    let unigram = with_json(|file| {
        let vocab = [
            json!(["[CLS]", 0.0]),
            json!(["[SEP]", 0.0]),
            json!(["a", -1.0]),
        ];
        file["model"] = json!({"type": "Unigram", "unk_id": null, "vocab": vocab});
        file["added_tokens"] = json!([]);
        file["post_processor"] = Value::Null;
    });
    refused(&unigram, &["no token for what it does not know"]);
}

#[test]
fn a_damaged_file_is_named_with_its_part() {
    for (part, value) in [
        (
            "pre_tokenizer",
            json!({"type": "BertPreTokenizerV2", "keep_case": false}),
        ),
        ("normalizer", json!({"type": "Upper"})),
        (
            "post_processor",
            json!({"type": "BertProcessing", "sep": 3}),
        ),
        // One token is used, and none explained.
        (
            "post_processor",
            json!({
                "type": "TemplateProcessing", "pair": [], "special_tokens": {},
                "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                           {"Sequence": {"id": "A", "type_id": 0}}],
            }),
        ),
        ("model", json!({"type": "WordPiece", "vocab": 7})),
        ("model", json!(null)),
    ] {
        let folder = with_json(|file| file[part] = value);
        refused(&folder, &["tokenizer.json", &format!("`{part}`")]);
    }
    let folder = folder();
    for text in ["", "{", "[]", "null", "{\"model\": \u{1}}"] {
        fs::write(folder.path().join("tokenizer.json"), text).unwrap();
        refused(&folder, &["tokenizer.json"]);
    }
    fs::write(folder.path().join("tokenizer.json"), [0xff, 0xfe]).unwrap();
    refused(&folder, &["not UTF-8"]);
    for name in [
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "config.json",
    ] {
        let folder = with_words();
        fs::write(folder.path().join(name), "{\"a\": ").unwrap();
        refused(&folder, &[name]);
    }
}

#[test]
fn what_is_not_a_file_is_not_read() {
    let folder = folder();
    let path = folder.path().join("tokenizer.json");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    refused(&folder, &["it is a pipe or a device, not a file"]);
    fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    refused(&folder, &["it is a pipe or a device, not a file"]);
    fs::remove_file(&path).unwrap();
    let file = fs::File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    refused(&folder, &["longer than 67108864 bytes"]);
}

#[test]
fn texts_that_grow_without_bound_are_refused() {
    let rule = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let every = with_json(|file| {
        file["normalizer"] = json!({"type": "Sequence", "normalizers": vec![rule("a", "aa"); 32]});
    });
    refused(&every, &["megabytes"]);
    let rare = with_json(|file| {
        file["normalizer"] = json!({"type": "Sequence", "normalizers": vec![rule("~", "~~"); 32]});
    });
    let model = load(&rare).unwrap();
    assert_eq!(model.ids("great").unwrap(), [7]);
    assert_eq!(model.ids("great ~").unwrap_err().code, "text-too-long");
    let own = with_json(|file| {
        file["normalizer"] = json!({"type": "Sequence", "normalizers": vec![rule("~", "~~"); 32]});
        let mut token = file["added_tokens"][0].clone();
        (token["content"], token["normalized"]) = (json!("~"), json!(true));
        file["added_tokens"].as_array_mut().unwrap().push(token);
    });
    refused(&own, &["its own added tokens"]);
    let long = "great ".repeat(TEXT_MAX / 6 + 1);
    let error = load(&with_words()).unwrap().ids(&long).unwrap_err();
    assert_eq!(error.code, "text-too-long");
    assert_eq!(
        load(&with_words())
            .unwrap()
            .ids(&long[..600])
            .unwrap()
            .len(),
        100
    );
}

#[test]
fn the_same_text_has_the_same_tokens_each_time() {
    let folder = with_json(|file| {
        let vocab = json!({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4, "ab": 5, "abab": 6});
        file["model"] = json!({"type": "BPE", "dropout": 0.5, "unk_token": "[UNK]",
            "vocab": vocab, "merges": ["a b", "ab ab"]});
        file["added_tokens"] = json!([]);
        file["post_processor"] = Value::Null;
    });
    let model = load(&folder).unwrap();
    for _ in 0..50 {
        assert_eq!(model.ids("abab").unwrap(), [6]);
    }
}

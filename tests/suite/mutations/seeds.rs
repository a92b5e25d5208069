//! The files that are damaged, while they are still whole.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::harness::WORDS;
use crate::tiny::SPECIAL;

/// A model's whole way, with an option of each type.
pub const GRAPH: &str = "format = 1
[stream]
batch = 4
window = 2
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
with.strip-markup = true
with.max-bytes = 2000
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"model\"
with.max-tokens = 32
[stage.encoder]
plugin = \"bert\"
from = [\"tokenize\"]
with.model = \"model\"
split = 2
wire = \"f16\"
[stage.verdict]
plugin = \"aggregator\"
from = \"encoder\"
replicas = 2
[stage.out]
plugin = \"write\"
from = \"verdict\"
with.path = \"out.jsonl\"
";

pub const CLUSTER: &str = "format = 1
survivors-seconds = 60
[mesh]
connect-seconds = 5
failure-seconds = 2.5
[device.kitchen]
address = \"127.0.0.1:7400\"
identity = \"sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\"
workers = 2
memory = \"512 MiB\"
[device.hall]
address = \"localhost:7401\"
identity = \"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"
[place]
\"encoder/1\" = \"hall\"
out = \"hall\"
";

/// A file through to `out.jsonl`.
pub fn copy(file: &str) -> String {
    format!(
        "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"{file}\"
[stage.out]
plugin = \"write\"
from = \"reviews\"
with.path = \"out.jsonl\"
"
    )
}

/// A tokenizer.json of the tiny model's vocabulary, a key a line.
pub fn tokenizer() -> String {
    let tokens = SPECIAL.into_iter().chain(WORDS).enumerate();
    let vocabulary: serde_json::Map<String, Value> =
        (tokens.map(|(id, token)| (token.to_owned(), json!(id)))).collect();
    let added = |(id, token): (usize, &&str)| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    };
    let piece = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let special = |id: &str, number: u32| json!({"id": id, "ids": [number], "tokens": [id]});
    let whole = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": SPECIAL.iter().enumerate().map(added).collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [piece("[CLS]"), text, piece("[SEP]")],
            "pair": [piece("[CLS]"), text, piece("[SEP]")],
            "special_tokens": {"[CLS]": special("[CLS]", 2), "[SEP]": special("[SEP]", 3)}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]",
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": vocabulary}
    });
    format!("{whole:#}\n")
}

/// Records whose columns are of every type, by number.
pub fn json_lines(count: usize, text: impl Fn(usize) -> String) -> String {
    let line = |i: usize| {
        let row = json!({"label": i % 2, "text": text(i), "stars": i as f64 / 4.0,
            "id": 1_234_567_890_123_456_789_u64 + i as u64, "seen": i.is_multiple_of(3),
            "who": if i.is_multiple_of(5) { Value::Null } else { json!(format!("w{i}")) }});
        format!("{row}\n")
    };
    (0..count).map(line).collect()
}

/// Records in several row groups.
pub fn parquet(count: usize, text: impl Fn(usize) -> String) -> Vec<u8> {
    let numbers: Vec<i64> = (0..count as i64).collect();
    let texts: Vec<String> = (0..count).map(text).collect();
    let labels: Vec<i64> = numbers.iter().map(|number| number % 2).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("label", Arc::new(Int64Array::from(labels))),
        ("text", Arc::new(StringArray::from(texts))),
        ("id", Arc::new(Int64Array::from(numbers))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(count / 3));
    let properties = Some(properties.build());
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), properties).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

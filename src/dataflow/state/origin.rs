//! What makes two runs the same as far as their output goes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use crate::graph::{Graph, Role, Stage};

/// The parts of a file that its digest is made of.
const SAMPLES: u64 = 64;
/// Bytes of each.
const SAMPLE: u64 = 4096;

/// The journal's first line: stages, options, and the size and time of the files they
/// read, but for those of sources, which only the device that reads them need have.
/// Workers and splits do not belong to it, nor does the batch size of a single source.
pub fn header(graph: &Graph) -> Value {
    let mut stages = serde_json::Map::new();
    for stage in &graph.stages {
        let names = |numbers: &[usize]| -> Vec<String> {
            let name = |&i: &usize| graph.stages[i].file_name.clone();
            numbers.iter().map(name).collect()
        };
        let first = !stages.contains_key(&stage.file_name);
        if first {
            let manifest = &stage.operator.manifest;
            let whole = json!({
                "operator": [&manifest.name, &manifest.version],
                "from": names(&stage.inputs),
                "loop": names(&stage.loops),
                "ports": [&stage.ports.inputs, &stage.ports.loops],
                "options": options_but_range(stage),
                "files": files(stage),
                "wire": format!("{:?}", stage.wire).to_lowercase(),
            });
            stages.insert(stage.file_name.clone(), whole);
        }
    }
    let of_time = graph
        .stages
        .iter()
        .zip(graph.side())
        .filter(|(_, side)| !side);
    let sources = of_time.filter(|(stage, _)| stage.operator.role == Role::Source);
    // Batches of several sources take turns, so there the order of rows depends on it.
    let batch = (sources.count() > 1).then_some(graph.batch);
    Value::Object(serde_json::Map::from_iter([
        ("segue-journal".to_owned(), json!(2)),
        ("stages".to_owned(), Value::Object(stages)),
        ("turns".to_owned(), json!(batch)),
    ]))
}

/// What the source `stage` reads, as this device sees it: a text that is the same only
/// where size, time and samples of the content are. On another device the time does not
/// count: a copy has its own.
pub fn inputs_of(stage: &Stage, device: &str) -> String {
    let mut parts = vec![format!("device {device}")];
    for (option, path) in stage.reads() {
        for path in crate::io::files(path) {
            let seen = look(&path).unwrap_or_else(|_| "no regular file".to_owned());
            parts.push(format!("{option} {seen}"));
        }
    }
    parts.join("; ")
}

/// Whether `before` and `now` are of the same inputs.
pub fn same_inputs(before: &str, now: &str) -> bool {
    let strip = |text: &str| -> Vec<String> {
        let without_time = |part: &str| part.split(", time").next().unwrap_or("").to_owned();
        text.split("; ").skip(1).map(without_time).collect()
    };
    let device = |text: &str| text.split("; ").next().map(str::to_owned);
    if device(before) == device(now) {
        before == now
    } else {
        strip(before) == strip(now)
    }
}

fn look(path: &Path) -> std::io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        // Anything else could hang.
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut file = File::open(path)?;
    let length = metadata.len();
    let mut sum = crc32fast::Hasher::new();
    let mut sample = Vec::new();
    let step = (length / SAMPLES).max(SAMPLE);
    for start in (0..length).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        file.seek(SeekFrom::Start(start))?;
        sample.clear();
        Read::by_ref(&mut file)
            .take(SAMPLE)
            .read_to_end(&mut sample)?;
        sum.update(&sample);
    }
    let since = metadata.modified()?.duration_since(UNIX_EPOCH);
    let time_ms = since.map_or(0, |since| since.as_millis());
    Ok(format!(
        "{length} bytes, samples {:08x}, time {time_ms}",
        sum.finalize()
    ))
}

fn options_but_range(stage: &Stage) -> Value {
    let mut options = stage.options.clone();
    if let (Some(segment), Some(all)) = (&stage.segment, options.as_object_mut())
        && segment.count > 1
    {
        let range = format!("{}..{}", segment.range.start, segment.range.end);
        all.retain(|_, value| *value != range.as_str());
    }
    // Left out and given as its default are the same.
    let manifest = &stage.operator.manifest.options;
    if let Some(all) = options.as_object_mut() {
        all.retain(|name, value| {
            !manifest
                .iter()
                .any(|option| option.name == *name && option.default == *value)
        });
    }
    options
}

/// Size and time of each file that an option of `stage` names, or of those in the
/// folder it names.
fn files(stage: &Stage) -> Value {
    let mut files = BTreeMap::new();
    let reads = stage.reads().map(|(_, path)| path);
    for path in reads.filter(|_| stage.operator.role != Role::Source) {
        let inside = std::fs::read_dir(path).into_iter().flatten().flatten();
        let paths = inside
            .map(|entry| entry.path())
            .chain([PathBuf::from(path)]);
        for path in paths.filter(|path| path.is_file()) {
            let state = std::fs::metadata(&path).ok().and_then(|metadata| {
                let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
                Some(json!([metadata.len(), since.as_millis().to_string()]))
            });
            files.insert(
                path.to_string_lossy().into_owned(),
                state.unwrap_or_default(),
            );
        }
    }
    json!(files)
}

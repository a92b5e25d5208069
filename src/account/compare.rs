//! What is not the same on two devices, in words.

use super::{Account, File, Item};
use crate::cluster::Difference;

/// So many are told; what follows often comes of the first.
const TOLD_MAX: usize = 3;

/// What differs in `theirs`, the account of the device called `name`; none where the two
/// can run together. The same is found where the two are exchanged.
pub fn differences(ours: &Account, theirs: &[u8], name: &str) -> Option<Difference> {
    let Ok(theirs) = serde_json::from_slice::<Account>(theirs) else {
        let text = format!("what `{name}` says of its plan cannot be read");
        return Some(Difference {
            of_files: false,
            text,
        });
    };
    let of_plan = plans(&ours.plan, &theirs.plan);
    let of_files = of_plan.is_empty();
    let all = if of_files {
        files(ours, &theirs, name)
    } else {
        of_plan
    };
    let mut text = all
        .iter()
        .take(TOLD_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if all.len() > TOLD_MAX {
        text += &format!("; and {} more", all.len() - TOLD_MAX);
    }
    (!all.is_empty()).then_some(Difference { of_files, text })
}

fn plans(ours: &[Item], theirs: &[Item]) -> Vec<String> {
    let value = |items: &[Item], wanted: &Item| {
        let same = |item: &&Item| item.of == wanted.of && item.name == wanted.name;
        items.iter().find(same).map(|item| item.value.clone())
    };
    let shown = |value: Option<String>| match value.as_deref() {
        None | Some("") => "none".to_owned(),
        Some(value) => value.to_owned(),
    };
    let mut lines = Vec::new();
    let only_theirs = theirs.iter().filter(|item| value(ours, item).is_none());
    for item in ours.iter().chain(only_theirs) {
        let (here, there) = (value(ours, item), value(theirs, item));
        if here == there {
            continue;
        }
        let known = |items: &[Item]| items.iter().any(|other| other.of == item.of);
        let missing = match (known(ours), known(theirs)) {
            (true, false) => Some("there"),
            (false, true) => Some("here"),
            _ => None,
        };
        let of = &item.of;
        let line = match missing {
            Some(place) => format!("`{of}` is missing {place}"),
            None => {
                let (there, here) = (shown(there), shown(here));
                format!("`{of}`: {} {there} there, {here} here", item.name)
            }
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn files(ours: &Account, theirs: &Account, name: &str) -> Vec<String> {
    let same_kind = ours.platform == theirs.platform;
    let is = |one: &File, other: &File| {
        let of = |file: &File| (file.stage.clone(), file.option.clone(), file.inside.clone());
        of(one) == of(other)
    };
    let mut found: Vec<(bool, String, String)> = Vec::new();
    let mut differs = |file: &File, both_run: bool, line: String| {
        match found.iter_mut().find(|(_, path, _)| *path == file.path) {
            // The stage that both run is told, where several read the file.
            Some(known) if both_run && !known.0 => *known = (both_run, file.path.clone(), line),
            Some(_) => {}
            None => found.push((both_run, file.path.clone(), line)),
        }
    };
    let stages_there = |stage: &str| theirs.files.iter().any(|f| f.stage == stage && f.runs);
    let stages_here = |stage: &str| ours.files.iter().any(|f| f.stage == stage && f.runs);
    for file in &ours.files {
        if file.option.is_none() && !same_kind {
            continue;
        }
        let (stage, path) = (&file.stage, &file.path);
        match theirs.files.iter().find(|other| is(other, file)) {
            Some(other) if other.content != file.content => {
                let (there, here) = (shown(other), shown(file));
                let line = format!(
                    "`{stage}`: {path} differs: device `{name}` has {there}, here it has {here}"
                );
                differs(file, file.runs && other.runs, line);
            }
            None if file.runs && stages_there(stage) => {
                let line = format!("`{stage}`: {path} is missing on device `{name}`");
                differs(file, true, line);
            }
            _ => {}
        }
    }
    for file in &theirs.files {
        let missing = !ours.files.iter().any(|other| is(other, file));
        let library = file.option.is_none() && !same_kind;
        if missing && !library && file.runs && stages_here(&file.stage) {
            let (stage, path) = (&file.stage, &file.path);
            let line = format!("`{stage}`: {path} of device `{name}` is missing here");
            differs(file, true, line);
        }
    }
    found.into_iter().map(|(.., line)| line).collect()
}

fn shown(file: &File) -> String {
    match &file.content {
        Ok(digest) => digest.to_string(),
        Err(why) => format!("none that can be read ({why})"),
    }
}

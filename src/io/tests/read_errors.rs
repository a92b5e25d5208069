//! What `open` says of files that cannot be read.

use super::*;

fn check(options: &ReadOptions, code: &str, option: &str, message: &str) {
    let error = open_error(options);
    let path = options.path.display().to_string();
    let said = error.message.replace(&path, "F");
    assert_eq!(
        (error.code.as_str(), error.blamed_option(), said.as_str()),
        (code, Some(option), message)
    );
}

#[test]
fn files() {
    let csv = TempFile::new("r.csv", "text\na\n");
    let dir = csv.dir.path();
    let missing = ReadOptions::new(dir.join("none.csv"));
    check(&missing, "missing-file", "path", "`F` does not exist");
    let below = ReadOptions::new(csv.path.join("x.csv"));
    check(&below, "missing-file", "path", "`F` does not exist");
    std::fs::create_dir(dir.join("d.csv")).unwrap();
    let directory = ReadOptions::new(dir.join("d.csv"));
    check(&directory, "is-directory", "path", "`F` is a directory");
    for name in ["r.txt", "r", "r.txt.gz"] {
        check(
            &ReadOptions::new(dir.join(name)),
            "unknown-format",
            "path",
            "`F` has none of the endings `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.parquet`",
        );
    }
    for name in ["e.csv", "e.jsonl", "e.parquet"] {
        check(
            &TempFile::new(name, "").options(),
            "empty-file",
            "path",
            "`F` is empty",
        );
    }
    let contents = [
        ("r.CSV", "text\n"),
        ("r.csv", "\r\n\n"),
        ("r.csv", "\u{feff}"),
        ("r.jsonl", " \n\n"),
    ];
    for (name, content) in contents {
        let file = TempFile::new(name, content);
        check(&file.options(), "no-records", "path", "`F` has no records");
    }
}

#[cfg(unix)]
#[test]
fn unreadable() {
    use std::os::unix::fs::PermissionsExt;
    let file = TempFile::new("r.csv", "text\na\n");
    std::fs::set_permissions(&file.path, PermissionsExt::from_mode(0o0)).unwrap();
    // Root reads it all the same.
    if std::fs::File::open(&file.path).is_err() {
        check(
            &file.options(),
            "unreadable",
            "path",
            "`F` cannot be read: permission denied",
        );
    }
    let device = file.dir.path().join("null.csv");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    check(
        &ReadOptions::new(device),
        "unreadable",
        "path",
        "`F` is not a regular file",
    );
}

#[test]
fn columns() {
    let csv = TempFile::new("r.csv", "id,Text\n1,a\n");
    let message = "`F` has no column `text`; its columns are `id`, `Text`";
    check(&csv.options(), "missing-column", "text", message);
    assert_eq!(
        open_error(&csv.options()).help.as_deref(),
        Some("did you mean `Text`?")
    );

    let json = TempFile::new("r.jsonl", "{\"text\":\"a\",\"lable\":1}\n");
    let mut options = ReadOptions {
        label: Some("label".into()),
        ..json.options()
    };
    let message = "`F` has no column `label`; its columns are `text`, `lable`";
    check(&options, "missing-column", "label", message);
    assert_eq!(
        open_error(&options).help.as_deref(),
        Some("did you mean `lable`?")
    );
    options.label = Some("stars".into());
    let help = open_error(&options).help.unwrap();
    assert!(help.contains("`with.label = \"\"`"), "{help}");

    let twice = TempFile::new("r.csv", "text,a,text\nx,1,2\n");
    check(
        &twice.options(),
        "duplicate-column",
        "path",
        "`F` has more than one column `text`",
    );
}

#[test]
fn contents() {
    let latin = TempFile::new("r.csv", b"text,caf\xe9\nx,1\n");
    check(
        &latin.options(),
        "bad-file",
        "path",
        "`F` has a header that is not UTF-8",
    );
    let quote = TempFile::new("r.csv", "text,\"id\nx,1\n");
    check(
        &quote.options(),
        "bad-file",
        "path",
        "`F` has a header with a quote that is never closed",
    );
    let csv = TempFile::new("r.jsonl", "text,id\na,1\n");
    check(
        &csv.options(),
        "bad-file",
        "path",
        "`F` has no JSON object in its first 2 lines",
    );
    let error = open_error(&TempFile::new("r.parquet", "text,id\na,1\n").options());
    assert_eq!(error.code, "bad-file");
}

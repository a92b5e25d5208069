//! What a file is, told by its first bytes: what people hand over instead of a table of text.

/// A way to pack a whole file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Packed {
    Gzip,
    Zstd,
}

/// How the file is packed, if it is.
pub fn packed(start: &[u8]) -> Option<Packed> {
    if start.starts_with(b"\x1f\x8b") {
        return Some(Packed::Gzip);
    }
    start
        .starts_with(b"\x28\xb5\x2f\xfd")
        .then_some(Packed::Zstd)
}

/// What starts so, and what to do about it.
const MAGIC: [(&[u8], &str, &str); 16] = [
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file it stands for",
        "run `git lfs pull` to fetch the file",
    ),
    (b"PAR1", "Parquet", "name it `.parquet`"),
    (b"ARROW1", "an Arrow file", "save it as `.parquet`"),
    (
        b"\xd0\xcf\x11\xe0",
        "an Excel or Word file",
        "save the sheet as CSV",
    ),
    (b"BZh", "packed with bzip2", "unpack it with `bunzip2`"),
    (b"\xfd7zXZ", "packed with xz", "unpack it with `unxz`"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (
        b"\x04\x22\x4d\x18",
        "packed with LZ4",
        "unpack it with `unlz4`",
    ),
    (b"%PDF", "a PDF", "export its table as CSV"),
    (
        b"SQLite format 3",
        "an SQLite database",
        "export the table as CSV",
    ),
    (b"Obj\x01", "an Avro file", "save it as `.parquet`"),
    (b"ORC", "an ORC file", "save it as `.parquet`"),
    (b"\x93NUMPY", "a NumPy array", "save it as `.parquet`"),
    (b"\x80\x04\x95", "a Python pickle", "save it as `.parquet`"),
    (b"{\\rtf", "a Rich Text document", "save it as plain text"),
];

/// What a file that starts so is, if it is no text, and what to do about it.
pub fn not_text(start: &[u8]) -> Option<(&'static str, String)> {
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Some(zip(start));
    }
    let magic = MAGIC.iter().find(|(magic, ..)| {
        // Letters alone could begin a table too.
        let bare = magic.iter().all(u8::is_ascii_alphanumeric);
        start.starts_with(magic) && (!bare || start.contains(&0))
    });
    if let Some((_, what, help)) = magic {
        return Some((what, (*help).to_owned()));
    }
    if start.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", "unpack it with `tar -xf`".into()));
    }
    markup(start).or_else(|| wide(start))
}

fn zip(start: &[u8]) -> (&'static str, String) {
    let has = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
    if has(b"[Content_Types].xml") || has(b"xl/") || has(b"_rels/") {
        return ("an Excel workbook", "save the sheet as CSV".into());
    }
    ("a ZIP archive", "unpack it with `unzip`".into())
}

fn markup(start: &[u8]) -> Option<(&'static str, String)> {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let text = text.trim_ascii_start();
    let begins = |tag: &str| {
        let begin = text.get(..tag.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(tag.as_bytes()))
    };
    if begins("<!doctype html") || begins("<html") {
        let help = "it may be a page that says why the file was not given: fetch it again";
        return Some(("an HTML page", help.into()));
    }
    begins("<?xml").then(|| ("XML", "save it as CSV or JSON Lines".into()))
}

/// Two or four bytes a character, and no mark that says so.
fn wide(start: &[u8]) -> Option<(&'static str, String)> {
    if start.len() < 4 || !start.contains(&0) {
        return None;
    }
    let nuls = |step: usize, at: usize| {
        let of = start.iter().skip(at).step_by(step);
        let (all, nul) = of.fold((0, 0), |(all, nul), byte| {
            (all + 1, nul + u32::from(*byte == 0))
        });
        f64::from(nul) / f64::from(all.max(1))
    };
    let encoding = |name: &str| format!("say `with.encoding = \"{name}\"`, or save it as UTF-8");
    if nuls(4, 0) < 0.2 && (1..4).all(|at| nuls(4, at) > 0.6) {
        return Some(("UTF-32", "save it as UTF-8".into()));
    }
    if nuls(2, 1) > 0.3 && nuls(2, 0) < 0.1 {
        let what = "UTF-16 (little-endian) without a byte order mark";
        return Some((what, encoding("utf-16le")));
    }
    if nuls(2, 0) > 0.3 && nuls(2, 1) < 0.1 {
        let what = "UTF-16 (big-endian) without a byte order mark";
        return Some((what, encoding("utf-16be")));
    }
    Some((
        "binary, not text",
        "save it as CSV, JSON Lines or Parquet".into(),
    ))
}

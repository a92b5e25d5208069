//! Rendered messages in colour.

const RED: &str = "\x1b[1;31m";
const BLUE: &str = "\x1b[1;34m";
const CYAN: &str = "\x1b[1;36m";
const PLAIN: &str = "\x1b[0m";

/// Rendered messages, with colours for a terminal. As these have no control characters of
/// others in them, each line is what it begins like.
pub fn paint(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    let margin = line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit());
    if let Some(rest) = line.strip_prefix("error[")
        && let Some((code, rest)) = rest.split_once(']')
    {
        return format!("{RED}error[{code}]{PLAIN}{rest}");
    }
    if let Some(at) = ["help:", "note:"].iter().find(|at| line.starts_with(**at)) {
        return format!("{CYAN}{at}{PLAIN}{}", &line[at.len()..]);
    }
    if let Some(rest) = line.strip_prefix("  --> ") {
        return format!("  {BLUE}-->{PLAIN} {rest}");
    }
    if let Some(rest) = margin.strip_prefix("| ") {
        let margin = &line[..line.len() - margin.len()];
        return format!("{BLUE}{margin}|{PLAIN} {}", underlined(margin, rest));
    }
    line.to_owned()
}

/// The rest of a line below a number: an underline where it is one.
fn underlined(margin: &str, rest: &str) -> String {
    let mark = rest.trim_start();
    let colour = match mark.as_bytes().first() {
        Some(b'^') => RED,
        Some(b'-') => BLUE,
        _ => return rest.to_owned(),
    };
    if margin.contains(|c: char| c.is_ascii_digit()) {
        return rest.to_owned();
    }
    let (indent, mark) = rest.split_at(rest.len() - mark.len());
    let (mark, end) = mark.split_at(mark.trim_end().len());
    format!("{indent}{colour}{mark}{PLAIN}{end}")
}

#[cfg(test)]
mod tests {
    use super::paint;

    #[test]
    fn without_its_colours_a_text_is_the_same() {
        let text =
            "error[a-b]: c\n  --> g.toml:1:2\n12 | - x\n   |   ^^ y\n   | --\nhelp: z\nelse\n";
        let painted = paint(text);
        let mut plain = painted.clone();
        for colour in [super::RED, super::BLUE, super::CYAN, super::PLAIN] {
            plain = plain.replace(colour, "");
        }
        assert_eq!(plain, text);
        assert!(
            painted.starts_with("\x1b[1;31merror[a-b]\x1b[0m: c\n"),
            "{painted:?}"
        );
        assert!(painted.contains("12 |\x1b[0m - x\n"), "{painted:?}");
        assert!(painted.contains(" \x1b[1;31m^^ y\x1b[0m\n"), "{painted:?}");
    }
}

//! Spaces as a graph file writes them.

use super::{Domain, Error, Options, Result, Scale};

/// What an option's line may look like.
const FORMS: &str =
    "`rate = 0.001..0.1 log`, `cost = 0.5..8.0`, `layers = 1..4` or `kernel = a | b`";

impl Options {
    /// A space of options, one a line:
    ///
    /// | line | values |
    /// | --- | --- |
    /// | `cost = 0.5..8.0` | numbers, both ends included |
    /// | `rate = 1e-5..1e-3 log` | the same, their logarithms even |
    /// | `layers = 1..4` | whole numbers, where both ends are written without a point |
    /// | `kernel = linear \| rbf` | names |
    ///
    /// # Errors
    /// A line of none of these forms, and what [`Space::check`](super::Space::check) finds
    ///
    /// ```
    /// use segue_candidates::space::{Options, Value};
    ///
    /// let lines = ["cost = 0.5..8.0", "layers = 1..4", "kernel = linear | rbf"];
    /// let options = Options::read(&lines)?;
    /// let values = options.decode(&[0.5, 0.9, 0.2]);
    /// assert_eq!(options.text(&values), "cost=4.25,layers=4,kernel=linear");
    /// # Ok::<(), segue_candidates::space::Error>(())
    /// ```
    pub fn read(lines: &[impl AsRef<str>]) -> Result<Self> {
        let lines = lines.iter().map(|line| option(line.as_ref()));
        let options = Options(lines.collect::<Result<_>>()?);
        options.check()?;
        Ok(options)
    }

    /// A point that stands for what `text` names, such as `rate=0.01,kernel=rbf`; an option that
    /// it does not name is in the middle.
    ///
    /// # Errors
    /// An option that the space does not have, or a value outside its domain
    pub fn place(&self, text: &str) -> Result<Vec<f64>> {
        let mut place = vec![0.5; self.0.len()];
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let wrong = |what: &str| Error(format!("`{}` {what}", part.trim()));
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| wrong("is not `option=value`"))?;
            let at = self.0.iter().position(|(known, _)| known == name.trim());
            let at = at.ok_or_else(|| wrong("names no option that is searched"))?;
            let domain = &self.0[at].1;
            let value = domain.parse(value.trim());
            let coordinate = value.and_then(|value| domain.encode(&value));
            place[at] = coordinate.ok_or_else(|| wrong("is not among what is searched"))?;
        }
        Ok(place)
    }
}

fn option(line: &str) -> Result<(String, Domain)> {
    let wrong = || Error(format!("`{line}` is not of a form such as {FORMS}"));
    let (name, values) = line.split_once('=').ok_or_else(wrong)?;
    let values = values.trim();
    let domain = match values.split_once("..") {
        Some((low, high)) => range(low.trim(), high.trim()).ok_or_else(wrong)?,
        None => Domain::Choice(
            values
                .split('|')
                .map(|name| name.trim().to_owned())
                .collect(),
        ),
    };
    Ok((name.trim().to_owned(), domain))
}

fn range(low: &str, high: &str) -> Option<Domain> {
    let (high, scale) = match high.strip_suffix("log") {
        Some(high) => (high.trim(), Scale::Log),
        None => (high, Scale::Linear),
    };
    if let (Ok(low), Ok(high), Scale::Linear) = (low.parse(), high.parse(), scale) {
        return Some(Domain::Integer { low, high });
    }
    Some(Domain::Float {
        low: low.parse().ok()?,
        high: high.parse().ok()?,
        scale,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_meant() {
        let lines = [
            "rate = 1e-5..0.001 log",
            "cost=0.5..8",
            "layers = 1..4",
            "counts = 1..1000 log",
            "kernel = linear | rbf",
        ];
        let options = Options::read(&lines).unwrap();
        let float = |low, high, scale| Domain::Float { low, high, scale };
        let expected = [
            float(1e-5, 0.001, Scale::Log),
            float(0.5, 8.0, Scale::Linear),
            Domain::Integer { low: 1, high: 4 },
            float(1.0, 1000.0, Scale::Log),
            Domain::Choice(vec!["linear".into(), "rbf".into()]),
        ];
        let domains: Vec<&Domain> = options.0.iter().map(|(_, domain)| domain).collect();
        assert_eq!(domains, expected.iter().collect::<Vec<_>>());
        assert_eq!(options.0[1].0, "cost");
    }

    #[test]
    fn lines_that_make_no_sense_are_refused() {
        for line in [
            "rate",
            "rate = 0.1..",
            "rate = 2.0..1.0",
            "a = x | x",
            "rate = 0.0..1.0 log",
        ] {
            assert!(Options::read(&[line]).is_err(), "{line}");
        }
        assert!(Options::read(&["a = 1..2", "a = 1..3"]).is_err());
        assert!(Options::read(&[""; 0]).is_err());
    }

    #[test]
    fn a_place_stands_for_what_is_named() {
        let options = Options::read(&["cost = 1.0..9.0", "kernel = linear | rbf"]).unwrap();
        let values = options.decode(&options.place("kernel=rbf").unwrap());
        assert_eq!(values, [Value::Float(5.0), Value::Choice("rbf".into())]);
        for text in ["cost=10.0", "kernel", "cots=2.0", "kernel=poly"] {
            assert!(options.place(text).is_err(), "{text}");
        }
    }
}

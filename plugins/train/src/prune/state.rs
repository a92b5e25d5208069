//! The state of a stage that prunes, as bytes: a few parts, each behind its length.

use segue_learn::lists::Lists;
use segue_learn::store::no_state;
use segue_plugin::Result;

/// `parts` in one.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    all
}

/// The `N` parts that [`join`] joined.
///
/// # Errors
/// `no-state`
pub fn split<const N: usize>(bytes: &[u8]) -> Result<[&[u8]; N]> {
    let mut rest = bytes;
    let mut parts = [&bytes[..0]; N];
    for part in &mut parts {
        let next = rest
            .split_first_chunk::<8>()
            .and_then(|(length, rest)| rest.split_at_checked(u64::from_le_bytes(*length) as usize));
        (*part, rest) = next.ok_or_else(|| no_state("it is cut off"))?;
    }
    if rest.is_empty() {
        Ok(parts)
    } else {
        Err(no_state("it is longer than it should be"))
    }
}

/// Numbers as bytes.
pub fn from_numbers(numbers: impl IntoIterator<Item = f64>) -> Vec<u8> {
    numbers.into_iter().flat_map(f64::to_le_bytes).collect()
}

/// Numbers from bytes.
pub fn numbers(bytes: &[u8]) -> impl Iterator<Item = f64> {
    let eights = bytes.as_chunks::<8>().0.iter();
    eights.map(|bytes| f64::from_le_bytes(*bytes))
}

/// Lists as bytes.
pub fn from_lists(lists: &Lists) -> Vec<u8> {
    let words = lists.iter().flat_map(|list| {
        // A review has far fewer than 2^32 tokens.
        std::iter::once(list.len() as u32).chain(list.iter().copied())
    });
    words.flat_map(u32::to_le_bytes).collect()
}

/// Lists from bytes.
///
/// # Errors
/// `no-state`
pub fn lists(bytes: &[u8]) -> Result<Lists> {
    let words: Vec<u32> = (bytes.as_chunks::<4>().0.iter())
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect();
    let (mut lists, mut rest) = (Lists::default(), words.as_slice());
    while let Some((length, others)) = rest.split_first() {
        let list = others.split_at_checked(*length as usize);
        let (list, others) = list.ok_or_else(|| no_state("it is cut off"))?;
        lists.push(list.iter().copied());
        rest = others;
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_given_back() {
        let all = join(&[b"abc", b"", b"d"]);
        assert_eq!(split::<3>(&all).unwrap(), [&b"abc"[..], b"", b"d"]);
        for bad in [&all[..all.len() - 1], &[&all[..], b"x"].concat(), &all[..5]] {
            assert_eq!(split::<3>(bad).unwrap_err().code, "no-state");
        }
        let some = [0.1, -3.5e300];
        assert_eq!(numbers(&from_numbers(some)).collect::<Vec<_>>(), some);
        let mut all = Lists::default();
        [&[4, 5][..], &[], &[7]]
            .iter()
            .for_each(|list| all.push(list.iter().copied()));
        assert_eq!(lists(&from_lists(&all)).unwrap(), all);
        assert!(lists(&from_lists(&all)[..8]).is_err());
    }
}

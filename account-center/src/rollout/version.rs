//! App versions: numbers with points between them (`8.12.0`); what follows a hyphen or a plus does not count.

use std::cmp::Ordering;

/// The numbers of a version; `None` where it is not of the form.
pub fn parse(text: &str) -> Option<Vec<u64>> {
    let core = text.split(['-', '+']).next().filter(|_| text.len() <= 32)?;
    core.split('.')
        .map(|part| {
            part.bytes()
                .all(|digit| digit.is_ascii_digit())
                .then(|| part.parse().ok())
                .flatten()
        })
        .collect()
}

/// Compares number by number; missing ones are zero.
pub fn compare(one: &[u64], other: &[u64]) -> Ordering {
    let length = one.len().max(other.len());
    let at = |version: &[u64], index: usize| version.get(index).copied().unwrap_or(0);
    (0..length)
        .map(|index| at(one, index).cmp(&at(other, index)))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_compare_as_numbers_and_not_as_text() {
        let order = |one, other| compare(&parse(one).unwrap(), &parse(other).unwrap());
        assert_eq!(order("8.9", "8.12"), Ordering::Less);
        assert_eq!(order("8.12.0", "8.12"), Ordering::Equal);
        assert_eq!(order("9", "8.99.99"), Ordering::Greater);
        assert_eq!(order("1.2+3", "1.2-beta"), Ordering::Equal);
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in [
            "",
            "x",
            "1..2",
            "1.",
            "v1",
            "+1",
            "1.-2",
            "99999999999999999999",
            "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

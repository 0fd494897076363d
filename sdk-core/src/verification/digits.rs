//! Digits as people type and paste them: full-width forms, separators, invisible marks.

use zeroize::Zeroizing;

/// Why text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwanted {
    /// A character that belongs in no number.
    Character,
    /// More characters than any number has.
    Endless,
}

/// Characters that are looked at; nobody types a longer number.
const LONGEST: usize = 64;

/// Keeps the digits as ASCII, and a plus sign where it comes first. White space around, separators and invisible marks (pasted from an address book)
/// are dropped; a line end or another control character inside is none of these.
pub(crate) fn fold(typed: &str) -> Result<Zeroizing<String>, Unwanted> {
    // Room for everything at once: a string that grows would leave copies behind.
    let mut folded = Zeroizing::new(String::with_capacity(LONGEST));
    for (index, character) in typed.trim().chars().enumerate() {
        if index >= LONGEST {
            return Err(Unwanted::Endless);
        }
        match character {
            '0'..='9' => folded.push(character),
            '\u{FF10}'..='\u{FF19}' => {
                folded.extend(char::from_digit(character as u32 - 0xFF10, 10));
            }
            '+' | '\u{FF0B}' if folded.is_empty() => folded.push('+'),
            separator if is_separator(separator) => {}
            _ => return Err(Unwanted::Character),
        }
    }
    Ok(folded)
}

fn is_separator(character: char) -> bool {
    (character.is_whitespace() && !character.is_control())
        || matches!(
            character,
            '-' | '.' | '(' | ')'
                | '\u{2010}'..='\u{2015}' // hyphens and dashes
                | '\u{2212}' // minus
                | '\u{FF08}' | '\u{FF09}' | '\u{FF0D}' | '\u{FF0E}' // the same, full-width
                | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' // invisible marks
        )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn separators_and_invisible_marks_are_dropped() {
        assert_eq!(
            *fold("\u{202D}138-0000\u{3000}0000\u{202C}").unwrap(),
            "13800000000"
        );
        assert_eq!(*fold("＋８６ (138)").unwrap(), "+86138");
    }

    #[test]
    fn letters_late_plus_signs_and_endless_text_are_refused() {
        assert_eq!(fold("138oooo0000"), Err(Unwanted::Character));
        assert_eq!(fold("138+0000"), Err(Unwanted::Character));
        assert_eq!(fold("٣"), Err(Unwanted::Character));
        assert_eq!(fold(&"1".repeat(65)), Err(Unwanted::Endless));
    }
}

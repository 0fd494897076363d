//! Kotlin and Swift text as far as the reader needs it: comments, strings, brackets.

/// The text without comments, and with empty strings.
pub(super) fn bare(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = after(&rest[2..], "*/");
        } else if rest.starts_with("\"\"\"") {
            result.push_str("\"\"");
            rest = after(&rest[3..], "\"\"\"");
        } else if letter == '"' {
            result.push_str("\"\"");
            rest = after_string(&rest[1..]);
        } else if letter == '\'' && char_literal(rest).is_some() {
            result.push_str("' '");
            rest = &rest[char_literal(rest).unwrap_or(1)..];
        } else {
            result.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    result
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// What follows a string whose opening quote was read; an interpolation (`\(…)`, `${…}`) may hold strings of its own.
fn after_string(text: &str) -> &str {
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        let opened =
            if letter == '\\' && rest.starts_with('(') || letter == '$' && rest.starts_with('{') {
                rest.chars().next()
            } else {
                None
            };
        match (letter, opened) {
            ('"', _) => return rest,
            (_, Some(open)) => rest = after_brackets(&rest[1..], open),
            ('\\', None) => {
                rest = rest
                    .chars()
                    .next()
                    .map_or("", |escaped| &rest[escaped.len_utf8()..]);
            }
            _ => {}
        }
    }
    rest
}

pub(super) fn after_brackets(text: &str, open: char) -> &str {
    let close = if open == '(' { ')' } else { '}' };
    let mut rest = text;
    let mut depth = 1;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if letter == '"' {
            rest = after_string(rest);
        } else if letter == open {
            depth += 1;
        } else if letter == close {
            depth -= 1;
            if depth == 0 {
                return rest;
            }
        }
    }
    rest
}

/// The length of a character literal that `text` begins with.
fn char_literal(text: &str) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    let (_, first) = letters.next()?;
    let (at, last) = if first == '\\' {
        letters.nth(1)?
    } else {
        letters.next()?
    };
    (last == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_not_read() {
        assert_eq!(
            bare("a \"b{\" c // d\n/* e { */f \"\\\"}\" '{' \"${g(\"}\")}\" h"),
            "a \"\" c \nf \"\" ' ' \"\" h"
        );
    }
}

//! What is signed: a request's parameters, and the raw text of an answer.

use crate::calendar::Civil;
use crate::context::Timestamp;

/// Every parameter that is not empty, sorted by name, `name=value` joined by `&`, nothing escaped.
pub(super) fn content(parameters: &[(&str, &str)]) -> String {
    let mut sorted: Vec<_> = parameters
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    sorted.sort_unstable();
    let pairs: Vec<_> = sorted
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// `2026-11-21 13:52:14`, in China's time (UTC+8, all year).
pub(super) fn china_time(at: Timestamp) -> String {
    let civil = Civil::china(at);
    format!("{} {}", civil.date(), civil.time())
}

/// The raw text of a member of the outermost object, exactly as it stands there: it is what was signed. `body` is JSON already.
pub(super) fn cut<'a>(body: &'a str, member: &str) -> Option<&'a str> {
    let bytes = body.as_bytes();
    let mut at = after_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    at = after_space(bytes, at + 1);
    while bytes.get(at) == Some(&b'"') {
        let name_end = after_string(bytes, at)?;
        let name = body.get(at + 1..name_end - 1)?;
        at = after_space(bytes, name_end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        let start = after_space(bytes, at + 1);
        let end = after_value(bytes, start)?;
        if name == member {
            return body.get(start..end);
        }
        at = after_space(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = after_space(bytes, at + 1);
        }
    }
    None
}

fn after_space(bytes: &[u8], at: usize) -> usize {
    let space = bytes[at.min(bytes.len())..]
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace());
    at + space.count()
}

/// `at` is the opening quote.
fn after_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn after_value(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => at = after_string(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b'}' | b']' if depth == 0 => return Some(at),
            byte if depth == 0 && byte.is_ascii_whitespace() => return Some(at),
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_and_empty_ones_left_out() {
        let parameters = [
            ("version", "1.0"),
            ("app_id", "2021"),
            ("empty", ""),
            ("biz", "a=b&c 中"),
        ];
        assert_eq!(content(&parameters), "app_id=2021&biz=a=b&c 中&version=1.0");
    }

    #[test]
    fn the_time_is_chinas() {
        for (seconds, text) in [
            (0, "1970-01-01 08:00:00"),
            (951_782_399, "2000-02-29 07:59:59"),
            (951_840_000, "2000-03-01 00:00:00"),
            (1_700_000_000, "2023-11-15 06:13:20"),
            (1_798_732_799, "2026-12-31 23:59:59"),
            (4_107_513_599, "2100-02-28 23:59:59"),
            (4_107_513_600, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(china_time(Timestamp::from_seconds(seconds)), text);
        }
    }

    #[test]
    fn a_member_is_cut_out_as_it_stands() {
        let body =
            r#" { "a" : {"x":"}\"{", "y":[1, {"z":2}]} ,"sign":"s\\","n":-1.5e3,"t":true } "#;
        assert_eq!(cut(body, "a"), Some(r#"{"x":"}\"{", "y":[1, {"z":2}]}"#));
        assert_eq!(cut(body, "sign"), Some(r#""s\\""#));
        assert_eq!(cut(body, "n"), Some("-1.5e3"));
        assert_eq!(cut(body, "t"), Some("true"));
        assert_eq!(cut(body, "x"), None);
        assert_eq!(
            cut(r#"{"r":"{\"sign\":1}","sign":"2"}"#, "sign"),
            Some("\"2\"")
        );
        for bad in ["", "[]", "{", "{\"a\"", "{\"a\":", "{\"a\":\"", "{\"a\" 1}"] {
            assert_eq!(cut(bad, "a"), None, "{bad}");
        }
    }
}

//! `phone_numbers.json`: what a person may type, and which number it is (U2: the client checks the form).
//!
//! The rule. Blanks around are taken off; invisible formatting characters and separators (blank, no-break and ideographic blank, hyphens and
//! dashes, dot, parentheses, each also in full width) are passed over; full-width digits and plus count as plain ones. What remains is
//! a mainland mobile number `1[3-9]` and nine digits, bare or after `86`, `+86` or `0086`, or `+` and 8 to 15 digits of another country. All
//! else is refused.

use serde_json::{Value, json};

use crate::{committed, text};

/// What is typed, which number it is, and why.
type Form = (&'static str, Option<&'static str>, &'static str);

const MOBILE: Option<&str> = Some("+8613800138000");

const FORMS: &[Form] = &[
    ("13800138000", MOBILE, "the bare number"),
    ("+8613800138000", MOBILE, "E.164"),
    (
        "8613800138000",
        MOBILE,
        "country code without a plus: thirteen digits can be nothing else",
    ),
    ("008613800138000", MOBILE, "international prefix as dialled"),
    ("+86 13800138000", MOBILE, "a blank after the country code"),
    (
        "+86 138 0013 8000",
        MOBILE,
        "blanks in groups of three, four, four",
    ),
    ("138 0013 8000", MOBILE, "blanks without a country code"),
    ("138-0013-8000", MOBILE, "hyphens"),
    ("+86-138-0013-8000", MOBILE, "hyphens with a country code"),
    ("138.0013.8000", MOBILE, "dots"),
    (
        "(+86) 138 0013 8000",
        MOBILE,
        "the country code in parentheses",
    ),
    ("+(86)13800138000", MOBILE, "parentheses after the plus"),
    (
        "+86（138）0013－8000",
        MOBILE,
        "full-width parentheses and hyphen",
    ),
    ("138–0013—8000", MOBILE, "dashes in place of hyphens"),
    ("138\u{2010}0013\u{2011}8000", MOBILE, "typographic hyphens"),
    ("１３８００１３８０００", MOBILE, "full-width digits"),
    (
        "＋８６　１３８　００１３　８０００",
        MOBILE,
        "full-width plus, digits and ideographic blanks",
    ),
    (
        "138００１３8000",
        MOBILE,
        "plain and full-width digits mixed",
    ),
    (" 13800138000", MOBILE, "a blank before"),
    ("13800138000 ", MOBILE, "a blank after"),
    ("\t13800138000\r\n", MOBILE, "tab before, line end after"),
    (
        "\u{3000}13800138000\u{3000}",
        MOBILE,
        "ideographic blanks around",
    ),
    ("138\u{a0}0013\u{a0}8000", MOBILE, "no-break blanks"),
    (
        "\u{202a}+86 138 0013 8000\u{202c}",
        MOBILE,
        "direction marks, as copied from a phone's contacts",
    ),
    ("\u{2066}13800138000\u{2069}", MOBILE, "direction isolates"),
    ("138\u{200b}0013\u{200b}8000", MOBILE, "zero-width blanks"),
    ("\u{feff}13800138000", MOBILE, "a byte order mark"),
    (
        "0086 138 0013 8000",
        MOBILE,
        "international prefix and blanks",
    ),
    ("00 86 138 0013 8000", MOBILE, "a blank inside the prefix"),
    ("19912345678", Some("+8619912345678"), "the highest range"),
    ("13000000000", Some("+8613000000000"), "the lowest range"),
    (
        "+14155552671",
        Some("+14155552671"),
        "another country in E.164",
    ),
    (
        "+1 (415) 555-2671",
        Some("+14155552671"),
        "another country with separators",
    ),
    ("+85251234567", Some("+85251234567"), "Hong Kong"),
    ("+853 6612 3456", Some("+85366123456"), "Macao"),
    (
        "＋６５８１２３４５６７",
        Some("+6581234567"),
        "another country in full width",
    ),
    ("+29012345", Some("+29012345"), "eight digits, the shortest"),
    (
        "+491234567890123",
        Some("+491234567890123"),
        "fifteen digits, the longest",
    ),
    ("+861380013800", None, "a digit too few after +86"),
    ("1380013800", None, "a digit too few"),
    ("138001380000", None, "a digit too many"),
    ("+86138001380000", None, "a digit too many after +86"),
    ("+8612800138000", None, "12 is no mobile range"),
    ("12800138000", None, "12 is no mobile range, bare"),
    ("+8601012345678", None, "a land line after +860"),
    (
        "+86013800138000",
        None,
        "a trunk zero after the country code",
    ),
    ("013800138000", None, "a trunk zero"),
    ("01012345678", None, "a land line"),
    ("+861012345678", None, "a land line of Beijing in E.164"),
    ("8613800138", None, "country code and too few digits"),
    ("++8613800138000", None, "two pluses"),
    ("86+13800138000", None, "a plus inside"),
    ("13800138000+", None, "a plus at the end"),
    ("+008613800138000", None, "plus and international prefix"),
    ("+0013800138000", None, "no country code begins with zero"),
    ("00861012345678", None, "0086 and a land line"),
    (
        "0014155552671",
        None,
        "another country with the dialled prefix: only E.164 is unambiguous",
    ),
    (
        "14155552671",
        Some("+8614155552671"),
        "without a plus the default region counts: 141 is a mobile range",
    ),
    ("4155552671", None, "another country's national form"),
    ("+1234567", None, "seven digits are too few"),
    ("+1234567890123456", None, "sixteen digits are too many"),
    ("١٣٨٠٠١٣٨٠٠٠", None, "Arabic-Indic digits"),
    ("१३८००१३८०००", None, "Devanagari digits"),
    ("一三八〇〇一三八〇〇〇", None, "Chinese numerals"),
    ("①③⑧⓪⓪①③⑧⓪⓪⓪", None, "circled digits"),
    ("𝟏𝟑𝟖𝟎𝟎𝟏𝟑𝟖𝟎𝟎𝟎", None, "mathematical digits"),
    ("1380013800O", None, "the letter O"),
    ("l3800138000", None, "the letter l"),
    ("13800138000a", None, "a letter after"),
    ("tel:+8613800138000", None, "a telephone address"),
    ("+8613800138000;ext=1", None, "an extension"),
    ("13800138000#", None, "a number sign"),
    ("138/0013/8000", None, "slashes"),
    ("138,0013,8000", None, "commas"),
    ("138_0013_8000", None, "underscores"),
    ("138\n00138000", None, "a line end inside"),
    ("13800138000\u{0}", None, "a null character"),
    ("13800138000 13900139000", None, "two numbers"),
    ("", None, "nothing"),
    ("   ", None, "blanks alone"),
    ("+", None, "a plus alone"),
    ("+86", None, "a country code alone"),
    ("-13800138000-", MOBILE, "separators at the ends"),
    ("-1", None, "a negative number"),
    ("1.38e10", None, "a number in scientific form"),
    ("null", None, "a word"),
];

fn make() -> Value {
    let forms: Vec<Value> = FORMS
        .iter()
        .map(|(input, e164, why)| {
            json!({"input": input, "default_region": "CN", "e164": e164, "why": why})
        })
        .collect();
    json!({
        "$comment": "What a person may type as their phone number, and which number it is; null: refused. The rule in words is at the head of the generator, account-center/security/tests/vectors/phone_numbers.rs.",
        "forms": forms,
    })
}

/// The rule of this file, done once in code to find slips in the table.
fn by_the_rule(input: &str) -> Option<String> {
    let mut plain = String::new();
    for c in input
        .trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
        .chars()
    {
        match c {
            '0'..='9' | '+' => plain.push(c),
            '０'..='９' => plain.push(char::from_digit(c as u32 - '０' as u32, 10)?),
            '＋' => plain.push('+'),
            ' '
            | '\u{a0}'
            | '\u{3000}'
            | '-'
            | '\u{2010}'..='\u{2014}'
            | '－'
            | '.'
            | '．'
            | '('
            | ')'
            | '（'
            | '）' => {}
            c if is_invisible(c) => {}
            _ => return None,
        }
    }
    let is_mobile = |digits: &str| {
        digits.len() == 11
            && digits.starts_with('1')
            && digits.as_bytes()[1] >= b'3'
            && !digits.contains('+')
    };
    for prefix in ["+86", "0086", "86", ""] {
        if let Some(number) = plain
            .strip_prefix(prefix)
            .filter(|number| is_mobile(number))
        {
            return Some(format!("+86{number}"));
        }
    }
    let abroad = plain.strip_prefix('+')?;
    let right = (8..=15).contains(&abroad.len())
        && abroad.bytes().all(|digit| digit.is_ascii_digit())
        && !abroad.starts_with('0')
        && !abroad.starts_with("86");
    right.then(|| format!("+{abroad}"))
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[test]
fn u2_the_vectors_of_phone_numbers_are_current_and_follow_their_rule() {
    let vectors = committed("phone_numbers.json", &make());
    let forms = vectors["forms"].as_array().expect("a list");
    let inputs: std::collections::HashSet<_> =
        forms.iter().map(|form| text(form, "input")).collect();
    assert_eq!(inputs.len(), forms.len(), "no form occurs twice");
    for form in forms {
        let input = text(form, "input");
        assert_eq!(
            by_the_rule(input).as_deref(),
            form["e164"].as_str(),
            "{input:?}"
        );
    }
    let taken = forms.iter().filter(|form| form["e164"].is_string()).count();
    assert!(
        taken >= 20 && forms.len() - taken >= 20,
        "{taken} of {} are taken",
        forms.len()
    );
}

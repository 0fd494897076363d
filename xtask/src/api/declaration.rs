//! One declaration of Kotlin or Swift: its modifiers, keyword, name, and what of it is API.

use super::Language;
use super::text::after_brackets;

/// The beginning of a declaration, up to its body or its end.
pub(super) struct Declaration {
    /// With single spaces, attributes included.
    pub(super) text: String,
    /// Modifiers, then the keyword, then what follows.
    pub(super) words: Vec<String>,
    modifiers: usize,
    pub(super) keyword: String,
    pub(super) name: String,
}

const MODIFIERS: [&str; 40] = [
    "abstract",
    "actual",
    "annotation",
    "companion",
    "const",
    "convenience",
    "data",
    "expect",
    "external",
    "fileprivate",
    "final",
    "indirect",
    "infix",
    "inline",
    "inner",
    "internal",
    "lateinit",
    "lazy",
    "mutating",
    "nonisolated",
    "nonmutating",
    "open",
    "operator",
    "override",
    "private",
    "private(set)",
    "protected",
    "public",
    "required",
    "sealed",
    "static",
    "suspend",
    "tailrec",
    "unowned",
    "value",
    "vararg",
    "weak",
    "enum",
    "prefix",
    "dynamic",
];

impl Declaration {
    pub(super) fn of(head: &str, language: Language) -> Self {
        let text = head
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('`', "");
        let plain = Self::without_attributes(&text);
        let words: Vec<String> = plain
            .split(|letter: char| letter.is_whitespace() || "<(:{=,".contains(letter))
            .filter(|word| !word.is_empty())
            .map(ToOwned::to_owned)
            .collect();
        // Swift's enum is a keyword, Kotlin's a modifier.
        let is_modifier = |word: &String| {
            MODIFIERS.contains(&word.as_str()) && !(language == Language::Swift && word == "enum")
        };
        let modifiers = words.iter().take_while(|word| is_modifier(word)).count();
        let mut at = modifiers;
        // `fun interface` is an interface, `class func` a function.
        if matches!(
            (word(&words, at), word(&words, at + 1)),
            ("fun", "interface") | ("class", "func" | "var")
        ) {
            at += 1;
        }
        let keyword = word(&words, at).to_owned();
        let name = if keyword == "object"
            && words[..at].iter().any(|word| word == "companion")
            && at + 1 >= words.len()
        {
            "Companion".to_owned()
        } else {
            word(&words, at + 1).to_owned()
        };
        Self {
            text,
            words,
            modifiers: at.max(modifiers),
            keyword,
            name,
        }
    }

    /// What follows `@Name` and `@Name(…)`.
    pub(super) fn without_attributes(text: &str) -> &str {
        let mut rest = text;
        while rest.starts_with('@') {
            let end = rest
                .find(|letter: char| letter.is_whitespace() || letter == '(')
                .unwrap_or(rest.len());
            rest = if rest[end..].starts_with('(') {
                after_brackets(&rest[end + 1..], '(')
            } else {
                &rest[end..]
            };
            rest = rest.trim_start();
        }
        rest
    }

    pub(super) fn has(&self, modifier: &str) -> bool {
        self.words[..self.modifiers]
            .iter()
            .any(|word| word == modifier)
    }

    pub(super) fn is_type(&self) -> bool {
        [
            "class",
            "interface",
            "object",
            "struct",
            "enum",
            "protocol",
            "extension",
            "actor",
        ]
        .contains(&self.keyword.as_str())
    }

    pub(super) fn is_member(&self) -> bool {
        self.is_type()
            || [
                "fun",
                "val",
                "var",
                "let",
                "func",
                "constructor",
                "typealias",
                "subscript",
                "associatedtype",
                "case",
            ]
            .contains(&self.keyword.as_str())
            || self.keyword.starts_with("init")
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.keyword == "extension"
            || self.has("companion") && self.modifiers == 1
            || ["private", "internal", "fileprivate"]
                .iter()
                .any(|word| self.has(word))
                && self.keyword != "fun"
    }

    /// Without the value or the body.
    pub(super) fn signature(&self) -> String {
        let text = cut(&self.text, &[" = ", " by ", " get() ", " get() ="]);
        text.trim_end_matches(" get()")
            .trim_end_matches('=')
            .trim_end()
            .to_owned()
    }

    /// A type's header. A constructor that is no API is left out.
    pub(super) fn header(&self, language: Language) -> String {
        let text = self.signature();
        if language == Language::Swift {
            return text;
        }
        for hidden in [" internal constructor(", " private constructor("] {
            if let Some(at) = text.find(hidden) {
                let rest = after_brackets(&text[at + hidden.len()..], '(');
                return format!("{}{rest}", &text[..at]);
            }
        }
        text
    }

    /// The public properties of a constructor that is no API itself.
    pub(super) fn constructor_properties(&self) -> Vec<String> {
        let hidden = [" internal constructor(", " private constructor("]
            .into_iter()
            .find_map(|hidden| self.text.find(hidden).map(|at| at + hidden.len()));
        let Some(at) = hidden else { return Vec::new() };
        let inside =
            &self.text[at..self.text.len() - after_brackets(&self.text[at..], '(').len() - 1];
        split_outside_brackets(inside)
            .into_iter()
            .map(str::trim)
            .filter(|parameter| {
                parameter.starts_with("public val") || parameter.starts_with("public var")
            })
            .map(ToOwned::to_owned)
            .collect()
    }
}

/// Whether it is a word that stands before a declaration's keyword.
pub(super) fn is_modifier(word: &str) -> bool {
    MODIFIERS.contains(&word)
}

fn word(words: &[String], at: usize) -> &str {
    words.get(at).map_or("", String::as_str)
}

/// `text` up to the first of `ends` that stands outside of brackets.
fn cut<'a>(text: &'a str, ends: &[&str]) -> &'a str {
    let mut depth = 0_i32;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ' ' if depth == 0 && ends.iter().any(|end| text[at..].starts_with(end)) => {
                return &text[..at];
            }
            _ => {}
        }
    }
    text
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0_i32, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

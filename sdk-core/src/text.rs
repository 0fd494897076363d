//! Text for people, in the languages that the product speaks.

use serde::Serialize;
use serde_json::Value;

use crate::json::{self, FromJson};

/// One text in both languages, as on the wire: `{"zh":…,"en":…}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LocalizedText {
    /// Simplified Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl FromJson for LocalizedText {
    /// A language that is missing is empty.
    fn from_json(tree: &mut Value) -> Option<Self> {
        tree.as_object()?;
        Some(Self {
            zh: json::or_default(tree, "zh")?,
            en: json::or_default(tree, "en")?,
        })
    }
}

impl LocalizedText {
    /// Both languages at once.
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            zh: zh.into(),
            en: en.into(),
        }
    }

    /// The text for a language tag: Chinese for `zh…`, English for every other.
    pub fn for_language(&self, tag: &str) -> &str {
        if tag
            .get(..2)
            .is_some_and(|two| two.eq_ignore_ascii_case("zh"))
        {
            &self.zh
        } else {
            &self.en
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_tag_chooses_the_text() {
        let text = LocalizedText::new("微信", "WeChat");
        for tag in ["zh", "zh-Hans-CN", "ZH-cn"] {
            assert_eq!(text.for_language(tag), "微信");
        }
        for tag in ["en", "fr", "", "中"] {
            assert_eq!(text.for_language(tag), "WeChat");
        }
    }
}

//! Reads JSON by way of a tree, member by member.
//!
//! Written by hand for each type: a generated reader takes kilobytes for each type and source, and a library that ships inside an app has no room for
//! that (benches/README.md). Members that a type does not know are passed over, those of another type are refused; of members that stand twice the last
//! counts. What is signed is read strictly instead (`sealing/key_list.rs`).

use serde_json::Value;

use crate::secret::SecretString;

/// A type that is read from JSON.
pub(crate) trait FromJson: Sized {
    /// The value; nothing where the tree is not of its form. What is secret is moved out, so that no copy stays behind.
    fn from_json(tree: &mut Value) -> Option<Self>;
}

/// The tree; nothing where it is no JSON, or is nested deeper than `serde_json` allows.
pub(crate) fn tree(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// A value of the type.
pub(crate) fn read<T: FromJson>(bytes: &[u8]) -> Option<T> {
    T::from_json(&mut tree(bytes)?)
}

/// The member, of the type.
pub(crate) fn member<T: FromJson>(tree: &mut Value, name: &str) -> Option<T> {
    T::from_json(tree.get_mut(name)?)
}

/// The member where it is there and not `null`: nothing in the inner option where it is not.
#[expect(clippy::option_option, reason = "of the wrong form; not there; there")]
pub(crate) fn optional<T: FromJson>(tree: &mut Value, name: &str) -> Option<Option<T>> {
    match tree.get_mut(name) {
        None | Some(Value::Null) => Some(None),
        Some(member) => T::from_json(member).map(Some),
    }
}

/// The member; the type's default where there is none.
pub(crate) fn or_default<T: FromJson + Default>(tree: &mut Value, name: &str) -> Option<T> {
    match tree.get_mut(name) {
        None => Some(T::default()),
        Some(member) => T::from_json(member),
    }
}

/// The one member of an object, with its name: how a variant with content is written.
pub(crate) fn variant(tree: &mut Value) -> Option<(&str, &mut Value)> {
    let object = tree.as_object_mut().filter(|object| object.len() == 1)?;
    let (name, content) = object.iter_mut().next()?;
    Some((name.as_str(), content))
}

/// The member where it is text.
pub(crate) fn text(tree: &Value, name: &str) -> Option<String> {
    tree.get(name)?.as_str().map(str::to_owned)
}

/// The member where it is a whole number of that size.
pub(crate) fn number<T: TryFrom<u64>>(tree: &Value, name: &str) -> Option<T> {
    tree.get(name)?.as_u64()?.try_into().ok()
}

impl FromJson for String {
    fn from_json(tree: &mut Value) -> Option<Self> {
        tree.as_str().map(str::to_owned)
    }
}

impl FromJson for SecretString {
    fn from_json(tree: &mut Value) -> Option<Self> {
        match tree.take() {
            Value::String(text) => Some(Self::new(text)),
            _ => None,
        }
    }
}

impl FromJson for u64 {
    fn from_json(tree: &mut Value) -> Option<Self> {
        tree.as_u64()
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(tree: &mut Value) -> Option<Self> {
        tree.as_array_mut()?.iter_mut().map(T::from_json).collect()
    }
}

/// Reads an enum of words, as serde writes it; a test compares both.
macro_rules! words {
    ($type:ident { $($word:literal => $variant:ident),+ $(,)? }) => {
        impl $crate::json::FromJson for $type {
            fn from_json(tree: &mut serde_json::Value) -> Option<Self> {
                Some(match tree.as_str()? {
                    $($word => Self::$variant,)+
                    _ => return None,
                })
            }
        }

        #[cfg(test)]
        mod words_are_read_as_they_are_written {
            use super::*;

            #[test]
            fn each() {
                for value in [$($type::$variant),+] {
                    let mut written = serde_json::to_value(value).expect("an enum of words");
                    assert_eq!(
                        <$type as $crate::json::FromJson>::from_json(&mut written),
                        Some(value)
                    );
                }
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_member_of_another_type_is_refused_and_a_missing_one_is_told_from_it() {
        let mut tree =
            json!({"text": "a", "null": null, "number": 7, "large": 300, "list": ["a", 1]});
        assert_eq!(member::<String>(&mut tree, "text").as_deref(), Some("a"));
        assert_eq!(member::<String>(&mut tree, "number"), None);
        assert_eq!(optional::<String>(&mut tree, "null"), Some(None));
        assert_eq!(optional::<String>(&mut tree, "missing"), Some(None));
        assert_eq!(optional::<String>(&mut tree, "number"), None);
        assert_eq!(or_default::<u64>(&mut tree, "missing"), Some(0));
        assert_eq!(or_default::<u64>(&mut tree, "null"), None);
        assert_eq!(number::<u8>(&tree, "large"), None);
        assert_eq!(member::<Vec<String>>(&mut tree, "list"), None);
    }

    #[test]
    fn a_secret_is_moved_out_of_the_tree() {
        let mut tree = json!({"token": "rt_1"});
        let token: SecretString = member(&mut tree, "token").unwrap();
        assert_eq!(token.expose(), "rt_1");
        assert_eq!(tree, json!({"token": null}));
    }

    #[test]
    fn only_an_object_of_one_member_is_a_variant() {
        assert_eq!(variant(&mut json!({"a": 1})).unwrap().0, "a");
        for wrong in [json!({}), json!({"a": 1, "b": 2}), json!("a"), json!([1])] {
            assert!(variant(&mut wrong.clone()).is_none());
        }
    }
}

//! Reads settings from TOML and the environment, and collects every fault with its key path, so that somebody can mend them all at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::secret::SecretText;

/// What is wrong with one setting, and what to write instead. Never holds a secret's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key's path: `server.listen`.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    {}", self.key, self.wrong, self.instead)
    }
}

/// Collects faults, and the names of all keys that are read (for the test of the documented example).
#[derive(Debug, Default)]
pub struct Report {
    faults: RefCell<Vec<Fault>>,
    keys: RefCell<BTreeSet<String>>,
}

impl Report {
    /// Adds a fault.
    pub fn fault(&self, key: &str, wrong: impl Into<String>, instead: impl Into<String>) {
        self.faults.borrow_mut().push(Fault {
            key: key.to_owned(),
            wrong: wrong.into(),
            instead: instead.into(),
        });
    }

    /// All faults, in the order they were met.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.borrow().clone()
    }

    /// Every key that was asked for.
    pub fn keys(&self) -> BTreeSet<String> {
        self.keys.borrow().clone()
    }
}

/// Lays `POSTERN_SECTION__KEY=value` over a table. Names without a double underscore are not ours, but for `POSTERN_MODE`.
pub(super) fn overlay(table: &mut Table, environment: &BTreeMap<String, String>, report: &Report) {
    for (name, value) in environment {
        let Some(path) = name.strip_prefix("POSTERN_") else {
            continue;
        };
        if !path.contains("__") && path != "MODE" {
            continue;
        }
        let segments: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        if put(table, &segments, value).is_none() {
            report.fault(
                &segments.join("."),
                format!("the environment variable {name} does not name a setting"),
                "Use POSTERN_SECTION__KEY, for example POSTERN_SERVER__LISTEN.",
            );
        }
    }
}

fn put(table: &mut Table, segments: &[String], value: &str) -> Option<()> {
    let (last, sections) = segments.split_last()?;
    let mut place = table;
    for section in sections {
        // App ids have hyphens, and names of environment variables cannot.
        let name = place
            .keys()
            .find(|key| key.replace('-', "_") == *section)
            .unwrap_or(section)
            .clone();
        place = place
            .entry(name)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()?;
    }
    if last.is_empty() || place.get(last).is_some_and(Value::is_table) {
        return None;
    }
    place.insert(last.clone(), Value::String(value.to_owned()));
    Some(())
}

/// One section being read: each key is taken once, and what is left at the end is unknown.
pub(super) struct Section<'a> {
    path: String,
    table: Table,
    known: BTreeSet<String>,
    report: &'a Report,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(table: Table, report: &'a Report) -> Self {
        Self {
            path: String::new(),
            table,
            known: BTreeSet::new(),
            report,
        }
    }

    /// The path of a key in this section.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Adds a fault about a key of this section.
    pub(super) fn fault(&self, key: &str, wrong: impl Into<String>, instead: impl Into<String>) {
        self.report.fault(&self.path(key), wrong, instead);
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.known.insert(key.to_owned());
        self.report.keys.borrow_mut().insert(self.path(key));
        self.table.remove(key)
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A section in this one; empty where it is missing.
    pub(super) fn section(&mut self, key: &str) -> Section<'a> {
        self.known.insert(key.to_owned());
        let table = match self.table.remove(key) {
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.fault(
                    key,
                    "is a value, but a section is needed",
                    format!("Write [{}] and its keys below.", self.path(key)),
                );
                Table::new()
            }
            None => Table::new(),
        };
        Section {
            path: self.path(key),
            table,
            known: BTreeSet::new(),
            report: self.report,
        }
    }

    /// The sections in this one, whatever their names; values that are no section are faults.
    pub(super) fn sections(mut self) -> Vec<(String, Section<'a>)> {
        let names: Vec<String> = self.table.keys().cloned().collect();
        names
            .into_iter()
            .map(|name| (name.clone(), self.section(&name)))
            .collect()
    }

    /// The names of what is in this section, not yet taken.
    pub(super) fn names(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            _ => {
                self.fault(
                    key,
                    "is not a text, or empty",
                    format!("Write {key} = \"…\"."),
                );
                None
            }
        }
    }

    /// A text that must be there; `example` says what to write.
    pub(super) fn needed(&mut self, key: &str, example: &str) -> Option<String> {
        if self.has(key) {
            return self.text(key);
        }
        self.take(key);
        self.fault(key, "is missing", format!("Write {key} = \"{example}\"."));
        None
    }

    /// A text that reads as `T`.
    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        example: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(key)?;
        let value = parse(&text);
        if value.is_none() {
            self.fault(
                key,
                format!("\"{text}\" is not of the form"),
                format!("Write for example {key} = \"{example}\"."),
            );
        }
        value
    }

    /// A whole number within a range, or the default.
    pub(super) fn number(
        &mut self,
        key: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> u64 {
        let value = match self.take(key) {
            None => return default,
            Some(Value::Integer(number)) => u64::try_from(number).ok(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        if let Some(number) = value.filter(|number| range.contains(number)) {
            return number;
        }
        self.fault(
            key,
            format!(
                "is not a whole number from {} to {}",
                range.start(),
                range.end()
            ),
            format!("Write for example {key} = {default}, or leave it out."),
        );
        default
    }

    /// A list of texts (in the environment: separated by commas); empty where it is missing.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let items: Option<Vec<String>> = match self.take(key) {
            None => return Vec::new(),
            Some(Value::String(text)) => Some(
                text.split(',')
                    .map(|item| item.trim().to_owned())
                    .filter(|item| !item.is_empty())
                    .collect(),
            ),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect(),
            Some(_) => None,
        };
        items.unwrap_or_else(|| {
            self.fault(
                key,
                "is not a list of texts",
                format!("Write for example {key} = [\"one\", \"two\"]."),
            );
            Vec::new()
        })
    }

    /// A secret: `key`, or the content of the file that `key_file` names.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretText> {
        let file_key = format!("{key}_file");
        if self.has(key) && self.has(&file_key) {
            self.take(key);
            self.take(&file_key);
            self.fault(
                key,
                format!("is given twice, here and by {file_key}"),
                format!("Keep {file_key} only."),
            );
            return None;
        }
        if let Some(path) = self.text(&file_key) {
            return self.file(&file_key, &PathBuf::from(path));
        }
        self.text(key).map(SecretText::new)
    }

    /// A secret that must be there.
    pub(super) fn needed_secret(&mut self, key: &str) -> Option<SecretText> {
        let given = self.has(key) || self.has(&format!("{key}_file"));
        let secret = self.secret(key);
        if !given {
            self.fault(
                key,
                "is missing",
                format!(
                    "Write {key}_file = \"/path/of/a/file\" with the secret in it (mode 0600)."
                ),
            );
        }
        secret
    }

    /// The content of a file, without the line's end.
    pub(super) fn file(&self, key: &str, path: &Path) -> Option<SecretText> {
        match std::fs::read_to_string(path).map(zeroize::Zeroizing::new) {
            Ok(text) if !text.trim().is_empty() => Some(SecretText::new(text.trim().to_owned())),
            Ok(_) => {
                self.fault(
                    key,
                    format!("the file {} is empty", path.display()),
                    "Put the secret into it.",
                );
                None
            }
            Err(error) => {
                self.fault(
                    key,
                    format!("the file {} cannot be read: {error}", path.display()),
                    "Name a file that this user may read.",
                );
                None
            }
        }
    }

    /// Whatever was not taken is unknown.
    pub(super) fn end(self) {
        for key in self.table.keys() {
            let near = self
                .known
                .iter()
                .map(|known| (distance(key, known), known))
                .min()
                .filter(|(distance, _)| *distance <= 3);
            let instead = match near {
                Some((_, known)) => format!("Did you mean {known}? Otherwise delete it."),
                None => format!(
                    "Delete it. Known here: {}.",
                    self.known.iter().cloned().collect::<Vec<_>>().join(", ")
                ),
            };
            self.fault(key, "is not a setting", instead);
        }
    }
}

/// How many letters differ (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_environment_lies_over_the_file_and_reaches_hyphenated_app_ids() {
        let report = Report::default();
        let mut table: Table = "[server]\nlisten = \"a\"\n[apps.bank-ios.wechat]\nsecret = \"b\""
            .parse()
            .unwrap();
        let environment = BTreeMap::from(
            [
                ("POSTERN_SERVER__LISTEN", "c"),
                ("POSTERN_APPS__BANK_IOS__WECHAT__SECRET", "d"),
                ("POSTERN_TEST_ENV", "/x"),
                ("HOME", "/y"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        overlay(&mut table, &environment, &report);
        assert_eq!(table["server"]["listen"].as_str(), Some("c"));
        assert_eq!(
            table["apps"]["bank-ios"]["wechat"]["secret"].as_str(),
            Some("d")
        );
        assert_eq!((table.len(), report.faults().len()), (2, 0));
    }

    #[test]
    fn an_unknown_key_is_a_fault_that_names_the_nearest_known_one() {
        let report = Report::default();
        let mut section = Section::root("listn = \"a\"".parse().unwrap(), &report);
        assert_eq!(section.text("listen"), None);
        section.end();
        let faults = report.faults();
        assert_eq!(
            (faults[0].key.as_str(), faults[0].instead.as_str()),
            ("listn", "Did you mean listen? Otherwise delete it.")
        );
    }

    #[test]
    fn a_secret_comes_from_a_file_and_not_from_two_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hidden\n").unwrap();
        let report = Report::default();
        let mut section = Section::root(
            format!(
                "a_file = {:?}\nb = \"x\"\nb_file = \"y\"\nc_file = \"/nowhere\"",
                path.to_str().unwrap()
            )
            .parse()
            .unwrap(),
            &report,
        );
        assert_eq!(section.secret("a").unwrap().expose(), "hidden");
        assert!(section.secret("b").is_none());
        assert!(section.secret("c").is_none());
        assert!(section.needed_secret("d").is_none());
        let keys: Vec<_> = report.faults().into_iter().map(|fault| fault.key).collect();
        assert_eq!(keys, ["b", "c_file", "d"]);
    }
}

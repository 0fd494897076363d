//! The public API of the Kotlin and Swift packages as text: `bindings/api/kotlin.txt` and `swift.txt`.
//!
//! Each line is one declaration with the type it stands in, sorted, so that moving code about changes nothing and every change of the API is a change of
//! a line. Both the facade and the generated code under it are listed: a change of the latter is seen before it breaks the former. It is a reader of the
//! two languages' outermost structure (brackets, strings, comments), not of their expressions.

mod declaration;
mod reader;
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::{Result, repo};
use reader::Reader;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Accept the API as it is: write the files anew.
    #[arg(long)]
    write: bool,
}

/// `cargo xtask api`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.write {
        write(&repo::root())?;
    } else {
        check(&repo::root())?;
    }
    Ok(ExitCode::SUCCESS)
}

const FOLDER: &str = "bindings/api";

/// Compares what is in the sources with what is committed.
///
/// # Errors
/// Names the lines that came or went, and how to accept them.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut differences = Vec::new();
    for language in Language::ALL {
        let file = root.join(FOLDER).join(language.file());
        let committed =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let (old, new) = (lines_of(&committed), language.declarations(root)?);
        for gone in old.difference(&new) {
            differences.push(format!("{} - {gone}", language.file()));
        }
        for came in new.difference(&old) {
            differences.push(format!("{} + {came}", language.file()));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    let differences = differences.join("\n");
    Err(format!(
        "the public API changed; if it should, run `cargo xtask api --write` and say so in CHANGELOG.md\n{differences}"
    )
    .into())
}

/// Writes both files anew.
pub(crate) fn write(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join(FOLDER))?;
    for language in Language::ALL {
        let mut text = format!("{HEADING}\n");
        for line in language.declarations(root)? {
            text.push_str(&line);
            text.push('\n');
        }
        fs::write(root.join(FOLDER).join(language.file()), text)?;
    }
    Ok(())
}

const HEADING: &str = "# Written by `cargo xtask api --write`, see README.md.";

fn lines_of(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(ToOwned::to_owned)
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Kotlin,
    Swift,
}

/// Whose declarations a file has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// By hand: what is said to be public counts.
    Facade,
    /// By uniffi: records, enums, and the interfaces of objects count; the machinery does not.
    Generated,
}

impl Language {
    const ALL: [Self; 2] = [Self::Kotlin, Self::Swift];

    fn file(self) -> &'static str {
        match self {
            Self::Kotlin => "kotlin.txt",
            Self::Swift => "swift.txt",
        }
    }

    fn declarations(self, root: &Path) -> Result<BTreeSet<String>> {
        let (facade, generated, extension) = match self {
            Self::Kotlin => (
                "bindings/kotlin/src/main/kotlin",
                "bindings/kotlin/target/generated-sources/uniffi",
                "kt",
            ),
            Self::Swift => (
                "bindings/swift/Sources/Postern",
                "bindings/swift/Sources/PosternFFI",
                "swift",
            ),
        };
        let mut found = BTreeSet::new();
        for (folder, origin) in [(facade, Origin::Facade), (generated, Origin::Generated)] {
            let files = files_below(&root.join(folder), extension)?;
            if files.is_empty() {
                return Err(format!(
                    "{folder} has no .{extension} file: run `cargo xtask bindings` first"
                )
                .into());
            }
            for file in files {
                Reader::new(self, origin).read(&fs::read_to_string(&file)?, &mut found);
            }
        }
        Ok(found)
    }
}

fn files_below(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

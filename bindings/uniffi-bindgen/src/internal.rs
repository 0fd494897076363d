//! Makes the generated Kotlin internal to its module.
//!
//! uniffi declares everything public. Then every app would see handles and converters, could destroy an object that the facade still uses, and the
//! compiler's explicit API mode would reject the file.

use std::fs;
use std::io;
use std::path::Path;

/// What may begin a top-level declaration, when no visibility is said.
const DECLARATIONS: [&str; 14] = [
    "abstract ",
    "class ",
    "const ",
    "data ",
    "enum ",
    "fun ",
    "inline ",
    "interface ",
    "object ",
    "open ",
    "sealed ",
    "typealias ",
    "val ",
    "suspend ",
];

/// Rewrites every `.kt` file below `folder`.
pub(crate) fn in_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            in_folder(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "kt") {
            fs::write(&path, made_internal(&fs::read_to_string(&path)?))?;
        }
    }
    Ok(())
}

/// The same source with all that is declared at the top level internal. The generator indents whatever is nested, so column one decides.
fn made_internal(source: &str) -> String {
    let mut result = String::with_capacity(source.len() + 1024);
    for line in source.split_inclusive('\n') {
        let plain = line.strip_prefix("public ").unwrap_or(line);
        if DECLARATIONS.iter().any(|word| plain.starts_with(word)) {
            result.push_str("internal ");
            result.push_str(plain);
        } else {
            result.push_str(line);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_level_declarations_become_internal_and_nested_ones_stay() {
        let source = "package a\n\npublic interface Login {\n    fun start()\n}\nsealed class State {\n    public object X\n}\ninline fun f() = 1\nprivate val a = 1\ninternal object B\n// class c\n";
        assert_eq!(
            made_internal(source),
            "package a\n\ninternal interface Login {\n    fun start()\n}\ninternal sealed class State {\n    public object X\n}\ninternal inline fun f() = 1\nprivate val a = 1\ninternal object B\n// class c\n"
        );
    }

    #[test]
    fn doing_it_twice_changes_nothing() {
        let once = made_internal("open class A\npublic object B {\n}\n");
        assert_eq!(made_internal(&once), once);
    }
}

//! Makes the generated Kotlin internal to its module, takes what can wait out of the start (checksums, callback interfaces), and drops the native functions
//! that it then never calls.
//!
//! uniffi declares everything public. Then every app would see handles and converters, could destroy an object that the facade still uses, and the
//! compiler's explicit API mode would reject the file. Each native function costs its share of the first call, for JNA binds them all by reflection; more
//! than a hundred of them only say a checksum. Library and code come in one artifact, so a test compares those, once, and not every start of every app.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;

/// What a declaration begins with, when no visibility is said.
const DECLARATIONS: [&str; 15] = [
    "abstract",
    "class",
    "const",
    "data",
    "enum",
    "fun",
    "inline",
    "interface",
    "object",
    "open",
    "sealed",
    "suspend",
    "typealias",
    "val",
    "var",
];

/// Rewrites every `.kt` file below `folder`. Returns the checksums that were in them, each as a line `function=value`.
pub(crate) fn in_folder(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut checksums = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            checksums.push_str(&in_folder(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "kt") {
            let source = fs::read_to_string(&path)?;
            let (unchecked, found) = without_checksums(&source);
            checksums.push_str(&found);
            let made = made_internal(&without_unused_natives(&registering_late(&unchecked)))
                .ok_or_else(|| format!("{}: brackets do not match", path.display()))?;
            fs::write(&path, made)?;
        }
    }
    Ok(checksums)
}

/// The same source, with each callback interface registered when the first object of its kind goes to Rust, and not all of them at the start: an app
/// uses some, and JNA makes a structure and a native function for every method of each.
fn registering_late(source: &str) -> String {
    const REGISTER: &str = ".register(this)";
    const INTERFACE: &str = "uniffiCallbackInterface";
    let interface_of = |line: &str| -> Option<String> {
        let name = line
            .trim()
            .strip_prefix(INTERFACE)?
            .strip_suffix(REGISTER)?;
        Some(name.to_owned())
    };
    let interfaces: Vec<String> = source.lines().filter_map(interface_of).collect();
    let mut result = String::with_capacity(source.len() + 1024);
    for line in source.split_inclusive('\n') {
        if interface_of(line).is_some() {
            continue;
        }
        let late = line
            .trim()
            .strip_prefix("internal val handleMap = UniffiHandleMap<")
            .and_then(|rest| rest.strip_suffix(">()"))
            .filter(|name| interfaces.iter().any(|interface| interface == name));
        match late {
            Some(name) => {
                result.push_str(line.trim_end());
                for part in [".also { ", INTERFACE, name, ".register(UniffiLib) }\n"] {
                    result.push_str(part);
                }
            }
            None => result.push_str(line),
        }
    }
    result
}

/// The same source without the function that compares checksums, and its call; and what it would have compared.
fn without_checksums(source: &str) -> (String, String) {
    const FUNCTION: &str = "uniffiCheckApiChecksums(";
    let (mut result, mut checksums) = (String::with_capacity(source.len()), String::new());
    let mut inside = false;
    for line in source.split_inclusive('\n') {
        let declares = line.contains(&format!("fun {FUNCTION}"));
        inside |= declares;
        if inside {
            checksums.extend(checksum(line));
            inside = line.trim_end() != "}";
        } else if !line.contains(FUNCTION) {
            result.push_str(line);
        }
    }
    (result, checksums)
}

/// Of `if ((lib.uniffi_…() and 0xFFFF) != 4711) {` the function and the number.
fn checksum(line: &str) -> Option<String> {
    let (function, rest) = line
        .trim_start()
        .strip_prefix("if ((lib.")?
        .split_once('(')?;
    let (_, rest) = rest.split_once("!= ")?;
    let (value, _) = rest.split_once(')')?;
    Some(format!("{function}={value}\n"))
}

/// The same source without the `external fun`s whose name stands nowhere else: futures of types that no function returns.
fn without_unused_natives(source: &str) -> String {
    const NATIVE: &str = "external fun ";
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for word in source.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
        *uses.entry(word).or_default() += 1;
    }
    let mut result = String::with_capacity(source.len());
    let mut dropping = false;
    for line in source.split_inclusive('\n') {
        if let Some(declared) = line.trim_start().strip_prefix(NATIVE) {
            let name = declared.split('(').next().unwrap_or_default();
            dropping = uses.get(name) == Some(&1);
        }
        if !dropping {
            result.push_str(line);
        }
        // The declaration ends with its result's type: `): Unit`.
        dropping = dropping && !line.trim_start().starts_with("):");
    }
    result
}

/// The same source with all that is declared at the top level internal; nothing where its brackets could not be followed.
fn made_internal(source: &str) -> Option<String> {
    let mut result = String::with_capacity(source.len() + 4096);
    let mut place = Place::default();
    for line in source.split_inclusive('\n') {
        if place.is_top_level() {
            result.push_str(&declared_internal(line));
        } else {
            result.push_str(line);
        }
        place.pass(line);
    }
    place.is_top_level().then_some(result)
}

/// A line of the top level, with `internal` before what it declares.
fn declared_internal(line: &str) -> String {
    let text = line.trim_start();
    let mut declaration = text;
    while declaration.starts_with('@') {
        // An annotation in the same line: `@Throws(StepException::class) fun`.
        let Some(end) = declaration.find([')', ' ']) else {
            return line.to_owned();
        };
        declaration = declaration[end + 1..].trim_start();
    }
    let before = &line[..line.len() - declaration.len()];
    let bare = declaration.strip_prefix("public ").unwrap_or(declaration);
    let word = bare
        .split(|letter: char| !letter.is_ascii_alphabetic())
        .next();
    if word.is_some_and(|word| DECLARATIONS.contains(&word)) {
        format!("{before}internal {bare}")
    } else {
        line.to_owned()
    }
}

/// How deep in brackets the text is, comments and strings left out.
#[derive(Default)]
struct Place {
    depth: usize,
    in_comment: bool,
}

impl Place {
    fn is_top_level(&self) -> bool {
        self.depth == 0 && !self.in_comment
    }

    fn pass(&mut self, line: &str) {
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            if self.in_comment {
                if letter == '*' && letters.next_if_eq(&'/').is_some() {
                    self.in_comment = false;
                }
                continue;
            }
            match letter {
                '/' if letters.peek() == Some(&'/') => return,
                '/' if letters.next_if_eq(&'*').is_some() => self.in_comment = true,
                '"' | '\'' | '`' => {
                    while let Some(inside) = letters.next() {
                        match inside {
                            '\\' => drop(letters.next()),
                            end if end == letter => break,
                            _ => {}
                        }
                    }
                }
                '(' | '{' | '[' => self.depth += 1,
                ')' | '}' | ']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn made(source: &str) -> String {
        made_internal(source).unwrap()
    }

    #[test]
    fn top_level_declarations_become_internal_and_nested_ones_stay() {
        assert_eq!(
            made(
                "package a\n\npublic interface Login {\nfun start()\n}\nsealed class State {\n    public object X\n}\n"
            ),
            "package a\n\ninternal interface Login {\nfun start()\n}\ninternal sealed class State {\n    public object X\n}\n"
        );
        assert_eq!(
            made(
                "private val a = 1\ninternal object B\n// class c\n/* a\nclass d { */\nopen class E(\nval f: Int,\n)\n"
            ),
            "private val a = 1\ninternal object B\n// class c\n/* a\nclass d { */\ninternal open class E(\nval f: Int,\n)\n"
        );
    }

    #[test]
    fn functions_are_found_behind_their_annotations_and_however_far_they_are_indented() {
        assert_eq!(
            made(
                "    @Throws(A::class) fun `go`(): Long {\n}\n@Suppress(\"X\")\nsuspend fun b() = \"}\"\n"
            ),
            "    @Throws(A::class) internal fun `go`(): Long {\n}\n@Suppress(\"X\")\ninternal suspend fun b() = \"}\"\n"
        );
    }

    #[test]
    fn doing_it_twice_changes_nothing() {
        let once = made("open class A\npublic object B {\n}\n");
        assert_eq!(made(&once), once);
    }

    #[test]
    fn a_native_function_that_is_never_called_is_dropped() {
        let source = "object Lib {\n    external fun poll_u8(`handle`: Long,\n    ): Unit\n    external fun poll_u16(`handle`: Long,\n    ): Unit\n    external fun last(\n    ): Short\n}\nval a = Lib.poll_u16(1) + Lib.last()\n";
        assert_eq!(
            without_unused_natives(source),
            "object Lib {\n    external fun poll_u16(`handle`: Long,\n    ): Unit\n    external fun last(\n    ): Short\n}\nval a = Lib.poll_u16(1) + Lib.last()\n"
        );
    }

    #[test]
    fn a_callback_interface_is_registered_with_the_first_object_that_goes_to_rust() {
        let source = "object UniffiLib {\n    init {\n        Native.register(UniffiLib::class.java)\n        uniffiCallbackInterfaceVault.register(this)\n        \n    }\n}\nobject FfiConverterTypeVault {\n    internal val handleMap = UniffiHandleMap<Vault>()\n}\nobject FfiConverterTypeOther {\n    internal val handleMap = UniffiHandleMap<Other>()\n}\n";
        let late = "object UniffiLib {\n    init {\n        Native.register(UniffiLib::class.java)\n        \n    }\n}\nobject FfiConverterTypeVault {\n    internal val handleMap = UniffiHandleMap<Vault>().also { uniffiCallbackInterfaceVault.register(UniffiLib) }\n}\nobject FfiConverterTypeOther {\n    internal val handleMap = UniffiHandleMap<Other>()\n}\n";
        assert_eq!(registering_late(source), late);
        assert_eq!(registering_late(late), late);
    }

    #[test]
    fn checksums_leave_the_start_and_are_kept_for_the_test() {
        let source = "object Check {\n    init {\n        register(this)\n        uniffiCheckApiChecksums(this)\n    }\n}\n@Suppress(\"UNUSED_PARAMETER\")\nprivate fun uniffiCheckApiChecksums(lib: Check) {\n    if ((lib.sum_a() and 0xFFFF) != 4711) {\n        throw RuntimeException(\"mismatch\")\n    }\n    if ((lib.sum_b() and 0xFFFF) != 8) {\n        throw RuntimeException(\"mismatch\")\n    }\n}\nval after = 1\n";
        let (left, checksums) = without_checksums(source);
        assert_eq!(checksums, "sum_a=4711\nsum_b=8\n");
        assert_eq!(
            left,
            "object Check {\n    init {\n        register(this)\n    }\n}\n@Suppress(\"UNUSED_PARAMETER\")\nval after = 1\n"
        );
    }

    #[test]
    fn a_file_whose_brackets_do_not_match_is_refused() {
        assert_eq!(made_internal("class A {\n"), None);
    }
}

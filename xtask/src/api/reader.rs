//! Reads a file's outermost structure and lists what is API in it.

use std::collections::BTreeSet;

use super::declaration::{Declaration, is_modifier};
use super::text::bare;
use super::{Language, Origin};

/// What the reader stands in.
enum Scope {
    /// A type, by its path; whether its members are listed, and whether they need no word that says they are public.
    Type {
        name: String,
        listed: bool,
        open: bool,
        entries: bool,
    },
    /// A body of code: nothing in it is API.
    Code,
}

pub(super) struct Reader {
    language: Language,
    origin: Origin,
    scopes: Vec<Scope>,
}

impl Reader {
    pub(super) fn new(language: Language, origin: Origin) -> Self {
        Self {
            language,
            origin,
            scopes: Vec::new(),
        }
    }

    pub(super) fn read(&mut self, source: &str, found: &mut BTreeSet<String>) {
        let text = bare(source);
        let mut head = String::new();
        // Round and square brackets, which may span lines; a curly one inside them (a default closure) is counted with them.
        let mut depth = 0_usize;
        for (at, letter) in text.char_indices() {
            match letter {
                '(' | '[' => depth += 1,
                ')' | ']' => depth = depth.saturating_sub(1),
                '{' if depth > 0 => depth += 1,
                '}' if depth > 0 => depth -= 1,
                '{' => {
                    let scope = self.open(&head, found);
                    self.scopes.push(scope);
                    head.clear();
                    continue;
                }
                '}' => {
                    self.statement(&head, found);
                    head.clear();
                    self.scopes.pop();
                    continue;
                }
                ';' if depth == 0 => {
                    self.statement(&head, found);
                    head.clear();
                    continue;
                }
                '\n' if depth == 0 && !goes_on(&head, &text[at + 1..]) => {
                    self.statement(&head, found);
                    head.clear();
                    continue;
                }
                _ => {}
            }
            head.push(letter);
        }
    }

    /// The scope that `head` opens; lists what it declares.
    fn open(&self, head: &str, found: &mut BTreeSet<String>) -> Scope {
        if matches!(self.scopes.last(), Some(Scope::Code)) {
            return Scope::Code;
        }
        let declaration = Declaration::of(head, self.language);
        if !declaration.is_type() {
            self.statement(head, found);
            return Scope::Code;
        }
        let listed = self.is_listed(&declaration);
        if listed && declaration.keyword != "extension" {
            found.insert(self.line(&declaration.header(self.language)));
            for property in declaration.constructor_properties() {
                found.insert(format!("{}: {property}", self.inside(&declaration.name)));
            }
        }
        let name = self.inside(&declaration.name);
        let open = matches!(declaration.keyword.as_str(), "interface" | "protocol")
            && (self.origin == Origin::Generated || self.language == Language::Swift)
            || self.origin == Origin::Generated && declaration.has("sealed");
        Scope::Type {
            name,
            listed,
            open,
            entries: declaration.has("enum") || declaration.keyword == "enum",
        }
    }

    fn statement(&self, head: &str, found: &mut BTreeSet<String>) {
        let (listed, open, entries) = match self.scopes.last() {
            None => (true, false, false),
            Some(Scope::Code) => return,
            Some(Scope::Type {
                listed,
                open,
                entries,
                ..
            }) => (*listed, *open, *entries),
        };
        let declaration = Declaration::of(head, self.language);
        if !listed || declaration.text.is_empty() {
            return;
        }
        let entry = entries
            && match self.language {
                Language::Kotlin => {
                    declaration.words.len()
                        == declaration
                            .text
                            .split([',', ' '])
                            .filter(|word| !word.is_empty())
                            .count()
                        && declaration.text.chars().all(|letter| {
                            letter.is_ascii_uppercase()
                                || letter.is_ascii_digit()
                                || "_, ".contains(letter)
                        })
                }
                Language::Swift => declaration.keyword == "case" || declaration.has("indirect"),
            };
        if entry && self.language == Language::Kotlin {
            for entry in declaration
                .text
                .split(',')
                .map(str::trim)
                .filter(|entry| !entry.is_empty())
            {
                found.insert(self.line(entry));
            }
        } else if entry {
            found.insert(self.line(&declaration.text));
        } else if self.origin == Origin::Generated && declaration.has("override") {
            // The interface has it.
        } else if (open || self.is_public(&declaration))
            && declaration.is_member()
            && !declaration.is_hidden()
        {
            found.insert(self.line(&declaration.signature()));
        }
    }

    fn is_listed(&self, declaration: &Declaration) -> bool {
        let inside = match self.scopes.last() {
            None => true,
            Some(Scope::Code) => false,
            Some(Scope::Type { listed, .. }) => *listed,
        };
        inside
            && match (self.origin, self.language) {
                (Origin::Facade, Language::Swift) if declaration.keyword == "extension" => true,
                (Origin::Facade, _) => self.is_public(declaration),
                (Origin::Generated, _) if is_machinery(&declaration.name) => false,
                (Origin::Generated, Language::Kotlin) if self.scopes.is_empty() => {
                    declaration.keyword == "interface"
                        || ["data", "enum", "sealed"]
                            .iter()
                            .any(|word| declaration.has(word))
                }
                (Origin::Generated, Language::Kotlin) => {
                    !declaration.has("companion") && declaration.keyword != "interface"
                }
                (Origin::Generated, Language::Swift) => {
                    declaration.has("public")
                        && matches!(declaration.keyword.as_str(), "protocol" | "struct" | "enum")
                }
            }
    }

    fn is_public(&self, declaration: &Declaration) -> bool {
        match (self.origin, self.language) {
            (Origin::Generated, Language::Kotlin) => {
                self.scopes.is_empty()
                    && declaration.keyword == "fun"
                    && declaration.has("internal")
                    && !is_machinery(&declaration.name)
            }
            (Origin::Generated, Language::Swift) => {
                declaration.has("public") && !is_machinery(&declaration.name)
            }
            (Origin::Facade, Language::Kotlin) => {
                let hidden = ["internal", "private", "protected"]
                    .iter()
                    .any(|word| declaration.has(word));
                !hidden && (declaration.has("public") || declaration.has("override"))
            }
            (Origin::Facade, Language::Swift) => {
                declaration.has("public") || declaration.has("open")
            }
        }
    }

    fn path(&self) -> &str {
        match self.scopes.last() {
            Some(Scope::Type { name, .. }) => name,
            _ => "",
        }
    }

    /// The path of a type that stands here.
    fn inside(&self, name: &str) -> String {
        match self.path() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    fn line(&self, what: &str) -> String {
        let origin = match self.origin {
            Origin::Facade => "",
            Origin::Generated => "ffi ",
        };
        match self.path() {
            "" => format!("{origin}{what}"),
            path => format!("{origin}{path}: {what}"),
        }
    }
}

/// What only the generated code itself uses, and the hooks of the tests.
fn is_machinery(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "uniffi",
        "fficonverter",
        "rustbuffer",
        "foreignbytes",
        "disposable",
        "nohandle",
        "integritychecking",
        "testing",
    ]
    .iter()
    .any(|part| name.starts_with(part))
}

/// Whether a declaration goes on in the next line.
fn goes_on(head: &str, next: &str) -> bool {
    let (head, next) = (head.trim_end(), next.trim_start());
    let Some(last) = head.chars().next_back() else {
        return false;
    };
    // `@Throws(A::class)` or `public` alone in a line.
    let only_before = Declaration::without_attributes(head.trim_start())
        .split_whitespace()
        .all(is_modifier);
    only_before
        || "=,:.&|<+".contains(last)
        || head.ends_with("->")
        || [
            "=", ":", ".", ",", "?", "{", "->", "throws", "where ", "async ",
        ]
        .iter()
        .any(|begin| next.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(language: Language, origin: Origin, source: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        Reader::new(language, origin).read(source, &mut found);
        found.into_iter().collect()
    }

    #[test]
    fn kotlins_public_declarations_are_listed_and_the_others_are_not() {
        let source = r#"
            package a
            /** public class Not { */
            public class Login internal constructor(
                private val hub: Hub,
                public val name: String, // public val no: Int
            ) : AutoCloseable {
                private val ffi = "public fun no() {"
                /** Where. */
                public val state: LoginState get() = hub.states.value
                @Throws(A::class)
                public suspend fun send(
                    body: ByteArray? = null,
                ): Reply = call { "${go("}")}" }
                public val hint: String?
                override fun close() {
                    public fun inner() = 1
                }
                internal fun hidden() {}
                public companion object { public const val A: Int = 1 }
            }
            public enum class Provider {
                WECHAT,

                /** Issuer. */
                OIDC,
            }
            internal class Hidden { public fun no() {} }
            public fun interface Sink { public fun log(message: String) }
        "#;
        assert_eq!(
            read(Language::Kotlin, Origin::Facade, source),
            [
                "Login.Companion: public const val A: Int",
                "Login: @Throws(A::class) public suspend fun send( body: ByteArray? = null, ): Reply",
                "Login: override fun close()",
                "Login: public companion object",
                "Login: public val hint: String?",
                "Login: public val name: String",
                "Login: public val state: LoginState",
                "Provider: OIDC",
                "Provider: WECHAT",
                "Sink: public fun log(message: String)",
                "public class Login : AutoCloseable",
                "public enum class Provider",
                "public fun interface Sink",
            ]
        );
    }

    #[test]
    fn swifts_public_declarations_are_listed_and_the_others_are_not() {
        let source = r#"
            internal import PosternFFI
            public
            enum LoginState: Sendable {
                case ready(ReadyInfo)
                case resolving
                init(_ ffi: Int) { switch ffi { case 1: self = .resolving } }
                public var description: String { "\(word("}"))" }
            }
            public protocol Vault: Sendable {
                func load(_ name: String) throws(VaultError) -> Data?
            }
            extension LoginState {
                @discardableResult
                public func go(_ a: Int = 1) async
                    throws -> Int { 1 }
                func hidden() {}
            }
            final class Hidden { public func no() {} }
        "#;
        assert_eq!(
            read(Language::Swift, Origin::Facade, source),
            [
                "LoginState: @discardableResult public func go(_ a: Int = 1) async throws -> Int",
                "LoginState: case ready(ReadyInfo)",
                "LoginState: case resolving",
                "LoginState: public var description: String",
                "Vault: func load(_ name: String) throws(VaultError) -> Data?",
                "public enum LoginState: Sendable",
                "public protocol Vault: Sendable",
            ]
        );
    }

    #[test]
    fn of_generated_code_the_api_is_listed_and_the_machinery_is_not() {
        let kotlin = "internal interface LoginInterface {\n    fun `state`(): LoginState\n    companion object\n}\ninternal open class Login: Disposable {\n    override fun `state`() = 1\n}\ninternal data class Info (\n    val `code`: kotlin.String\n){\n    companion object\n}\ninternal sealed class State {\n    data class Ready(\n        val `info`: Info) : State() {}\n    object Gone : State()\n}\ninternal interface FfiConverter<A> { fun lift() }\n@Throws(A::class) internal fun `testingPanic`()\n    = call()\n";
        assert_eq!(
            read(Language::Kotlin, Origin::Generated, kotlin),
            [
                "ffi LoginInterface: fun state(): LoginState",
                "ffi State: data class Ready( val info: Info) : State()",
                "ffi State: object Gone : State()",
                "ffi internal data class Info ( val code: kotlin.String )",
                "ffi internal interface LoginInterface",
                "ffi internal sealed class State",
            ]
        );
    }
}

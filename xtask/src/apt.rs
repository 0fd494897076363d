//! Debian's packages: who may install them here, and which mirror this machine uses.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use crate::{Result, process};

/// apt-get takes one caller at a time.
static LOCK: Mutex<()> = Mutex::new(());

/// How this process may act as root, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    Self_,
    Sudo,
}

impl Root {
    /// Root itself, or a sudo that asks for no password.
    pub(crate) fn find() -> Option<Self> {
        let uid = process::capture(Command::new("id").arg("-u")).ok()?;
        if uid.trim() == "0" {
            return Some(Self::Self_);
        }
        process::capture(Command::new("sudo").args(["-n", "true"]))
            .is_ok()
            .then_some(Self::Sudo)
    }

    /// `program` with root's rights; `variables` are named so that sudo keeps them.
    pub(crate) fn command(self, program: &str, variables: &[(&str, &str)]) -> Command {
        match self {
            Self::Self_ => {
                let mut command = Command::new(program);
                command.envs(variables.iter().copied());
                command
            }
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["-n", "--"]);
                command.arg("env");
                command.args(
                    variables
                        .iter()
                        .map(|(name, value)| format!("{name}={value}")),
                );
                command.arg(program);
                command
            }
        }
    }
}

/// Whether this is Debian or a descendant with apt.
pub(crate) fn is_here() -> bool {
    process::on_path("apt-get")
}

/// Installs packages with apt-get.
pub(crate) fn install(root: Root, packages: &[&str]) -> Result<()> {
    let _one = LOCK
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    println!("setup: apt-get install {}", packages.join(" "));
    process::stream(root.command("apt-get", &quiet).args([
        "update",
        "-qq",
        "-o",
        "Acquire::Retries=3",
    ]))?;
    process::stream(
        root.command("apt-get", &quiet)
            .args(["install", "-qq", "-y", "--no-install-recommends"])
            .args(["-o", "Dpkg::Use-Pty=0", "-o", "Acquire::Retries=3"])
            .args(packages),
    )
}

/// One archive that this machine installs from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    uri: String,
    suites: Vec<String>,
    components: Vec<String>,
}

/// The mirror from which this machine takes its own release's `main`: it has the other releases too.
pub(crate) fn mirror() -> Result<String> {
    if let Ok(mirror) = env::var("POSTERN_DEBIAN_MIRROR") {
        return Ok(mirror);
    }
    let codename = os_release_value(&fs::read_to_string("/etc/os-release")?, "VERSION_CODENAME")
        .ok_or("/etc/os-release names no VERSION_CODENAME")?;
    let mut sources = Vec::new();
    let folder = Path::new("/etc/apt/sources.list.d");
    let mut files = vec![Path::new("/etc/apt/sources.list").to_path_buf()];
    if let Ok(entries) = fs::read_dir(folder) {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|end| end.to_str()) {
            Some("list") => sources.extend(parse_list(&text)),
            Some("sources") => sources.extend(parse_deb822(&text)),
            _ => {}
        }
    }
    choose(&sources, &codename).ok_or_else(|| {
        format!(
            "apt's sources name no archive with {codename} main; set POSTERN_DEBIAN_MIRROR to one"
        )
        .into()
    })
}

fn choose(sources: &[Source], codename: &str) -> Option<String> {
    sources
        .iter()
        .find(|source| {
            source.suites.iter().any(|suite| suite == codename)
                && source.components.iter().any(|part| part == "main")
        })
        .map(|source| source.uri.clone())
}

fn os_release_value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

/// The one-line form: `deb [options] uri suite component…`.
fn parse_list(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
            let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            let mut words = rest.split_whitespace().map(str::to_owned);
            Some(Source {
                uri: words.next()?,
                suites: vec![words.next()?],
                components: words.collect(),
            })
        })
        .collect()
}

/// The deb822 form: paragraphs of `Key: value`, where a line that begins with a blank goes on.
fn parse_deb822(text: &str) -> Vec<Source> {
    let mut paragraphs: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(fields) = paragraphs.last_mut() else {
            continue;
        };
        if line.trim().is_empty() {
            paragraphs.push(Vec::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            fields.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    paragraphs
        .iter()
        .flat_map(|fields| sources_of(fields))
        .collect()
}

fn sources_of(fields: &[(String, String)]) -> Vec<Source> {
    let words = |name: &str| -> Vec<String> {
        fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    };
    let off = words("enabled")
        .first()
        .is_some_and(|value| ["no", "false", "0"].contains(&value.to_ascii_lowercase().as_str()));
    if off || !words("types").iter().any(|kind| kind == "deb") {
        return Vec::new();
    }
    words("uris")
        .into_iter()
        .map(|uri| Source {
            uri,
            suites: words("suites"),
            components: words("components"),
        })
        .collect()
}

/// What of this machine's apt configuration decides how archives are reached and checked, as lines of an apt.conf.
pub(crate) fn transport_settings() -> Result<String> {
    let all =
        process::capture(Command::new("apt-config").args(["dump", "--format", "%F \"%v\";%n"]))?;
    Ok(only_transport(&all))
}

fn only_transport(dump: &str) -> String {
    const KEPT: [&str; 5] = [
        "Acquire::http::",
        "Acquire::https::",
        "Acquire::Check-",
        "Acquire::Retries",
        "Acquire::ForceIPv4",
    ];
    let mut kept: String = dump
        .lines()
        .filter(|line| KEPT.iter().any(|name| line.starts_with(name)) && !line.contains(" \"\";"))
        .fold(String::new(), |text, line| text + line + "\n");
    if !kept.contains("Acquire::Retries") {
        kept.push_str("Acquire::Retries \"3\";\n");
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\n\
                          Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\nComponents: main\n";

    #[test]
    fn deb822_gives_the_archive_of_the_release_itself() {
        let sources = parse_deb822(DEB822);
        assert_eq!(sources.len(), 2);
        assert_eq!(
            choose(&sources, "bookworm").as_deref(),
            Some("http://mirror.example/debian")
        );
        assert_eq!(choose(&sources, "trixie"), None);
    }

    #[test]
    fn deb822_knows_disabled_paragraphs_continued_lines_and_sources_only() {
        let text = "Enabled: no\nTypes: deb\nURIs: http://off.example\nSuites: bookworm\nComponents: main\n\n\
                    Types: deb-src\nURIs: http://src.example\nSuites: bookworm\nComponents: main\n\n\n\
                    Types: deb deb-src\nURIs:\n http://one.example\n http://two.example\nSuites: bookworm\nComponents: contrib main\n";
        let sources = parse_deb822(text);
        assert_eq!(sources.len(), 2);
        assert_eq!(
            choose(&sources, "bookworm").as_deref(),
            Some("http://one.example")
        );
    }

    #[test]
    fn one_line_sources_may_carry_options_and_comments() {
        let text = "# deb http://off.example bookworm main\n\
                    deb-src http://src.example bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] https://tool.example/debian bookworm stable # no main\n\
                    deb [ arch=amd64 ] http://mirror.example/debian/ bookworm main contrib\n";
        let sources = parse_list(text);
        assert_eq!(sources.len(), 2);
        assert_eq!(
            choose(&sources, "bookworm").as_deref(),
            Some("http://mirror.example/debian/")
        );
    }

    #[test]
    fn the_code_name_is_read_with_and_without_quotes() {
        assert_eq!(
            os_release_value("ID=debian\nVERSION_CODENAME=bookworm\n", "VERSION_CODENAME"),
            Some("bookworm".to_owned())
        );
        assert_eq!(
            os_release_value("VERSION_CODENAME=\"noble\"", "VERSION_CODENAME"),
            Some("noble".to_owned())
        );
        assert_eq!(os_release_value("ID=debian", "VERSION_CODENAME"), None);
    }

    #[test]
    fn proxies_and_checks_are_carried_over_and_nothing_else() {
        let dump = "APT \"\";\nAcquire::http::Proxy \"http://proxy.example:3128\";\nAcquire::http \"\";\n\
                    Acquire::Check-Valid-Until \"false\";\nAPT::Architecture \"amd64\";\nAcquire::Languages \"en\";\n";
        assert_eq!(
            only_transport(dump),
            "Acquire::http::Proxy \"http://proxy.example:3128\";\nAcquire::Check-Valid-Until \"false\";\nAcquire::Retries \"3\";\n"
        );
    }
}

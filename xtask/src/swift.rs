//! Swift on Linux: the machine's own where there is one, else Debian trixie's `swiftlang` in a chroot.
//!
//! Debian bookworm has no Swift. The chroot is made by mmdebstrap from the mirror that this machine uses anyway; each command runs in it in mount and process
//! namespaces of its own, so that no mount stays behind and no process outlives it. The repository is bound at its own path.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::apt::{self, Root};
use crate::{Result, process, repo};

/// The Debian release whose Swift (6.0) is taken.
const SUITE: &str = "trixie";
/// Raised whenever the recipe below changes, so that an older chroot is made anew.
const STAMP: &str = ".postern-swift-1";
/// Debian's place for the toolchain inside the chroot.
const TOOLCHAIN: &str = "/usr/libexec/swift";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The command and its arguments, run in the present folder.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<String>,
}

/// `cargo xtask swift -- COMMAND…`
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let swift = Swift::find().ok_or(
        "Swift is not installed here: cargo xtask setup --only swift (or swift.org/install)",
    )?;
    let here = env::current_dir()?;
    let mut command = swift.command(&here, &[], &options.command);
    let status = process::Running::start(command.stdin(Stdio::null()))?.wait()?;
    Ok(ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    ))
}

/// Where Swift commands run.
#[derive(Debug)]
pub(crate) enum Swift {
    Native,
    Chroot(Root, PathBuf),
}

impl Swift {
    /// What is ready for use now.
    pub(crate) fn find() -> Option<Self> {
        if native() {
            return Some(Self::Native);
        }
        let folder = chroot_folder();
        if !folder.join(STAMP).exists() {
            return None;
        }
        Some(Self::Chroot(Root::find()?, folder))
    }

    /// `words` run in `folder`, which lies in the repository, with these variables set.
    pub(crate) fn command(
        &self,
        folder: &Path,
        variables: &[(&str, &OsStr)],
        words: &[impl AsRef<OsStr>],
    ) -> Command {
        match self {
            Self::Native => {
                let mut command =
                    Command::new(words.first().map_or(OsStr::new("swift"), AsRef::as_ref));
                command
                    .args(words.iter().skip(1))
                    .envs(variables.iter().copied())
                    .current_dir(folder);
                command
            }
            Self::Chroot(root, chroot) => in_chroot(*root, chroot, folder, variables, words),
        }
    }

    /// The first line of `swift --version`.
    pub(crate) fn version(&self) -> Result<String> {
        let mut command = self.command(&repo::root(), &[], &["swift", "--version"]);
        let said = process::capture(&mut command)?;
        Ok(said.lines().next().unwrap_or_default().to_owned())
    }
}

/// A Swift 6 or later on `PATH`.
fn native() -> bool {
    process::on_path("swift")
        && process::capture(Command::new("swift").arg("--version"))
            .is_ok_and(|said| major_version(&said).is_some_and(|major| major >= 6))
}

fn major_version(said: &str) -> Option<u32> {
    let (_, rest) = said.split_once("Swift version ")?;
    rest.split(['.', ' ', '-']).next()?.parse().ok()
}

/// `POSTERN_SWIFT_ROOT` or a folder under `/opt`.
fn chroot_folder() -> PathBuf {
    env::var_os("POSTERN_SWIFT_ROOT")
        .map_or_else(|| PathBuf::from("/opt/postern/swift-trixie"), PathBuf::from)
}

/// Makes the chroot; does nothing where it stands already.
pub(crate) fn install(root: Root) -> Result<()> {
    let lock = File::create(env::temp_dir().join("postern-swift-setup.lock"))?;
    lock.lock()?;
    let folder = chroot_folder();
    if folder.join(STAMP).exists() {
        return Ok(());
    }
    let start = Instant::now();
    let missing: Vec<&str> = [
        ("mmdebstrap", "mmdebstrap"),
        ("zstd", "zstd"),
        ("unshare", "util-linux"),
    ]
    .into_iter()
    .filter(|(program, _)| !process::on_path(program))
    .map(|(_, package)| package)
    .collect();
    if !missing.is_empty() {
        let mut packages = missing;
        packages.push("debian-archive-keyring");
        apt::install(root, &packages)?;
    }
    // Built beside its place and renamed once whole: a chroot with a stamp is a finished one.
    let part = folder.with_extension("part");
    let as_root = |program: &str, words: &[&OsStr]| -> Result<()> {
        process::stream(root.command(program, &[]).args(words))
    };
    let remove = [OsStr::new("-rf"), OsStr::new("--one-file-system")];
    as_root(
        "rm",
        &[&remove[..], &[part.as_os_str(), folder.as_os_str()]].concat(),
    )?;
    as_root("mkdir", &[OsStr::new("-p"), part.as_os_str()])?;
    match env::var_os("POSTERN_SWIFT_TARBALL").map(PathBuf::from) {
        Some(tarball) if tarball.exists() => unpack(root, &tarball, &part)?,
        Some(tarball) => {
            bootstrap(root, &part)?;
            pack(root, &part, &tarball)?;
        }
        None => bootstrap(root, &part)?,
    }
    as_root(
        "mv",
        &[OsStr::new("-T"), part.as_os_str(), folder.as_os_str()],
    )?;
    println!(
        "setup: Swift is in {} after {} s",
        folder.display(),
        start.elapsed().as_secs()
    );
    Ok(())
}

fn bootstrap(root: Root, folder: &Path) -> Result<()> {
    let packages = repo::cache().join("swift-debs-trixie");
    let mirror = apt::mirror()?;
    println!(
        "setup: Swift from Debian {SUITE}: about 540 MB to download where not cached, 1.3 GB on disk"
    );
    process::stream(root.command("mkdir", &[]).arg("-p").arg(&packages))?;
    let settings = env::temp_dir().join(format!("postern-apt-{}.conf", std::process::id()));
    fs::write(
        &settings,
        apt::transport_settings()? + "Acquire::Languages \"none\";\n",
    )?;
    let mut command = root.command("mmdebstrap", &[("DEBIAN_FRONTEND", "noninteractive")]);
    command
        .args(["--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io"])
        // libc6-dev: the Glibc module; tzdata: Foundation's TimeZone; ca-certificates: URLSession.
        .arg("--include=swiftlang,libc6-dev,tzdata,ca-certificates")
        .arg(format!("--aptopt={}", settings.display()))
        .args(left_out().map(|path| format!("--dpkgopt=path-exclude={path}")))
        .args(["--skip=download/empty", "--skip=essential/unlink"])
        .arg("--setup-hook=mkdir -p \"$1\"/var/cache/apt/archives")
        .arg(format!(
            "--setup-hook=sync-in '{}' /var/cache/apt/archives",
            packages.display()
        ))
        .arg(format!(
            "--customize-hook=sync-out /var/cache/apt/archives '{}'",
            packages.display()
        ))
        .arg("--customize-hook=rm -f \"$1\"/var/cache/apt/archives/*.deb")
        .arg(format!("--customize-hook=touch \"$1\"/{STAMP}"))
        .arg(SUITE)
        .arg(folder)
        .arg(mirror);
    let done = process::stream(&mut command);
    fs::remove_file(&settings)?;
    done?;
    // apt's own lock and unfinished downloads are no packages.
    process::stream(
        root.command("rm", &[])
            .arg("-rf")
            .args([packages.join("partial"), packages.join("lock")]),
    )
}

/// What of the packages is not unpacked: 1.2 GB of debugger, language servers, static and embedded libraries, and texts.
fn left_out() -> impl Iterator<Item = String> {
    let lib = format!("{TOOLCHAIN}/lib");
    let bin = format!("{TOOLCHAIN}/bin");
    [
        "/usr/share/doc/*".to_owned(),
        "/usr/share/man/*".to_owned(),
        "/usr/share/locale/*".to_owned(),
        format!("{lib}/swift/embedded/*"),
        format!("{lib}/swift_static/*"),
        format!("{lib}/swift/FrameworkABIBaseline/*"),
        format!("{lib}/liblldb*"),
        format!("{lib}/libsourcekitd*"),
        format!("{lib}/libLTO*"),
        format!("{bin}/lldb*"),
        format!("{bin}/clangd"),
        format!("{bin}/sourcekit-lsp"),
        format!("{bin}/docc"),
    ]
    .into_iter()
}

fn unpack(root: Root, tarball: &Path, folder: &Path) -> Result<()> {
    let mut command = root.command("tar", &[]);
    command.arg("-C").arg(folder).args(["-I", "zstd", "-xpf"]);
    process::stream(command.arg(tarball))?;
    if folder.join(STAMP).exists() {
        Ok(())
    } else {
        Err(format!(
            "{} was made by another version of this recipe: remove it",
            tarball.display()
        )
        .into())
    }
}

fn pack(root: Root, folder: &Path, tarball: &Path) -> Result<()> {
    let part = tarball.with_extension("part");
    let mut command = root.command("tar", &[]);
    command
        .arg("-C")
        .arg(folder)
        .args(["-I", "zstd -T0 -3", "--one-file-system", "-cf"]);
    process::stream(command.arg(&part).arg("."))?;
    process::stream(root.command("mv", &[]).args([&part, tarball]))
}

/// Run by `sh` inside the new namespaces: mounts, then the command as the user who asked for it.
const ENTER: &str = r#"
root=$1; user=$2; folder=$3; shift 3
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
while [ "$1" != -- ]; do
  mkdir -p "$root$1"
  mount --bind "$1" "$root$1"
  shift
done
shift
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
  [ ! -e "$file" ] || cp -L "$file" "$root$file" || true
done
exec chroot --userspec="$user" "$root" /usr/bin/env -i "$@"
"#;

fn in_chroot(
    root: Root,
    chroot: &Path,
    folder: &Path,
    variables: &[(&str, &OsStr)],
    words: &[impl AsRef<OsStr>],
) -> Command {
    let id = |flag| {
        process::capture(Command::new("id").arg(flag))
            .map_or_else(|_| "0".to_owned(), |said| said.trim().to_owned())
    };
    let mut command = root.command("unshare", &[]);
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child=KILL",
        ])
        .args(["sh", "-euc", ENTER, "sh"])
        .arg(chroot)
        .arg(format!("{}:{}", id("-u"), id("-g")))
        .arg(folder)
        .arg(repo::root());
    if !repo::target().starts_with(repo::root()) {
        command.arg(repo::target());
    }
    command
        .arg("--")
        .args(["HOME=/tmp", "LANG=C.UTF-8", "TERM=dumb"])
        .arg(format!("PATH={TOOLCHAIN}/bin:/usr/bin:/bin"));
    for (name, value) in variables {
        let mut setting = std::ffi::OsString::from(format!("{name}="));
        setting.push(value);
        command.arg(setting);
    }
    command
        .args(["sh", "-c", "cd \"$0\" && exec \"$@\""])
        .arg(folder)
        .args(words);
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_version_is_read_from_what_each_build_of_swift_says() {
        assert_eq!(
            major_version("Swift version 6.0.3 (swift-6.0.3-RELEASE)\nTarget: x86_64"),
            Some(6)
        );
        assert_eq!(
            major_version("Apple Swift version 5.10 (swiftlang-5.10)"),
            Some(5)
        );
        assert_eq!(major_version("swift: not found"), None);
    }

    #[test]
    fn a_command_in_the_chroot_gets_only_the_variables_that_are_named() {
        let command = in_chroot(
            Root::Self_,
            Path::new("/chroot"),
            Path::new("/repo/bindings/swift"),
            &[("POSTERN_TEST_ENV", OsStr::new("/repo/a b.json"))],
            &["swift", "test"],
        );
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let at = words.iter().position(|word| word == "--").unwrap();
        assert!(words[at..].contains(&"POSTERN_TEST_ENV=/repo/a b.json".to_owned()));
        assert_eq!(words.last().unwrap(), "test");
        assert!(words.iter().any(|word| word == "--kill-child=KILL"));
    }
}

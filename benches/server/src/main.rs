//! Measures the account center over its databases, and Keycloak beside it, in one run: see README.md.
//!
//! Started by `cargo xtask bench server`, which builds both programs first. Everything listens on loopback, and is stopped and deleted at the end.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

mod center;
mod device;
mod generate;
mod keycloak;
mod load;
mod measure;
mod people;
mod postgres;
mod process;
mod report;
mod stub;
mod wire;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use center::{Amounts, Center};
use keycloak::Keycloak;
use postgres::Postgres;
use report::Figure;
use stub::Parties;

/// Any failure; the text is for the person at the terminal.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

#[derive(Parser)]
#[command(name = "postern-bench-server")]
struct Options {
    /// The account center's program, built for release
    #[arg(long)]
    account_center: PathBuf,
    /// Numbers of accounts, smallest first: 10k,1m,10m
    #[arg(long, value_delimiter = ',', default_value = "10k,1m", value_parser = number)]
    accounts: Vec<u64>,
    /// Returning logins in a series, and as many refreshes; half as many of Keycloak
    #[arg(long, default_value_t = 6000)]
    logins: usize,
    /// New bindings in a series
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..center::SERIES))]
    bindings: u64,
    /// Logins, and as many refreshes, of Keycloak before the clock runs
    #[arg(long, default_value_t = 4000)]
    warm: usize,
    /// Connections at a time
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Keycloak's folder, unpacked from its distribution; without it there is no ratio
    #[arg(long, conflicts_with = "without_postgres")]
    keycloak: Option<PathBuf>,
    /// Measure over SQLite alone
    #[arg(long)]
    without_postgres: bool,
    /// Where the databases are put: a folder on a disk like the server's. It is deleted at the end
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
}

/// `10k`, `1m`, `500`.
fn number(text: &str) -> std::result::Result<u64, String> {
    let (digits, unit) = match text.strip_suffix('k') {
        Some(digits) => (digits, 1000),
        None => match text.strip_suffix('m') {
            Some(digits) => (digits, 1_000_000),
            None => (text, 1),
        },
    };
    match digits.parse::<u64>() {
        Ok(count @ 1..=100_000_000) if count * unit <= 100_000_000 => Ok(count * unit),
        _ => Err("a number such as 500, 10k or 1m, at most 100m".to_owned()),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(run(&options)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Until it is done or somebody stops it; either way the folder goes and the children end.
async fn run(options: &Options) -> Result<()> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let folder = tempfile::Builder::new()
        .prefix("postern-bench-server-")
        .tempdir_in(&options.folder)?;
    tokio::select! {
        done = everything(options, folder.path()) => done,
        _ = interrupt.recv() => Err("stopped".into()),
        _ = terminate.recv() => Err("stopped".into()),
    }
}

async fn everything(options: &Options, folder: &Path) -> Result<()> {
    let parties = Parties::start()?;
    let amounts = Amounts {
        logins: options.logins,
        bindings: usize::try_from(options.bindings)?,
        connections: options.connections,
        series: 0,
    };
    // PostgreSQL's user has to get into it.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    let postgres = if options.without_postgres {
        None
    } else {
        Some(Postgres::start(&folder.join("postgres"))?)
    };
    println!("{}", report::head());
    let ours = account_center(options, folder, &parties, postgres.as_ref(), amounts).await?;
    let (Some(home), Some(postgres)) = (&options.keycloak, &postgres) else {
        return Ok(());
    };
    let accounts = options.accounts.first().copied().unwrap_or(10_000);
    let keycloak = Keycloak::start(home, folder, postgres, &parties, accounts).await?;
    let theirs = keycloak
        .measure(
            accounts,
            (options.warm, options.logins / 2),
            options.connections,
        )
        .await?;
    keycloak.stop();
    for figure in &theirs {
        println!("{}", report::line(&format!("Keycloak, {accounts}"), figure));
    }
    if let (Some(ours), Some(theirs)) = (ours, theirs.first()) {
        println!("ratio {:.1}", theirs.cpu_ms() / ours);
    }
    Ok(())
}

/// The account center over both databases at every number of accounts. Gives the CPU time of a returning login over PostgreSQL at the smallest.
async fn account_center(
    options: &Options,
    folder: &Path,
    parties: &Parties,
    postgres: Option<&Postgres>,
    mut amounts: Amounts,
) -> Result<Option<f64>> {
    let folder = folder.join("account-center");
    let data = folder.join("data");
    std::fs::create_dir_all(&data)?;
    let file = data.join("postern.db");
    let settings = center::settings(parties, &format!("sqlite:{}", file.display()));
    let config = generate::config(&settings, &data)?;
    let mut there = 0;
    let mut smallest = None;
    for &accounts in &options.accounts {
        generate::accounts(&config, there, accounts).await?;
        there = accounts;
        if let Some(postgres) = postgres {
            let name = format!("postern_{accounts}");
            generate::copy(&file, postgres, &name).await?;
            let settings = center::settings(parties, &postgres.url(&name));
            let database = Some(postgres.id());
            let center =
                Center::start(&options.account_center, &folder, &settings, database).await?;
            let figures = center.measure(accounts, amounts, parties).await?;
            center.stop();
            for figure in &figures {
                println!(
                    "{}",
                    report::line(&format!("PostgreSQL, {accounts}"), figure)
                );
            }
            smallest = smallest.or(figures.first().map(Figure::cpu_ms));
            // Its pages are not to be in the way of what comes next.
            postgres.sql("postgres", &format!("DROP DATABASE {name}"))?;
        }
        let center = Center::start(&options.account_center, &folder, &settings, None).await?;
        let figures = center.measure(accounts, amounts, parties).await?;
        center.stop();
        for figure in &figures {
            println!("{}", report::line(&format!("SQLite, {accounts}"), figure));
        }
        // Its bindings made accounts, which stay; the next ones are other people's.
        amounts.series += 1;
    }
    Ok(smallest)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_of_accounts_are_written_short() {
        assert_eq!(number("10k"), Ok(10_000));
        assert_eq!(number("10m"), Ok(10_000_000));
        assert_eq!(number("7"), Ok(7));
        for bad in ["", "k", "-1", "0", "1g", "999m"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }
}

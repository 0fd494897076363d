//! From TOML and environment to [`Config`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_server_security::access_token::LIFETIME_SECONDS;
use postern_server_security::public_url::PublicUrl;
use toml::Table;
use url::Url;

use super::reader::{Report, Section, overlay};
use super::{
    Config, DatabaseSettings, KeySettings, Limits, LogFormat, Mode, Overrides, Party,
    development as dev,
};
use crate::funnel::Retention;
use crate::login::wire::PasswordRules;
use crate::secret::SecretText;
use crate::sessions::Lifetimes;
use crate::store::{Addresses, Database, Options};

const DAY: u64 = 24 * 3600;

/// Reads everything; `None` only where something essential is missing, which is in the report then.
pub(super) fn read(
    file: Option<&str>,
    environment: &BTreeMap<String, String>,
    overrides: &Overrides,
    report: &Report,
) -> Option<Config> {
    let mut table = match file.unwrap_or_default().parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            // Not the error's own text: it repeats the line, and the line may hold a secret.
            let end = error.span().map_or(0, |span| span.start);
            let line = file
                .unwrap_or_default()
                .get(..end)
                .unwrap_or_default()
                .lines()
                .count()
                .max(1);
            report.fault(
                "(file)",
                format!("line {line}: {}", error.message()),
                "Mend the file's TOML.",
            );
            return None;
        }
    };
    overlay(&mut table, environment, report);
    let mut root = Section::root(table, report);

    let mode = mode(&mut root, file.is_some());
    let development = mode != Some(Mode::Production);
    let data_dir = data_dir(&mut root, environment, overrides, development);

    let mut server = root.section("server");
    let listen = listen(&mut server, overrides);
    let public_url = public_url(&mut server, overrides, development);
    let trusted_proxies = usize::try_from(server.number("trusted_proxies", 0, 0..=8)).unwrap_or(0);
    let region_header = server.parsed("region_header", "x-region", |text| text.parse().ok());
    let request_limit = Duration::from_secs(server.number("request_seconds", 25, 1..=28));
    let stop_limit = Duration::from_secs(server.number("stop_seconds", 20, 1..=600));
    server.end();
    let admin = super::read_admin::admin(root.section("admin"), mode, listen);

    let mut events = root.section("events");
    let days = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let retention = Retention {
        events: days(events.number("keep_days", 90, 7..=3660)),
        activity: days(events.number("keep_activity_days", 400, 31..=3660)),
    };
    events.end();

    let mut log = root.section("log");
    let log_format = log
        .parsed("format", "json", |text| match text {
            "human" => Some(LogFormat::Human),
            "json" => Some(LogFormat::Json),
            _ => None,
        })
        .unwrap_or(if development {
            LogFormat::Human
        } else {
            LogFormat::Json
        });
    let log_filter = log
        .parsed("filter", "info", |text| {
            tracing_subscriber::EnvFilter::try_new(text)
                .is_ok()
                .then(|| text.to_owned())
        })
        .unwrap_or_else(|| "info".to_owned());
    log.end();

    let database = database(root.section("database"), data_dir.as_deref(), development);
    let keys = keys(root.section("keys"), development);
    let (audience, lifetimes) = tokens(root.section("tokens"));
    let limits = limits(root.section("limits"));
    let password_rules = password_rules(root.section("password_rules"));
    let sms = super::read_services::sms(&mut root, development);
    let core = party(
        &mut root,
        "core",
        development.then_some((dev::CORE_URL, dev::CORE_KEY)),
    );
    let (face, face_alternative) = super::read_services::face(&mut root, development);
    let notices = super::read_services::notices(&mut root);

    let [wechat_url, weibo_url, qq_url, alipay_url] =
        dev::PROVIDER_URLS.map(|urls| provider_url(&mut root, urls, development));
    let oidc = super::read_oidc::issuers(&mut root, development);
    let mut outbound = root.section("outbound");
    let outbound_proxy = url(&mut outbound, "proxy", "http://proxy.bank.example:3128");
    outbound.end();

    let apps = super::read_apps::apps(&mut root, &oidc, development);
    let outbox = super::read_outbox::outbox(&mut root, development);
    let identity = super::read_identity::identity(&mut root, development);
    root.end();

    Some(Config {
        mode: mode?,
        data_dir: data_dir?,
        listen: listen?,
        public_url,
        trusted_proxies,
        admin,
        region_header,
        retention,
        request_limit,
        stop_limit,
        log_format,
        log_filter,
        database: database?,
        keys,
        audience,
        lifetimes,
        limits,
        password_rules,
        sms: sms?,
        core: core?,
        face: face?,
        notices,
        face_alternative,
        wechat_url: wechat_url?,
        weibo_url: weibo_url?,
        qq_url: qq_url?,
        alipay_url: alipay_url?,
        oidc,
        outbound_proxy,
        identity,
        apps,
        outbox,
    })
}

fn mode(root: &mut Section<'_>, has_file: bool) -> Option<Mode> {
    if !root.has("mode") && !has_file {
        return Some(Mode::Development);
    }
    if !root.has("mode") {
        root.needed("mode", "production\" or mode = \"development");
        return None;
    }
    root.parsed("mode", "production", |text| match text {
        "development" => Some(Mode::Development),
        "production" => Some(Mode::Production),
        _ => None,
    })
}

fn data_dir(
    root: &mut Section<'_>,
    environment: &BTreeMap<String, String>,
    overrides: &Overrides,
    development: bool,
) -> Option<PathBuf> {
    let set = root.text("data_dir").map(PathBuf::from);
    if let Some(given) = overrides.data_dir.clone().or(set) {
        return Some(given);
    }
    if !development {
        return Some(PathBuf::from("/var/lib/postern"));
    }
    let absolute = |name: &str| {
        environment
            .get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let found = absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    if found.is_none() {
        root.fault(
            "data_dir",
            "is missing, and neither XDG_DATA_HOME nor HOME says where data goes",
            "Write data_dir = \"/path\", or use --data-dir.",
        );
    }
    found.map(|folder| folder.join("postern-account-center"))
}

fn listen(server: &mut Section<'_>, overrides: &Overrides) -> Option<SocketAddr> {
    let set = server.parsed("listen", dev::LISTEN, |text| text.parse().ok());
    match &overrides.listen {
        None => set.or_else(|| dev::LISTEN.parse().ok()),
        Some(given) => {
            let parsed = given.parse().ok();
            if parsed.is_none() {
                server.fault(
                    "listen",
                    format!("--listen \"{given}\" is not an address and port"),
                    format!("Use for example --listen {}.", dev::LISTEN),
                );
            }
            parsed
        }
    }
}

fn public_url(
    server: &mut Section<'_>,
    overrides: &Overrides,
    development: bool,
) -> Option<PublicUrl> {
    const EXAMPLE: &str = "https://login.bank.example";
    if let Some(given) = &overrides.public_url {
        server.text("public_url");
        let parsed = PublicUrl::parse(given).ok();
        if parsed.is_none() {
            server.fault(
                "public_url",
                format!("--public-url \"{given}\" is not an http or https address"),
                format!("Use for example --public-url {EXAMPLE}."),
            );
        }
        return parsed;
    }
    if !development && !server.has("public_url") {
        server.needed("public_url", EXAMPLE);
        return None;
    }
    server.parsed("public_url", EXAMPLE, |text| PublicUrl::parse(text).ok())
}

fn database(
    mut section: Section<'_>,
    data_dir: Option<&Path>,
    development: bool,
) -> Option<DatabaseSettings> {
    let given = section.has("url") || section.has("url_file");
    let text = section.secret("url");
    let database = match text.as_ref().map(SecretText::expose) {
        Some(text) => {
            let database = database_of(text);
            if database.is_none() {
                section.fault("url", "is neither SQLite nor PostgreSQL", "Write url = \"sqlite:/path/postern.db\", or url_file with postgres://user:password@host/database in it.");
            }
            database
        }
        None if given => None,
        None if development => data_dir.map(|folder| Database::Sqlite(folder.join("postern.db"))),
        None => {
            section.fault("url", "is missing", "Write url_file with postgres://user:password@host/database in it, or url = \"sqlite:/path/postern.db\".");
            None
        }
    };
    let migrate = section.parsed("migrate_at_start", "yes", |text| match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    });
    let options = Options {
        migrate: migrate.unwrap_or(development),
        connections: u32::try_from(section.number("connections", 32, 1..=1000)).unwrap_or(32),
        acquire_limit: Duration::from_millis(section.number(
            "acquire_milliseconds",
            3000,
            100..=20_000,
        )),
        statement_limit: Duration::from_millis(section.number(
            "statement_milliseconds",
            5000,
            100..=20_000,
        )),
        ..Options::default()
    };
    section.end();
    Some(DatabaseSettings(database?, options))
}

fn database_of(text: &str) -> Option<Database> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return (!path.is_empty() && !path.contains('?'))
            .then(|| Database::Sqlite(PathBuf::from(path)));
    }
    Addresses::parse(text).map(Database::Postgres)
}

fn keys(mut section: Section<'_>, development: bool) -> Option<KeySettings> {
    if development && section.names().is_empty() {
        // Asked for all the same, so that the list of known keys is whole.
        for key in [
            "server_secret_file",
            "signing_key_file",
            "published_key_files",
            "sealing_key_files",
            "key_list_file",
            "root_key",
        ] {
            section.list(key);
        }
        return None;
    }
    let path = |section: &mut Section<'_>, key: &str| {
        section
            .needed(
                key,
                &format!("/etc/postern/{}", key.trim_end_matches("_file")),
            )
            .map(PathBuf::from)
    };
    let server_secret_file = path(&mut section, "server_secret_file");
    let signing_key_file = path(&mut section, "signing_key_file");
    let published_key_files = section
        .list("published_key_files")
        .into_iter()
        .map(PathBuf::from)
        .collect();
    let sealing_key_files: Vec<PathBuf> = section
        .list("sealing_key_files")
        .into_iter()
        .map(PathBuf::from)
        .collect();
    if sealing_key_files.is_empty() {
        section.fault(
            "sealing_key_files",
            "is missing",
            "Write sealing_key_files = [\"/etc/postern/sealing-key\"].",
        );
    }
    let key_list_file = path(&mut section, "key_list_file");
    let root_key = section.needed("root_key", "the line that sign-keys printed");
    section.end();
    Some(KeySettings {
        server_secret_file: server_secret_file?,
        signing_key_file: signing_key_file?,
        published_key_files,
        sealing_key_files,
        key_list_file: key_list_file?,
        root_key: root_key?,
    })
}

fn tokens(mut section: Section<'_>) -> (Vec<String>, Lifetimes) {
    let usual = Lifetimes::default();
    let audience = section.list("audience");
    let lifetimes = Lifetimes {
        access_token: Duration::from_secs(section.number(
            "access_token_seconds",
            LIFETIME_SECONDS,
            30..=LIFETIME_SECONDS,
        )),
        refresh_token: Duration::from_secs(section.number(
            "refresh_token_seconds",
            usual.refresh_token.as_secs(),
            60..=400 * DAY,
        )),
        session: Duration::from_secs(section.number(
            "session_seconds",
            usual.session.as_secs(),
            60..=400 * DAY,
        )),
    };
    section.end();
    (audience, lifetimes)
}

fn limits(mut section: Section<'_>) -> Limits {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let lanes = u64::try_from(cores.div_ceil(2)).unwrap_or(1);
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let limits = Limits {
        sms_resend: Duration::from_secs(section.number("sms_resend_seconds", 60, 1..=600)),
        sms_per_phone_per_hour: small(section.number("sms_per_phone_per_hour", 5, 1..=1000)),
        sms_per_address_per_hour: small(section.number(
            "sms_per_address_per_hour",
            100,
            1..=1_000_000,
        )),
        hashing_lanes: usize::try_from(section.number("hashing_lanes", lanes, 1..=256))
            .unwrap_or(1),
        hashing_queue: usize::try_from(section.number("hashing_queue", 64, 0..=10_000))
            .unwrap_or(64),
    };
    section.end();
    limits
}

fn password_rules(mut section: Section<'_>) -> PasswordRules {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let rules = PasswordRules {
        min_length: small(section.number("min_length", 8, 6..=64)),
        max_length: small(section.number("max_length", 64, 16..=256)),
        min_classes: small(section.number("min_classes", 2, 1..=4)),
    };
    if rules.min_length > rules.max_length {
        section.fault(
            "min_length",
            "is larger than max_length",
            "Write a smaller one, or a larger max_length.",
        );
    }
    section.end();
    rules
}

/// Where a provider is: what is written, else the simulator or the provider itself.
fn provider_url(
    root: &mut Section<'_>,
    (name, simulated, real): (&str, &str, &str),
    development: bool,
) -> Option<Url> {
    let mut section = root.section(name);
    let written = url(&mut section, "base_url", real);
    section.end();
    written.or_else(|| Url::parse(if development { simulated } else { real }).ok())
}

pub(super) fn url(section: &mut Section<'_>, key: &str, example: &str) -> Option<Url> {
    section.parsed(key, example, |text| {
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    })
}

fn party(root: &mut Section<'_>, name: &str, default: Option<(&str, &str)>) -> Option<Party> {
    let mut section = root.section(name);
    let party = party_of(&mut section, name, default);
    section.end();
    party
}

pub(super) fn party_of(
    section: &mut Section<'_>,
    name: &str,
    default: Option<(&str, &str)>,
) -> Option<Party> {
    let example = format!("https://{name}.bank.example");
    let base_url = match default {
        Some((base_url, _)) if !section.has("base_url") => {
            section.text("base_url");
            Url::parse(base_url).ok()
        }
        None if !section.has("base_url") => {
            section.needed("base_url", &example);
            None
        }
        _ => url(section, "base_url", &example),
    };
    let api_key = match default {
        Some((_, api_key)) if !section.has("api_key") && !section.has("api_key_file") => {
            section.secret("api_key");
            Some(SecretText::from(api_key))
        }
        _ => section.needed_secret("api_key"),
    };
    let time_limit =
        Duration::from_millis(section.number("timeout_milliseconds", 5000, 100..=20_000));
    Some(Party {
        base_url: base_url?,
        api_key: api_key?,
        time_limit,
    })
}

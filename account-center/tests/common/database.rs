//! An empty database for one test: an SQLite file in a folder of its own, or, where `POSTERN_TEST_POSTGRES` names a server, a database of its own there, copied from a
//! template that has the schema. `POSTERN_TEST_COLLIDE` lets each transaction collide with another one once.
//!
//! Used by the tests in `src/` too.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use postern_account_center::store::{Addresses, Database, Options, Store, migrations};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _};
use tokio::sync::OnceCell;

/// The database and what goes with it; dropping it removes both.
pub struct TestDatabase {
    pub folder: tempfile::TempDir,
    database: Database,
    /// The server's own database and the name of ours there.
    postgres: Option<(String, String)>,
}

impl TestDatabase {
    /// With the schema in it on PostgreSQL; on SQLite whoever opens it makes the schema.
    pub async fn new() -> Self {
        match std::env::var("POSTERN_TEST_POSTGRES") {
            Ok(url) => Self::postgres(&url, &template(&url).await).await,
            Err(_) => Self::sqlite(),
        }
    }

    /// Without the schema.
    pub async fn empty() -> Self {
        match std::env::var("POSTERN_TEST_POSTGRES") {
            Ok(url) => Self::postgres(&url, "template0").await,
            Err(_) => Self::sqlite(),
        }
    }

    /// A file, whatever the run is for.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            // A name that has to be encoded.
            database: Database::Sqlite(folder.path().join("a base #1.db")),
            folder,
            postgres: None,
        }
    }

    async fn postgres(url: &str, template: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("test_{}_{number}", std::process::id());
        let mut admin = connect(url).await;
        // Of an earlier process with this number.
        sql(&mut admin, format!("DROP DATABASE IF EXISTS {name}"))
            .await
            .unwrap();
        sql(
            &mut admin,
            format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await
        .unwrap();
        admin.close().await.unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            database: Database::Postgres(Addresses::parse(url).unwrap().with_database(&name)),
            postgres: Some((url.to_owned(), name)),
        }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    pub async fn store(&self) -> Store {
        Store::open_with(&self.database, &options()).await.unwrap()
    }

    /// Its address, as in `[database] url`.
    pub fn url(&self) -> String {
        match (&self.postgres, &self.database) {
            (Some((url, name)), _) => with_database(url, name),
            (None, Database::Sqlite(path)) => format!("sqlite:{}", path.display()),
            (None, Database::Postgres(_)) => unreachable!("made above"),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some((url, name)) = self.postgres.take() {
            // A runtime of its own: this one may be ending.
            let removing = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async move {
                    let mut admin = connect(&url).await;
                    sql(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await
                })
            });
            drop(removing.join());
        }
    }
}

/// How the stores of this run are opened.
pub fn options() -> Options {
    Options {
        collide_once: std::env::var_os("POSTERN_TEST_COLLIDE").is_some(),
        // Many tests share two cores.
        acquire_limit: Duration::from_secs(10),
        ..Options::default()
    }
}

/// The template with today's schema, made by whichever process comes first.
async fn template(url: &str) -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let made = async {
        let name = format!("template_{}", migrations::fingerprint());
        let mut admin = connect(url).await;
        let known = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1")
            .bind(&name)
            .fetch_optional(&mut admin)
            .await
            .unwrap();
        if known.is_none() {
            let draft = format!("draft_{}", std::process::id());
            sql(&mut admin, format!("DROP DATABASE IF EXISTS {draft}"))
                .await
                .unwrap();
            sql(&mut admin, format!("CREATE DATABASE {draft}"))
                .await
                .unwrap();
            let addresses = Addresses::parse(url).unwrap().with_database(&draft);
            let store = Store::open(&Database::Postgres(addresses)).await.unwrap();
            store.close().await;
            // Fails where another process was quicker: then there is one.
            let renamed = sql(
                &mut admin,
                format!("ALTER DATABASE {draft} RENAME TO {name}"),
            )
            .await;
            if renamed.is_err() {
                drop(sql(&mut admin, format!("DROP DATABASE {draft} WITH (FORCE)")).await);
            }
        }
        admin.close().await.unwrap();
        name
    };
    TEMPLATE.get_or_init(|| made).await.clone()
}

fn with_database(url: &str, name: &str) -> String {
    let mut url: url::Url = url.parse().unwrap();
    url.set_path(name);
    url.into()
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    url.parse::<AnyConnectOptions>()
        .unwrap()
        .disable_statement_logging()
        .connect()
        .await
        .unwrap()
}

async fn sql(connection: &mut AnyConnection, text: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(text))
        .execute(connection)
        .await
        .map(drop)
}

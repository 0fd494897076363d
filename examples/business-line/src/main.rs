//! Serves the line on loopback. Settings: `BUSINESS_LINE_SECRET`, `BUSINESS_LINE_NAME` (points), `BUSINESS_LINE_LISTEN` (127.0.0.1:8700), `ACCOUNT_CENTER`
//! (<http://127.0.0.1:8600>).
#![allow(clippy::print_stdout, reason = "a command line tool")]

use std::env;
use std::sync::Arc;

use postern_business_line::{AccountCenter, BusinessLine, router};
use postern_server_security::guards::MemoryEndedSessions;
use postern_server_security::webhook::{WebhookSecret, WebhookVerifier};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let setting = |name: &str, usual: &str| env::var(name).unwrap_or_else(|_| usual.to_owned());
    let secret = WebhookSecret::parse(&env::var("BUSINESS_LINE_SECRET")?)?;
    let name = setting("BUSINESS_LINE_NAME", "points");
    let base = setting("ACCOUNT_CENTER", "http://127.0.0.1:8600").parse()?;
    let verifier = WebhookVerifier {
        secrets: vec![secret.clone()],
        public_keys: Vec::new(),
    };
    let ended = Arc::new(MemoryEndedSessions::default());
    let line = BusinessLine::new(verifier, AccountCenter::new(base, &name, secret)?, ended);
    let listen = setting("BUSINESS_LINE_LISTEN", "127.0.0.1:8700");
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    println!("takes webhooks on http://{listen}/postern/events");
    axum::serve(listener, router(line))
        .with_graceful_shutdown(async {
            // Without a way to be told, it is killed.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}

//! The sections `outbox`, `lines` and `nats`: who is told what happened to accounts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postern_server_security::webhook::{WebhookSecret, WebhookSigningKey};
use url::Url;

use super::reader::Section;
use crate::outbox::{Kinds, LineSettings, NatsSettings, OutboxSettings};

const DAY: u64 = 24 * 3600;
const SECRET_ADVICE: &str = "Write whsec_ and the base64 of 24 to 64 random bytes, for example: echo whsec_$(openssl rand -base64 32)";

pub(super) fn outbox(root: &mut Section<'_>, development: bool) -> OutboxSettings {
    let mut section = root.section("outbox");
    let days = section.number("retention_days", 90, 1..=3650);
    let mut private_hosts: std::collections::BTreeSet<String> =
        section.list("private_hosts").into_iter().collect();
    section.end();
    if development {
        // A line on the same desk.
        private_hosts.extend(["127.0.0.1", "[::1]", "localhost"].map(str::to_owned));
    }
    let mut lines = BTreeMap::new();
    for (name, section) in root.section("lines").sections() {
        lines.extend(line(&name, section, development).map(|line| (name, line)));
    }
    OutboxSettings {
        retention: Duration::from_secs(days * DAY),
        private_hosts,
        lines,
        nats: nats(root.section("nats")),
    }
}

fn line(name: &str, mut section: Section<'_>, development: bool) -> Option<LineSettings> {
    let well_named = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
    if !well_named {
        section.fault(
            "(name)",
            "is not the name of a business line",
            "Use 1 to 64 of letters, digits, - and _.",
        );
    }
    let url = address(&mut section, development);
    let secrets = secrets(&mut section);
    let signing_key = section.secret("signing_key").and_then(|text| {
        WebhookSigningKey::parse(text.expose())
            .map(Arc::new)
            .map_err(|error| {
                section.fault(
                    "signing_key",
                    error.to_string(),
                    "Write whsk_ and the base64 of 32 random bytes.",
                );
            })
            .ok()
    });
    let kinds = Kinds::new(section.list("kinds"));
    let milliseconds = section.number("timeout_milliseconds", 10_000, 100..=30_000);
    let concurrency = section.number("concurrency", 8, 1..=256);
    section.end();
    Some(LineSettings {
        url,
        secrets: secrets?,
        signing_key,
        kinds,
        time_limit: Duration::from_millis(milliseconds),
        concurrency: usize::try_from(concurrency).unwrap_or(1),
    })
}

/// Without one the line asks for its events itself.
fn address(section: &mut Section<'_>, development: bool) -> Option<Url> {
    let url = section.parsed(
        "url",
        "https://points.bank.example/postern/events",
        |text| {
            Url::parse(text).ok().filter(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
            })
        },
    )?;
    if !development && url.scheme() != "https" {
        section.fault("url", "is not https", "Write an https address.");
    }
    Some(url)
}

/// The present secret first, then the one before.
fn secrets(section: &mut Section<'_>) -> Option<Vec<WebhookSecret>> {
    let present = section.needed_secret("secret");
    let previous = section.secret("previous_secret");
    let mut parsed = Vec::new();
    for (key, text) in [("secret", present), ("previous_secret", previous)] {
        match text.map(|text| WebhookSecret::parse(text.expose())) {
            Some(Ok(secret)) => parsed.push(secret),
            Some(Err(error)) => section.fault(key, error.to_string(), SECRET_ADVICE),
            None => {}
        }
    }
    (!parsed.is_empty()).then_some(parsed)
}

fn nats(mut section: Section<'_>) -> Option<NatsSettings> {
    let url = section.parsed("url", "tls://nats.bank.example:4222", |text| {
        let whole = text.split(',').all(|one| {
            Url::parse(one.trim())
                .is_ok_and(|url| matches!(url.scheme(), "nats" | "tls") && url.has_host())
        });
        whole.then(|| text.to_owned())
    });
    let credentials = section.secret("credentials");
    let token = section.secret("token");
    let stream = section.parsed("stream", "POSTERN", |text| {
        text.bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
            .then(|| text.to_owned())
    });
    section.end();
    Some(NatsSettings {
        url: url?,
        credentials,
        token,
        stream,
    })
}

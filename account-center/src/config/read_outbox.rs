//! The sections `outbox`, `lines` and `nats`: who is told what happened to accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use postern_server_security::webhook::{WebhookSecret, WebhookSigningKey};
use url::Url;

use super::reader::Section;
use crate::outbox::{Kinds, LineSettings, NatsSettings, OutboxSettings, check_host};

const DAY: u64 = 24 * 3600;
const SECRET_ADVICE: &str = "Write whsec_ and the base64 of 24 to 64 random bytes, for example: echo whsec_$(openssl rand -base64 32)";

pub(super) fn outbox(root: &mut Section<'_>, development: bool) -> OutboxSettings {
    let mut section = root.section("outbox");
    let days = section.number("retention_days", 90, 1..=3650);
    let mut private_hosts: BTreeSet<String> = section.list("private_hosts").into_iter().collect();
    section.end();
    if development {
        // A line on the same desk.
        private_hosts.extend(["127.0.0.1", "[::1]", "localhost"].map(str::to_owned));
    }
    let mut lines = BTreeMap::new();
    for (name, section) in root.section("lines").sections() {
        let line = line(&name, section, &private_hosts, development);
        lines.extend(line.map(|line| (name, line)));
    }
    OutboxSettings {
        retention: Duration::from_secs(days * DAY),
        private_hosts,
        lines,
        nats: nats(root.section("nats")),
    }
}

fn line(
    name: &str,
    mut section: Section<'_>,
    private_hosts: &BTreeSet<String>,
    development: bool,
) -> Option<LineSettings> {
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
    if let Some(Err(wrong)) = url.as_ref().map(|url| check_host(url, private_hosts)) {
        section.fault("url", wrong, "Name the host there if that is meant.");
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::reader::Report;
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn read(text: &str) -> (OutboxSettings, Vec<String>) {
        let report = Report::default();
        let mut root = Section::root(text.parse().unwrap(), &report);
        let settings = outbox(&mut root, false);
        let keys = report.faults().into_iter().map(|fault| fault.key);
        (settings, keys.collect())
    }

    #[test]
    fn a_line_needs_a_secret_and_has_two_while_they_are_exchanged() {
        let (settings, faults) = read(&format!(
            "[lines.points]\nurl = \"https://p.example/\"\nsecret = \"{SECRET}\"\nprevious_secret = \"{SECRET}\"\n[lines.asks]\nsecret = \"{SECRET}\"\n\
             [nats]\nurl = \"tls://a:4222, nats://b:4222\"\nstream = \"POSTERN\""
        ));
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(settings.lines["points"].secrets.len(), 2);
        assert_eq!(settings.lines["asks"].url, None);
        assert_eq!(settings.nats.unwrap().stream.as_deref(), Some("POSTERN"));
        assert_eq!(read("[lines.points]").1, ["lines.points.secret"]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_with_its_key() {
        for (setting, key) in [
            ("url = \"http://p.example/\"", "url"),
            ("url = \"https://user:word@p.example/\"", "url"),
            ("url = \"https://10.0.0.1/\"", "url"),
            ("url = \"https://127.0.0.1/\"", "url"),
            ("previous_secret = \"whsec_short\"", "previous_secret"),
            ("signing_key = \"whsk_AAAA\"", "signing_key"),
            ("timeout_milliseconds = 60000", "timeout_milliseconds"),
            ("concurrency = 0", "concurrency"),
            ("secrets = \"x\"", "secrets"),
        ] {
            let (_, faults) = read(&format!("[lines.points]\nsecret = \"{SECRET}\"\n{setting}"));
            assert_eq!(faults, [format!("lines.points.{key}")], "{setting}");
        }
        let (_, faults) = read(&format!(
            "[outbox]\nprivate_hosts = [\"10.0.0.1\"]\n[lines.points]\nsecret = \"{SECRET}\"\nurl = \"https://10.0.0.1/\""
        ));
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(
            read("[nats]\nurl = \"http://nats.example\"").1,
            ["nats.url"]
        );
    }
}

//! `[admin]`: where operators reach the admin API, and what they show.

use std::net::SocketAddr;

use super::reader::Section;
use super::{AdminSettings, Mode};

/// Where the admin API listens beside a server at this address, in a development set-up.
fn beside(listen: SocketAddr) -> SocketAddr {
    let port = match listen.port() {
        0 => 0,
        port => port.checked_add(1).unwrap_or(0),
    };
    SocketAddr::new(listen.ip(), port)
}

pub(super) fn admin(
    mut section: Section<'_>,
    mode: Option<Mode>,
    listen: Option<SocketAddr>,
) -> AdminSettings {
    let development = mode != Some(Mode::Production);
    let written = section.parsed("listen", "127.0.0.1:8601", |text| match text {
        "off" => Some(None),
        text => text.parse().ok().map(Some),
    });
    let second_factor = section
        .parsed("second_factor", "required", |text| match text {
            "required" => Some(true),
            "off" => Some(false),
            _ => None,
        })
        .unwrap_or(!development);
    section.end();
    AdminSettings {
        listen: match written {
            Some(written) => written,
            None if development => listen.map(beside),
            None => None,
        },
        listen_elsewhere: written.is_none() && development,
        second_factor,
    }
}

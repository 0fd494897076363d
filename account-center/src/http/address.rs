//! Where a request came from.

use std::net::IpAddr;

use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;

use super::AppState;
use super::listener::Peer;

/// Where a request came from: the peer, or what the outermost of our own proxies saw.
pub(super) fn address_of(state: &AppState, request: &Request) -> IpAddr {
    let peer = request
        .extensions()
        .get::<ConnectInfo<Peer>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.0.ip());
    forwarded(request.headers(), state.trusted_proxies).unwrap_or(peer)
}

/// Where the person is, by the header that the bank's own edge sets; nothing where none is set up. The edge has to take away what comes from outside.
pub(super) fn region_of(state: &AppState, headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(state.region_header.as_ref()?).iter();
    let region = values.next()?.to_str().ok()?.trim();
    let good = values.next().is_none() && (1..=32).contains(&region.len());
    good.then(|| region.to_owned())
}

/// Each proxy of ours appends the address it saw, so with `n` of them the `n`th from the right is the client's; what stands left of it is the client's own
/// invention.
fn forwarded(headers: &HeaderMap, trusted_proxies: usize) -> Option<IpAddr> {
    let listed: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let place = listed
        .len()
        .checked_sub(trusted_proxies)
        .filter(|_| trusted_proxies > 0)?;
    listed.get(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_our_own_proxies_appended_says_where_a_request_came_from() {
        let headers = |value: &str| {
            HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), value.parse().unwrap())])
        };
        assert_eq!(forwarded(&headers("1.2.3.4"), 0), None);
        assert_eq!(
            forwarded(&headers("6.6.6.6, 1.2.3.4"), 1),
            Some([1, 2, 3, 4].into())
        );
        assert_eq!(
            forwarded(&headers("6.6.6.6, 1.2.3.4, 10.0.0.1"), 2),
            Some([1, 2, 3, 4].into())
        );
        assert_eq!(forwarded(&headers("1.2.3.4"), 2), None);
        assert_eq!(forwarded(&headers("nonsense"), 1), None);
    }
}

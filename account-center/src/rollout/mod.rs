//! L12: who is offered a provider in an app: first some regions, then a trial group too, then everybody, and taken back at once. Rules are read from the database at
//! every `provider-requests` and every login's start, so that a change counts on every node with the next request; login-options only shows what would be offered.
//!
//! What is trusted: the region that the bank's own edge says, and the device key of the proof. The region that the client says can only narrow.

mod rule;
pub mod version;

use serde::Serialize;
use utoipa::ToSchema;

use crate::keys::{Keys, Purpose};
use crate::store::{StoreError, Tx, rollout as rows};

pub use rule::{Rule, Stage};

/// What a client says of itself, beside its credential (optional in `start` and provider-requests).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClientFacts {
    /// Where the person is, as an administrative code: a hint, which only narrows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The app's version: numbers with points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// The client's name (a UUID) of this attempt to log in: its events have the same (L11).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
}

/// Who asks to be offered something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visitor {
    /// The app.
    pub app_id: String,
    /// The device key's thumbprint: of the proof; on login-options what the client says, as nothing hangs on it there.
    pub device_key: Option<String>,
    /// What the bank's edge says.
    pub region: Option<String>,
    /// What the client says.
    pub client: ClientFacts,
}

/// Which of `providers` are offered to this visitor, in their order.
pub async fn offered(
    tx: &mut Tx,
    keys: &Keys,
    visitor: &Visitor,
    providers: &[String],
) -> Result<Vec<String>, StoreError> {
    let rules = rows::rules(tx, &visitor.app_id).await?;
    let mut found = Vec::new();
    for provider in providers {
        let rule = rules.iter().find(|row| row.provider == *provider);
        let admitted = match rule {
            None => true,
            Some(row) => {
                let rule =
                    Rule::of(&row.rule).ok_or(StoreError::Corrupt("a rule of the rollout"))?;
                admits(tx, keys, visitor, provider, &rule).await?
            }
        };
        if admitted {
            found.push(provider.clone());
        }
    }
    Ok(found)
}

async fn admits(
    tx: &mut Tx,
    keys: &Keys,
    visitor: &Visitor,
    provider: &str,
    rule: &Rule,
) -> Result<bool, StoreError> {
    if !rule.takes_version(visitor.client.app_version.as_deref()) {
        return Ok(false);
    }
    Ok(match rule.stage {
        Stage::Off => false,
        Stage::All => true,
        Stage::Regions => rule.takes_region(visitor),
        Stage::Trial => {
            let Some(device_key) = &visitor.device_key else {
                return Ok(rule.takes_region(visitor));
            };
            rule.takes_region(visitor)
                || share(keys, &visitor.app_id, provider, device_key) < rule.percentage * 100
                || rows::in_group(tx, &rule.groups, device_key).await?
        }
    })
}

/// A device's place among ten thousand: the same on every node and at any time, another for each provider, and nobody outside can compute it. A larger percentage
/// only adds devices.
fn share(keys: &Keys, app_id: &str, provider: &str, device_key: &str) -> u32 {
    let mac = keys.mac(
        Purpose::Rollout,
        &[
            app_id.as_bytes(),
            provider.as_bytes(),
            device_key.as_bytes(),
        ],
    );
    let number = u64::from_be_bytes([
        mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], mac[6], mac[7],
    ]);
    u32::try_from(number % 10_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l12_a_percentage_takes_its_share_and_a_larger_one_only_adds() {
        let keys = Keys::derive(&[3; 32]);
        let places: Vec<u32> = (0..4000)
            .map(|device| share(&keys, "app", "wechat", &format!("device-{device}")))
            .collect();
        let within = |percentage: u32| {
            places
                .iter()
                .filter(|place| **place < percentage * 100)
                .count()
        };
        assert_eq!(within(0), 0);
        assert_eq!(within(100), places.len());
        // Four standard deviations of a fair draw are 76 of 4000.
        for (percentage, about) in [(10, 400), (50, 2000)] {
            assert!(
                within(percentage).abs_diff(about) < 130,
                "{percentage}: {}",
                within(percentage)
            );
        }
        assert_eq!(places[7], share(&keys, "app", "wechat", "device-7"));
        assert_ne!(places[7], share(&keys, "app", "alipay", "device-7"));
    }
}

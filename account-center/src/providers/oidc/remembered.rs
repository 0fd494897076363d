//! What an issuer publishes, remembered for a while: its configuration, its keys.

use std::sync::Arc;
use std::time::Duration;

use crate::context::Timestamp;
use crate::providers::ExchangeError;

/// How long it is taken as it is.
const FRESH: Duration = Duration::from_hours(1);
/// How long it still serves while the issuer cannot be asked.
const STALE: Duration = Duration::from_hours(24);
/// Between two looks at an issuer that had nothing new, or could not be asked: tokens with made-up key names must not make us ask without end.
const PAUSE: Duration = Duration::from_mins(1);

struct Entry<T> {
    value: Arc<T>,
    fetched_at: Timestamp,
    look_again_at: Timestamp,
}

/// One published thing. Whoever needs it while it is being fetched waits for that one fetch.
pub(super) struct Remembered<T>(tokio::sync::Mutex<Option<Entry<T>>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T> Remembered<T> {
    /// What is remembered, or what `fetch` gives. `renew`: also where it is fresh, unless it was fetched a moment ago.
    pub(super) async fn get(
        &self,
        now: Timestamp,
        renew: bool,
        fetch: impl AsyncFnOnce() -> Result<T, ExchangeError>,
    ) -> Result<Arc<T>, ExchangeError> {
        let mut slot = self.0.lock().await;
        if let Some(entry) = slot.as_ref() {
            let asked_lately = now < entry.fetched_at.plus(PAUSE);
            if asked_lately || (!renew && now < entry.look_again_at) {
                return Ok(Arc::clone(&entry.value));
            }
        }
        match (fetch().await, slot.as_mut()) {
            (Ok(value), _) => {
                let value = Arc::new(value);
                *slot = Some(Entry {
                    value: Arc::clone(&value),
                    fetched_at: now,
                    look_again_at: now.plus(FRESH),
                });
                Ok(value)
            }
            (Err(error), Some(entry)) if now < entry.fetched_at.plus(STALE) => {
                tracing::warn!(%error, "an issuer cannot be asked; what it said before still serves");
                entry.look_again_at = now.plus(PAUSE);
                Ok(Arc::clone(&entry.value))
            }
            (Err(error), _) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    async fn ask(
        remembered: &Remembered<u32>,
        seconds: i64,
        renew: bool,
        now_published: Option<u32>,
    ) -> Option<u32> {
        let fetch = async || now_published.ok_or(ExchangeError::Unavailable("down".into()));
        let got = remembered.get(at(seconds), renew, fetch).await;
        got.ok().map(|value| *value)
    }

    #[tokio::test]
    async fn it_is_fetched_once_an_hour_and_serves_a_day_while_the_issuer_is_down() {
        let remembered = Remembered::default();
        assert_eq!(ask(&remembered, 0, false, None).await, None);
        assert_eq!(ask(&remembered, 0, false, Some(1)).await, Some(1));
        assert_eq!(ask(&remembered, 3599, false, Some(2)).await, Some(1));
        assert_eq!(ask(&remembered, 3600, false, None).await, Some(1));
        assert_eq!(
            ask(&remembered, 3659, false, Some(2)).await,
            Some(1),
            "not asked again at once"
        );
        assert_eq!(ask(&remembered, 86_399, false, None).await, Some(1));
        assert_eq!(ask(&remembered, 86_400 + 60, false, None).await, None);
        assert_eq!(ask(&remembered, 86_400 + 60, false, Some(3)).await, Some(3));
    }

    #[tokio::test]
    async fn an_unknown_name_makes_it_look_again_but_not_more_than_once_a_minute() {
        let remembered = Remembered::default();
        assert_eq!(ask(&remembered, 0, true, Some(1)).await, Some(1));
        assert_eq!(ask(&remembered, 59, true, Some(2)).await, Some(1));
        assert_eq!(ask(&remembered, 60, true, Some(2)).await, Some(2));
        assert_eq!(ask(&remembered, 61, true, Some(3)).await, Some(2));
    }
}

//! Limits for what costs money at the face service: sessions are counted before they are opened, for the customer and for the device (L5, L7).

use super::decision::CustomerRef;
use super::engine::Parts;
use crate::http::Call;
use crate::keys::Purpose;
use crate::problem::{Code, Problem};
use crate::store::limits::{self, Taken};

impl Parts {
    /// Counts a face session that is about to be opened; 429 `rate_limited` where there were too many.
    pub(super) async fn count_face(
        &self,
        call: &Call,
        customer: &CustomerRef,
    ) -> Result<(), Problem> {
        let keys = &self.keys;
        let whose = [
            (&b"face-customer"[..], customer.0.as_str()),
            (b"face-device", call.device_key.as_str()),
        ];
        let buckets: Vec<_> = self
            .policy
            .faces
            .iter()
            .flat_map(|limit| {
                whose.iter().map(|(kind, whom)| {
                    let window = limit.window.as_secs().to_be_bytes();
                    let name = keys.name(Purpose::RateBucket, &[kind, whom.as_bytes(), &window]);
                    (name, *limit)
                })
            })
            .collect();
        let now = self.context.now();
        self.store
            .write(move |tx| {
                let buckets = buckets.clone();
                Box::pin(async move {
                    for (bucket, limit) in &buckets {
                        if let Taken::UsedUp(until) = limits::take(tx, bucket, *limit, now).await? {
                            return Err(Problem::new(Code::RateLimited)
                                .detail("too many face recognitions")
                                .retry_after(now.seconds_until(until).max(1)));
                        }
                    }
                    Ok(())
                })
            })
            .await
    }
}

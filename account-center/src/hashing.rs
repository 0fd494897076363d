//! Login passwords: argon2id in a bounded number of lanes, so that a crowd of registrations never slows other logins. What does not fit is `busy`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::context::Randomness;
use crate::problem::{Code, Problem};

/// Memory of one hash: 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;

/// The lanes: cheap to clone.
#[derive(Clone)]
pub struct Hashing {
    inner: Arc<Inner>,
}

struct Inner {
    lanes: Semaphore,
    waiting: AtomicUsize,
    queue: usize,
    argon2: Argon2<'static>,
    /// A hash of nothing that anybody knows, for accounts that have no password: the answer takes as long as for those that have one.
    absent: String,
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashing")
    }
}

impl Hashing {
    /// `lanes` hashes at a time, and `queue` that wait for a lane.
    pub fn new(lanes: usize, queue: usize, randomness: &dyn Randomness) -> Self {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None)
            .expect("19 MiB, two passes, one thread is within argon2's range");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut unknown = Zeroizing::new([0; 32]);
        randomness.fill(&mut *unknown);
        let absent = hash(&argon2, &*unknown, randomness);
        Self {
            inner: Arc::new(Inner {
                lanes: Semaphore::new(lanes.max(1)),
                waiting: AtomicUsize::new(0),
                queue,
                argon2,
                absent,
            }),
        }
    }

    /// Hashes a new password to its PHC string. `busy` when the queue is full.
    pub async fn hash(
        &self,
        password: Zeroizing<String>,
        randomness: &dyn Randomness,
    ) -> Result<String, Problem> {
        let mut salt = [0; 16];
        randomness.fill(&mut salt);
        self.in_lane(move |inner| hash_with(&inner.argon2, password.as_bytes(), &salt))
            .await
    }

    /// Whether `password` is the one of `phc`; with no hash (no password is set) always false, after the same time. `busy` when the queue is full.
    pub async fn verify(
        &self,
        password: Zeroizing<String>,
        phc: Option<String>,
    ) -> Result<bool, Problem> {
        self.in_lane(move |inner| {
            let known = phc.is_some();
            let phc = phc.as_deref().unwrap_or(&inner.absent);
            let right = PasswordHash::new(phc).is_ok_and(|parsed| {
                inner
                    .argon2
                    .verify_password(password.as_bytes(), &parsed)
                    .is_ok()
            });
            right && known
        })
        .await
    }

    async fn in_lane<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let inner = Arc::clone(&self.inner);
        let permit = if let Ok(permit) = self.inner.lanes.try_acquire() {
            permit
        } else {
            let _place = Place::take(&self.inner)?;
            self.inner
                .lanes
                .acquire()
                .await
                .map_err(Problem::internal)?
        };
        // The lane belongs to the work, not to the caller: one that goes away frees it only when the hash is done.
        permit.forget();
        tokio::task::spawn_blocking(move || {
            let _lane = Lane(&inner.lanes);
            work(&inner)
        })
        .await
        .map_err(Problem::internal)
    }
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a Inner);

impl<'a> Place<'a> {
    fn take(inner: &'a Inner) -> Result<Self, Problem> {
        inner
            .waiting
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |waiting| {
                (waiting < inner.queue).then_some(waiting + 1)
            })
            .map(|_| Self(inner))
            .map_err(|_| Problem::new(Code::Busy).retry_after(1))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Lane<'a>(&'a Semaphore);

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8], randomness: &dyn Randomness) -> String {
    let mut salt = [0; 16];
    randomness.fill(&mut salt);
    hash_with(argon2, password, &salt)
}

fn hash_with(argon2: &Argon2<'_>, password: &[u8], salt: &[u8; 16]) -> String {
    let hashed: PasswordHash = argon2
        .hash_password_with_salt(password, salt)
        .expect("the salt has 16 bytes and the password fits in memory");
    hashed.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::context::SystemRandomness;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn passwords_are_argon2id_with_19_mib_and_verify() {
        let random = SystemRandomness;
        let hashing = Hashing::new(2, 8, &random);
        let phc = hashing
            .hash(secret("Str0ng-enough"), &random)
            .await
            .unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_ne!(
            phc,
            hashing
                .hash(secret("Str0ng-enough"), &random)
                .await
                .unwrap()
        );
        assert!(
            hashing
                .verify(secret("Str0ng-enough"), Some(phc.clone()))
                .await
                .unwrap()
        );
        assert!(
            !hashing
                .verify(secret("Str0ng-enougH"), Some(phc))
                .await
                .unwrap()
        );
        assert!(!hashing.verify(secret("x"), None).await.unwrap());
        assert!(
            !hashing
                .verify(secret("x"), Some("not a hash".to_owned()))
                .await
                .unwrap()
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_than_lanes_and_queue_is_busy_with_retry_after() {
        let random = SystemRandomness;
        let hashing = Hashing::new(1, 1, &random);
        let all =
            futures_util::future::join_all((0..6).map(|_| hashing.verify(secret("x"), None))).await;
        let refused: Vec<_> = all
            .iter()
            .filter_map(|result| result.as_ref().err())
            .collect();
        assert!(
            refused.len() >= 3,
            "one in the lane, one waiting, perhaps one more as they end: {} refused",
            refused.len()
        );
        assert!(
            refused
                .iter()
                .all(|problem| problem.code == Code::Busy && problem.retry_after == Some(1))
        );
        assert!(!hashing.verify(secret("x"), None).await.unwrap());
    }
}

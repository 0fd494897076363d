//! A provider's word for somebody, brought by a call that is not a login: the credential is exchanged in that very call (W4) and serves once, over logins and
//! operations together (M2).

use super::begin::{Begun, Earlier};
use super::engine::Engine;
use super::wire::ProviderStart;
use crate::context::Timestamp;
use crate::http::Call;
use crate::identity::KnownIdentity;
use crate::problem::{Code, Problem};
use crate::store::{Tx, limits, logins, provider_requests};

/// Whom the provider vouched for, and what has to be marked as used with it.
#[derive(Clone)]
pub(crate) struct Vouched {
    pub(crate) identity: KnownIdentity,
    begun: Begun,
    /// The credential is marked as used already, by the call that could not go on.
    spent: bool,
}

impl Engine {
    /// Exchanges a credential for the app of a session. `pointer`: where it is in the body.
    pub(crate) async fn vouched(
        &self,
        call: &Call,
        app_id: &str,
        start: ProviderStart,
        pointer: &str,
    ) -> Result<Vouched, Problem> {
        let (offer, mut credential, request) =
            self.offered(app_id, start, &format!("{pointer}/provider"))?;
        let mut begun = Begun::new(self, call, app_id, offer, &credential);
        let (identity, spent) = match self.earlier(&begun).await? {
            Earlier::Kept(identity) => (identity, true),
            Earlier::Used => return Err(used_before()),
            Earlier::Nothing => {
                if let Some(request) = request {
                    let provider = offer.connector.provider();
                    let row = self.request_row(call, app_id, provider, request.expose());
                    begun.request = Some(self.waiting_request(row, &mut credential).await?);
                }
                (self.exchange(offer, &credential).await?, false)
            }
        };
        Ok(Vouched {
            identity,
            begun,
            spent,
        })
    }

    /// The call failed though the provider's credential is spent: the same device may send it again (contract section 7).
    pub(crate) async fn keep_vouched(&self, vouched: Vouched) {
        if !vouched.spent {
            self.keep(&vouched.begun, vouched.identity).await;
        }
    }
}

impl Vouched {
    /// Marks the credential and its request as used, in the transaction that makes use of them.
    pub(crate) async fn spend(&self, tx: &mut Tx, now: Timestamp) -> Result<(), Problem> {
        let Begun {
            credential,
            memory,
            kept,
            request,
            ..
        } = &self.begun;
        if self.spent {
            // Whoever deletes the kept row goes on with it.
            logins::lock(tx, kept).await?.ok_or_else(used_before)?;
            logins::delete(tx, kept).await?;
            return Ok(());
        }
        if let Some(request) = request
            && !provider_requests::spend(tx, request).await?
        {
            return Err(
                Problem::new(Code::ProviderCodeInvalid).detail("its request was used before")
            );
        }
        let until = now.plus(*memory);
        if limits::spend_credential(tx, credential, until).await? {
            Ok(())
        } else {
            Err(used_before())
        }
    }
}

fn used_before() -> Problem {
    Problem::new(Code::ProviderCodeInvalid).detail("this code was used before")
}

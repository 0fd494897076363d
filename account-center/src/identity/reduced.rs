//! An account as a session of any kind may see it (L10).

use postern_server_security::access_token::Acr;

use super::{AccountView, Identification, account_view};
use crate::keys::Keys;
use crate::store::{StoreError, Tx, accounts};

/// Reads an account for the holder of a session of this kind. A guest's and an identified one's view has no number and no binding: a provider's silent answer, or
/// nobody's at all, stands behind them (W4, W6).
pub async fn account_view_as(
    tx: &mut Tx,
    keys: &Keys,
    user_id: &str,
    acr: Acr,
) -> Result<Option<AccountView>, StoreError> {
    let identification = match acr {
        Acr::Guest => Identification::Guest,
        Acr::Identified => Identification::Identified,
        Acr::Unsigned | Acr::Signed => return account_view(tx, keys, user_id).await,
    };
    let Some(account) = accounts::account(tx, user_id).await? else {
        return Ok(None);
    };
    Ok(Some(AccountView {
        user_id: account.user_id,
        identification,
        phone_masked: None,
        nickname: account.nickname,
        avatar_url: account.avatar_url,
        bindings: Vec::new(),
    }))
}

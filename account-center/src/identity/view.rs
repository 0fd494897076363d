//! An account as its holder sees it (contract section 7).

use serde::Serialize;
use utoipa::ToSchema;

use crate::keys::{Keys, Purpose};
use crate::phone_number::PhoneNumber;
use crate::store::{StoreError, Tx, accounts};

/// How far the holder is known to the bank (L10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identification {
    /// Nobody is known: a virtual user id (W6).
    Guest,
    /// A provider's identity alone was told, silently (W4).
    Identified,
    /// No customer reference is stored.
    Unsigned,
    /// A customer of the core.
    Signed,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountView {
    /// The bank's own user id.
    pub user_id: String,
    /// How far the holder is known.
    pub identification: Identification,
    /// `138****0000`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_masked: Option<String>,
    /// What the provider showed at the last login (M6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Address of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// What is bound, oldest first.
    pub bindings: Vec<BindingView>,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BindingView {
    /// The provider.
    pub provider: String,
    /// Seconds since 1970 UTC.
    pub bound_at: i64,
}

/// The number of an account.
pub(crate) async fn phone_of(
    tx: &mut Tx,
    keys: &Keys,
    user_id: &str,
) -> Result<Option<PhoneNumber>, StoreError> {
    let Some(sealed) = accounts::sealed_phone(tx, user_id).await? else {
        return Ok(None);
    };
    let opened = keys
        .open(Purpose::PhoneNumber, user_id.as_bytes(), &sealed)
        .map_err(|_| StoreError::Corrupt("a sealed phone number"))?;
    std::str::from_utf8(&opened)
        .ok()
        .and_then(|text| PhoneNumber::parse(text).ok())
        .map(Some)
        .ok_or(StoreError::Corrupt("a phone number"))
}

/// Reads an account for its holder.
pub async fn account_view(
    tx: &mut Tx,
    keys: &Keys,
    user_id: &str,
) -> Result<Option<AccountView>, StoreError> {
    let Some(account) = accounts::account(tx, user_id).await? else {
        return Ok(None);
    };
    let phone_masked = phone_of(tx, keys, user_id)
        .await?
        .map(|phone| phone.masked());
    let bindings = accounts::bindings(tx, user_id)
        .await?
        .into_iter()
        .map(|binding| BindingView {
            provider: binding.provider,
            bound_at: binding.bound_at.seconds(),
        })
        .collect();
    Ok(Some(AccountView {
        user_id: account.user_id,
        identification: if account.customer_ref.is_some() {
            Identification::Signed
        } else {
            Identification::Unsigned
        },
        phone_masked,
        nickname: account.nickname,
        avatar_url: account.avatar_url,
        bindings,
    }))
}

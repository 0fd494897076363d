//! The bank's core: customers by phone, their login passwords, cards, limits. Five wrong ones lock the customer.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    middleware::from_fn_with_state,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    answer::{Body, Failure, Shared, require_bearer, same_secret},
    world::World,
};

const KEY: &str = "simulator-core-key";
/// Wrong passwords, of either kind, that lock.
const WRONG_ALLOWED: u32 = 5;
/// How long a lock lasts, in seconds.
const LOCK_SECONDS: u64 = 30 * 60;

/// A card with the password it withdraws with.
pub(crate) struct Card {
    pub(crate) number: String,
    pub(crate) withdrawal_password: String,
}

/// One contract with the bank.
pub(crate) struct Customer {
    reference: String,
    phone: String,
    login_password: String,
    card: Card,
    wrong: u32,
    locked_until: Option<u64>,
}

impl Customer {
    pub(crate) fn new(
        reference: String,
        phone: String,
        login_password: String,
        card: Card,
    ) -> Self {
        Self {
            reference,
            phone,
            login_password,
            card,
            wrong: 0,
            locked_until: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn reference(&self) -> &str {
        &self.reference
    }

    #[cfg(test)]
    pub(crate) fn phone(&self) -> &str {
        &self.phone
    }

    /// Tells what a check gave, and counts the wrong ones. The fifth wrong one is answered `locked` already.
    fn checked(&mut self, right: bool, now: u64) -> Checked {
        if self.locked_until.is_some_and(|until| now >= until) {
            self.locked_until = None;
            self.wrong = 0;
        }
        if let Some(until) = self.locked_until {
            return Checked::Locked {
                retry_after: until - now,
            };
        }
        if right {
            self.wrong = 0;
            return Checked::Ok;
        }
        self.wrong += 1;
        if self.wrong < WRONG_ALLOWED {
            return Checked::Wrong;
        }
        self.locked_until = Some(now + LOCK_SECONDS);
        Checked::Locked {
            retry_after: LOCK_SECONDS,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
enum Checked {
    Ok,
    Wrong,
    Locked { retry_after: u64 },
}

/// All customers by reference.
#[derive(Default)]
pub(crate) struct Core(BTreeMap<String, Customer>);

impl Core {
    pub(crate) fn add(&mut self, customer: Customer) {
        self.0.insert(customer.reference.clone(), customer);
    }
}

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/customers/lookup", post(lookup))
        .route("/customers/{reference}", get(customer))
        .route(
            "/customers/{reference}/login-password",
            post(login_password),
        )
        .route("/customers/{reference}/card", post(card))
        .route(
            "/customers/{reference}/identity-document",
            post(identity_document),
        )
        .route_layer(from_fn_with_state(KEY, require_bearer))
        .with_state(Arc::clone(&world))
        .merge(crate::bank_login::router(world))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lookup {
    phone: String,
}

async fn lookup(State(world): Shared, Body(body): Body<Lookup>) -> Json<Value> {
    let core = world.core();
    let customers: Vec<_> = core
        .0
        .values()
        .filter(|customer| customer.phone == body.phone)
        .map(|customer| json!({ "reference": customer.reference }))
        .collect();
    Json(json!({ "customers": customers }))
}

/// For a face service that compares with a register: name and number of the identity card.
async fn identity_document(
    State(world): Shared,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Failure> {
    let core = world.core();
    let customer = core
        .0
        .get(&reference)
        .ok_or_else(|| Failure::not_found("customer"))?;
    let digits: String = customer.phone.chars().rev().take(4).collect();
    Ok(Json(json!({
        "name": "测试客户",
        "id_number": format!("11010119900101{digits}"),
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginPassword {
    password: String,
}

async fn login_password(
    State(world): Shared,
    Path(reference): Path<String>,
    Body(body): Body<LoginPassword>,
) -> Result<Json<Checked>, Failure> {
    let now = world.now();
    let mut core = world.core();
    let customer = core
        .0
        .get_mut(&reference)
        .ok_or_else(|| Failure::not_found("customer"))?;
    let right = same_secret(&body.password, &customer.login_password);
    Ok(Json(customer.checked(right, now)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardCheck {
    card_number: String,
    withdrawal_password: String,
}

/// L5: the card has to be this customer's; another's card with its right password is wrong here.
async fn card(
    State(world): Shared,
    Path(reference): Path<String>,
    Body(body): Body<CardCheck>,
) -> Result<Json<Checked>, Failure> {
    let now = world.now();
    let mut core = world.core();
    let customer = core
        .0
        .get_mut(&reference)
        .ok_or_else(|| Failure::not_found("customer"))?;
    let right = same_secret(&body.card_number, &customer.card.number)
        & same_secret(
            &body.withdrawal_password,
            &customer.card.withdrawal_password,
        );
    Ok(Json(customer.checked(right, now)))
}

/// L10: limits are the contract's. Amounts are whole fen.
async fn customer(
    State(world): Shared,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Failure> {
    let core = world.core();
    let customer = core
        .0
        .get(&reference)
        .ok_or_else(|| Failure::not_found("customer"))?;
    Ok(Json(json!({
        "reference": customer.reference,
        "limits": { "currency": "CNY", "per_payment": 2_000_000, "per_day": 5_000_000 },
    })))
}

#[cfg(test)]
mod tests {
    use super::{Card, Checked, Customer, LOCK_SECONDS};

    fn customer() -> Customer {
        Customer::new(
            "C1".into(),
            "+8613800000000".into(),
            "right".into(),
            Card {
                number: "6".into(),
                withdrawal_password: "1".into(),
            },
        )
    }

    #[test]
    fn l5_the_fifth_wrong_password_locks_and_the_right_one_no_longer_helps() {
        let mut customer = customer();
        for _ in 0..4 {
            assert_eq!(customer.checked(false, 100), Checked::Wrong);
        }
        assert_eq!(
            customer.checked(false, 100),
            Checked::Locked {
                retry_after: LOCK_SECONDS
            }
        );
        assert_eq!(
            customer.checked(true, 160),
            Checked::Locked {
                retry_after: LOCK_SECONDS - 60
            }
        );
        assert_eq!(customer.checked(true, 100 + LOCK_SECONDS), Checked::Ok);
    }

    #[test]
    fn l5_a_right_password_forgets_the_wrong_ones() {
        let mut customer = customer();
        for _ in 0..4 {
            customer.checked(false, 0);
        }
        assert_eq!(customer.checked(true, 0), Checked::Ok);
        assert_eq!(customer.checked(false, 0), Checked::Wrong);
    }

    #[test]
    fn l5_a_lock_that_ended_starts_the_count_anew() {
        let mut customer = customer();
        for _ in 0..5 {
            customer.checked(false, 0);
        }
        assert_eq!(customer.checked(false, LOCK_SECONDS), Checked::Wrong);
    }
}

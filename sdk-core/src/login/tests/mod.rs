//! A login from the outside: through `Postern`, its steps and the real client, against a small account center behind the transport; and the flow
//! from the inside, against its table.

#![allow(clippy::unwrap_used, clippy::similar_names, clippy::format_push_string)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;

use super::pending::RECORD;
use super::*;
use crate::postern::Postern;
use crate::providers::Provider;
use crate::refusal::{Advice, RefusalKind};
use crate::secret::{SecretBytes, SecretString};
use crate::session::SessionStatus;
use crate::testing::{FakeClock, World};
use crate::transport::Transport;
use crate::vault::{Vault, VaultError};
use fake_center::{FakeCenter, Fault, Person, SMS_CODE};

const PASSWORD: &str = "Str0ng-enough";
/// Shorter than the life of a key list.
const QUIET: Duration = Duration::from_hours(1);
const CARD: &str = "4111111111111111";

/// A phone: its vault, its clock, and the account center that it reaches.
struct Phone {
    world: World,
    center: Arc<FakeCenter>,
}

impl Phone {
    fn of(person: Person) -> Self {
        Self::in_world(World::new(), person)
    }

    /// Here a wait lasts, so that what has a time limit can be done within it.
    fn with_standing_clock(person: Person) -> Self {
        Self::in_world(World::with_clock(FakeClock::standing()), person)
    }

    fn in_world(world: World, person: Person) -> Self {
        let center = FakeCenter::new(&world.root, person);
        Self { world, center }
    }

    /// A new process.
    fn postern(&self) -> Postern {
        let mut config = self.world.config();
        assert_eq!(config.refusal_quiet, Duration::from_hours(24));
        config.refusal_quiet = QUIET;
        self.world
            .builder(config)
            .transport(Arc::clone(&self.center) as Arc<dyn Transport>)
            .build()
            .unwrap()
    }

    /// A new process, its login, and the states of it.
    fn begin(&self) -> (Postern, StateStream) {
        let postern = self.postern();
        let states = postern.login().states();
        (postern, states)
    }

    fn kept(&self) -> Option<String> {
        let bytes = self.world.vault.inner.load(RECORD).unwrap()?;
        Some(String::from_utf8(bytes.expose().to_vec()).unwrap())
    }
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// The next state that is not Resolving.
async fn settled(states: &mut StateStream) -> LoginState {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), states.next());
        match next
            .await
            .expect("a state follows")
            .expect("the login goes on")
        {
            LoginState::Resolving => {}
            state => return state,
        }
    }
}

/// `expect!(states, PhoneNeeded(info, step))`: the next settled state, taken apart.
macro_rules! expect {
    ($states:expr, $state:ident($($part:pat),+)) => {
        let state = settled(&mut $states).await;
        let LoginState::$state($($part),+) = state else {
            panic!("expected {}, got {state:?}", stringify!($state))
        };
    };
}

mod death;
mod failures;
mod fake_center;
mod flow;
mod kept;
mod refusals;
mod rows;
mod samples;
mod steps;
mod table;
mod whole;

fn wechat(request: &AuthorizationRequest, error_code: i32, code: Option<&str>) -> ProviderReply {
    ProviderReply {
        state: Some(request.state.clone()),
        code: code.map(secret),
        error_code: Some(error_code),
    }
}

/// Through the button and `WeChat`, agreeing.
async fn agree(states: &mut StateStream) {
    expect!(*states, Ready(_, step));
    step.choose(Provider::WeChat).await.unwrap();
    expect!(*states, Authorizing(request, step));
    step.answer(wechat(&request, 0, Some("0815")))
        .await
        .unwrap();
}

fn failure_code(failure: Option<Failure>) -> Option<String> {
    failure.map(|failure| failure.code)
}

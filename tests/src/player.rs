//! Plays a scenario: does what the person does, and compares what the SDK announces.

use std::path::PathBuf;

use postern_sdk_core::login::{LoginState, StepError};
use serde_json::{Map, Value};

use crate::actions;
use crate::device::{Device, VaultKind, Wrap};
use crate::facts::{facts_of, name_of};
use crate::scenario::{Action, Cast, Expectation, Scenario, Step};
use crate::simulator::{Request, SimulatorClient};
use crate::trouble::{Result, Trouble, unexpected};
use crate::world::TestEnv;

/// Somebody who looks on. Every method may be left as it is.
pub trait Observer: Send + Sync {
    /// A scenario begins, with these people, on a phone that keeps its secrets there.
    fn begins(&self, _scenario: &Scenario, _cast: &Cast, _vault: &str) {}
    /// What brings the world to the scenario's beginning is played; `false`: it has been.
    fn before(&self, _playing: bool) {}
    /// The person, or the world, is about to do this.
    fn action(&self, _action: &Action) {}
    /// The SDK announced this state; `Resolving` too.
    fn state(&self, _state: &LoginState) {}
    /// Something worth telling, such as the number of round trips.
    fn note(&self, _text: &str) {}
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

/// What a scenario is played with.
#[derive(Clone)]
pub struct Player {
    env: TestEnv,
    simulator: SimulatorClient,
    vault: VaultKind,
    wrap: Option<Wrap>,
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Player")
            .field("vault", &self.vault)
            .finish_non_exhaustive()
    }
}

impl Player {
    /// A player in this world.
    pub fn new(env: &TestEnv) -> Result<Self> {
        Ok(Self {
            env: env.clone(),
            simulator: SimulatorClient::new(env.simulator.clone())?,
            vault: VaultKind::default(),
            wrap: None,
        })
    }

    /// Keeps secrets elsewhere.
    #[must_use]
    pub fn vault(mut self, vault: VaultKind) -> Self {
        self.vault = vault;
        self
    }

    /// Puts something around the SDK's transport.
    #[must_use]
    pub fn wrap_transport(mut self, wrap: Wrap) -> Self {
        self.wrap = Some(wrap);
        self
    }

    /// Plays the scenario. An error says at which line it went otherwise than described.
    pub async fn play(&self, scenario: &Scenario, observer: &dyn Observer) -> Result<()> {
        let played = self.play_all(scenario, observer).await;
        // Also after a failure: the next scenario begins in a sound world.
        let cleared = self.simulator.clear_faults().await;
        played.and(cleared)
    }

    async fn play_all(&self, scenario: &Scenario, observer: &dyn Observer) -> Result<()> {
        self.simulator.clear_faults().await?;
        self.simulator.forget_requests().await?;
        let person = self.simulator.person(&scenario.person).await?;
        let other = match &scenario.other {
            Some(wish) => Some(self.simulator.person(wish).await?),
            None => None,
        };
        // Named by the person, who is unique: a scenario that is played again begins with an empty vault.
        let folder: PathBuf = self.env.scratch.join(&person.wechat_person);
        let mut device = Device::new(&self.env, &folder, self.vault, self.wrap.clone())?;
        let cast = Cast { person, other };
        observer.begins(scenario, &cast, &device.vault_description());
        device.start()?;
        let mut stage = Stage {
            env: &self.env,
            simulator: &self.simulator,
            observer,
            cast,
            device,
            state: LoginState::Resolving,
            typed_phone: None,
        };
        if !scenario.before.is_empty() {
            observer.before(true);
            stage.lines("before", &scenario.before).await?;
            observer.before(false);
        }
        self.simulator.forget_requests().await?;
        stage.lines("steps", &scenario.steps).await?;
        stage.nothing_more().await?;
        stage.look_back(scenario).await
    }
}

/// What stands on the stage while a scenario is played.
pub(crate) struct Stage<'a> {
    pub(crate) env: &'a TestEnv,
    pub(crate) simulator: &'a SimulatorClient,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) cast: Cast,
    pub(crate) device: Device,
    /// The last announced state that was expected.
    pub(crate) state: LoginState,
    /// Where the newest SMS went.
    pub(crate) typed_phone: Option<String>,
}

impl Stage<'_> {
    async fn lines(&mut self, part: &str, lines: &[Step]) -> Result<()> {
        for (index, line) in lines.iter().enumerate() {
            let played = match line {
                Step::Do(action) => {
                    self.observer.action(action);
                    actions::perform(self, action).await
                }
                Step::Expect(expectation) => self.expect(expectation).await,
            };
            played.map_err(|trouble| {
                Trouble::Unexpected(format!("{part}, line {} ({line:?}): {trouble}", index + 1))
            })?;
        }
        Ok(())
    }

    async fn expect(&mut self, expectation: &Expectation) -> Result<()> {
        self.state = loop {
            let state = self.device.next_state().await?;
            self.observer.state(&state);
            if !matches!(state, LoginState::Resolving) {
                break state;
            }
        };
        let (name, facts) = (name_of(&self.state), facts_of(&self.state));
        if name != expectation.state {
            return unexpected(format!("announced {name} {facts}"));
        }
        match different(&facts, &expectation.facts) {
            None => Ok(()),
            Some(what) => unexpected(format!(
                "announced {name} {facts}; other than described: {what}"
            )),
        }
    }

    /// A state that is announced without being expected is a failure.
    pub(crate) async fn nothing_more(&mut self) -> Result<()> {
        while let Some(state) = self.device.announced_already().await {
            self.observer.state(&state);
            if !matches!(state, LoginState::Resolving) {
                let (name, facts) = (name_of(&state), facts_of(&state));
                return unexpected(format!("nobody expected {name} {facts}"));
            }
        }
        Ok(())
    }

    /// The number that was submitted last.
    pub(crate) fn newest_phone(&self) -> &str {
        self.typed_phone
            .as_deref()
            .unwrap_or(&self.cast.person.phone)
    }

    /// The last state, and the number of round trips.
    async fn look_back(&self, scenario: &Scenario) -> Result<()> {
        let name = name_of(&self.state);
        if name != scenario.ends_in {
            return unexpected(format!("ended in {name}, not in {}", scenario.ends_in));
        }
        let Some(expected) = scenario.round_trips else {
            return Ok(());
        };
        let requests = self.simulator.gateway_requests().await?;
        let counted = requests.iter().filter(|request| is_login(request)).count();
        self.observer.note(&format!(
            "round trips after the provider's answer: {counted}"
        ));
        if counted == expected {
            Ok(())
        } else {
            unexpected(format!(
                "{counted} round trips, not {expected}: {requests:?}"
            ))
        }
    }
}

fn is_login(request: &Request) -> bool {
    request.method == "POST" && request.path == "/v1/login"
}

/// The first fact that is not as described.
fn different(facts: &Value, described: &Map<String, Value>) -> Option<String> {
    described
        .iter()
        .find(|(name, value)| facts.get(name.as_str()) != Some(*value))
        .map(|(name, value)| format!("{name} should be {value}"))
}

/// Why a step did not act, for a report.
pub(crate) fn acted(done: std::result::Result<(), StepError>) -> Result<()> {
    done.map_err(|error| Trouble::Unexpected(format!("the step answered: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    #[test]
    fn a_fact_that_is_missing_or_other_is_told() {
        let facts = json!({"attempts_left": 4, "failure": null});
        let described = |value: Value| value.as_object().unwrap().clone();
        assert_eq!(
            different(
                &facts,
                &described(json!({"attempts_left": 4, "failure": null}))
            ),
            None
        );
        assert!(different(&facts, &described(json!({"attempts_left": 5}))).is_some());
        assert!(different(&facts, &described(json!({"kind": null}))).is_some());
    }
}

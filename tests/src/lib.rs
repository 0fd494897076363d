//! Starts the real servers and plays `contract/scenarios.json` through the Rust SDK.
//!
//! [`World`] is both servers as processes, with real HTTP and a real database between them. [`Player`] is a person with a phone: it drives the SDK's public API
//! through a [`Scenario`] and tells an [`Observer`] what happens. The suites of Kotlin and Swift find the same world through the program `postern-world`.

mod actions;
mod device;
mod facts;
pub mod patroni;
mod player;
pub mod postgres;
pub mod scenario;
mod servers;
mod simulator;
mod trouble;
mod world;

pub use device::{VaultKind, Wrap};
pub use facts::{facts_of, name_of};
pub use player::{Observer, Player, Silent};
pub use scenario::{Action, Cast, Expectation, Scenario, Step};
pub use simulator::{Addresses, Person, Request, SimulatorClient};
pub use trouble::{Result, Trouble};
pub use world::{TestEnv, World, WorldOptions};

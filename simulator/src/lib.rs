//! Plays the outside world over HTTP: providers, SMS inbox, core bank, face service, the network between.
//!
//! Each party listens on its own loopback address. [`Simulator::start`] is all a Rust test needs; everybody else runs the binary.
//! Nothing here ever ships: the passwords, keys and people are invented, and still they are never logged.

mod alipay;
mod answer;
mod bank_login;
mod book;
mod connection;
mod context;
mod control;
mod core_bank;
mod face;
mod faults;
mod gateway;
mod html;
mod layer;
mod notices;
mod notifications;
mod oidc;
mod parameters;
mod people;
mod phone;
mod qq;
mod requests;
mod server;
mod sms;
mod tencent;
mod wechat;
mod weibo;
mod world;

pub use context::{Clock, Randomness, SystemClock, SystemRandomness};
pub use faults::Party;
pub use server::{Addresses, Simulator, SimulatorConfig, StartError};

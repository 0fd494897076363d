//! The account's operations in the world of the logins: a real database, and outside parties that answer what the test says.

mod appeals;
mod bank;
mod binding;
mod data;
mod phone_change;
mod proof;
mod unbinding;

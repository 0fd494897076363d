//! Test doubles shared by the modules.

//! The login: a pure flow, the driver that performs its effects, and the steps that hosts see.

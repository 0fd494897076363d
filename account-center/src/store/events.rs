//! `outbox` and `flow_events`.

//! Checked forms of what a person types.

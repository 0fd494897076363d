//! Connectors: a provider's credential to a provider identity (W1, W2).

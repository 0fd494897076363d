//! What a provider's answer means, one file for each provider.

//! Rules U and W: from a provider identity to an account.

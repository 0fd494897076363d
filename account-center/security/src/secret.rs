//! Text that is wiped when dropped and that no log shows.

/// Defines a type for text that is wiped when dropped, has no `Display` or `Serialize`, and whose `Debug` is a placeholder.
macro_rules! secret_text {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone)]
        pub struct $name(zeroize::Zeroizing<String>);

        impl $name {
            /// Takes the text over.
            pub fn new(text: String) -> Self {
                Self(zeroize::Zeroizing::new(text))
            }

            /// The text itself, for the one who needs it.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

secret_text! {
    /// A signed access token, as it is sent (contract section 8).
    AccessToken
}

secret_text! {
    /// A refresh token, as it is sent (contract section 8).
    RefreshToken
}

secret_text! {
    /// What was in a sealed field: a password, a card number, a withdrawal password (contract section 4).
    Plaintext
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_secret_text_is_a_placeholder() {
        assert_eq!(
            format!("{:?}", Plaintext::new("hunter2".into())),
            "Plaintext([redacted])"
        );
        assert_eq!(
            format!("{:?}", AccessToken::new("ey".into())),
            "AccessToken([redacted])"
        );
        assert_eq!(
            format!("{:#?}", Some(RefreshToken::new("rt_x".into()))),
            "Some(\n    RefreshToken([redacted]),\n)"
        );
    }
}

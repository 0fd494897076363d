//! Words for what can be the case; each variant says what to do about it, where there is something to do.

use postern_sdk_core::account as sdk_account;
use postern_sdk_core::login as sdk;
use postern_sdk_core::providers as sdk_providers;
use postern_sdk_core::refusal as sdk_refusal;
use postern_sdk_core::session as sdk_session;

/// An enum of the core with the same names here.
macro_rules! mirrored {
    ($(#[$meta:meta])* $name:ident = $core:ty { $($(#[$doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, uniffi::Enum)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl From<$core> for $name {
            fn from(core: $core) -> Self {
                match core {
                    $(<$core>::$variant => Self::$variant,)+
                }
            }
        }
    };
}

mirrored! {
    /// Who vouches for a person.
    Provider = sdk_providers::Provider {
        /// WeChat.
        WeChat,
        /// Alipay.
        Alipay,
        /// QQ.
        Qq,
        /// Weibo.
        Weibo,
        /// A standard `OpenID` Connect issuer.
        Oidc,
    }
}

impl From<Provider> for sdk_providers::Provider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::WeChat => Self::WeChat,
            Provider::Alipay => Self::Alipay,
            Provider::Qq => Self::Qq,
            Provider::Weibo => Self::Weibo,
            Provider::Oidc => Self::Oidc,
        }
    }
}

mirrored! {
    /// What to do about a failure. The person stays where they were.
    FailureKind = sdk::FailureKind {
        /// The answer was wrong or not acceptable: let the person correct it.
        AnswerWrong,
        /// The SMS code is too old: offer a new one.
        CodeExpired,
        /// Too soon or too often: wait `retry_after`, then again.
        Wait,
        /// No reply: offer to try again; a call that may have arrived is not carried out twice.
        Network,
        /// The account center, or something behind it, has trouble: again later.
        ServerTrouble,
        /// The login stood elsewhere than the screen: show the present step, nothing was changed.
        Moved,
        /// The provider's consent could not be used: offer to authorize again, or another way to log in.
        ProviderTrouble,
        /// Not offered here: offer another way to log in.
        NotOffered,
        /// The server could not prove who it is, so no secret was sent: advise another network or an update of the app.
        Untrusted,
        /// This device could not keep or sign something (locked storage): again once it is unlocked.
        Device,
        /// The account center refuses for another reason; show the way to the bank's service.
        Refused,
    }
}

mirrored! {
    /// Why a login came to an end without a session.
    StopReason = sdk::StopReason {
        /// It took too long, or the server knows it no more: start over.
        LoginExpired,
        /// Too many wrong answers: start over, after `retry_after`.
        TooManyAttempts,
        /// The phone number leads to several customers (L5): the bank has to help.
        CustomerAmbiguous,
        /// The phone number is bound to another identity of this provider (U2): change it there first.
        PhoneBoundElsewhere,
        /// The provider identity is bound to another account (U3): unbind it there first.
        IdentityBoundElsewhere,
        /// The person declined face recognition (L5): show `alternative`.
        FaceDeclined,
        /// The login succeeded but this device could not keep the session: NOT logged in. Try saving again, or start over.
        SessionNotSaved,
        /// The account center asks something that this version of the app does not know: update the app.
        UpdateNeeded,
        /// Another reason; show the way to the bank's service.
        Refused,
    }
}

mirrored! {
    /// A way to prove who one is (L5, U2).
    VerificationMethod = sdk::VerificationMethod {
        /// The login password.
        LoginPassword,
        /// A registered card's number and its withdrawal password.
        Card,
    }
}

mirrored! {
    /// Why there is no consent: one vocabulary for all providers.
    RefusalKind = sdk_refusal::RefusalKind {
        /// The person said no. The only kind that is remembered (M4).
        Denied,
        /// The person left the page or pressed back.
        Cancelled,
        /// The app came to the foreground again without an answer.
        ReturnedWithoutAnswer,
        /// The provider's app is not installed, or too old.
        AppMissing,
        /// Package, signature or scope do not match what is registered at the provider: for the developers, not for the person.
        Misconfigured,
        /// The provider failed.
        ProviderFailed,
        /// The provider could not be reached.
        Network,
    }
}

mirrored! {
    /// What to do before an operation that needs an identity (W8).
    IdentityAdvice = sdk_refusal::Advice {
        /// Somebody is logged in.
        GoOn,
        /// Nobody is logged in, and asking now would be bad manners or of no use.
        GoOnAsGuest,
        /// Ask now.
        AskNow,
    }
}

mirrored! {
    /// How the holder of a session was identified (L10).
    Identification = sdk_account::Identification {
        /// Not logged in; a virtual user id.
        Guest,
        /// Known at a provider, without a phone number.
        Identified,
        /// A phone number that is on no contract with the bank.
        Unsigned,
        /// A signed customer, who passed the checks of L5 or L7.
        Signed,
        /// A word that this version does not know: treat it as the least.
        Unknown,
    }
}

mirrored! {
    /// Why a login is needed again.
    NeedsLoginReason = sdk_session::NeedsLoginReason {
        /// The session was ended at the account center.
        SessionEnded,
        /// It expired there, or the account center does not know it.
        SessionExpired,
        /// Its refresh token was used by somebody else; the whole family was ended.
        RefreshTokenReused,
        /// The key that protects the vault is lost (new fingerprint, restored device).
        VaultKeyLost,
        /// The device key that the session was bound to is lost.
        DeviceKeyLost,
        /// What was kept can't be read (truncated, written by a newer version).
        StoredSessionUnreadable,
    }
}

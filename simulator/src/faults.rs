//! Delays and failures that a test asks for, by party and path.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::oidc::Wrong;

/// The parties whose requests are counted and can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// api.weixin.qq.com and the WeChat app on the phone.
    Wechat,
    /// The SMS gateway with its inbox.
    Sms,
    /// The bank's core.
    Core,
    /// The face service.
    Face,
    /// api.weibo.com and the Weibo app.
    Weibo,
    /// graph.qq.com and the QQ app.
    Qq,
    /// Alipay's gateway and its app.
    Alipay,
    /// An `OpenID` Connect issuer.
    Oidc,
    /// The bank's own channel to its customers.
    Notices,
    /// The network in front of the account center.
    Gateway,
}

impl Party {
    /// Its name in JSON and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Sms => "sms",
            Self::Core => "core",
            Self::Face => "face",
            Self::Weibo => "weibo",
            Self::Qq => "qq",
            Self::Alipay => "alipay",
            Self::Oidc => "oidc",
            Self::Notices => "notices",
            Self::Gateway => "gateway",
        }
    }

    /// Whether people log in with it.
    fn is_provider(self) -> bool {
        matches!(
            self,
            Self::Wechat | Self::Weibo | Self::Qq | Self::Alipay | Self::Oidc
        )
    }

    /// Whether it has a vendor's protocol too, with error codes of its own.
    fn is_vendor(self) -> bool {
        matches!(self, Self::Sms | Self::Face)
    }

    /// Paths that play a phone or a human rather than the party's own protocol. A fault without a path leaves them alone.
    fn helper_paths(self) -> &'static [&'static str] {
        match self {
            Self::Wechat => &["/phone/", "/connect/", "/avatars/"],
            Self::Sms => &["/inbox/"],
            Self::Face | Self::Weibo | Self::Qq | Self::Alipay => &["/phone/"],
            Self::Oidc => &["/phone/", "/authorize"],
            Self::Notices => &["/board/"],
            Self::Core | Self::Gateway => &[],
        }
    }
}

/// What goes wrong.
#[derive(Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Fault {
    /// The request waits, then goes on (also into the next fault that applies).
    Delay { milliseconds: u64 },
    /// An answer of this status; a text body goes out as text, any other as JSON.
    Status { status: u16, body: Option<Value> },
    /// 200 with an HTML page, as a captive portal gives it.
    Rubbish {},
    /// The provider's own way to fail. WeChat: 200 with errcode and errmsg.
    Errcode {
        errcode: i64,
        errmsg: Option<String>,
    },
    /// Alipay: the answer's signature is of another text.
    WrongSignature {},
    /// 307 to another address of the same party, which nobody should follow.
    Redirect {},
    /// A whole answer of this many bytes that is nothing but spaces and a number: JSON, and far too long.
    Oversized { bytes: usize },
    /// `OpenID` Connect: an ID token that is wrong in this.
    IdToken { wrong: Wrong },
    /// The connection is closed before the request is handled or forwarded.
    DropRequest {},
    /// The request is handled or forwarded to its end, then the connection is closed without an answer.
    DropReply {},
    /// A provider: every code given so far has expired. Takes effect when it is posted, and is not kept.
    ExpireCodes {},
}

impl Fault {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Delay { .. } => "delay",
            Self::Status { .. } => "status",
            Self::Rubbish {} => "rubbish",
            Self::Errcode { .. } => "errcode",
            Self::WrongSignature {} => "wrong_signature",
            Self::Redirect {} => "redirect",
            Self::Oversized { .. } => "oversized",
            Self::IdToken { .. } => "id_token",
            Self::DropRequest {} => "drop_request",
            Self::DropReply {} => "drop_reply",
            Self::ExpireCodes {} => "expire_codes",
        }
    }
}

/// A fault with where and how often it applies: the body of `POST /faults`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) party: Party,
    pub(crate) path: Option<String>,
    pub(crate) fault: Fault,
    /// How many requests it still applies to; without it all of them.
    pub(crate) times: Option<u32>,
}

impl Rule {
    /// Says what is wrong with the rule, where something is.
    pub(crate) fn complaint(&self) -> Option<&'static str> {
        if self.times == Some(0) {
            return Some("times is at least 1");
        }
        if self
            .path
            .as_ref()
            .is_some_and(|path| !path.starts_with('/'))
        {
            return Some("path begins with /");
        }
        match self.fault {
            Fault::Errcode { .. } if !self.party.is_provider() && !self.party.is_vendor() => {
                Some("this fault is a provider's only")
            }
            Fault::ExpireCodes {} if !self.party.is_provider() => {
                Some("this fault is a provider's only")
            }
            Fault::IdToken { .. } if self.party != Party::Oidc => {
                Some("this fault is the OpenID Connect issuer's only")
            }
            Fault::Oversized { bytes } if bytes > 4 << 20 => Some("bytes is at most 4 MiB"),
            Fault::WrongSignature {} if self.party != Party::Alipay => {
                Some("this fault is Alipay's only")
            }
            Fault::Status { status, .. } if !(200..=599).contains(&status) => {
                Some("status is from 200 to 599")
            }
            _ => None,
        }
    }

    fn applies(&self, party: Party, path: &str) -> bool {
        self.party == party
            && self.times != Some(0)
            && match &self.path {
                Some(prefix) => path.starts_with(prefix.as_str()),
                None => !party
                    .helper_paths()
                    .iter()
                    .any(|helper| path.starts_with(helper)),
            }
    }
}

/// What becomes of one request: it waits, and then this fault.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
}

/// All rules in force, in the order they were made.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    pub(crate) fn add(&self, rule: Rule) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(rule);
    }

    pub(crate) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Takes every delay that applies and the first other fault, and counts them down.
    pub(crate) fn take(&self, party: Party, path: &str) -> Plan {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plan = Plan::default();
        for rule in rules.iter_mut().filter(|rule| rule.applies(party, path)) {
            match &rule.fault {
                Fault::Delay { milliseconds } => plan.delay += Duration::from_millis(*milliseconds),
                other if plan.fault.is_none() => plan.fault = Some(other.clone()),
                _ => continue,
            }
            rule.times = rule.times.map(|left| left - 1);
        }
        rules.retain(|rule| rule.times != Some(0));
        plan
    }
}

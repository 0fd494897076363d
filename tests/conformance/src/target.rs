//! What is checked, and what stands around it.

use serde::Deserialize;

use crate::Finding;

/// An account center.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its public URL, without a slash at the end.
    pub url: String,
    /// One of its apps, offered WeChat, and Alipay where that is to be checked too.
    pub app_id: String,
    /// The offline root's public key (contract section 5): base64url of the SEC1 point.
    pub root_key: Option<String>,
    /// The simulator that plays the world around it.
    pub parties: Option<Parties>,
}

impl Target {
    /// A target at `url`, which must be http or https.
    pub fn new(url: &str, app_id: &str) -> Result<Self, Finding> {
        let url = url.trim_end_matches('/');
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Finding::new(format!("{url} is no http or https address")));
        }
        Ok(Self {
            url: url.to_owned(),
            app_id: app_id.to_owned(),
            root_key: None,
            parties: None,
        })
    }
}

/// The parties that this suite speaks to, as the simulator's ready file names them.
#[derive(Clone, Debug, Deserialize)]
pub struct Parties {
    /// Makes people.
    pub control: String,
    /// The WeChat app on the phone.
    pub wechat: String,
    /// The Alipay app on the phone.
    pub alipay: String,
    /// The SMS inbox.
    pub sms: String,
    /// The face SDK on the phone.
    pub face: String,
}

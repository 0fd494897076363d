//! WeChat's mobile SDK: `SendAuth.Resp.errCode` (developers.weixin.qq.com, oplatform).

use std::time::Duration;

use super::{Connector, Provider, ProviderOutcome, ProviderReply, usable_code};
use crate::refusal::RefusalKind;
use crate::text::LocalizedText;

const OK: i32 = 0;
const COMMON: i32 = -1;
const USER_CANCELLED: i32 = -2;
const SEND_FAILED: i32 = -3;
const DENIED: i32 = -4;
const UNSUPPORTED: i32 = -5;

pub(super) struct WeChat;

impl Connector for WeChat {
    fn provider(&self) -> Provider {
        Provider::WeChat
    }

    fn outcome(
        &self,
        reply: ProviderReply,
        away: Option<Duration>,
        moment: Duration,
    ) -> ProviderOutcome {
        let kind = match reply.error_code {
            Some(OK) => match usable_code(reply.code) {
                Some(code) => return ProviderOutcome::Consented(code),
                None => RefusalKind::ProviderFailed,
            },
            // WeChat answers so at once, without a page, where package or signature differ from what was registered.
            Some(DENIED) if away.is_some_and(|away| away < moment) => RefusalKind::Misconfigured,
            Some(DENIED) => RefusalKind::Denied,
            Some(USER_CANCELLED) => RefusalKind::Cancelled,
            // The request never reached the WeChat app.
            Some(SEND_FAILED) => RefusalKind::Network,
            // The installed WeChat is too old to know the request.
            Some(UNSUPPORTED) => RefusalKind::AppMissing,
            Some(COMMON | _) | None => RefusalKind::ProviderFailed,
        };
        ProviderOutcome::Refused(kind)
    }

    fn settings_hint(&self) -> LocalizedText {
        LocalizedText::new(
            "微信 > 我 > 设置 > 个人信息与权限 > 授权管理",
            "WeChat > Me > Settings > Personal information and permissions > Authorization management",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretString;

    const MOMENT: Duration = Duration::from_secs(1);

    fn outcome(
        error_code: Option<i32>,
        code: Option<&str>,
        away_ms: Option<u64>,
    ) -> ProviderOutcome {
        let reply = ProviderReply {
            state: None,
            code: code.map(SecretString::from),
            error_code,
        };
        WeChat.outcome(reply, away_ms.map(Duration::from_millis), MOMENT)
    }

    #[test]
    fn m2_a_code_with_errcode_0_is_consent() {
        let consented = ProviderOutcome::Consented(SecretString::from("0815"));
        assert_eq!(outcome(Some(0), Some("0815"), Some(10)), consented);
    }

    #[test]
    fn w8_each_errcode_has_its_place_in_the_vocabulary() {
        for (code, kind) in [
            (Some(-1), RefusalKind::ProviderFailed),
            (Some(-2), RefusalKind::Cancelled),
            (Some(-3), RefusalKind::Network),
            (Some(-4), RefusalKind::Denied),
            (Some(-5), RefusalKind::AppMissing),
            (Some(-6), RefusalKind::ProviderFailed),
            (Some(17), RefusalKind::ProviderFailed),
            (None, RefusalKind::ProviderFailed),
        ] {
            assert_eq!(
                outcome(code, Some("0815"), Some(5_000)),
                ProviderOutcome::Refused(kind),
                "{code:?}"
            );
        }
    }

    #[test]
    fn m4_a_denial_quicker_than_any_page_is_a_misconfiguration() {
        let refused = |away| outcome(Some(-4), None, away);
        assert_eq!(
            refused(Some(0)),
            ProviderOutcome::Refused(RefusalKind::Misconfigured)
        );
        assert_eq!(
            refused(Some(999)),
            ProviderOutcome::Refused(RefusalKind::Misconfigured)
        );
        assert_eq!(
            refused(Some(1_000)),
            ProviderOutcome::Refused(RefusalKind::Denied)
        );
        // After a restart nobody knows how long it took.
        assert_eq!(refused(None), ProviderOutcome::Refused(RefusalKind::Denied));
        // A quick cancel is a cancel.
        assert_eq!(
            outcome(Some(-2), None, Some(1)),
            ProviderOutcome::Refused(RefusalKind::Cancelled)
        );
    }

    #[test]
    fn an_ok_without_a_usable_code_is_the_providers_failure() {
        let long = "x".repeat(2_000);
        for code in [
            None,
            Some(""),
            Some("a b"),
            Some("a\u{0}"),
            Some("码"),
            Some(long.as_str()),
        ] {
            assert_eq!(
                outcome(Some(0), code, Some(5_000)),
                ProviderOutcome::Refused(RefusalKind::ProviderFailed)
            );
        }
    }
}

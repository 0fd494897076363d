//! What the bank decides about accounts: texts.

use std::collections::BTreeMap;

use super::wire_appeals::SuggestedQuestion;
use crate::login::wire::Text;

/// Texts of the account's operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountPolicy {
    /// L8: how the provider's own grant is closed, by the provider's name.
    pub unbind_hints: BTreeMap<String, Text>,
    /// The same for a provider that is not listed.
    pub unbind_hint_otherwise: Text,
    /// U6: security questions to choose from.
    pub questions: Vec<SuggestedQuestion>,
}

fn text(zh: &str, en: &str) -> Text {
    Text {
        zh: zh.to_owned(),
        en: en.to_owned(),
    }
}

impl Default for AccountPolicy {
    fn default() -> Self {
        let hints = [
            (
                "wechat",
                text(
                    "请在微信中一并关闭授权：我 > 设置 > 个人信息与权限 > 授权管理",
                    "Close the authorization in WeChat too: Me > Settings > Personal information and permissions > Authorization management",
                ),
            ),
            (
                "alipay",
                text(
                    "请在支付宝中一并关闭授权：我的 > 设置 > 隐私 > 授权管理 > 账号授权",
                    "Close the authorization in Alipay too: Me > Settings > Privacy > Authorization management > Account authorization",
                ),
            ),
            (
                "qq",
                text(
                    "请在 QQ 中一并关闭授权：头像 > 设置 > 隐私 > 授权管理",
                    "Close the authorization in QQ too: your picture > Settings > Privacy > Authorization management",
                ),
            ),
            (
                "weibo",
                text(
                    "请在微博中一并关闭授权：我 > 设置，在账号或隐私设置中找到第三方应用授权管理",
                    "Close the authorization in Weibo too: Me > Settings, then authorized third-party apps among the account or privacy settings",
                ),
            ),
        ];
        Self {
            unbind_hints: hints
                .into_iter()
                .map(|(provider, hint)| (provider.to_owned(), hint))
                .collect(),
            unbind_hint_otherwise: text(
                "请在该平台的账号设置中一并关闭对本应用的授权",
                "Close this app's authorization in the provider's own account settings too",
            ),
            questions: questions(),
        }
    }
}

fn questions() -> Vec<SuggestedQuestion> {
    [
        (
            "first_school",
            "您的第一所学校叫什么？",
            "What was your first school called?",
        ),
        (
            "first_teacher",
            "您小学班主任的姓名是？",
            "What was your first teacher's name?",
        ),
        (
            "birth_place",
            "您母亲的出生地是？",
            "Where was your mother born?",
        ),
        (
            "first_job",
            "您的第一份工作在哪家单位？",
            "Where did you work first?",
        ),
        (
            "childhood_friend",
            "您儿时最好的朋友叫什么？",
            "Who was your best friend as a child?",
        ),
        (
            "first_trip",
            "您第一次长途旅行去了哪里？",
            "Where did your first long journey go?",
        ),
    ]
    .into_iter()
    .map(|(id, zh, en)| SuggestedQuestion {
        id: id.to_owned(),
        text: text(zh, en),
    })
    .collect()
}

impl AccountPolicy {
    /// L8: how the grant at this provider is closed.
    pub fn unbind_hint(&self, provider: &str) -> &Text {
        self.unbind_hints
            .get(provider)
            .unwrap_or(&self.unbind_hint_otherwise)
    }
}

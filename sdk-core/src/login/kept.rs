//! Reads what `state.rs` keeps of a login, as serde writes it. Each step is one object of one member, named by the question.

use serde_json::Value;

use super::pending::PendingRecord;
use super::state::{
    Asked, Attempt, FaceQuestion, Handle, Origin, Pending, PhoneQuestion, RegistrationQuestion,
    SmsCodeQuestion, Step, VerificationQuestion,
};
use crate::json::{self, FromJson};

impl FromJson for PendingRecord {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            pending: json::member(tree, "pending")?,
            nonce: json::optional(tree, "nonce")?,
        })
    }
}

impl FromJson for Pending {
    fn from_json(tree: &mut Value) -> Option<Self> {
        let (kind, content) = json::variant(tree)?;
        Some(match kind {
            "at_provider" => Self::AtProvider(Attempt::from_json(content)?),
            "at_step" => Self::AtStep(Step::from_json(content)?),
            "in_call" => Self::InCall {
                origin: json::member(content, "origin")?,
                call: json::member(content, "call")?,
            },
            _ => return None,
        })
    }
}

impl FromJson for Origin {
    fn from_json(tree: &mut Value) -> Option<Self> {
        let (kind, content) = json::variant(tree)?;
        Some(match kind {
            "ready" => Self::Ready {
                expires_at: json::number(content, "expires_at")?,
            },
            "step" => Self::Step(Step::from_json(content)?),
            _ => return None,
        })
    }
}

impl FromJson for Attempt {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            provider: json::member(tree, "provider")?,
            provider_app_id: json::text(tree, "provider_app_id")?,
            scope: json::text(tree, "scope")?,
            state: json::text(tree, "state")?,
            operation: json::optional(tree, "operation")?,
            expires_at: json::number(tree, "expires_at")?,
            resumed: false,
        })
    }
}

impl FromJson for Step {
    fn from_json(tree: &mut Value) -> Option<Self> {
        let (question, asked) = json::variant(tree)?;
        // What all steps have, read once and not once for each question.
        let common = Asked {
            handle: json::member(asked, "handle")?,
            question: (),
            failure: json::optional(asked, "failure")?,
            unanswered: json::member(asked, "unanswered")?,
        };
        let it = asked.get_mut("question")?;
        Some(match question {
            "phone" => Self::Phone(common.about(PhoneQuestion {})),
            "sms_code" => Self::SmsCode(common.about(SmsCodeQuestion {
                sent_to: json::text(it, "sent_to")?,
                digits: json::number(it, "digits")?,
                attempts_left: json::number(it, "attempts_left")?,
                resend_at: json::number(it, "resend_at")?,
                code_expires_at: json::number(it, "code_expires_at")?,
            })),
            "verification" => Self::Verification(common.about(VerificationQuestion {
                methods: json::member(it, "methods")?,
                attempts_left: json::number(it, "attempts_left")?,
            })),
            "registration" => Self::Registration(common.about(RegistrationQuestion {
                rules: json::member(it, "rules")?,
            })),
            "face" => Self::Face(common.about(FaceQuestion {
                face_session: json::text(it, "face_session")?,
                url: json::text(it, "url")?,
                nonce: json::text(it, "nonce")?,
                alternative: json::member(it, "alternative")?,
                attempts_left: json::number(it, "attempts_left")?,
            })),
            _ => return None,
        })
    }
}

impl Asked<()> {
    fn about<Q>(self, question: Q) -> Asked<Q> {
        Asked {
            handle: self.handle,
            question,
            failure: self.failure,
            unanswered: self.unanswered,
        }
    }
}

impl FromJson for Handle {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            login: json::text(tree, "login")?,
            step_id: json::text(tree, "step_id")?,
            expires_at: json::number(tree, "expires_at")?,
        })
    }
}

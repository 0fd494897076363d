//! The OpenAPI 3.1 document, generated from the code.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::{IntoParams, Modify, OpenApi, ToSchema};

use super::routes;
use crate::account::wire::{OperationAnswer, ProofStart};
use crate::account::wire_appeals::AppealAnswer;
use crate::login::wire::{AnswerRequest, BeginRequest, Nothing};

/// A problem (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "describes what `Problem::to_json` writes")]
pub(super) struct ProblemBody {
    /// `urn:postern:problem:<code>`
    r#type: String,
    /// A sentence for developers.
    title: String,
    /// The HTTP status.
    status: u16,
    /// One of the codes in `problems.json`.
    code: String,
    /// What was wrong in this case.
    detail: Option<String>,
    /// The reply's `X-Request-Id`.
    request_id: String,
    /// RFC 6901 pointer to the field that was refused.
    pointer: Option<String>,
    /// Seconds.
    retry_after: Option<u64>,
    /// Answers that this step still takes.
    attempts_left: Option<u32>,
    /// The login's handle.
    login: Option<String>,
    /// The operation's handle.
    operation: Option<String>,
    /// The present step.
    step_id: Option<String>,
    /// The present step, described as in a reply.
    #[schema(value_type = Option<Object>)]
    next: Option<serde_json::Value>,
    /// With `not_offered_here`: the providers that are offered.
    offered: Option<Vec<String>>,
}

/// The proof.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes a header")]
pub(super) struct ProofHeader {
    /// A proof of possession of the device key (RFC 9449, contract section 2).
    #[param(rename = "DPoP")]
    dpop: String,
}

/// The Idempotency-Key.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes a header")]
pub(super) struct IdempotencyHeader {
    /// 22 base64url characters (contract section 3).
    #[param(
        rename = "Idempotency-Key",
        min_length = 22,
        max_length = 22,
        pattern = "^[A-Za-z0-9_-]{22}$"
    )]
    idempotency_key: String,
}

/// The body of `POST /v1/login`: a beginning, or an answer.
#[derive(ToSchema)]
#[schema(as = LoginRequest)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes what `LoginRequest::parse` reads")]
pub(super) enum LoginRequestBody {
    /// Begins a login.
    Begin(BeginRequest),
    /// Answers the present step.
    Answer(AnswerRequest),
}

/// Begins a proof.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `ProofRequest::parse` reads")]
pub(super) struct StartProof {
    /// What it begins with.
    start: ProofStart,
}

/// The body of `POST /v1/account/proof`: a beginning, or an answer.
#[derive(ToSchema)]
#[schema(as = ProofRequest)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes what `ProofRequest::parse` reads")]
pub(super) enum ProofRequestBody {
    /// Begins a proof.
    Start(StartProof),
    /// Answers the present step.
    Answer(OperationAnswer),
}

/// Begins a change of the phone number.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `PhoneChangeRequest::parse` reads")]
pub(super) struct StartPhoneChange {
    /// Nothing to say.
    start: Nothing,
}

/// The body of `POST /v1/account/phone-change`: a beginning, or an answer.
#[derive(ToSchema)]
#[schema(as = PhoneChangeRequest)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes what `PhoneChangeRequest::parse` reads")]
pub(super) enum PhoneChangeRequestBody {
    /// Begins a change.
    Start(StartPhoneChange),
    /// Answers the present step.
    Answer(OperationAnswer),
}

/// Begins an appeal.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `AppealRequest::parse` reads")]
pub(super) struct StartAppeal {
    /// One of the bank's apps.
    app_id: String,
    /// Where the appellant can be reached.
    start: ContactPhone,
}

/// Where an appellant can be reached.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `AppealRequest::parse` reads")]
pub(super) struct ContactPhone {
    /// In E.164.
    contact_phone: String,
}

/// Answers a step of an appeal.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `AppealRequest::parse` reads")]
pub(super) struct AnswerAppeal {
    /// The operation's handle.
    operation: String,
    /// The step that is answered.
    step_id: String,
    /// Exactly one answer.
    answer: AppealAnswer,
}

/// The body of `POST /v1/appeals`: a beginning, or an answer.
#[derive(ToSchema)]
#[schema(as = AppealRequest)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes what `AppealRequest::parse` reads")]
pub(super) enum AppealRequestBody {
    /// Begins an appeal.
    Start(StartAppeal),
    /// Answers the present step.
    Answer(AnswerAppeal),
}

struct AccessToken;

impl Modify for AccessToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = ApiKey::Header(ApiKeyValue::with_description(
            "Authorization",
            "`DPoP` and an access token (RFC 9449 section 7.1), with a proof that has `ath`.",
        ));
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("access_token", SecurityScheme::ApiKey(scheme));
        let scheme = ApiKey::Header(ApiKeyValue::with_description(
            "Authorization",
            "`Bearer` and the token of an operator's session. On the admin listener only.",
        ));
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("admin_session", SecurityScheme::ApiKey(scheme));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Postern account center", description = "See `contract/README.md`, which decides.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(
        routes::login_options,
        routes::login,
        routes::provider_requests,
        routes::refresh,
        routes::end_session,
        routes::list_sessions,
        routes::account,
        routes::personal_data,
        routes::close_account,
        routes::list_bindings,
        routes::unbind,
        routes::guests,
        routes::outbox_events,
        routes::bind,
        routes::prove,
        routes::change_phone,
        routes::confirm_address,
        routes::take_notification,
        routes::security_questions,
        routes::set_questions,
        routes::open_appeal,
        routes::appeal_status,
        routes::recover,
        routes::list_appeals,
        routes::decide_appeal,
        routes::jwks,
        routes::openapi_document,
        routes::healthz,
        routes::readyz,
        routes::events,
        routes::rollout_rules,
        routes::put_rollout_rule,
        routes::trial_groups,
        routes::trial_group,
        routes::put_trial_group,
        routes::funnel_counts,
        routes::active_users,
        routes::new_customers,
        routes::sign_in,
        routes::set_up,
        routes::change_password,
        routes::sessions,
        routes::end_session_of_operator,
        routes::operators,
        routes::create,
        routes::change_operator,
        routes::reset_operator,
        routes::audit_log,
        routes::look_at_account,
        routes::look_for_account,
    ),
    components(schemas(ProblemBody)),
    modifiers(&AccessToken),
)]
struct Document;

/// The document, pretty, with a newline at its end: the bytes of `contract/openapi.json`.
pub fn document() -> String {
    let mut text = Document::openapi()
        .to_pretty_json()
        .expect("the document is made of texts");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn the_contract_has_the_document_that_the_code_makes() {
        let kept = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../contract/openapi.json"
        ))
        .unwrap_or_default();
        assert!(
            kept == super::document(),
            "contract/openapi.json is not what the code makes; write it anew: cargo run -p postern-account-center -- openapi --output contract/openapi.json"
        );
    }
}

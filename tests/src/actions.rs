//! What a line of a scenario does: to the step that is at hand, to the simulator, to the kept session.

use std::time::Duration;

use postern_sdk_core::login::{AuthorizationRequest, AuthorizingStep, LoginState, StepError};
use postern_sdk_core::providers::{Provider, ProviderReply};
use postern_sdk_core::refusal::Advice;
use postern_sdk_core::secret::SecretString;
use postern_sdk_core::session::{SessionFailure, SessionStatus};
use url::Url;

use crate::facts::name_of;
use crate::player::{Stage, acted};
use crate::scenario::{Action, FaceAction, SessionAction, WeChatAction};
use crate::simulator::Person;
use crate::trouble::{Result, Trouble, unexpected};

/// A person reads the page first; an answer that is quicker is none of theirs.
const READS_THE_PAGE: Duration = Duration::from_millis(1500);

/// Performs one action. Steps have announced what follows when they return; it is compared by the next line.
pub(crate) async fn perform(stage: &mut Stage<'_>, action: &Action) -> Result<()> {
    match action {
        Action::Restart(_) => {
            stage.nothing_more().await?;
            stage.device.start()
        }
        Action::Fault(fault) => stage.simulator.fault(fault).await,
        Action::ClearFaults(_) => stage.simulator.clear_faults().await,
        Action::Session(action) => session(stage, *action).await,
        Action::Sessions(expected) => {
            let sessions = stage.device.postern()?.account().sessions().await;
            equal("sessions", sessions.map_err(told)?.len(), *expected)
        }
        Action::InboxCount(expected) => {
            let messages = stage.simulator.inbox(stage.newest_phone()).await?;
            equal("messages", messages, *expected)
        }
        Action::Advice { operation, is } => {
            let advice = stage.device.postern()?.require_identity(operation).await;
            let advice = match advice {
                Advice::GoOn => "go_on",
                Advice::GoOnAsGuest => "go_on_as_guest",
                Advice::AskNow => "ask_now",
            };
            if advice == is {
                Ok(())
            } else {
                unexpected(format!("the advice was {advice}"))
            }
        }
        Action::Wechat(action) => {
            // Round trips are counted from the provider's answer.
            stage.simulator.forget_requests().await?;
            acted(wechat(stage, *action).await?)
        }
        Action::Invalid(action) => match Box::pin(answer(stage, action)).await? {
            Err(StepError::Invalid(_)) => Ok(()),
            other => unexpected(format!("not told to be invalid: {other:?}")),
        },
        _ => acted(answer(stage, action).await?),
    }
}

/// What the present step answers to the person.
async fn answer(
    stage: &mut Stage<'_>,
    action: &Action,
) -> Result<std::result::Result<(), StepError>> {
    let present = stage.state.clone();
    Ok(match (action, &present) {
        (Action::Choose(name), LoginState::Ready(_, step)) => match Provider::from_name(name) {
            Some(provider) => step.choose(provider).await,
            None => return unexpected(format!("there is no provider {name}")),
        },
        (Action::SubmitPhone(text), LoginState::PhoneNeeded(_, step)) => {
            let phone = stage.cast.resolve(text)?;
            stage.typed_phone = Some(phone.clone());
            step.submit(&phone).await
        }
        (Action::SubmitCode(text), LoginState::SmsCodeNeeded(_, step)) => {
            let code = sms_code(stage, text).await?;
            step.submit(&code).await
        }
        (Action::Resend(_), LoginState::SmsCodeNeeded(_, step)) => step.resend().await,
        (Action::ChangePhone(_), LoginState::SmsCodeNeeded(_, step)) => step.change_phone().await,
        (Action::SubmitLoginPassword(text), LoginState::VerificationNeeded(_, step)) => {
            step.submit_login_password(secret(stage, text)?).await
        }
        (
            Action::SubmitCard {
                number,
                withdrawal_password,
            },
            LoginState::VerificationNeeded(_, step),
        ) => {
            let (number, password) = (secret(stage, number)?, secret(stage, withdrawal_password)?);
            step.submit_card(&number, &password).await
        }
        (Action::Register(text), LoginState::RegistrationNeeded(_, step)) => {
            step.submit(secret(stage, text)?).await
        }
        (Action::Face(FaceAction::Decline), LoginState::FaceNeeded(_, step)) => {
            step.decline().await
        }
        (Action::Face(action), LoginState::FaceNeeded(info, step)) => {
            let outcome = match action {
                FaceAction::Fail => "fail",
                FaceAction::Timeout => "timeout",
                FaceAction::Pass | FaceAction::Decline => "pass",
            };
            let ticket = stage
                .simulator
                .face_performs(&info.face_session, outcome)
                .await?;
            step.submit(SecretString::from(ticket)).await
        }
        (Action::AskAgain(_), LoginState::Refused(_, step)) => step.ask_again().await,
        (Action::Dismiss(_), LoginState::Refused(_, step)) => step.dismiss().await,
        (Action::StartOver(_), LoginState::Stopped(_, step)) => step.start_over().await,
        (Action::Cancel(_), present) => match present {
            LoginState::Authorizing(_, step) => step.cancel().await,
            LoginState::PhoneNeeded(_, step) => step.cancel().await,
            LoginState::SmsCodeNeeded(_, step) => step.cancel().await,
            LoginState::VerificationNeeded(_, step) => step.cancel().await,
            LoginState::RegistrationNeeded(_, step) => step.cancel().await,
            LoginState::FaceNeeded(_, step) => step.cancel().await,
            _ => return impossible(present),
        },
        (_, present) => return impossible(present),
    })
}

fn impossible<T>(state: &LoginState) -> Result<T> {
    unexpected(format!("nobody can do that in {}", name_of(state)))
}

fn secret(stage: &Stage<'_>, text: &str) -> Result<SecretString> {
    Ok(SecretString::from(stage.cast.resolve(text)?))
}

async fn sms_code(stage: &Stage<'_>, text: &str) -> Result<String> {
    if !matches!(text, "$inbox" | "wrong") {
        return Ok(text.to_owned());
    }
    let right = stage.simulator.newest_code(stage.newest_phone()).await?;
    if text == "$inbox" {
        return Ok(right);
    }
    let number: u32 = right
        .parse()
        .map_err(|_| Trouble::Unexpected("the code is no number".into()))?;
    Ok(format!("{:06}", (number + 1) % 1_000_000))
}

async fn wechat(
    stage: &Stage<'_>,
    action: WeChatAction,
) -> Result<std::result::Result<(), StepError>> {
    let LoginState::Authorizing(request, step) = &stage.state else {
        return impossible(&stage.state);
    };
    let person = match action {
        WeChatAction::AgreeAsOther => match &stage.cast.other {
            Some(other) => other,
            None => return unexpected("there is nobody else"),
        },
        _ => &stage.cast.person,
    };
    let decision = match action {
        WeChatAction::None => return Ok(step.returned_without_answer().await),
        WeChatAction::Missing => return Ok(step.app_missing().await),
        WeChatAction::Agree | WeChatAction::AgreeAsOther => "agree",
        WeChatAction::RefuseAtOnce => "refuse",
        WeChatAction::Refuse => {
            tokio::time::sleep(READS_THE_PAGE).await;
            "refuse"
        }
        WeChatAction::Close => "close",
    };
    authorize(stage, person, request, step, decision).await
}

async fn authorize(
    stage: &Stage<'_>,
    person: &Person,
    request: &AuthorizationRequest,
    step: &AuthorizingStep,
    decision: &str,
) -> Result<std::result::Result<(), StepError>> {
    let answer = stage
        .simulator
        .wechat_answers(person, request, decision)
        .await?;
    let reply = ProviderReply {
        state: answer.state,
        code: answer.code.map(SecretString::from),
        error_code: Some(answer.err_code),
    };
    Ok(step.answer(reply).await)
}

async fn session(stage: &Stage<'_>, action: SessionAction) -> Result<()> {
    let postern = stage.device.postern()?;
    let session = postern.session();
    match action {
        SessionAction::IsSignedIn => match session.status().await {
            SessionStatus::SignedIn(_) => Ok(()),
            other => unexpected(format!("the session is {other:?}")),
        },
        SessionAction::IsSignedOut => match session.status().await {
            SessionStatus::SignedOut | SessionStatus::NeedsLogin(_) => Ok(()),
            other => unexpected(format!("the session is {other:?}")),
        },
        SessionAction::Renew => session.renew().await.map_err(told),
        SessionAction::RenewRefused => match session.renew().await {
            Err(SessionFailure::NeedsLogin(_)) => Ok(()),
            other => unexpected(format!("renewing gave {other:?}")),
        },
        SessionAction::RenewUnavailable => match session.renew().await {
            Err(SessionFailure::Unavailable(_)) => Ok(()),
            other => unexpected(format!("renewing gave {other:?}")),
        },
        SessionAction::SignOut => match session.sign_out().await {
            Ok(_) => Ok(()),
            Err(error) => unexpected(format!("signing out: {error}")),
        },
        SessionAction::Account => postern.account().get().await.map(drop).map_err(told),
        SessionAction::EndAtServer => end_at_server(stage).await,
    }
}

/// Ends the session behind the SDK's back, as another device or the bank would.
async fn end_at_server(stage: &Stage<'_>) -> Result<()> {
    let url = format!("{}/v1/sessions/current", stage.env.account_center);
    let url = Url::parse(&url).map_err(|error| Trouble::Unexpected(error.to_string()))?;
    let session = stage.device.postern()?.session();
    let authorized = session
        .authorize_body("DELETE", &url, &[])
        .await
        .map_err(told)?;
    stage
        .simulator
        .delete_with(
            url.as_str(),
            authorized.authorization().expose(),
            authorized.proof().expose(),
        )
        .await
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(failure: SessionFailure) -> Trouble {
    Trouble::Unexpected(format!("the session: {failure}"))
}

fn equal(what: &str, counted: usize, expected: usize) -> Result<()> {
    if counted == expected {
        Ok(())
    } else {
        unexpected(format!("{counted} {what}, not {expected}"))
    }
}

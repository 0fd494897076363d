//! `FaceVerifier`: a session for the phone's face SDK, and the check of the ticket that it gives, server to server and once (L5).

use std::fmt;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Endpoint, PortError};
use crate::login::decision::CustomerRef;

/// What a face session, and so its ticket, is bound to (L5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaceBinding {
    /// Whose face.
    pub customer: CustomerRef,
    /// For which login: a name that is not its handle.
    pub login: String,
    /// On which device: the device key's thumbprint.
    pub device_key: String,
    /// For which asking.
    pub nonce: String,
}

/// What the phone's face SDK needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaceSession {
    /// The service's name for it.
    pub face_session: String,
    /// Where the face SDK goes.
    pub url: String,
}

impl fmt::Debug for FaceSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaceSession([redacted])")
    }
}

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketResult {
    /// The face is that of the customer to whom the session was bound.
    Passed(FaceBinding),
    /// It is not.
    Failed,
    /// The person took too long.
    TimedOut,
    /// This ticket was checked before.
    Used,
    /// No such ticket.
    Unknown,
}

/// Face recognition.
pub trait FaceVerifier: Send + Sync {
    /// Opens a session.
    fn start<'a>(
        &'a self,
        binding: &'a FaceBinding,
    ) -> BoxFuture<'a, Result<FaceSession, PortError>>;
    /// Checks a ticket; it serves once.
    fn verify<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Result<TicketResult, PortError>>;
}

/// The face service over HTTP: the interface that `simulator/README.md` describes under "face".
#[derive(Clone, Debug)]
pub struct HttpFaceVerifier {
    endpoint: Endpoint,
}

impl HttpFaceVerifier {
    /// Speaks to this endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }
}

#[derive(Serialize)]
struct Ticket<'a> {
    ticket: &'a str,
}

#[derive(Deserialize)]
struct Verified {
    result: VerifiedResult,
    customer: Option<String>,
    login: Option<String>,
    device_key: Option<String>,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum VerifiedResult {
    Passed,
    Failed,
    TimedOut,
    Used,
    Unknown,
}

impl FaceVerifier for HttpFaceVerifier {
    fn start<'a>(
        &'a self,
        binding: &'a FaceBinding,
    ) -> BoxFuture<'a, Result<FaceSession, PortError>> {
        Box::pin(async move {
            let session: FaceSession = self.endpoint.post(&["sessions"], binding).await?;
            let web =
                Url::parse(&session.url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !web
                || session.face_session.is_empty()
                || session.face_session.len() > 512
                || session.url.len() > 2048
            {
                return Err(PortError::unavailable(
                    "the face session is not of the described form",
                ));
            }
            Ok(session)
        })
    }

    fn verify<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Result<TicketResult, PortError>> {
        Box::pin(async move {
            let verified: Verified = self
                .endpoint
                .post(&["tickets", "verify"], &Ticket { ticket })
                .await?;
            Ok(match verified.result {
                VerifiedResult::Failed => TicketResult::Failed,
                VerifiedResult::TimedOut => TicketResult::TimedOut,
                VerifiedResult::Used => TicketResult::Used,
                VerifiedResult::Unknown => TicketResult::Unknown,
                VerifiedResult::Passed => match (
                    verified.customer,
                    verified.login,
                    verified.device_key,
                    verified.nonce,
                ) {
                    (Some(customer), Some(login), Some(device_key), Some(nonce)) => {
                        TicketResult::Passed(FaceBinding {
                            customer: CustomerRef(customer),
                            login,
                            device_key,
                            nonce,
                        })
                    }
                    // Passed, but not for whom: no pass.
                    _ => {
                        return Err(PortError::Unavailable {
                            what: "a passed ticket names no binding".into(),
                            maybe_done: true,
                        });
                    }
                },
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ports::{Outbound, OutboundSettings};
    use crate::testing::HttpDouble;
    use serde_json::{Value, json};

    async fn verifier(reply: Value) -> (HttpDouble, HttpFaceVerifier) {
        let double = HttpDouble::start(move |_| (200, reply.to_string())).await;
        let endpoint = Endpoint::new(
            double.url(),
            "k".into(),
            Outbound::new(&OutboundSettings::default()).unwrap(),
        );
        (double, HttpFaceVerifier::new(endpoint))
    }

    fn binding() -> FaceBinding {
        FaceBinding {
            customer: CustomerRef("C1".into()),
            login: "l".into(),
            device_key: "d".into(),
            nonce: "n".into(),
        }
    }

    #[tokio::test]
    async fn l5_a_ticket_passes_only_with_the_whole_binding() {
        let passed = json!({"result": "passed", "customer": "C1", "login": "l", "device_key": "d", "nonce": "n"});
        let (_double, face) = verifier(passed.clone()).await;
        assert_eq!(face.verify("t").await, Ok(TicketResult::Passed(binding())));
        for missing in ["customer", "login", "device_key", "nonce"] {
            let mut reply = passed.clone();
            reply.as_object_mut().unwrap().remove(missing);
            let (_double, face) = verifier(reply).await;
            assert!(
                matches!(face.verify("t").await, Err(PortError::Unavailable { .. })),
                "{missing}"
            );
        }
    }

    #[tokio::test]
    async fn tickets_that_do_not_pass_say_why() {
        for (word, expected) in [
            ("failed", TicketResult::Failed),
            ("timed_out", TicketResult::TimedOut),
            ("used", TicketResult::Used),
            ("unknown", TicketResult::Unknown),
        ] {
            let (_double, face) = verifier(json!({"result": word})).await;
            assert_eq!(face.verify("t").await, Ok(expected));
        }
        let (_double, face) = verifier(json!({"result": "PASSED"})).await;
        assert!(face.verify("t").await.is_err());
    }

    #[tokio::test]
    async fn a_session_must_name_a_web_address() {
        for (reply, good) in [
            (
                json!({"face_session": "f", "url": "http://127.0.0.1:1/f"}),
                true,
            ),
            (
                json!({"face_session": "f", "url": "javascript:alert(1)"}),
                false,
            ),
            (
                json!({"face_session": "", "url": "https://face.example"}),
                false,
            ),
            (json!({"face_session": "f"}), false),
        ] {
            let (_double, face) = verifier(reply.clone()).await;
            assert_eq!(face.start(&binding()).await.is_ok(), good, "{reply}");
        }
    }
}

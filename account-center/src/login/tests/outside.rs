//! The bank's core, face service, SMS gateway and a provider, as the tests need them: answering, wrong, locked, down.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;

use crate::login::decision::{CustomerRef, Resolved};
use crate::phone_number::PhoneNumber;
use crate::ports::{
    CardProof, CustomerDirectory, FaceBinding, FaceSession, FaceVerifier, LoginCodeMessage,
    NoticeMessage, PortError, ProofResult, SmsGateway, TicketResult,
};
use crate::providers::{
    Connector, Credential, CredentialKind, ExchangeError, LastingSubject, Profile, ProviderApp,
    ProviderIdentity,
};
use crate::secret::SecretText;

/// Somebody with a WeChat account.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) open_id: String,
    pub(super) union_id: Option<String>,
    pub(super) nickname: String,
    /// Other open ids that the provider tells with it.
    pub(super) aliases: Vec<String>,
}

impl Person {
    pub(super) fn new(name: &str) -> Self {
        Self {
            open_id: format!("open-{name}"),
            union_id: Some(format!("union-{name}")),
            nickname: name.to_owned(),
            aliases: Vec::new(),
        }
    }
}

/// A customer of the core.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) reference: &'static str,
    pub(super) password: &'static str,
    pub(super) card: (&'static str, &'static str),
}

#[derive(Default)]
pub(super) struct Outside {
    pub(super) provider_down: AtomicBool,
    pub(super) sms_down: AtomicBool,
    pub(super) core_down: AtomicBool,
    pub(super) face_down: AtomicBool,
    pub(super) exchanges: AtomicU32,
    pub(super) proofs: AtomicU32,
    /// How often the core was asked whose number one is.
    pub(super) lookups: AtomicU32,
    pub(super) locked: AtomicBool,
    /// Each call to the provider and the core waits this long: races need time.
    pub(super) slow_millis: AtomicU32,
    counter: AtomicU32,
    codes: Mutex<HashMap<String, Person>>,
    used: Mutex<HashSet<String>>,
    /// Takes every code any number of times, as a provider with long-lived tokens would.
    pub(super) codes_serve_for_ever: AtomicBool,
    contracts: Mutex<HashMap<String, Vec<Customer>>>,
    inbox: Mutex<Vec<(String, String)>>,
    notices: Mutex<Vec<(String, String)>>,
    face_sessions: Mutex<HashMap<String, FaceBinding>>,
    tickets: Mutex<HashMap<String, TicketResult>>,
}

fn is(flag: &AtomicBool) -> bool {
    flag.load(Ordering::SeqCst)
}

fn down(flag: &AtomicBool) -> Result<(), PortError> {
    if is(flag) {
        Err(PortError::unavailable("down"))
    } else {
        Ok(())
    }
}

impl Outside {
    async fn pause(&self) {
        let millis = self.slow_millis.load(Ordering::SeqCst);
        if millis > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(millis.into())).await;
        }
    }

    fn next(&self) -> u32 {
        self.counter.fetch_add(1, Ordering::SeqCst)
    }

    /// The person agrees in WeChat: a code.
    pub(super) fn agree(&self, person: &Person) -> String {
        let code = format!("code-{}", self.next());
        self.codes
            .lock()
            .unwrap()
            .insert(code.clone(), person.clone());
        code
    }

    pub(super) fn contract(&self, phone: &str, customers: &[Customer]) {
        self.contracts
            .lock()
            .unwrap()
            .insert(phone.to_owned(), customers.to_vec());
    }

    /// The newest code sent to a number.
    pub(super) fn inbox(&self, phone: &str) -> String {
        self.inbox
            .lock()
            .unwrap()
            .iter()
            .rev()
            .find(|(to, _)| to == phone)
            .map(|(_, code)| code.clone())
            .unwrap()
    }

    /// Number and template of each notice.
    pub(super) fn notices(&self) -> Vec<(String, String)> {
        self.notices.lock().unwrap().clone()
    }

    pub(super) fn messages(&self) -> usize {
        self.inbox.lock().unwrap().len()
    }

    /// The face SDK on the phone: a ticket for a session.
    pub(super) fn perform_face(&self, face_session: &str, passed: bool) -> String {
        let binding = self.face_sessions.lock().unwrap()[face_session].clone();
        let ticket = format!("ticket-{}", self.next());
        let result = if passed {
            TicketResult::Passed(binding)
        } else {
            TicketResult::Failed
        };
        self.tickets.lock().unwrap().insert(ticket.clone(), result);
        ticket
    }

    pub(super) fn face_binding(&self, face_session: &str) -> FaceBinding {
        self.face_sessions.lock().unwrap()[face_session].clone()
    }

    /// A ticket that says anything.
    pub(super) fn forge_ticket(&self, result: TicketResult) -> String {
        let ticket = format!("ticket-{}", self.next());
        self.tickets.lock().unwrap().insert(ticket.clone(), result);
        ticket
    }

    fn customer(&self, reference: &str) -> Option<Customer> {
        self.contracts
            .lock()
            .unwrap()
            .values()
            .flatten()
            .find(|customer| customer.reference == reference)
            .cloned()
    }

    async fn check(
        &self,
        reference: &CustomerRef,
        right: impl Fn(&Customer) -> bool + Send,
    ) -> Result<ProofResult, PortError> {
        self.pause().await;
        down(&self.core_down)?;
        self.proofs.fetch_add(1, Ordering::SeqCst);
        if is(&self.locked) {
            return Ok(ProofResult::Locked {
                retry_after: Some(600),
            });
        }
        Ok(
            if self
                .customer(&reference.0)
                .is_some_and(|customer| right(&customer))
            {
                ProofResult::Right
            } else {
                ProofResult::Wrong
            },
        )
    }
}

pub(super) struct FakeWeChat(pub(super) Arc<Outside>);

impl Connector for FakeWeChat {
    fn provider(&self) -> &'static str {
        "wechat"
    }

    fn lasting_subject(&self) -> LastingSubject {
        LastingSubject::UnionId
    }

    fn credential_kind(&self) -> CredentialKind {
        CredentialKind::Bearer
    }

    fn exchange<'a>(
        &'a self,
        app: &'a ProviderApp,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>> {
        Box::pin(async move {
            let outside = &self.0;
            if is(&outside.provider_down) {
                return Err(ExchangeError::Unavailable("down".into()));
            }
            let code = credential.secret().expose();
            let person = outside.codes.lock().unwrap().get(code).cloned();
            let person =
                person.ok_or_else(|| ExchangeError::CredentialInvalid("errcode 40029".into()))?;
            let first = outside.used.lock().unwrap().insert(code.to_owned());
            if !first && !is(&outside.codes_serve_for_ever) {
                return Err(ExchangeError::CredentialInvalid("errcode 40163".into()));
            }
            outside.exchanges.fetch_add(1, Ordering::SeqCst);
            outside.pause().await;
            Ok(ProviderIdentity {
                provider: "wechat".into(),
                platform: app.platform.clone(),
                app_id: app.app_id.clone(),
                open_id: format!("{}@{}", person.open_id, app.app_id),
                subject: person.union_id.map(|id| format!("{id}@{}", app.platform)),
                aliases: person
                    .aliases
                    .iter()
                    .map(|alias| format!("{alias}@{}", app.app_id))
                    .collect(),
                profile: Profile {
                    nickname: Some(person.nickname),
                    avatar_url: None,
                },
            })
        })
    }
}

impl CustomerDirectory for Outside {
    fn resolve<'a>(&'a self, phone: &'a PhoneNumber) -> BoxFuture<'a, Result<Resolved, PortError>> {
        Box::pin(async move {
            self.lookups.fetch_add(1, Ordering::SeqCst);
            self.pause().await;
            down(&self.core_down)?;
            let contracts = self.contracts.lock().unwrap();
            Ok(
                match contracts.get(phone.as_str()).map_or(&[][..], Vec::as_slice) {
                    [] => Resolved::Nobody,
                    [one] => Resolved::Customer(CustomerRef(one.reference.to_owned())),
                    _ => Resolved::Several,
                },
            )
        })
    }

    fn check_login_password<'a>(
        &'a self,
        customer: &'a CustomerRef,
        password: &'a SecretText,
    ) -> BoxFuture<'a, Result<ProofResult, PortError>> {
        Box::pin(self.check(customer, |known| password.same_as(known.password)))
    }

    fn check_card<'a>(
        &'a self,
        customer: &'a CustomerRef,
        card: &'a CardProof,
    ) -> BoxFuture<'a, Result<ProofResult, PortError>> {
        Box::pin(self.check(customer, |known| {
            card.number.same_as(known.card.0) && card.withdrawal_password.same_as(known.card.1)
        }))
    }
}

impl SmsGateway for Outside {
    fn send_login_code<'a>(
        &'a self,
        message: LoginCodeMessage<'a>,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            self.pause().await;
            down(&self.sms_down)?;
            assert_eq!(message.minutes, 10);
            self.inbox.lock().unwrap().push((
                message.to.as_str().to_owned(),
                message.code.expose().to_owned(),
            ));
            Ok(())
        })
    }

    fn send_notice<'a>(
        &'a self,
        message: NoticeMessage<'a>,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            down(&self.sms_down)?;
            self.notices
                .lock()
                .unwrap()
                .push((message.to.as_str().to_owned(), message.template.to_owned()));
            Ok(())
        })
    }
}

impl FaceVerifier for Outside {
    fn start<'a>(
        &'a self,
        binding: &'a FaceBinding,
    ) -> BoxFuture<'a, Result<FaceSession, PortError>> {
        Box::pin(async move {
            down(&self.face_down)?;
            let face_session = format!("face-{}", self.next());
            self.face_sessions
                .lock()
                .unwrap()
                .insert(face_session.clone(), binding.clone());
            Ok(FaceSession {
                url: format!("https://face.example/{face_session}"),
                face_session,
            })
        })
    }

    fn verify<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Result<TicketResult, PortError>> {
        Box::pin(async move {
            down(&self.face_down)?;
            let mut tickets = self.tickets.lock().unwrap();
            Ok(match tickets.get_mut(ticket) {
                None => TicketResult::Unknown,
                Some(result) => std::mem::replace(result, TicketResult::Used),
            })
        })
    }
}

//! What proves a person, apart from where it is asked: sealed fields, passwords and cards, face tickets, SMS codes. Logins and the account's operations share
//! it, with one budget of tries.

use std::net::IpAddr;

use postern_server_security::sealing::{OpenError, Place, Recipient};
use zeroize::Zeroizing;

use super::decision::{CustomerRef, UserId};
use super::engine::{Parts, port_problem};
use super::wire::{CardAnswer, SealedField};
use crate::context::{Randomness, Timestamp};
use crate::http::Call;
use crate::keys::{Keys, Purpose};
use crate::phone_number::PhoneNumber;
use crate::ports::{
    CardProof, FaceBinding, FaceSession, LoginCodeMessage, PortError, ProofResult, TicketResult,
};
use crate::problem::{Code, Problem};
use crate::secret::SecretText;
use crate::store::limits::{self, Limit, Taken};
use crate::store::{StoreError, Tx};

/// A face ticket is never longer.
const TICKET_LIMIT: usize = 4096;

/// How many digits a code has.
pub(crate) const DIGITS: u32 = 6;

/// Buckets that a message is taken out of, with their limits.
pub(crate) type Buckets = Vec<(String, Limit)>;

/// Where a sealed field stands, besides device, call and path (contract section 4). Handle and step are empty before there are any.
#[derive(Clone, Copy)]
pub(crate) struct SealedFor<'a> {
    pub(crate) app_id: &'a str,
    pub(crate) handle: &'a str,
    pub(crate) step_id: &'a str,
}

/// What was given.
pub(crate) enum Proof {
    LoginPassword(SecretText),
    Card(CardProof),
}

impl Proof {
    /// The problem where it is wrong.
    pub(crate) const fn wrong(&self) -> Code {
        match self {
            Self::LoginPassword(_) => Code::PasswordWrong,
            Self::Card(_) => Code::CardWrong,
        }
    }
}

/// Whose password or card it has to be.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'a> {
    /// The login password of an unsigned account (U2).
    Account(&'a UserId),
    /// Login password or card of a customer of the core (L5).
    Customer(&'a CustomerRef),
}

/// A message that did not go out, as far as is known.
pub(crate) struct NotSent {
    pub(crate) problem: Problem,
    /// It may have gone out all the same, and is paid for.
    pub(crate) maybe_sent: bool,
}

impl Parts {
    /// Opens a sealed field (contract section 4): it opens for this app, device, call, handle and step alone.
    pub(crate) fn unseal(
        &self,
        call: &Call,
        sealed_for: SealedFor<'_>,
        field: &SealedField,
        name: &str,
        pointer: &str,
    ) -> Result<SecretText, Problem> {
        let recipient = Recipient {
            issuer: &self.issuer,
            app_id: sealed_for.app_id,
        };
        let place = Place {
            device_key: &call.device_key,
            idempotency_key: call.ticket.key(),
            path: &call.path,
            field: name,
            login_handle: sealed_for.handle,
            step_id: sealed_for.step_id,
        };
        match self.sealing.open(field.sealed.expose(), &recipient, &place) {
            Ok(plaintext) => Ok(SecretText::from(plaintext.expose())),
            Err(OpenError::UnknownKey) => {
                Err(Problem::new(Code::SealingKeyUnknown).pointer(pointer))
            }
            Err(OpenError::Invalid) => Err(Problem::new(Code::SealedFieldInvalid).pointer(pointer)),
        }
    }

    /// Opens the answer `login_password`.
    pub(crate) fn unseal_password(
        &self,
        call: &Call,
        sealed_for: SealedFor<'_>,
        sealed: &SealedField,
    ) -> Result<Proof, Problem> {
        self.unseal(
            call,
            sealed_for,
            sealed,
            "login_password",
            "/answer/login_password/sealed",
        )
        .map(Proof::LoginPassword)
    }

    /// Opens the answer `card`.
    pub(crate) fn unseal_card(
        &self,
        call: &Call,
        sealed_for: SealedFor<'_>,
        card: &CardAnswer,
    ) -> Result<Proof, Problem> {
        Ok(Proof::Card(CardProof {
            number: self.unseal(
                call,
                sealed_for,
                &card.number,
                "card.number",
                "/answer/card/number/sealed",
            )?,
            withdrawal_password: self.unseal(
                call,
                sealed_for,
                &card.withdrawal_password,
                "card.withdrawal_password",
                "/answer/card/withdrawal_password/sealed",
            )?,
        }))
    }

    /// The bucket that each try of a proof is taken out of, over all logins and operations.
    pub(crate) fn proof_bucket(&self, whose: Whose<'_>) -> String {
        let (kind, whose): (&[u8], &str) = match whose {
            Whose::Account(user_id) => (b"proof-account", &user_id.0),
            Whose::Customer(customer) => (b"proof-customer", &customer.0),
        };
        self.keys
            .name(Purpose::RateBucket, &[kind, whose.as_bytes()])
    }

    /// Judges a proof, with no transaction open. `password_hash`: of the account, where its password is asked for.
    pub(crate) async fn judge(
        &self,
        whose: Whose<'_>,
        proof: &Proof,
        password_hash: Option<String>,
    ) -> Result<ProofResult, Problem> {
        let unavailable = |error| port_problem(Code::CoreUnavailable, error);
        match (whose, proof) {
            (Whose::Account(_), Proof::LoginPassword(password)) => {
                let right = self
                    .hashing
                    .verify(Zeroizing::new(password.expose().to_owned()), password_hash)
                    .await?;
                Ok(if right {
                    ProofResult::Right
                } else {
                    ProofResult::Wrong
                })
            }
            (Whose::Account(_), Proof::Card(_)) => Err(Problem::internal(
                "a card is no proof of an unsigned account",
            )),
            (Whose::Customer(customer), Proof::LoginPassword(password)) => self
                .customers
                .check_login_password(customer, password)
                .await
                .map_err(unavailable),
            (Whose::Customer(customer), Proof::Card(card)) => self
                .customers
                .check_card(customer, card)
                .await
                .map_err(unavailable),
        }
    }

    /// Opens a face session, bound to customer, login or operation, device key and a nonce, which is given back (L5).
    pub(crate) async fn start_face(
        &self,
        call: &Call,
        name: &str,
        customer: &CustomerRef,
    ) -> Result<(FaceSession, String), Problem> {
        self.count_face(call, customer).await?;
        let binding = FaceBinding {
            customer: customer.clone(),
            login: name.to_owned(),
            device_key: call.device_key.as_str().to_owned(),
            nonce: self.context.token128(),
        };
        let session = self
            .face
            .start(&binding)
            .await
            .map_err(|error| port_problem(Code::FaceUnavailable, error))?;
        Ok((session, binding.nonce))
    }

    /// Checks a face ticket, server to server and once: it must name exactly what was asked for (L5, L7).
    pub(crate) async fn face_passed(
        &self,
        ticket: &SecretText,
        expected: &FaceBinding,
    ) -> Result<bool, Problem> {
        let ticket = ticket.expose();
        if ticket.is_empty() || ticket.len() > TICKET_LIMIT {
            return Err(Problem::invalid(
                "/answer/face/ticket",
                "not of a ticket's form",
            ));
        }
        let result = self
            .face
            .verify(ticket)
            .await
            .map_err(|error| port_problem(Code::FaceUnavailable, error))?;
        Ok(match result {
            TicketResult::Passed(binding) => {
                if binding != *expected {
                    tracing::warn!(
                        "a face ticket of another login, customer, device or asking was brought"
                    );
                }
                binding == *expected
            }
            TicketResult::Failed
            | TicketResult::TimedOut
            | TicketResult::Used
            | TicketResult::Unknown => false,
        })
    }

    /// A code for an SMS, and the hash that is kept of it, which is bound to the login or operation of this name.
    pub(crate) fn draw_code(&self, name: &str) -> (SecretText, String) {
        let code = draw(self.context.randomness());
        let hash = self.code_hash(name, code.expose());
        (code, hash)
    }

    /// What is kept of a code.
    pub(crate) fn code_hash(&self, name: &str, code: &str) -> String {
        self.keys
            .name(Purpose::SmsCode, &[name.as_bytes(), code.as_bytes()])
    }

    /// Sends a code, with no transaction open.
    pub(crate) async fn send_code(
        &self,
        to: &PhoneNumber,
        code: &SecretText,
    ) -> Result<(), NotSent> {
        let minutes = self.policy.code_lifetime.as_secs() / 60;
        self.sms
            .send_login_code(LoginCodeMessage { to, code, minutes })
            .await
            .map_err(|error| NotSent {
                maybe_sent: matches!(
                    error,
                    PortError::Unavailable {
                        maybe_done: true,
                        ..
                    }
                ),
                problem: port_problem(Code::SmsUnavailable, error),
            })
    }

    /// What a message to this number, asked for from this address, is counted in.
    pub(crate) fn message_buckets(&self, phone: &PhoneNumber, address: IpAddr) -> Buckets {
        let place = place_of(address);
        let name = |what: &[u8], whom: &[u8], limit: &Limit| {
            self.keys.name(
                Purpose::RateBucket,
                &[what, whom, &limit.window.as_secs().to_be_bytes()],
            )
        };
        let by_phone = self
            .policy
            .sms_per_phone
            .iter()
            .map(|limit| (name(b"sms-phone", phone.as_str().as_bytes(), limit), *limit));
        let by_address = self
            .policy
            .sms_per_address
            .iter()
            .map(|limit| (name(b"sms-address", place.as_bytes(), limit), *limit));
        by_phone.chain(by_address).collect()
    }

    /// Puts a message back that was not sent. Best effort.
    pub(crate) async fn give_message_back(&self, buckets: Buckets) {
        let now = self.context.now();
        let done = self
            .store
            .write(move |tx| {
                let buckets = buckets.clone();
                Box::pin(async move {
                    for (bucket, _) in &buckets {
                        limits::give_back(tx, bucket, now).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await;
        if let Err(error) = done {
            tracing::warn!(%error, "a message that was not sent stays counted");
        }
    }
}

/// Takes one out of each bucket; where one is used up, says until when, and the transaction has to be undone.
pub(crate) async fn take_all(
    tx: &mut Tx,
    buckets: &[(String, Limit)],
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    for (bucket, limit) in buckets {
        if let Taken::UsedUp(until) = limits::take(tx, bucket, *limit, now).await? {
            return Ok(Some(until));
        }
    }
    Ok(None)
}

/// A code: six digits, each of the million as likely.
fn draw(randomness: &dyn Randomness) -> SecretText {
    const CODES: u32 = 1_000_000;
    // The largest multiple of a million in 32 bits: what is above it would make some codes likelier.
    const FAIR: u32 = u32::MAX - u32::MAX % CODES;
    loop {
        let mut bytes = [0; 4];
        randomness.fill(&mut bytes);
        let drawn = u32::from_be_bytes(bytes);
        if drawn < FAIR {
            return SecretText::new(format!("{:06}", drawn % CODES));
        }
    }
}

/// Whom an address stands for: an IPv4 address, or the /64 that one subscriber has of IPv6.
pub(crate) fn place_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}/64")
        }
    }
}

/// The keyed name of a network that an account was logged in to from (U6): its /24, or of IPv6 its /48.
pub(crate) fn place_name(keys: &Keys, user_id: &str, address: IpAddr) -> String {
    let network: &[u8] = match address.to_canonical() {
        IpAddr::V4(address) => &address.octets()[..3],
        IpAddr::V6(address) => &address.octets()[..6],
    };
    keys.name(Purpose::LoginPlace, &[user_id.as_bytes(), network])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Mutex;

    struct Drawn(Mutex<Vec<u32>>);

    impl Randomness for Drawn {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.copy_from_slice(&self.0.lock().unwrap().remove(0).to_be_bytes());
        }
    }

    #[test]
    fn l4_codes_are_six_digits_and_each_is_as_likely() {
        for (drawn, code) in [
            (vec![0], "000000"),
            (vec![42], "000042"),
            (vec![999_999], "999999"),
            (vec![1_000_007], "000007"),
        ] {
            assert_eq!(draw(&Drawn(Mutex::new(drawn))).expose(), code);
        }
        // 4294 million codes fit evenly into 32 bits; what is above is drawn again.
        assert_eq!(
            draw(&Drawn(Mutex::new(vec![
                u32::MAX,
                4_294_000_000,
                4_293_999_999
            ])))
            .expose(),
            "999999"
        );
    }

    #[test]
    fn sms_limits_hold_for_a_subscriber_of_ipv6_as_a_whole() {
        let place = |text: &str| place_of(text.parse().unwrap());
        assert_eq!(place("2001:db8:1:2:3::4"), place("2001:db8:1:2:ffff::1"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
    }
}

//! The phone number and its SMS code (L4, U2). Until the code is right, every number gets the same answers.

use std::net::IpAddr;

use subtle::ConstantTimeEq as _;

use super::advance::Known;
use super::decision::Progress;
use super::engine::{Engine, Present, port_problem};
use super::state::{Sent, Stage};
use crate::context::{Randomness, Timestamp};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::keys::Purpose;
use crate::phone_number::PhoneNumber;
use crate::ports::{LoginCodeMessage, PortError};
use crate::problem::{Code, Problem};
use crate::secret::SecretText;
use crate::store::limits::{self, Limit, Taken};
use crate::store::{StoreError, Tx};

/// How many digits a code has.
pub(super) const DIGITS: u32 = 6;

/// A code: six digits, each of the million as likely.
pub(super) fn draw(randomness: &dyn Randomness) -> SecretText {
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

/// Buckets that a message is taken out of, with their limits.
type Buckets = Vec<(String, Limit)>;

impl Engine {
    pub(super) async fn submit_phone(
        &self,
        call: &Call,
        present: Present,
        number: &SecretText,
    ) -> Result<Reply, Problem> {
        let Ok(phone) = PhoneNumber::parse(number.expose()) else {
            return Err(self.at_step(
                &present,
                Problem::new(Code::PhoneInvalid).pointer("/answer/phone"),
            ));
        };
        let Stage::Phone { last, .. } = &present.state.stage else {
            return Err(Problem::internal("not asked for a phone number"));
        };
        // Changing the number and giving the same again is no way around the pause.
        if let Some(last) = last.as_ref().filter(|last| last.phone == phone) {
            self.after_pause(&present, last)?;
        }
        self.send(call, present, phone).await
    }

    pub(super) async fn resend(&self, call: &Call, present: Present) -> Result<Reply, Problem> {
        let Stage::SmsCode { sent, .. } = &present.state.stage else {
            return Err(Problem::internal("no SMS was sent"));
        };
        self.after_pause(&present, sent)?;
        let phone = sent.phone.clone();
        self.send(call, present, phone).await
    }

    fn after_pause(&self, present: &Present, sent: &Sent) -> Result<(), Problem> {
        let wait =
            self.parts.context.now().seconds_until(
                Timestamp::from_millis(sent.at).plus(self.parts.policy.resend_after),
            );
        if wait == 0 {
            Ok(())
        } else {
            Err(self.at_step(present, Problem::new(Code::ResendTooSoon).retry_after(wait)))
        }
    }

    /// Takes the message out of its buckets, sends it with no transaction open, and then asks for its code.
    async fn send(
        &self,
        call: &Call,
        present: Present,
        phone: PhoneNumber,
    ) -> Result<Reply, Problem> {
        let buckets = self.buckets(&phone, call.address);
        self.take(present.clone(), buckets.clone()).await?;

        let code = draw(self.parts.context.randomness());
        let code_hash = self.code_hash(&present.row.login_hash, code.expose());
        let minutes = self.parts.policy.code_lifetime.as_secs() / 60;
        if let Err(error) = self
            .parts
            .sms
            .send_login_code(LoginCodeMessage {
                to: &phone,
                code: &code,
                minutes,
            })
            .await
        {
            // A message that may have gone out has been paid for.
            if !matches!(
                error,
                PortError::Unavailable {
                    maybe_done: true,
                    ..
                }
            ) {
                self.give_back(buckets).await;
            }
            return Err(port_problem(Code::SmsUnavailable, error));
        }

        let (engine, call) = (self.clone(), call.clone());
        self.parts
            .store
            .write(move |tx| {
                let (engine, call, present, phone, code_hash) = (engine.clone(), call.clone(), present.clone(), phone.clone(), code_hash.clone());
                Box::pin(async move {
                    let held = engine.hold(tx, &present).await?;
                    let (Stage::Phone { attempts_used, .. } | Stage::SmsCode { attempts_used, .. }) = held.state.stage else {
                        return Err(Problem::internal("no SMS is asked for"));
                    };
                    let sent = Sent { phone, at: engine.parts.context.now().millis() };
                    let now = engine.put(tx, &held, Stage::SmsCode { sent, code_hash, attempts_used }).await?;
                    engine.record(tx, &now.row, &now.state, "asked_sms_code").await?;
                    let reply = engine.step_reply(&now)?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok(reply)
                })
            })
            .await
    }

    pub(super) async fn change_phone(
        &self,
        call: &Call,
        present: Present,
    ) -> Result<Reply, Problem> {
        let (engine, call) = (self.clone(), call.clone());
        self.parts
            .store
            .write(move |tx| {
                let (engine, call, present) = (engine.clone(), call.clone(), present.clone());
                Box::pin(async move {
                    let held = engine.hold(tx, &present).await?;
                    let Stage::SmsCode {
                        sent,
                        attempts_used,
                        ..
                    } = &held.state.stage
                    else {
                        return Err(Problem::internal("no SMS was sent"));
                    };
                    let stage = Stage::Phone {
                        attempts_used: *attempts_used,
                        last: Some(sent.clone()),
                    };
                    let now = engine.put(tx, &held, stage).await?;
                    engine
                        .record(tx, &now.row, &now.state, "asked_phone")
                        .await?;
                    let reply = engine.step_reply(&now)?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok(reply)
                })
            })
            .await
    }

    /// Judges a code. Guesses at one step are judged one after the other and the first wrong one ends the step, so that many at once are no better than one.
    pub(super) async fn submit_code(
        &self,
        call: &Call,
        present: Present,
        code: &SecretText,
    ) -> Result<Reply, Problem> {
        let given = self.code_hash(&present.row.login_hash, code.expose());
        let (engine, judged) = (self.clone(), call.clone());
        let asked = present.clone();
        let wrong = self
            .parts
            .store
            .write(move |tx| {
                let (engine, call, present, given) =
                    (engine.clone(), judged.clone(), asked.clone(), given.clone());
                Box::pin(async move { engine.judge_code(tx, &call, &present, &given).await })
            })
            .await?;
        if let Some(reply) = wrong {
            return Ok(reply);
        }

        let Stage::SmsCode { sent, .. } = &present.state.stage else {
            return Err(Problem::internal("no SMS was sent"));
        };
        let phone = sent.phone.clone();
        let resolved = self
            .parts
            .customers
            .resolve(&phone)
            .await
            .map_err(|error| port_problem(Code::CoreUnavailable, error))?;
        let known = Known {
            identity: present.state.identity.clone(),
            phone: Some(phone),
            password_hash: None,
            attempts_used: 0,
        };
        self.advance_from(
            call,
            present,
            None,
            known,
            Progress::NumberProved { resolved },
        )
        .await
    }

    /// `None`: it is right. Nothing is written then: the step after it consumes the code.
    async fn judge_code(
        &self,
        tx: &mut Tx,
        call: &Call,
        present: &Present,
        given: &str,
    ) -> Result<Option<Reply>, Problem> {
        let held = self.hold(tx, present).await?;
        let Stage::SmsCode {
            sent,
            code_hash,
            attempts_used,
        } = &held.state.stage
        else {
            return Err(Problem::internal("no SMS was sent"));
        };
        let policy = &self.parts.policy;
        if Timestamp::from_millis(sent.at).plus(policy.code_lifetime) <= self.parts.context.now() {
            return Err(self.at_step(&held, Problem::new(Code::SmsCodeExpired)));
        }
        if code_hash.as_bytes().ct_eq(given.as_bytes()).into() {
            return Ok(None);
        }
        let attempts_used = attempts_used.saturating_add(1);
        if attempts_used >= policy.code_attempts {
            return self
                .end(
                    tx,
                    call,
                    &held,
                    &Problem::new(Code::TooManyAttempts).attempts_left(0),
                )
                .await
                .map(Some);
        }
        let stage = Stage::SmsCode {
            sent: sent.clone(),
            code_hash: code_hash.clone(),
            attempts_used,
        };
        let now = self.put(tx, &held, stage).await?;
        self.record(tx, &now.row, &now.state, "sms_code_wrong")
            .await?;
        let problem =
            Problem::new(Code::SmsCodeWrong).attempts_left(policy.code_attempts - attempts_used);
        let reply = Reply::problem(&self.at_step(&now, problem), &call.request_id);
        call.ticket.finish(tx, &reply).await?;
        Ok(Some(reply))
    }

    fn code_hash(&self, login_hash: &str, code: &str) -> String {
        self.parts
            .keys
            .name(Purpose::SmsCode, &[login_hash.as_bytes(), code.as_bytes()])
    }

    fn buckets(&self, phone: &PhoneNumber, address: IpAddr) -> Buckets {
        let keys = &self.parts.keys;
        let policy = &self.parts.policy;
        let place = place_of(address);
        let name = |what: &[u8], whom: &[u8], limit: &Limit| {
            keys.name(
                Purpose::RateBucket,
                &[what, whom, &limit.window.as_secs().to_be_bytes()],
            )
        };
        let by_phone = policy
            .sms_per_phone
            .iter()
            .map(|limit| (name(b"sms-phone", phone.as_str().as_bytes(), limit), *limit));
        let by_address = policy
            .sms_per_address
            .iter()
            .map(|limit| (name(b"sms-address", place.as_bytes(), limit), *limit));
        by_phone.chain(by_address).collect()
    }

    /// Takes one out of each bucket, or none out of any.
    async fn take(&self, present: Present, buckets: Buckets) -> Result<(), Problem> {
        let engine = self.clone();
        self.parts
            .store
            .write(move |tx| {
                let (engine, present, buckets) = (engine.clone(), present.clone(), buckets.clone());
                Box::pin(async move {
                    let held = engine.hold(tx, &present).await?;
                    let now = engine.parts.context.now();
                    for (bucket, limit) in &buckets {
                        if let Taken::UsedUp(until) = limits::take(tx, bucket, *limit, now).await? {
                            let problem = Problem::new(Code::SmsLimitReached)
                                .retry_after(now.seconds_until(until).max(1));
                            return Err(engine.at_step(&held, problem));
                        }
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn give_back(&self, buckets: Buckets) {
        let now = self.parts.context.now();
        let done = self
            .parts
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

/// Whom an address stands for: an IPv4 address, or the /64 that one subscriber has of IPv6.
pub(super) fn place_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}/64")
        }
    }
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

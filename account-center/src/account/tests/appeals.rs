#![allow(clippy::unwrap_used)]
//! U6: security questions, appeals that a person decides, and what an approval allows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::super::outside::Person;
use super::super::world::{APP, Flow, PASSWORD, PHONE, PHONE_TWO, Seen, new_key};
use super::bank::{Bank, CHEN, User, registered, signed, tally, together};
use crate::account::Decision;
use crate::account::wire::PhoneChangeRequest;
use crate::account::wire_appeals::{AppealCase, AppealRequest, SetQuestionsRequest};
use crate::problem::Problem;

const QUESTIONS: &str = "/v1/account/security-questions";
const APPEALS: &str = "/v1/appeals";
const CONTACT: &str = "+8613700137000";
const ANSWERS: [(&str, &str); 3] = [
    ("first_school", "北京 第一小学"),
    ("first_teacher", "Wang Fang"),
    ("birth_place", "南京"),
];

impl User {
    async fn set_questions(&mut self, questions: &[(Value, &str)]) -> Seen {
        self.path = QUESTIONS.to_owned();
        (self.operation, self.step_id) = (String::new(), String::new());
        let key = new_key();
        let list: Vec<_> = questions
            .iter()
            .enumerate()
            .map(|(index, (question, answer))| {
                json!({"question": question, "answer": self.seal(&key, &format!("questions.{index}.answer"), answer)})
            })
            .collect();
        let body = json!({"questions": list});
        self.send_to(
            "PUT",
            QUESTIONS,
            &key,
            &body,
            |accounts, call, holder, text| async move {
                let request = SetQuestionsRequest::parse(&text)?;
                accounts
                    .set_security_questions(&call, &holder, request)
                    .await
            },
        )
        .await
    }

    async fn with_questions(mut self) -> Self {
        let questions: Vec<_> = ANSWERS
            .iter()
            .map(|(id, answer)| (json!({"id": id}), *answer))
            .collect();
        let seen = self.set_questions(&questions).await;
        assert_eq!(seen.status, 200, "{seen:?}");
        self
    }

    async fn appeal_to(&mut self, key: &str, body: &Value) -> Seen {
        self.send_to(
            "POST",
            APPEALS,
            key,
            body,
            |accounts, call, _, text| async move {
                accounts.appeal(&call, AppealRequest::parse(&text)?).await
            },
        )
        .await
    }

    /// Up to the claim.
    async fn begin_appeal(&mut self) -> Seen {
        let body = json!({"app_id": APP, "start": {"contact_phone": CONTACT}});
        self.appeal_to(&new_key(), &body)
            .await
            .expect_step("sms_code");
        let code = self.bank.world.outside.inbox(CONTACT);
        let body = json!({"operation": self.operation, "step_id": self.step_id, "answer": {"sms_code": code}});
        self.appeal_to(&new_key(), &body).await
    }

    async fn claim(&mut self, phone: &str, answers: &[(&str, &str)]) -> Seen {
        let key = new_key();
        self.path = APPEALS.to_owned();
        let list: Vec<_> = answers
            .iter()
            .enumerate()
            .map(|(index, (id, answer))| {
                json!({"question": {"id": id}, "answer": self.seal(&key, &format!("claim.answers.{index}"), answer)})
            })
            .collect();
        let claim =
            json!({"phone": phone, "lost": ["phone"], "answers": list, "statement": "换了号码"});
        let body = json!({"operation": self.operation, "step_id": self.step_id, "answer": {"claim": claim}});
        self.appeal_to(&key, &body).await
    }

    async fn recover(&mut self, appeal_id: &str, key: &str, body: &Value) -> Seen {
        let path = format!("/v1/appeals/{appeal_id}/recovery");
        let id = appeal_id.to_owned();
        self.send_to(
            "POST",
            &path,
            key,
            body,
            |accounts, call, _, text| async move {
                accounts
                    .recover(&call, &id, PhoneChangeRequest::parse(&text)?)
                    .await
            },
        )
        .await
    }

    async fn recovery_answer(&mut self, appeal_id: &str, answer: Value) -> Seen {
        let body = json!({"operation": self.operation, "step_id": self.step_id, "answer": answer});
        self.recover(appeal_id, &new_key(), &body).await
    }

    /// Up to what comes after the code of the new number.
    async fn recover_to(&mut self, appeal_id: &str, phone: &str) -> Seen {
        self.recover(appeal_id, &new_key(), &json!({"start": {}}))
            .await
            .expect_step("phone");
        self.recovery_answer(appeal_id, json!({"phone": phone}))
            .await
            .expect_step("sms_code");
        let code = self.bank.world.outside.inbox(phone);
        self.recovery_answer(appeal_id, json!({"sms_code": code}))
            .await
    }
}

impl Bank {
    /// Somebody without a session, with a new phone in their hand.
    fn stranger(self: &Arc<Self>) -> User {
        self.user(self.world.device(), "nobody", "none")
    }

    async fn decide(&self, appeal_id: &str, decision: Decision) -> Result<AppealCase, Problem> {
        let (accounts, id) = (self.accounts.clone(), appeal_id.to_owned());
        self.world
            .store
            .write(move |tx| {
                let (accounts, id, decision) = (accounts.clone(), id.clone(), decision.clone());
                Box::pin(async move { accounts.decide_appeal(tx, &id, "wu", &decision).await })
            })
            .await
    }

    async fn cases(&self, status: &'static str) -> Vec<AppealCase> {
        let accounts = self.accounts.clone();
        self.world
            .store
            .write(move |tx| {
                let accounts = accounts.clone();
                Box::pin(async move { accounts.appeals(tx, status, None, 50).await })
            })
            .await
            .unwrap()
    }

    async fn status(&self, user: &User, appeal_id: &str) -> Result<Value, Problem> {
        let view = self
            .accounts
            .appeal_status(user.device.as_str(), appeal_id)
            .await?;
        Ok(serde_json::to_value(view).unwrap())
    }
}

const APPROVE: Decision = Decision::Approve {
    new_password: false,
};

/// An appeal for a number, and its id.
async fn opened(bank: &Arc<Bank>, phone: &str, answers: &[(&str, &str)]) -> (User, String) {
    let mut stranger = bank.stranger();
    stranger.begin_appeal().await.expect_step("claim");
    let done = stranger.claim(phone, answers).await;
    let id = done.expect_step("done").body["appeal"]["appeal_id"]
        .as_str()
        .unwrap()
        .to_owned();
    (stranger, id)
}

#[tokio::test]
async fn u6_three_questions_are_set_with_a_fresh_proof_and_their_answers_kept_by_nobody() {
    let bank = Bank::new().await;
    let mut li = registered(&bank, "li", PHONE).await.later();
    let good: Vec<_> = ANSWERS
        .iter()
        .map(|(id, answer)| (json!({"id": id}), *answer))
        .collect();
    li.set_questions(&good)
        .await
        .expect_problem(403, "reauthentication_required");
    let mut li = li.proved().await;
    let id = |id: &str| json!({"id": id});
    for (bad, pointer) in [
        (good[..2].to_vec(), "/questions"),
        (
            vec![good[0].clone(), good[1].clone(), (id("made_up"), "answer")],
            "/questions/2/question",
        ),
        (
            vec![
                good[0].clone(),
                good[1].clone(),
                (good[0].0.clone(), "another"),
            ],
            "/questions/2/question",
        ),
        (
            vec![
                good[0].clone(),
                good[1].clone(),
                (id("first_job"), "wang-FANG"),
            ],
            "/questions/2/answer/sealed",
        ),
        (
            vec![good[0].clone(), good[1].clone(), (id("first_job"), " . ")],
            "/questions/2/answer/sealed",
        ),
        (
            vec![
                good[0].clone(),
                good[1].clone(),
                (
                    json!({"text": "My cat is called Tom, and what is he called?"}),
                    "Tom",
                ),
            ],
            "/questions/2/answer/sealed",
        ),
    ] {
        let seen = li.set_questions(&bad).await;
        seen.expect_problem(400, "invalid_request");
        assert_eq!(seen.body["pointer"], pointer);
    }
    let seen = li.set_questions(&good).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert_eq!(seen.body["questions"][1], json!({"id": "first_teacher"}));
    for column in ["sealed_question", "answer_hash", "question_name"] {
        let sql = match column {
            "sealed_question" => "SELECT sealed_question FROM security_questions",
            "answer_hash" => "SELECT answer_hash FROM security_questions",
            _ => "SELECT question_name FROM security_questions",
        };
        let kept = bank.world.texts(sql).await.join(" ");
        assert!(
            !kept.contains("first_school") && !kept.contains("wang") && !kept.contains("南京"),
            "{column}"
        );
    }
    assert!(
        bank.world
            .texts("SELECT answer_hash FROM security_questions")
            .await
            .iter()
            .all(|hash| hash.starts_with("$argon2id$"))
    );
    let reply = bank.accounts.security_questions(&li.holder).await.unwrap();
    let read: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(read["questions"], seen.body["questions"]);
    assert!(read["suggestions"].as_array().unwrap().len() >= 5);
}

#[tokio::test]
async fn u6_an_appeal_is_answered_the_same_whether_the_number_is_known_or_not() {
    let bank = Bank::new().await;
    registered(&bank, "li", PHONE).await.with_questions().await;
    let mut shapes = Vec::new();
    for phone in [PHONE, "+8613600136000"] {
        let (stranger, id) = opened(&bank, phone, &ANSWERS).await;
        let mut view = bank.status(&stranger, &id).await.unwrap();
        view["appeal_id"] = json!("");
        shapes.push(view);
        bank.world.pass(3600);
    }
    shapes[1]["opened_at"] = shapes[0]["opened_at"].clone();
    assert_eq!(shapes[0], shapes[1]);

    let cases = bank.cases("open").await;
    let (known, unknown) = (&cases[0], &cases[1]);
    assert!(known.evidence.account_known && !unknown.evidence.account_known);
    assert_eq!(
        known.evidence.answers_right, 3,
        "case and spaces do not count"
    );
    assert_eq!(unknown.evidence.answers_right, 0);
    assert!(known.evidence.score > unknown.evidence.score);
    assert!(!known.evidence.device_known);
    assert!(known.evidence.place_known, "the same network as the login");
    assert_eq!(
        (known.claimed_phone.as_str(), known.contact_phone.as_str()),
        ("138****8000", CONTACT)
    );
    let problem = bank.decide(&unknown.appeal_id, APPROVE).await.unwrap_err();
    assert_eq!(problem.code.as_str(), "conflict");
    // The holder is told, so that they can object; nothing personal is in the clear.
    assert!(
        bank.delivered()
            .await
            .contains(&(PHONE.to_owned(), "appeal_opened".to_owned()))
    );
    let kept = bank.world.texts("SELECT sealed_claim FROM appeals").await;
    assert!(!kept.join(" ").contains("137"));
}

#[tokio::test]
async fn u6_evidence_grants_nothing_until_a_person_decides() {
    let bank = Bank::new().await;
    registered(&bank, "li", PHONE).await.with_questions().await;
    let (mut stranger, id) = opened(&bank, PHONE, &ANSWERS).await;
    stranger
        .recover(&id, &new_key(), &json!({"start": {}}))
        .await
        .expect_problem(403, "forbidden");
    let reject = Decision::Reject {
        reason: "请到网点办理".to_owned(),
    };
    bank.decide(&id, reject).await.unwrap();
    assert_eq!(
        bank.decide(&id, APPROVE).await.unwrap_err().code.as_str(),
        "conflict"
    );
    let view = bank.status(&stranger, &id).await.unwrap();
    assert_eq!(
        (&view["status"], &view["reason"]),
        (&json!("rejected"), &json!("请到网点办理"))
    );
    stranger
        .recover(&id, &new_key(), &json!({"start": {}}))
        .await
        .expect_problem(403, "forbidden");
    let other = bank.stranger();
    assert_eq!(
        bank.status(&other, &id).await.unwrap_err().code.as_str(),
        "appeal_unknown",
        "another device"
    );
    assert_eq!(bank.announced("appeal.rejected").await, 1);
}

#[tokio::test]
async fn u6_an_approval_gives_an_unsigned_account_a_new_number_and_password_once() {
    let bank = Bank::new().await;
    let li = registered(&bank, "li", PHONE).await;
    let (mut stranger, id) = opened(&bank, PHONE, &[]).await;
    bank.decide(&id, Decision::Approve { new_password: true })
        .await
        .unwrap();
    let mut thief = bank.stranger();
    thief
        .recover(&id, &new_key(), &json!({"start": {}}))
        .await
        .expect_problem(404, "appeal_unknown");
    let mut second = stranger.clone();
    second
        .recover_to(&id, CONTACT)
        .await
        .expect_step("registration");
    bank.world.pass(61);
    stranger
        .recover_to(&id, PHONE_TWO)
        .await
        .expect_step("registration");
    let key = new_key();
    let sealed = stranger.seal(&key, "registration.login_password", "N3w-password");
    let body = json!({"operation": stranger.operation, "step_id": stranger.step_id, "answer": {"registration": {"login_password": sealed}}});
    let done = stranger.recover(&id, &key, &body).await;
    done.expect_step("done");
    assert!(done.body.get("session").is_none() && done.body.get("account").is_none());

    // Whoever had a session is out, and the approval is used.
    let problem = bank.accounts.bindings(&li.holder).await.unwrap_err();
    assert_eq!(problem.code.as_str(), "session_ended");
    let key = new_key();
    let sealed = second.seal(&key, "registration.login_password", "0ther-password");
    let body = json!({"operation": second.operation, "step_id": second.step_id, "answer": {"registration": {"login_password": sealed}}});
    second
        .recover(&id, &key, &body)
        .await
        .expect_problem(409, "conflict");
    assert_eq!(bank.status(&stranger, &id).await.unwrap()["status"], "used");
    assert_eq!(bank.announced("account.recovered").await, 1);
    let told = bank.delivered().await;
    for kind in ["phone_changed", "password_changed"] {
        assert!(told.iter().any(|(_, told)| told == kind), "{kind} {told:?}");
    }

    // The ordinary way in, with the new number and the new password.
    bank.world.pass(3600);
    let (mut flow, _) = Flow::begin(&bank.world, &Person::new("li's second")).await;
    flow.prove_number(PHONE_TWO)
        .await
        .expect_step("verification");
    flow.password(PASSWORD)
        .await
        .expect_mendable(422, "password_wrong", "verification");
    flow.password("N3w-password")
        .await
        .expect_over(409, "identity_bound_elsewhere");
}

#[tokio::test]
async fn u6_an_approval_asks_a_signed_customer_for_their_face_and_the_banks_own_record() {
    let bank = Bank::new().await;
    signed(&bank, "chen", PHONE, CHEN).await;
    let (mut stranger, id) = opened(&bank, PHONE, &[]).await;
    bank.decide(&id, Decision::Approve { new_password: true })
        .await
        .unwrap();
    stranger
        .recover_to(&id, PHONE_TWO)
        .await
        .expect_problem(409, "phone_changes_at_bank");
    bank.world.outside.contract(PHONE_TWO, &[CHEN]);
    bank.world.pass(61);
    bank.world.outside.face_down.store(true, Ordering::SeqCst);
    stranger
        .recover_to(&id, PHONE_TWO)
        .await
        .expect_problem(503, "face_unavailable");
    bank.world.outside.face_down.store(false, Ordering::SeqCst);
    bank.world.pass(61);
    let asked = stranger.recover_to(&id, PHONE_TWO).await;
    let session = asked.expect_step("face").body["next"]["request"]["face_session"]
        .as_str()
        .unwrap()
        .to_owned();
    let failed = bank.world.outside.perform_face(&session, false);
    let again = stranger
        .recovery_answer(&id, json!({"face": {"ticket": failed}}))
        .await;
    again.expect_problem(422, "face_failed");
    let session = again.body["next"]["request"]["face_session"]
        .as_str()
        .unwrap()
        .to_owned();
    let passed = bank.world.outside.perform_face(&session, true);
    stranger
        .recovery_answer(&id, json!({"face": {"ticket": passed}}))
        .await
        .expect_step("done");
    assert_eq!(bank.world.rows("login_passwords").await, 0);
}

#[tokio::test]
async fn u6_an_approval_ends_after_three_days() {
    let bank = Bank::new().await;
    registered(&bank, "li", PHONE).await;
    let (mut stranger, id) = opened(&bank, PHONE, &[]).await;
    bank.decide(&id, APPROVE).await.unwrap();
    bank.world.pass(72 * 3600);
    assert_eq!(
        bank.status(&stranger, &id).await.unwrap()["status"],
        "expired"
    );
    stranger
        .recover(&id, &new_key(), &json!({"start": {}}))
        .await
        .expect_problem(403, "forbidden");
}

#[tokio::test]
async fn u6_appeals_are_limited_by_number_known_or_not_and_by_device() {
    let bank = Bank::new().await;
    registered(&bank, "li", PHONE).await;
    for phone in [PHONE, "+8613600136000"] {
        for _ in 0..3 {
            opened(&bank, phone, &[]).await;
            bank.world.pass(1300);
        }
        let mut stranger = bank.stranger();
        stranger.begin_appeal().await;
        let seen = stranger.claim(phone, &[]).await;
        seen.expect_problem(429, "rate_limited");
        assert!(seen.body["retry_after"].as_u64().unwrap() > 0);
        bank.world.pass(90_000);
    }
    let mut one = bank.stranger();
    for n in 0..6 {
        one.begin_appeal().await.expect_step("claim");
        let seen = one.claim(&format!("+861350013500{n}"), &[]).await;
        assert_eq!(seen.status, if n < 5 { 200 } else { 429 }, "{seen:?}");
        bank.world.pass(1300);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u6_an_appeal_is_decided_once_however_many_decide_at_once() {
    let bank = Bank::new().await;
    registered(&bank, "li", PHONE).await;
    let (_, id) = opened(&bank, PHONE, &[]).await;
    let decided = together((0..20).map(|n| {
        let (bank, id) = (Arc::clone(&bank), id.clone());
        async move {
            let decision = if n % 2 == 0 {
                APPROVE
            } else {
                Decision::Reject {
                    reason: "no".to_owned(),
                }
            };
            match bank.decide(&id, decision).await {
                Ok(_) => Seen {
                    status: 200,
                    body: json!({}),
                },
                Err(problem) => Seen {
                    status: problem.status().as_u16(),
                    body: json!({"code": problem.code.as_str()}),
                },
            }
        }
    }))
    .await;
    assert_eq!(tally(&decided).get("200"), Some(&1));
    assert_eq!(tally(&decided).get("conflict"), Some(&19));
}

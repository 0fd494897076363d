//! People who go on logging in, whatever happens to the servers: each request is repeated with the same bytes and Idempotency-Key until it is answered, as the
//! SDK does. What was answered is remembered, to be looked for afterwards.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postern_tests::{Person, SimulatorClient, TestEnv, World};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::phone::{Phone, random128};

/// A login that was answered with `done`.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) user_id: String,
    pub(crate) person: Person,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct Seen {
    done: Vec<Done>,
    /// How often which status and code came, and that no answer came (0).
    answers: BTreeMap<(u16, String), u32>,
    /// Answers that should never be.
    wrong: Vec<String>,
}

/// The people. Dropping it stops them where they are.
pub(crate) struct Load {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    workers: JoinSet<()>,
}

#[derive(Clone)]
struct Worker {
    env: TestEnv,
    simulator: SimulatorClient,
    address: String,
    patience: Duration,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// As many people as `addresses`, each at its own account center. `patience`: how long one request is repeated.
    pub(crate) fn start(world: &World, addresses: &[String], patience: Duration) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for address in addresses {
            let worker = Worker {
                env: world.env().clone(),
                simulator: world.simulator().clone(),
                address: address.clone(),
                patience,
                seen: Arc::clone(&seen),
                stop: Arc::clone(&stop),
            };
            workers.spawn(worker.work());
        }
        Self {
            seen,
            stop,
            workers,
        }
    }

    /// Lets everybody finish what they are at.
    pub(crate) async fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap();
        }
    }

    pub(crate) fn done(&self) -> Vec<Done> {
        self.seen.lock().unwrap().done.clone()
    }

    /// How often which status and code came; `(0, "")`: no answer.
    pub(crate) fn answers(&self) -> BTreeMap<(u16, String), u32> {
        self.seen.lock().unwrap().answers.clone()
    }

    /// How many requests were answered with 200.
    pub(crate) fn answered(&self) -> u64 {
        let seen = self.seen.lock().unwrap();
        let good = seen
            .answers
            .iter()
            .filter(|((status, _), _)| *status == 200);
        good.map(|(_, count)| u64::from(*count)).sum()
    }

    #[track_caller]
    pub(crate) fn assert_nothing_wrong(&self) {
        let wrong = &self.seen.lock().unwrap().wrong;
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

impl Worker {
    async fn work(self) {
        while !self.stop.load(Ordering::SeqCst) {
            let phone = Phone::new(&self.env, &self.address);
            let person = self
                .simulator
                .person(&json!({"kind": "unsigned"}))
                .await
                .unwrap();
            let Some(user_id) = self.register(&phone, &person).await else {
                continue;
            };
            self.seen.lock().unwrap().done.push(Done {
                user_id: user_id.clone(),
                person: person.clone(),
                at: Instant::now(),
            });
            // And comes back.
            if let Some(again) = self.come_back(&phone, &person).await
                && again != user_id
            {
                let wrong = format!("{user_id} came back as {again}");
                self.seen.lock().unwrap().wrong.push(wrong);
            }
        }
    }

    async fn register(&self, phone: &Phone, person: &Person) -> Option<String> {
        let begun = self.begin(phone, person).await?;
        let asked = self
            .answer(phone, &begun, &json!({"phone": person.phone}))
            .await?;
        (asked["next"]["step"] == "sms_code").then_some(())?;
        let code = self.simulator.newest_code(&person.phone).await.ok()?;
        let asked = self
            .answer(phone, &asked, &json!({"sms_code": code}))
            .await?;
        (asked["next"]["step"] == "registration").then_some(())?;
        let key = random128();
        let password = self.sealed(phone, &asked, &key).await?;
        let answer = json!({"registration": {"login_password": {"sealed": password}}});
        let body = json!({"login": asked["login"], "step_id": asked["step_id"], "answer": answer});
        user_id(&self.send(phone, &key, &body).await?)
    }

    /// One request of a known person.
    async fn come_back(&self, phone: &Phone, person: &Person) -> Option<String> {
        user_id(&self.begin(phone, person).await?)
    }

    async fn begin(&self, phone: &Phone, person: &Person) -> Option<Value> {
        let url = format!("{}/phone/authorize", self.env.simulator.weibo);
        let wish = json!({
            "client_id": "3100000001",
            "redirect_uri": "https://bank.example/weibo/callback",
            "person": person.wechat_person,
            "decision": "agree",
        });
        let code = phone.ask(&url, &wish).await["code"].clone();
        let body = json!({"app_id": self.env.app_id, "start": {"provider": {"provider": "weibo", "code": code}}});
        self.send(phone, &random128(), &body).await
    }

    async fn answer(&self, phone: &Phone, present: &Value, answer: &Value) -> Option<Value> {
        let body =
            json!({"login": present["login"], "step_id": present["step_id"], "answer": answer});
        self.send(phone, &random128(), &body).await
    }

    async fn sealed(&self, phone: &Phone, present: &Value, key: &str) -> Option<String> {
        let start = Instant::now();
        while start.elapsed() < self.patience {
            if let Ok(sealed) = phone.try_sealed(present, key, "Str0ng-enough").await {
                return Some(sealed);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    /// One request, repeated with the same key and bytes until it is answered for good; its body, if the answer is 200.
    async fn send(&self, phone: &Phone, key: &str, body: &Value) -> Option<Value> {
        let start = Instant::now();
        loop {
            let (status, body) = match phone.try_post("/v1/login", key, body).await {
                // The gateway's own word that nobody is behind it.
                Ok(seen) if seen.status == 502 && seen.body["code"].is_null() => (0, Value::Null),
                Ok(seen) => (seen.status, seen.body),
                Err(_) => (0, Value::Null),
            };
            let code = body["code"].as_str().unwrap_or_default().to_owned();
            {
                let mut seen = self.seen.lock().unwrap();
                *seen.answers.entry((status, code.clone())).or_default() += 1;
                let expected = match status {
                    0 | 200 | 409 | 503 => true,
                    400 => code == "provider_code_invalid",
                    401 => code == "use_dpop_nonce",
                    _ => false,
                };
                if !expected {
                    seen.wrong.push(format!("{status} {body}"));
                }
                if status == 503 && body["retry_after"].as_u64().is_none() {
                    seen.wrong
                        .push(format!("503 does not say when again: {body}"));
                }
            }
            match status {
                200 => return Some(body),
                0 | 503 => {}
                409 if code == "request_in_flight" => {}
                _ => return None,
            }
            if start.elapsed() > self.patience {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn user_id(done: &Value) -> Option<String> {
    (done["next"]["step"] == "done").then_some(())?;
    done["account"]["user_id"].as_str().map(str::to_owned)
}

//! Account centers that are wrong in one thing: ours, behind a proxy that distorts its replies.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

/// A reply on its way to the client, with what was asked.
pub(crate) struct Passing {
    pub(crate) path: String,
    pub(crate) asked: Value,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Passing {
    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        let mut value = self.json();
        if !value.is_null() {
            change(&mut value);
            self.body = value.to_string().into_bytes();
        }
    }

    /// Answers another problem of the same request.
    fn become_problem(&mut self, status: u16, code: &str) {
        self.status = status;
        self.headers.remove("www-authenticate");
        self.edit(|body| {
            body["status"] = json!(status);
            body["code"] = json!(code);
            body["type"] = json!(format!("urn:postern:problem:{code}"));
        });
    }

    fn become_json(&mut self, value: &Value) {
        self.status = 200;
        self.headers.remove("www-authenticate");
        self.headers
            .insert("content-type", HeaderValue::from_static("application/json"));
        self.body = value.to_string().into_bytes();
    }
}

/// A fault, and the checks that have to find it.
pub(crate) struct Wrong {
    pub(crate) name: &'static str,
    pub(crate) found_by: &'static [&'static str],
    pub(crate) distort: fn(&mut Passing),
}

fn account() -> Value {
    json!({"account": {"user_id": "u", "identification": "unsigned", "bindings": []}})
}

pub(crate) static WRONGS: &[Wrong] = &[
    Wrong {
        name: "gives no nonces",
        found_by: &["a_good_proof_is_taken"],
        distort: |reply| {
            reply.headers.remove("dpop-nonce");
        },
    },
    Wrong {
        name: "takes any proof",
        found_by: &[
            "a_proof_serves_once",
            "a_proof_for_another_call_is_refused",
            "a_proof_that_is_not_of_its_key_is_refused",
            "a_header_that_is_not_exactly_of_the_form_is_refused",
            "claims_that_are_missing_or_twice",
            "a_proof_over_4096_bytes_is_refused",
            "two_proofs_are_refused",
            "a_call_without_a_proof_is_refused",
        ],
        distort: |reply| {
            if reply.code() == "invalid_dpop_proof" {
                reply.become_problem(401, "refresh_token_invalid");
            }
        },
    },
    Wrong {
        name: "believes the device's clock",
        found_by: &["a_wrong_device_clock_changes_nothing"],
        distort: |reply| {
            if reply.code() == "refresh_token_invalid" {
                reply.become_problem(401, "invalid_dpop_proof");
            }
        },
    },
    Wrong {
        name: "does a repetition's work again",
        found_by: &["a_repetition_gets_the_same_bytes"],
        distort: |reply| {
            reply.headers.remove("idempotency-replayed");
        },
    },
    Wrong {
        name: "takes an Idempotency-Key with other bytes",
        found_by: &["a_key_used_with_other_bytes_is_refused"],
        distort: |reply| {
            if reply.code() == "idempotency_key_reused" {
                reply.become_problem(401, "refresh_token_invalid");
            }
        },
    },
    Wrong {
        name: "answers failures as HTML",
        found_by: &["unknown_paths_are_not_found", "a_made_up_code_is_invalid"],
        distort: |reply| {
            if reply.status >= 400 {
                reply
                    .headers
                    .insert("content-type", HeaderValue::from_static("text/html"));
            }
        },
    },
    Wrong {
        name: "breaks down over malformed JSON",
        found_by: &["malformed_json_is_invalid_request"],
        distort: |reply| {
            if reply.code() == "invalid_request" {
                reply.become_problem(500, "internal");
            }
        },
    },
    Wrong {
        name: "does not say which member it refuses",
        found_by: &["unknown_missing_and_duplicate_members_are_named"],
        distort: |reply| {
            reply.edit(|body| {
                if let Some(body) = body.as_object_mut() {
                    body.remove("pointer");
                }
            });
        },
    },
    Wrong {
        name: "has codes of its own",
        found_by: &["an_unknown_handle_is_unknown"],
        distort: |reply| {
            if reply.code() == "login_unknown" {
                reply.become_problem(404, "no_such_login");
            }
        },
    },
    Wrong {
        name: "lacks a call",
        found_by: &["every_call_of_the_contract_is_there"],
        distort: |reply| {
            if reply.path == "/v1/provider-requests" {
                reply.become_problem(404, "not_found");
            }
        },
    },
    Wrong {
        name: "lets logins be cached",
        found_by: &["a_made_up_code_is_invalid"],
        distort: |reply| {
            if reply.path == "/v1/login" {
                reply.headers.insert(
                    "cache-control",
                    HeaderValue::from_static("public, max-age=60"),
                );
            }
        },
    },
    Wrong {
        name: "publishes its private key",
        found_by: &["published_keys_are_public_es256_keys"],
        distort: |reply| {
            if reply.path == "/.well-known/jwks.json" {
                reply.edit(|set| set["keys"][0]["d"] = json!("AAAA"));
            }
        },
    },
    Wrong {
        name: "gives out a key list that its root did not sign",
        found_by: &["the_key_list_is_signed_by_the_offline_root"],
        distort: |reply| {
            if reply.path.ends_with("/login-options") {
                reply.edit(|options| {
                    let list = options["key_list"].as_str().unwrap_or_default();
                    let (signed, _) = list.rsplit_once('.').unwrap_or_default();
                    options["key_list"] = json!(format!("{signed}.{}", "A".repeat(86)));
                });
            }
        },
    },
    Wrong {
        name: "has no ETag",
        found_by: &["options_have_an_etag_and_answer_304_to_it"],
        distort: |reply| {
            reply.headers.remove("etag");
        },
    },
    Wrong {
        name: "shows the whole number",
        found_by: &[
            "l6_a_new_unsigned_person_registers",
            "l7_a_returning_unsigned_person",
        ],
        distort: |reply| {
            reply.edit(|body| {
                if body["account"]["phone_masked"].is_string() {
                    body["account"]["phone_masked"] = json!("13800000000");
                }
            });
        },
    },
    Wrong {
        name: "does not count wrong SMS codes",
        found_by: &["a_wrong_sms_code_is_counted_and_the_limit_ends_the_login"],
        distort: |reply| {
            if reply.code() == "sms_code_wrong" {
                reply.edit(|body| {
                    body["next"]["attempts_left"] = json!(5);
                });
            }
        },
    },
    Wrong {
        name: "keeps a step's id after a wrong answer",
        found_by: &["a_wrong_sms_code_is_counted_and_the_limit_ends_the_login"],
        distort: |reply| {
            if reply.code() == "sms_code_wrong" {
                let asked = reply.asked["step_id"].clone();
                reply.edit(|body| body["step_id"] = asked);
            }
        },
    },
    Wrong {
        name: "tells strangers which handles exist",
        found_by: &["a_handle_answers_only_to_its_device"],
        distort: |reply| {
            if reply.code() == "login_unknown" {
                reply.become_problem(410, "login_expired");
            }
        },
    },
    Wrong {
        name: "leaves a client alone that lost its place",
        found_by: &["a_stale_step_is_superseded_and_changes_nothing"],
        distort: |reply| {
            if reply.code() == "superseded" {
                reply.edit(|body| body["next"] = json!(null));
            }
        },
    },
    Wrong {
        name: "takes a provider's code twice",
        found_by: &["m2_a_code_of_the_provider_serves_once"],
        distort: |reply| {
            if reply.code() == "provider_code_invalid" {
                reply.become_json(&json!({"login": "lg_AAAAAAAAAAAAAAAAAAAAAA", "step_id": "s", "expires_in": 600, "next": {"step": "phone"}}));
            }
        },
    },
    Wrong {
        name: "opens fields that were sealed for another place",
        found_by: &["a_field_sealed_for_another_place_does_not_open"],
        distort: |reply| {
            if reply.code() == "sealed_field_invalid" {
                reply.become_problem(400, "invalid_request");
            }
        },
    },
    Wrong {
        name: "lets customers in without their face",
        found_by: &["l7_a_returning_customer_passes_the_face_first"],
        distort: |reply| {
            let asked_to_begin = reply.asked["start"].is_object();
            if asked_to_begin && reply.json()["next"]["step"] == "face" {
                reply.become_json(&json!({"next": {"step": "done"}, "account": account()["account"], "session": {}}));
            }
        },
    },
    Wrong {
        name: "gives tokens that live an hour",
        found_by: &["a_refresh_token_is_rotated_and_its_predecessor"],
        distort: |reply| {
            reply.edit(|body| {
                if body["session"].is_object() {
                    body["session"]["expires_in"] = json!(3600);
                }
            });
        },
    },
    Wrong {
        name: "gives bearer tokens",
        found_by: &["l6_a_new_unsigned_person_registers"],
        distort: |reply| {
            reply.edit(|body| {
                if body["session"].is_object() {
                    body["session"]["token_type"] = json!("Bearer");
                }
            });
        },
    },
    Wrong {
        name: "does not rotate refresh tokens",
        found_by: &["a_refresh_token_is_rotated_and_its_predecessor"],
        distort: |reply| {
            let sent = reply.asked["refresh_token"].clone();
            reply.edit(|body| {
                if sent.is_string() && body["session"].is_object() {
                    body["session"]["refresh_token"] = sent;
                }
            });
        },
    },
    Wrong {
        name: "takes a token from whoever holds it",
        found_by: &["a_token_is_worth_nothing_with_another_devices_proof"],
        distort: |reply| {
            if reply.path == "/v1/account" && reply.code() == "invalid_dpop_proof" {
                reply.become_json(&account());
            }
        },
    },
    Wrong {
        name: "forgets that a session was ended",
        found_by: &[
            "a_session_that_was_ended_is_over_for_good",
            "a_refresh_token_that_was_replaced_ends_the_family",
        ],
        distort: |reply| {
            if reply.code() == "session_ended" {
                reply.become_json(&account());
            }
        },
    },
];

/// The proxy.
pub(crate) struct Distorter {
    pub(crate) address: String,
    wrong: Arc<Mutex<Option<&'static Wrong>>>,
}

#[derive(Clone)]
struct Shared {
    account_center: String,
    http: reqwest::Client,
    wrong: Arc<Mutex<Option<&'static Wrong>>>,
}

impl Distorter {
    pub(crate) async fn start(account_center: &str) -> Self {
        let wrong = Arc::new(Mutex::new(None));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = Shared {
            account_center: account_center.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            wrong: Arc::clone(&wrong),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, wrong }
    }

    pub(crate) fn set(&self, wrong: &'static Wrong) {
        *self.wrong.lock().unwrap() = Some(wrong);
    }
}

async fn pass(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let url = format!(
        "{}{}",
        shared.account_center,
        parts.uri.path_and_query().unwrap()
    );
    let mut headers = parts.headers.clone();
    headers.remove("content-length");
    headers.remove("transfer-encoding");
    let reply = shared
        .http
        .request(parts.method, url)
        .headers(headers)
        .body(body.clone())
        .send()
        .await
        .unwrap();
    let mut passing = Passing {
        path: parts.uri.path().to_owned(),
        asked: serde_json::from_slice(&body).unwrap_or(Value::Null),
        status: reply.status().as_u16(),
        headers: reply.headers().clone(),
        body: reply.bytes().await.unwrap().to_vec(),
    };
    let wrong = *shared.wrong.lock().unwrap();
    if let Some(wrong) = wrong {
        (wrong.distort)(&mut passing);
    }
    passing.headers.remove("content-length");
    passing.headers.remove("transfer-encoding");
    let mut response = Response::new(Body::from(passing.body));
    *response.status_mut() = StatusCode::from_u16(passing.status).unwrap();
    *response.headers_mut() = passing.headers;
    response
}

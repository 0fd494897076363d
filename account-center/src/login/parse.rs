//! Reads the body of `POST /v1/login`: strictly, and saying where it is wrong (contract section 1). Nothing of the body is repeated in a refusal but the
//! names of its members.

use serde_json::{Map, Value};

use super::wire::{
    AccessTokenStart, Answer, AnswerRequest, BankSessionStart, BeginRequest, CardAnswer, CodeStart,
    FaceAnswer, KnownStart, LoginRequest, NamedStart, Nothing, OidcStart, ProviderStart, QqStart,
    RegistrationAnswer, RequestedStart, SealedField, Start,
};
use crate::http::json;
use crate::problem::Problem;
use crate::rollout::ClientFacts;
use crate::secret::SecretText;

/// The body is not of the described form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// RFC 6901 pointer to what is wrong; empty: the whole body.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: &'static str,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::invalid(refused.pointer, refused.detail)
    }
}

impl LoginRequest {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Refused> {
        let mut body = Object::of(body)?;
        if body.has("login") || body.has("answer") || body.has("step_id") {
            let request = AnswerRequest {
                login: body.secret("login")?,
                step_id: body.text("step_id")?,
                answer: answer(body.object("answer")?)?,
            };
            body.end()?;
            Ok(Self::Answer(request))
        } else {
            let request = BeginRequest {
                app_id: body.text("app_id")?,
                start: start(body.object("start")?)?,
                bring_guest: body.flag("bring_guest")?,
                client: body.client()?,
            };
            body.end()?;
            Ok(Self::Begin(request))
        }
    }
}

fn start(mut start: Object) -> Result<Start, Refused> {
    if start.has("silent") {
        let credential = start.object("silent")?;
        start.end()?;
        return Ok(Start::Silent(credential_of(credential)?));
    }
    if start.has("bank_session") {
        let mut bank = start.object("bank_session")?;
        start.end()?;
        let assertion = bank.secret("assertion")?;
        let provider = if bank.has("provider") {
            Some(credential_of(bank.object("provider")?)?)
        } else {
            None
        };
        bank.end()?;
        return Ok(Start::BankSession(BankSessionStart {
            assertion,
            provider,
        }));
    }
    let credential = start.object("provider")?;
    start.end()?;
    Ok(Start::Provider(credential_of(credential)?))
}

pub(crate) fn credential_of(mut provider: Object) -> Result<ProviderStart, Refused> {
    let name = provider.text("provider")?;
    let begun = match name.as_str() {
        "wechat" => KnownStart::WeChat(code_start(&mut provider)?),
        "weibo" => KnownStart::Weibo(code_start(&mut provider)?),
        "qq" if provider.has("access_token") => {
            KnownStart::Qq(QqStart::AccessToken(AccessTokenStart {
                access_token: provider.secret("access_token")?,
            }))
        }
        "qq" => KnownStart::Qq(QqStart::Code(code_start(&mut provider)?)),
        "alipay" => KnownStart::Alipay(RequestedStart {
            code: provider.secret("code")?,
            request: provider.secret("request")?,
        }),
        _ => {
            let answer = oidc_start(provider);
            let named = NamedStart {
                provider: name,
                answer,
            };
            return Ok(ProviderStart::Named(named));
        }
    };
    provider.end()?;
    Ok(ProviderStart::Known(begun))
}

fn oidc_start(mut provider: Object) -> Result<OidcStart, Refused> {
    let answer = OidcStart {
        code: provider.secret("code")?,
        request: provider.secret("request")?,
        iss: if provider.has("iss") {
            Some(provider.text("iss")?)
        } else {
            None
        },
    };
    provider.end()?;
    Ok(answer)
}

fn code_start(provider: &mut Object) -> Result<CodeStart, Refused> {
    Ok(CodeStart {
        code: provider.secret("code")?,
    })
}

pub(crate) fn answer(mut answer: Object) -> Result<Answer, Refused> {
    let Some(name) = answer.first_of(&[
        "phone",
        "sms_code",
        "resend",
        "change_phone",
        "login_password",
        "card",
        "registration",
        "face",
        "cancel",
    ]) else {
        answer.end()?;
        return Err(answer.refuse("exactly one answer"));
    };
    let read = match name {
        "phone" => Answer::Phone(answer.secret(name)?),
        "sms_code" => Answer::SmsCode(answer.secret(name)?),
        "resend" => Answer::Resend(nothing(&answer.object(name)?)?),
        "change_phone" => Answer::ChangePhone(nothing(&answer.object(name)?)?),
        "login_password" => Answer::LoginPassword(sealed(answer.object(name)?)?),
        "card" => {
            let mut card = answer.object(name)?;
            let proof = CardAnswer {
                number: sealed(card.object("number")?)?,
                withdrawal_password: sealed(card.object("withdrawal_password")?)?,
            };
            card.end()?;
            Answer::Card(proof)
        }
        "registration" => {
            let mut registration = answer.object(name)?;
            let login_password = sealed(registration.object("login_password")?)?;
            registration.end()?;
            Answer::Registration(RegistrationAnswer { login_password })
        }
        "face" => {
            let mut face = answer.object(name)?;
            let ticket = face.secret("ticket")?;
            face.end()?;
            Answer::Face(FaceAnswer { ticket })
        }
        _ => Answer::Cancel(nothing(&answer.object(name)?)?),
    };
    answer.end()?;
    Ok(read)
}

fn nothing(object: &Object) -> Result<Nothing, Refused> {
    object.end()?;
    Ok(Nothing {})
}

pub(crate) fn sealed(mut object: Object) -> Result<SealedField, Refused> {
    let sealed = object.secret("sealed")?;
    object.end()?;
    Ok(SealedField { sealed })
}

/// An object being read: each member is taken once, and what is left at the end was not described.
pub(crate) struct Object {
    pointer: String,
    members: Map<String, Value>,
}

impl Object {
    /// The members of a body.
    pub(crate) fn of(body: &[u8]) -> Result<Self, Refused> {
        let whole = json::value(body).map_err(|problem| {
            let pointer = problem.pointer.clone().unwrap_or_default();
            let detail = if pointer.is_empty() {
                "the body is not JSON in UTF-8"
            } else {
                "this member occurs twice"
            };
            Refused { pointer, detail }
        })?;
        Self::new(String::new(), whole)
    }

    pub(crate) fn new(pointer: String, value: Value) -> Result<Self, Refused> {
        match value {
            Value::Object(members) => Ok(Self { pointer, members }),
            _ => Err(Refused {
                pointer,
                detail: "must be an object",
            }),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.has(name))
    }

    pub(crate) fn refuse(&self, detail: &'static str) -> Refused {
        Refused {
            pointer: self.pointer.clone(),
            detail,
        }
    }

    fn at(&self, name: &str) -> String {
        format!(
            "{}/{}",
            self.pointer,
            name.replace('~', "~0").replace('/', "~1")
        )
    }

    fn take(&mut self, name: &str) -> Result<Value, Refused> {
        self.members.remove(name).ok_or_else(|| Refused {
            pointer: self.at(name),
            detail: "is missing",
        })
    }

    /// A list of objects; empty where it is absent.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<Self>, Refused> {
        self.items(name)?
            .into_iter()
            .enumerate()
            .map(|(index, item)| Self::new(format!("{}/{index}", self.at(name)), item))
            .collect()
    }

    /// A list of texts; empty where it is absent.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Refused> {
        self.items(name)?
            .into_iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::String(text) => Ok(text),
                _ => Err(Refused {
                    pointer: format!("{}/{index}", self.at(name)),
                    detail: "must be a string",
                }),
            })
            .collect()
    }

    fn items(&mut self, name: &str) -> Result<Vec<Value>, Refused> {
        match self.members.remove(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= 16 => Ok(items),
            Some(_) => Err(Refused {
                pointer: self.at(name),
                detail: "must be a list of at most 16",
            }),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Self, Refused> {
        let value = self.take(name)?;
        Self::new(self.at(name), value)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, Refused> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            _ => Err(Refused {
                pointer: self.at(name),
                detail: "must be a string",
            }),
        }
    }

    /// `true` or `false`; `false` where it is absent.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Refused> {
        match self.members.remove(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(Refused {
                pointer: self.at(name),
                detail: "must be true or false",
            }),
        }
    }

    /// What the client says of itself, where it does.
    fn client(&mut self) -> Result<ClientFacts, Refused> {
        if !self.has("client") {
            return Ok(ClientFacts::default());
        }
        let mut client = self.object("client")?;
        let mut short = |name: &str| -> Result<Option<String>, Refused> {
            if !client.has(name) {
                return Ok(None);
            }
            let text = client.text(name)?;
            if (1..=36).contains(&text.len()) {
                Ok(Some(text))
            } else {
                Err(Refused {
                    pointer: client.at(name),
                    detail: "is empty or too long",
                })
            }
        };
        let facts = ClientFacts {
            region: short("region")?,
            app_version: short("app_version")?,
            attempt: short("attempt")?,
        };
        client.end()?;
        Ok(facts)
    }

    pub(crate) fn secret(&mut self, name: &str) -> Result<SecretText, Refused> {
        self.text(name).map(SecretText::new)
    }

    pub(crate) fn end(&self) -> Result<(), Refused> {
        match self.members.keys().next() {
            None => Ok(()),
            // A stranger's name of any length is not repeated at full length.
            Some(name) => Err(Refused {
                pointer: self.at(&name.chars().take(64).collect::<String>()),
                detail: "is not described",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<LoginRequest, Refused> {
        LoginRequest::parse(value.to_string().as_bytes())
    }

    #[test]
    fn m2_a_login_begins_with_an_app_and_a_provider_code() {
        let body =
            json!({"app_id": "a", "start": {"provider": {"provider": "wechat", "code": "0815"}}});
        let LoginRequest::Begin(begin) = read(&body).unwrap() else {
            panic!("not a beginning")
        };
        let Start::Provider(start) = begin.start else {
            panic!("not a provider's")
        };
        assert_eq!((begin.app_id.as_str(), start.provider()), ("a", "wechat"));
        let (credential, _) = start.into_parts().unwrap();
        assert_eq!(credential.secret().expose(), "0815");
    }

    #[test]
    fn each_provider_brings_what_its_sdk_gives_and_nothing_else() {
        let start = |start: Value| read(&json!({"app_id": "a", "start": {"provider": start}}));
        let parts = |value: Value| match start(value).unwrap() {
            LoginRequest::Begin(BeginRequest {
                start: Start::Provider(start),
                ..
            }) => {
                let provider = start.provider().to_owned();
                start
                    .into_parts()
                    .map(|(credential, request)| (provider, credential, request))
            }
            _ => panic!("not a beginning"),
        };
        for (body, kind, secret, request) in [
            (json!({"provider": "weibo", "code": "c"}), "Code", "c", None),
            (json!({"provider": "qq", "code": "c"}), "Code", "c", None),
            (
                json!({"provider": "qq", "access_token": "t"}),
                "AccessToken",
                "t",
                None,
            ),
            (
                json!({"provider": "alipay", "code": "c", "request": "r"}),
                "Code",
                "c",
                Some("r"),
            ),
            (
                json!({"provider": "bank-sso", "code": "c", "request": "r", "iss": "https://id.example"}),
                "Answered",
                "c",
                Some("r"),
            ),
        ] {
            let (provider, credential, asked) = parts(body.clone()).unwrap();
            assert_eq!(body["provider"], provider);
            assert!(
                format!("{credential:?}").starts_with(kind),
                "{credential:?}"
            );
            assert_eq!(credential.secret().expose(), secret);
            assert_eq!(asked.as_ref().map(SecretText::expose), request);
        }
        // Where the name is known, what is wrong with the rest counts; elsewhere it is not offered.
        for (body, pointer) in [
            (
                json!({"provider": "bank-sso", "anything": 1}),
                "/start/provider/code",
            ),
            (
                json!({"provider": "bank-sso", "code": "c"}),
                "/start/provider/request",
            ),
            (
                json!({"provider": "bank-sso", "code": "c", "request": "r", "iss": 1}),
                "/start/provider/iss",
            ),
            (
                json!({"provider": "bank-sso", "code": "c", "request": "r", "state": "s"}),
                "/start/provider/state",
            ),
        ] {
            assert_eq!(parts(body).unwrap_err().pointer, pointer);
        }
        for (bad, pointer) in [
            (
                json!({"provider": "wechat", "access_token": "t"}),
                "/start/provider/code",
            ),
            (
                json!({"provider": "weibo", "access_token": "t"}),
                "/start/provider/code",
            ),
            (json!({"provider": "qq"}), "/start/provider/code"),
            (
                json!({"provider": "qq", "access_token": 1}),
                "/start/provider/access_token",
            ),
            (
                json!({"provider": "qq", "access_token": "t", "code": "c"}),
                "/start/provider/code",
            ),
            (
                json!({"provider": "qq", "access_token": "t", "openid": "o"}),
                "/start/provider/openid",
            ),
            (
                json!({"provider": "alipay", "code": "c"}),
                "/start/provider/request",
            ),
            (json!({"provider": 1}), "/start/provider/provider"),
        ] {
            assert_eq!(start(bad.clone()).unwrap_err().pointer, pointer, "{bad}");
        }
    }

    #[test]
    fn each_answer_of_the_contract_is_read() {
        for answer in [
            json!({"phone": "+8613800000000"}),
            json!({"sms_code": "123456"}),
            json!({"resend": {}}),
            json!({"change_phone": {}}),
            json!({"login_password": {"sealed": "k.e.c"}}),
            json!({"card": {"number": {"sealed": "a"}, "withdrawal_password": {"sealed": "b"}}}),
            json!({"registration": {"login_password": {"sealed": "a"}}}),
            json!({"face": {"ticket": "t"}}),
            json!({"cancel": {}}),
        ] {
            let request = read(&json!({"login": "lg_x", "step_id": "s", "answer": answer.clone()}));
            let Ok(LoginRequest::Answer(request)) = request else {
                panic!("{answer}")
            };
            let name = format!("{:?}", request.answer)
                .replace('_', "")
                .to_lowercase();
            let expected = answer
                .as_object()
                .unwrap()
                .keys()
                .next()
                .unwrap()
                .replace('_', "");
            assert!(name.starts_with(&expected), "{name} {expected}");
        }
    }

    #[test]
    fn anything_but_the_described_form_is_refused_with_a_pointer_to_it() {
        let answer = |answer: Value| json!({"login": "lg_x", "step_id": "s", "answer": answer});
        let start = json!({"provider": {"provider": "wechat", "code": "c"}});
        for (bad, pointer) in [
            (json!({}), "/app_id"),
            (json!([]), ""),
            (json!(null), ""),
            (json!("x"), ""),
            (json!({"app_id": "a"}), "/start"),
            (json!({"start": start}), "/app_id"),
            (json!({"app_id": null, "start": start}), "/app_id"),
            (json!({"app_id": 1, "start": start}), "/app_id"),
            (json!({"app_id": "a", "start": {}}), "/start/provider"),
            (json!({"app_id": "a", "start": []}), "/start"),
            (
                json!({"app_id": "a", "start": start, "login": "lg_x"}),
                "/step_id",
            ),
            (
                json!({"app_id": "a", "start": start, "user_id": "u"}),
                "/user_id",
            ),
            (
                json!({"app_id": "a", "start": start, "a/b~c": "u"}),
                "/a~1b~0c",
            ),
            (
                json!({"app_id": "a", "start": {"provider": {"provider": "wechat", "code": "c", "openid": "o"}}}),
                "/start/provider/openid",
            ),
            (
                json!({"app_id": "a", "start": {"provider": {"provider": "wechat"}}}),
                "/start/provider/code",
            ),
            (
                json!({"app_id": "a", "start": {"provider": {"provider": "wechat", "code": "c"}, "bank_session": {}}}),
                "/start/provider",
            ),
            (
                json!({"login": "lg_x", "answer": {"cancel": {}}}),
                "/step_id",
            ),
            (
                json!({"login": "lg_x", "step_id": "s", "app_id": "a", "answer": {"cancel": {}}}),
                "/app_id",
            ),
            (answer(json!({})), "/answer"),
            (answer(json!("cancel")), "/answer"),
            (answer(json!(["cancel"])), "/answer"),
            (
                answer(json!({"phone": "a", "sms_code": "b"})),
                "/answer/sms_code",
            ),
            (
                answer(json!({"phone": 13_800_000_000_u64})),
                "/answer/phone",
            ),
            (answer(json!({"sms_code": 123_456})), "/answer/sms_code"),
            (answer(json!({"resend": null})), "/answer/resend"),
            (
                answer(json!({"resend": {"now": true}})),
                "/answer/resend/now",
            ),
            (answer(json!({"cancel": []})), "/answer/cancel"),
            (
                answer(json!({"login_password": "plain"})),
                "/answer/login_password",
            ),
            (
                answer(json!({"login_password": ["plain"]})),
                "/answer/login_password",
            ),
            (
                answer(json!({"login_password": {"sealed": "a", "plain": "b"}})),
                "/answer/login_password/plain",
            ),
            (
                answer(json!({"card": {"number": {"sealed": "a"}}})),
                "/answer/card/withdrawal_password",
            ),
            (answer(json!({"customer": "C1"})), "/answer/customer"),
        ] {
            assert_eq!(read(&bad).unwrap_err().pointer, pointer, "{bad}");
        }
        for (twice, pointer) in [
            (
                r#"{"login":"lg_x","login":"lg_y","step_id":"s","answer":{"cancel":{}}}"#,
                "/login",
            ),
            (
                r#"{"login":"lg_x","step_id":"s","answer":{"cancel":{},"cancel":{}}}"#,
                "/answer/cancel",
            ),
        ] {
            assert_eq!(
                LoginRequest::parse(twice.as_bytes()).unwrap_err().pointer,
                pointer
            );
        }
    }

    #[test]
    fn debug_of_a_request_shows_no_secret() {
        for (body, secret) in [
            (
                json!({"app_id": "a", "start": {"provider": {"provider": "wechat", "code": "SECRET"}}}),
                "SECRET",
            ),
            (
                json!({"login": "SECRET", "step_id": "s", "answer": {"cancel": {}}}),
                "SECRET",
            ),
            (
                json!({"login": "l", "step_id": "s", "answer": {"phone": "+8613800000000"}}),
                "138",
            ),
            (
                json!({"login": "l", "step_id": "s", "answer": {"sms_code": "SECRET"}}),
                "SECRET",
            ),
            (
                json!({"login": "l", "step_id": "s", "answer": {"face": {"ticket": "SECRET"}}}),
                "SECRET",
            ),
            (
                json!({"login": "l", "step_id": "s", "answer": {"login_password": {"sealed": "SECRET"}}}),
                "SECRET",
            ),
        ] {
            let shown = format!("{:?}", read(&body).unwrap());
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_refusal_repeats_no_value() {
        let refused =
            read(&json!({"login": "l", "step_id": "s", "answer": {"login_password": "hunter2"}}))
                .unwrap_err();
        assert!(!format!("{refused:?}").contains("hunter2"));
        let long = format!(
            "{{\"app_id\":\"a\",\"start\":{{\"{}\":1}}}}",
            "x".repeat(60_000)
        );
        assert!(
            LoginRequest::parse(long.as_bytes())
                .unwrap_err()
                .pointer
                .len()
                < 100
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
            let _ = LoginRequest::parse(&bytes);
        }

        #[test]
        fn any_members_are_read_or_refused_without_a_panic(name in "(login|step_id|answer|app_id|start|[a-z~/]{0,8})", inner in "\\PC{0,20}") {
            let body = json!({name: {inner.clone(): {"sealed": inner}}});
            prop_assert!(read(&body).is_err());
        }
    }
}

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::context::{Clock, SystemRandomness, Timestamp};
use crate::login::decision::CustomerRef;
use crate::phone_number::PhoneNumber;
use crate::ports::{
    FaceBinding, FaceVerifier, LoginCodeMessage, NoticeMessage, OutboundSettings, SmsGateway,
    TicketResult,
};
use crate::testing::HttpDouble;

struct AtNoon;

impl Clock for AtNoon {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000)
    }
}

fn context() -> Context {
    Context::new(Arc::new(AtNoon), Arc::new(SystemRandomness))
}

fn account(double: &HttpDouble) -> TencentAccount {
    TencentAccount {
        base: double.url(),
        secret_id: "AKID1".into(),
        secret_key: "the-secret-key".into(),
    }
}

fn outbound() -> Outbound {
    Outbound::new(&OutboundSettings::default()).unwrap()
}

fn sms(double: &HttpDouble) -> TencentSms {
    let settings = TencentSmsSettings {
        account: account(double),
        region: "ap-guangzhou".into(),
        sdk_app_id: "1400000001".into(),
        sign_name: "银行".into(),
        templates: BTreeMap::from([
            ("login_code".into(), "11".into()),
            ("binding_added".into(), "12".into()),
        ]),
    };
    TencentSms::new(settings, outbound(), context())
}

type Reply = Arc<Mutex<(u16, String)>>;

/// A vendor whose answer the test changes.
async fn vendor() -> (HttpDouble, Reply) {
    let reply: Reply = Arc::new(Mutex::new((200, String::new())));
    let shared = Arc::clone(&reply);
    let double = HttpDouble::start(move |_| shared.lock().unwrap().clone()).await;
    (double, reply)
}

async fn send(gateway: &TencentSms) -> Result<(), PortError> {
    let to = PhoneNumber::parse("+8613800000000").unwrap();
    let message = LoginCodeMessage {
        to: &to,
        code: &"123456".into(),
        minutes: 10,
    };
    gateway.send_login_code(message).await
}

#[tokio::test]
async fn l4_a_code_is_sent_with_the_approved_template_and_a_signature_over_what_is_sent() {
    let double = HttpDouble::start(|asked| {
        assert_eq!(asked.target, "/");
        for (name, value) in [
            ("x-tc-action", "SendSms"),
            ("x-tc-version", "2021-01-11"),
            ("x-tc-timestamp", "1700000000"),
            ("x-tc-region", "ap-guangzhou"),
            ("content-type", JSON),
        ] {
            assert_eq!(asked.header(name), Some(value));
        }
        let authorization = asked.header("authorization").unwrap();
        assert!(authorization.starts_with(
            "TC3-HMAC-SHA256 Credential=AKID1/2023-11-14/sms/tc3_request, SignedHeaders=content-type;host;x-tc-action, Signature="
        ), "{authorization}");
        let expected = if asked.json()["TemplateId"] == "11" {
            json!({"PhoneNumberSet": ["+8613800000000"], "SmsSdkAppId": "1400000001", "SignName": "银行", "TemplateId": "11", "TemplateParamSet": ["123456", "10"]})
        } else {
            json!({"PhoneNumberSet": ["+8613800000000"], "SmsSdkAppId": "1400000001", "SignName": "银行", "TemplateId": "12", "TemplateParamSet": ["微信", "2027-01-15 16:00"]})
        };
        assert_eq!(asked.json(), expected);
        (200, json!({"Response": {"SendStatusSet": [{"Code": "Ok", "SerialNo": "1"}], "RequestId": "r"}}).to_string())
    })
    .await;
    let gateway = sms(&double);
    assert_eq!(send(&gateway).await, Ok(()));
    let to = PhoneNumber::parse("+8613800000000").unwrap();
    let notice = |template| NoticeMessage {
        to: &to,
        template,
        parameters: &[("at", "2027-01-15 16:00"), ("provider", "微信")],
    };
    assert_eq!(gateway.send_notice(notice("binding_added")).await, Ok(()));
    assert!(matches!(
        gateway.send_notice(notice("phone_changed")).await,
        Err(PortError::Misconfigured { .. })
    ));
    assert!(!format!("{gateway:?}").contains("the-secret-key"));
}

#[allow(clippy::needless_pass_by_value, reason = "shorter where it is called")]
fn kind(error: PortError) -> &'static str {
    match error {
        PortError::Misconfigured { .. } => "setup",
        PortError::Unavailable {
            maybe_done: true, ..
        } => "lost",
        PortError::Unavailable {
            maybe_done: false, ..
        } => "unavailable",
    }
}

#[tokio::test]
async fn every_error_of_the_vendor_says_whether_to_come_back_or_to_mend_the_set_up() {
    let (double, reply) = vendor().await;
    let gateway = sms(&double);
    let whole = |code: &str| json!({"Response": {"Error": {"Code": code, "Message": "m"}, "RequestId": "r"}});
    let single =
        |code: &str| json!({"Response": {"SendStatusSet": [{"Code": code}], "RequestId": "r"}});
    for (answer, expected) in [
        (whole("AuthFailure.SignatureFailure"), "setup"),
        (whole("AuthFailure.SignatureExpire"), "setup"),
        (whole("AuthFailure.SecretIdNotFound"), "setup"),
        (
            whole("UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
            "setup",
        ),
        (whole("RequestLimitExceeded"), "unavailable"),
        (whole("InternalError.Timeout"), "lost"),
        (single("LimitExceeded.PhoneNumberDailyLimit"), "unavailable"),
        (
            single("LimitExceeded.PhoneNumberThirtySecondLimit"),
            "unavailable",
        ),
        (
            single("InvalidParameterValue.IncorrectPhoneNumber"),
            "unavailable",
        ),
        (
            single("FailedOperation.PhoneNumberInBlacklist"),
            "unavailable",
        ),
        (
            single("FailedOperation.InsufficientBalanceInSmsPackage"),
            "setup",
        ),
        (
            single("FailedOperation.SignatureIncorrectOrUnapproved"),
            "setup",
        ),
        (
            single("FailedOperation.TemplateIncorrectOrUnapproved"),
            "setup",
        ),
        (
            json!({"Response": {"SendStatusSet": [], "RequestId": "r"}}),
            "lost",
        ),
        (json!({"Response": {"Error": {"Code": "a b\n"}}}), "lost"),
        (json!({"Response": []}), "lost"),
        (json!({}), "lost"),
    ] {
        *reply.lock().unwrap() = (200, answer.to_string());
        assert_eq!(
            kind(send(&gateway).await.unwrap_err()),
            expected,
            "{answer}"
        );
    }
    for (status, body) in [
        (200, "<html>".to_owned()),
        (307, String::new()),
        (502, single("Ok").to_string()),
        (200, "DROP".to_owned()),
        (200, " ".repeat(70_000)),
    ] {
        *reply.lock().unwrap() = (status, body);
        assert_eq!(kind(send(&gateway).await.unwrap_err()), "lost", "{status}");
    }
}

fn binding() -> FaceBinding {
    FaceBinding {
        customer: CustomerRef("C1".into()),
        login: "l".into(),
        device_key: "d".into(),
        nonce: "n".into(),
    }
}

fn face(vendor: &HttpDouble, core: &HttpDouble) -> TencentFace {
    let core = Endpoint::new(core.url(), "core-key".into(), outbound());
    TencentFace::new(account(vendor), "5", core, outbound(), context())
}

#[tokio::test]
async fn l5_the_customers_card_goes_from_the_core_to_the_vendor_and_the_binding_with_it() {
    let core = HttpDouble::start(|asked| {
        assert_eq!(asked.target, "/customers/C1/identity-document");
        (
            200,
            json!({"name": "林晓", "id_number": "11010119900101001X"}).to_string(),
        )
    })
    .await;
    let vendor = HttpDouble::start(|asked| {
        assert_eq!(asked.header("x-tc-action"), Some("DetectAuth"));
        assert_eq!(asked.header("x-tc-region"), None);
        let body = asked.json();
        assert_eq!((&body["RuleId"], &body["Name"], &body["IdCard"]), (&json!("5"), &json!("林晓"), &json!("11010119900101001X")));
        let extra: FaceBinding = serde_json::from_str(body["Extra"].as_str().unwrap()).unwrap();
        assert_eq!(extra, binding());
        (200, json!({"Response": {"Url": "https://faceid.example/x", "BizToken": "B-1", "RequestId": "r"}}).to_string())
    })
    .await;
    let session = face(&vendor, &core).start(&binding()).await.unwrap();
    assert_eq!(
        (session.face_session.as_str(), session.url.as_str()),
        ("B-1", "https://faceid.example/x")
    );
    // Without the core's document nobody is verified.
    drop(core);
    let gone = HttpDouble::start(|_| (404, "{}".into())).await;
    assert_eq!(
        kind(face(&vendor, &gone).start(&binding()).await.unwrap_err()),
        "setup"
    );
}

#[tokio::test]
async fn l5_a_ticket_passes_only_where_the_vendor_says_so_in_every_part_and_names_the_binding() {
    let (double, reply) = vendor().await;
    let core = HttpDouble::start(|_| panic!("not asked")).await;
    let face = face(&double, &core);
    let extra = serde_json::to_string(&binding()).unwrap();
    let text = |text: Value| json!({"Response": {"Text": text, "RequestId": "r"}});
    let good = json!({"ErrCode": 0, "LiveStatus": 0, "Comparestatus": 0, "Extra": extra});
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        text(changed)
    };
    for (answer, expected) in [
        (text(good.clone()), Ok(TicketResult::Passed(binding()))),
        (with("ErrCode", json!(2016)), Ok(TicketResult::Failed)),
        (with("LiveStatus", json!(1001)), Ok(TicketResult::Failed)),
        (with("Comparestatus", json!(2016)), Ok(TicketResult::Failed)),
        (with("ErrCode", Value::Null), Ok(TicketResult::Unknown)),
        (with("ErrCode", json!("0")), Err("lost")),
        (with("Extra", Value::Null), Err("lost")),
        (with("Extra", json!("{}")), Err("lost")),
        (json!({"Response": {"Text": null}}), Err("lost")),
        (
            json!({"Response": {"Error": {"Code": "InvalidParameterValue.BizTokenIllegal"}}}),
            Ok(TicketResult::Unknown),
        ),
        (
            json!({"Response": {"Error": {"Code": "InvalidParameterValue.BizTokenExpired"}}}),
            Ok(TicketResult::Unknown),
        ),
        (
            json!({"Response": {"Error": {"Code": "InvalidParameterValue.RuleIdNotExist"}}}),
            Err("setup"),
        ),
        (
            json!({"Response": {"Error": {"Code": "UnauthorizedOperation.Arrears"}}}),
            Err("setup"),
        ),
        (
            json!({"Response": {"Error": {"Code": "RequestLimitExceeded"}}}),
            Err("unavailable"),
        ),
    ] {
        *reply.lock().unwrap() = (200, answer.to_string());
        assert_eq!(face.verify("B-1").await.map_err(kind), expected, "{answer}");
    }
    *reply.lock().unwrap() = (200, text(good).to_string());
    for odd in ["", "a b", "../x", &"x".repeat(129)] {
        assert_eq!(face.verify(odd).await, Ok(TicketResult::Unknown), "{odd}");
    }
}

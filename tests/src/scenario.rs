//! `contract/scenarios.json`, as `contract/scenarios.md` describes it.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::servers::repository;
use crate::simulator::Person;
use crate::trouble::{Result, Trouble, unexpected};

/// One story: what a person does, and what the SDK announces.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name on command lines and in test results.
    pub name: String,
    /// The rules it holds.
    pub rules: Vec<String>,
    /// What it is about, by language.
    pub title: BTreeMap<String, String>,
    /// Who it happens to: the body of control's `POST /people`.
    pub person: Value,
    /// Somebody else whom the story needs; their values are `$other.…`.
    pub other: Option<Value>,
    /// Brings the world to where the story begins; not counted.
    #[serde(default)]
    pub before: Vec<Step>,
    /// The story.
    pub steps: Vec<Step>,
    /// The last state.
    pub ends_in: String,
    /// Login requests after the provider's answer, where the number is part of the story.
    pub round_trips: Option<usize>,
}

/// One line of a story.
#[derive(Clone, Debug)]
pub enum Step {
    /// Somebody does something.
    Do(Action),
    /// The SDK announces a state.
    Expect(Expectation),
}

/// The next announced state other than `resolving`, and facts among its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The state's name.
    #[serde(rename = "expect")]
    pub state: String,
    /// Facts that it has.
    #[serde(default)]
    pub facts: Map<String, Value>,
}

/// What somebody does; each variant is a line of the table in `contract/scenarios.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the table in contract/scenarios.md is their documentation"
)]
pub enum Action {
    Choose(String),
    Wechat(WeChatAction),
    SubmitPhone(String),
    SubmitCode(String),
    Resend(Nothing),
    ChangePhone(Nothing),
    SubmitLoginPassword(String),
    SubmitCard {
        number: String,
        withdrawal_password: String,
    },
    Register(String),
    Face(FaceAction),
    AskAgain(Nothing),
    Dismiss(Nothing),
    StartOver(Nothing),
    Cancel(Nothing),
    Restart(Nothing),
    Fault(Value),
    ClearFaults(Nothing),
    Session(SessionAction),
    Advice {
        operation: String,
        is: String,
    },
    Sessions(usize),
    InboxCount(usize),
    Invalid(Box<Action>),
}

/// `{}`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What happens at WeChat.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the table in contract/scenarios.md is their documentation"
)]
pub enum WeChatAction {
    Agree,
    AgreeAsOther,
    Refuse,
    RefuseAtOnce,
    Close,
    None,
    Missing,
}

/// What happens at the face service.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the table in contract/scenarios.md is their documentation"
)]
pub enum FaceAction {
    Pass,
    Fail,
    Timeout,
    Decline,
}

/// What is done with the kept session.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the table in contract/scenarios.md is their documentation"
)]
pub enum SessionAction {
    IsSignedIn,
    IsSignedOut,
    Renew,
    RenewRefused,
    RenewUnavailable,
    SignOut,
    Account,
    EndAtServer,
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        use serde::de::Error as _;
        let value = Value::deserialize(deserializer)?;
        if value.get("expect").is_some() {
            return serde_json::from_value(value)
                .map(Self::Expect)
                .map_err(D::Error::custom);
        }
        let shown = value.to_string();
        serde_json::from_value(value)
            .map(Self::Do)
            .map_err(|error| D::Error::custom(format!("{shown}: {error}")))
    }
}

impl Scenario {
    /// All of them, in the file's order.
    pub fn all() -> Result<Vec<Self>> {
        let file = repository().join("contract/scenarios.json");
        let text = fs::read_to_string(&file).map_err(Trouble::io(file.display().to_string()))?;
        parse(&text)
    }
}

fn parse(text: &str) -> Result<Vec<Scenario>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum File {
        Wrapped { scenarios: Vec<Value> },
        Plain(Vec<Value>),
    }
    let (File::Wrapped { scenarios } | File::Plain(scenarios)) =
        serde_json::from_str(text).map_err(Trouble::json("scenarios.json"))?;
    let scenarios: Vec<Scenario> = scenarios
        .into_iter()
        .map(|value| {
            let name = value["name"]
                .as_str()
                .unwrap_or("a nameless one")
                .to_owned();
            serde_json::from_value(value).map_err(Trouble::json(format!("scenario {name}")))
        })
        .collect::<Result<_>>()?;
    for (index, scenario) in scenarios.iter().enumerate() {
        if scenarios[..index]
            .iter()
            .any(|other| other.name == scenario.name)
        {
            return unexpected(format!("two scenarios are called {}", scenario.name));
        }
    }
    Ok(scenarios)
}

/// The people of a scenario.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Whom it happens to.
    pub person: Person,
    /// Somebody else, where the story needs one.
    pub other: Option<Person>,
}

impl Cast {
    /// A value of the script: `$name` stands for the person's own, `$other.name` for the other's.
    pub(crate) fn resolve(&self, text: &str) -> Result<String> {
        let Some(name) = text.strip_prefix('$') else {
            return Ok(text.to_owned());
        };
        let (person, name) = match name.strip_prefix("other.") {
            Some(name) => (self.other.as_ref(), name),
            None => (Some(&self.person), name),
        };
        match person.and_then(|person| value_of(person, name)) {
            Some(value) => Ok(value.to_owned()),
            None => unexpected(format!("nobody here has {text}")),
        }
    }
}

fn value_of<'a>(person: &'a Person, name: &str) -> Option<&'a str> {
    match name {
        "phone" => Some(&person.phone),
        "nickname" => Some(&person.nickname),
        "login_password" => person.login_password.as_deref(),
        "card_number" => person.card_number.as_deref(),
        "withdrawal_password" => person.withdrawal_password.as_deref(),
        "customer_reference" => person.customer_reference.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ONE: &str = r#"{"name":"a","rules":["L2"],"title":{"en":"A","zh":"甲"},"person":{"kind":"unsigned"},
        "steps":[{"choose":"wechat"},{"expect":"authorizing"},{"wechat":"agree"},{"resend":{}},
                 {"submit_card":{"number":"$card_number","withdrawal_password":"x"}},
                 {"expect":"phone_needed","facts":{"failure":"phone_invalid"}}],
        "ends_in":"phone_needed","round_trips":1}"#;

    #[test]
    fn a_scenario_is_read_with_each_kind_of_line() {
        let scenarios = parse(&format!("[{ONE}]")).unwrap();
        assert_eq!(scenarios[0].steps.len(), 6);
        assert!(matches!(
            scenarios[0].steps[2],
            Step::Do(Action::Wechat(WeChatAction::Agree))
        ));
        assert!(
            matches!(&scenarios[0].steps[5], Step::Expect(expectation) if expectation.facts.len() == 1)
        );
    }

    #[test]
    fn an_unknown_action_or_a_second_name_is_an_error_and_no_line_that_is_passed_over() {
        let unknown = ONE.replace("resend", "dance");
        let error = parse(&format!("[{unknown}]")).unwrap_err().to_string();
        assert!(error.contains("dance"), "{error}");
        assert!(parse(&format!("[{ONE},{ONE}]")).is_err());
    }
}

//! `contract/scenarios.json` is well formed and makes sense: each action belongs to the state it is taken in and can lead to the state expected after it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::{collections::HashSet, fs};

use common::Bench;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

const CONTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contract");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "$comment")]
    _comment: String,
    scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: String,
    rules: Vec<String>,
    title: Title,
    person: Value,
    other: Option<Value>,
    before: Vec<Map<String, Value>>,
    steps: Vec<Map<String, Value>>,
    ends_in: String,
    round_trips: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Title {
    en: String,
    zh: String,
}

fn scenarios() -> Vec<Scenario> {
    let text = fs::read_to_string(format!("{CONTRACT}/scenarios.json")).unwrap();
    serde_json::from_str::<File>(&text).unwrap().scenarios
}

/// Codes of problems.json that can be the reason of a failure or of an end.
fn problem_codes() -> HashSet<String> {
    let text = fs::read_to_string(format!("{CONTRACT}/problems.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    file["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["code"].as_str().unwrap().to_owned())
        .collect()
}

/// The states an action is taken in and those it can lead to; nothing for an action that announces nothing.
fn moves(action: &str) -> Option<(&'static [&'static str], &'static [&'static str])> {
    const AFTER_START: &[&str] = &[
        "refused",
        "ready",
        "phone_needed",
        "face_needed",
        "logged_in",
    ];
    const CANCELLABLE: &[&str] = &[
        "authorizing",
        "phone_needed",
        "sms_code_needed",
        "verification_needed",
        "registration_needed",
        "face_needed",
    ];
    Some(match action {
        "choose" => (&["ready"], &["authorizing", "ready"]),
        "wechat" => (&["authorizing"], AFTER_START),
        "submit_phone" => (
            &["phone_needed"],
            &["phone_needed", "sms_code_needed", "stopped"],
        ),
        "submit_code" => (
            &["sms_code_needed"],
            &[
                "sms_code_needed",
                "verification_needed",
                "registration_needed",
                "stopped",
            ],
        ),
        "resend" => (&["sms_code_needed"], &["sms_code_needed", "stopped"]),
        "change_phone" => (&["sms_code_needed"], &["phone_needed"]),
        "submit_login_password" => (
            &["verification_needed"],
            &["verification_needed", "face_needed", "logged_in", "stopped"],
        ),
        "submit_card" => (
            &["verification_needed"],
            &["verification_needed", "face_needed", "stopped"],
        ),
        "register" => (
            &["registration_needed"],
            &["registration_needed", "logged_in", "stopped"],
        ),
        "face" => (&["face_needed"], &["face_needed", "logged_in", "stopped"]),
        "ask_again" => (&["refused"], &["authorizing", "ready"]),
        "dismiss" => (&["refused"], &["ready"]),
        "start_over" => (&["stopped"], &["ready"]),
        "cancel" => (CANCELLABLE, &["ready"]),
        _ => return None,
    })
}

fn check_value(name: &str, value: &Value) {
    let one_of = |allowed: &[&str]| {
        let text = value.as_str().unwrap_or_else(|| panic!("{name}: {value}"));
        assert!(allowed.contains(&text), "{name}: {text}");
    };
    match name {
        "choose" => one_of(&["wechat"]),
        "wechat" => one_of(&[
            "agree",
            "refuse",
            "close",
            "none",
            "missing",
            "refuse_at_once",
            "agree_as_other",
        ]),
        "submit_code" => one_of(&["$inbox", "wrong", "12"]),
        "face" => one_of(&["pass", "fail", "timeout", "decline"]),
        "session" => one_of(&[
            "is_signed_in",
            "is_signed_out",
            "renew",
            "renew_refused",
            "renew_unavailable",
            "account",
            "sign_out",
            "end_at_server",
        ]),
        "submit_phone" | "submit_login_password" | "register" => {
            assert!(value.is_string(), "{name}: {value}");
        }
        "submit_card" => {
            let card = value.as_object().unwrap();
            assert!(
                card.len() == 2
                    && card["number"].is_string()
                    && card["withdrawal_password"].is_string()
            );
        }
        "ask_again" | "dismiss" | "start_over" | "cancel" | "restart" | "clear_faults"
        | "resend" | "change_phone" => {
            assert_eq!(*value, json!({}), "{name}");
        }
        "sessions" | "inbox_count" => assert!(value.is_u64(), "{name}: {value}"),
        "advice" => {
            let advice = value.as_object().unwrap();
            assert!(advice.len() == 2 && advice["operation"].is_string());
            assert!(
                ["go_on", "go_on_as_guest", "ask_now"].contains(&advice["is"].as_str().unwrap())
            );
        }
        "invalid" => {
            let (inner, value) = only(value.as_object().unwrap());
            assert!(["submit_phone", "submit_code", "register"].contains(&inner));
            check_value(inner, value);
        }
        "fault" => assert!(value.is_object()),
        other => panic!("an action that scenarios.md does not have: {other}"),
    }
    let documented = fs::read_to_string(format!("{CONTRACT}/scenarios.md")).unwrap();
    assert!(
        documented.contains(&format!("\"{name}\":")),
        "{name} is not in scenarios.md"
    );
}

fn only(item: &Map<String, Value>) -> (&str, &Value) {
    assert_eq!(item.len(), 1, "one action has one key: {item:?}");
    let (name, value) = item.iter().next().unwrap();
    (name, value)
}

fn check_facts(state: &str, facts: &Map<String, Value>, codes: &HashSet<String>) {
    for (name, value) in facts {
        let fits = match (name.as_str(), state) {
            ("failure", "refused" | "authorizing" | "logged_in" | "stopped") => false,
            ("failure", _) => match value.as_str() {
                None => value.is_null(),
                Some(code) => {
                    ["network", "server_unavailable", "server_unintelligible"].contains(&code)
                        || codes.contains(code)
                }
            },
            ("kind", "refused") => [
                "denied",
                "cancelled",
                "returned_without_answer",
                "app_missing",
                "misconfigured",
                "provider_failed",
                "network",
            ]
            .contains(&value.as_str().unwrap()),
            ("attempts_left", "sms_code_needed" | "verification_needed") => {
                (1..=5).contains(&value.as_u64().unwrap())
            }
            ("attempts_left", "face_needed") => (1..=3).contains(&value.as_u64().unwrap()),
            ("methods", "verification_needed") => {
                [json!(["login_password", "card"]), json!(["login_password"])].contains(value)
            }
            ("identification", "logged_in") => {
                ["unsigned", "signed"].contains(&value.as_str().unwrap())
            }
            ("reason", "stopped") => {
                value == "face_declined" || codes.contains(value.as_str().unwrap())
            }
            _ => false,
        };
        assert!(fits, "{state} has no fact {name} = {value}");
    }
}

/// Walks through the items from `state` and returns the state they end in.
fn walk(items: &[Map<String, Value>], mut state: String, codes: &HashSet<String>) -> String {
    // Where an announcement is due: the states it can be, and what for.
    let mut due: Option<(Vec<String>, String)> = if state.is_empty() {
        Some((vec!["ready".to_owned()], "the beginning".to_owned()))
    } else {
        None
    };
    for item in items {
        if let Some(expected) = item.get("expect") {
            let expected = expected.as_str().unwrap();
            assert!(
                item.keys().all(|key| key == "expect" || key == "facts"),
                "{item:?}"
            );
            let (possible, what) = due
                .take()
                .unwrap_or_else(|| panic!("nothing announces {expected}"));
            assert!(
                possible.iter().any(|possible| possible == expected),
                "{what} does not lead to {expected}"
            );
            if let Some(facts) = item.get("facts") {
                check_facts(expected, facts.as_object().unwrap(), codes);
            }
            expected.clone_into(&mut state);
            continue;
        }
        let (name, value) = only(item);
        check_value(name, value);
        assert!(due.is_none(), "{name} comes where a state is expected");
        if name == "restart" {
            // What survives is a journey or a step; everything else begins at the buttons.
            let survives = state == "authorizing" || (state.ends_with("_needed"));
            let after = if survives {
                state.clone()
            } else {
                "ready".to_owned()
            };
            due = Some((vec![after], name.to_owned()));
        } else if let Some((from, to)) = moves(name) {
            assert!(from.contains(&state.as_str()), "{name} in {state}");
            due = Some((
                to.iter().map(|&state| state.to_owned()).collect(),
                name.to_owned(),
            ));
        } else if name == "invalid" {
            let (inner, _) = only(value.as_object().unwrap());
            assert!(
                moves(inner).unwrap().0.contains(&state.as_str()),
                "{inner} in {state}"
            );
        }
    }
    assert!(
        due.is_none(),
        "the last action is followed by no expectation"
    );
    state
}

#[test]
fn every_scenario_can_be_played_and_ends_where_it_says() {
    let codes = problem_codes();
    for scenario in scenarios() {
        // Shown only where an assertion fails.
        println!("{}", scenario.name);
        let mut begins_at = String::new();
        if !scenario.before.is_empty() {
            begins_at = walk(&scenario.before, begins_at, &codes);
        }
        assert_eq!(walk(&scenario.steps, begins_at, &codes), scenario.ends_in);
        assert!(scenario.round_trips.is_none_or(|count| count < 20));
    }
}

#[test]
fn names_are_unique_words_and_titles_are_in_two_languages() {
    let mut names = HashSet::new();
    for scenario in scenarios() {
        assert!(
            scenario
                .name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{}",
            scenario.name
        );
        assert!(!scenario.title.en.is_empty() && scenario.title.en.is_ascii());
        assert!(
            scenario
                .title
                .zh
                .chars()
                .any(|character| ('\u{4e00}'..='\u{9fff}').contains(&character))
        );
        assert!(!scenario.rules.is_empty());
        for rule in &scenario.rules {
            assert!(
                "LUWM".contains(&rule[..1])
                    && rule[1..]
                        .parse::<u8>()
                        .is_ok_and(|number| (1..=15).contains(&number)),
                "{rule}"
            );
        }
        assert!(
            names.insert(scenario.name.clone()),
            "{} comes twice",
            scenario.name
        );
    }
}

#[test]
fn round_trips_are_those_of_the_budget() {
    let scenarios = scenarios();
    for (name, budget) in [
        ("returning_unsigned_person", 1),
        ("returning_signed_customer", 2),
        ("new_unsigned_person", 4),
        ("new_signed_customer_by_login_password", 5),
        ("new_signed_customer_by_card", 5),
    ] {
        let scenario = scenarios
            .iter()
            .find(|scenario| scenario.name == name)
            .unwrap();
        assert_eq!(scenario.round_trips, Some(budget), "{name}");
    }
}

/// Every `$name` in the text.
fn variables(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix('$') {
                found.insert(name.to_owned());
            }
        }
        Value::Object(members) => members.values().for_each(|member| variables(member, found)),
        Value::Array(members) => members.iter().for_each(|member| variables(member, found)),
        _ => {}
    }
}

#[tokio::test]
async fn people_have_the_values_that_are_used_and_faults_are_those_of_control() {
    let bench = Bench::start().await;
    for scenario in scenarios() {
        println!("{}", scenario.name);
        let made = bench
            .control(Method::POST, "/people", scenario.person.clone())
            .await;
        assert_eq!(made.status, 201);
        let (person, mut other) = (made.json(), Value::Null);
        if let Some(asked) = &scenario.other {
            let made = bench.control(Method::POST, "/people", asked.clone()).await;
            assert_eq!(made.status, 201);
            other = made.json();
        }
        let mut used = HashSet::new();
        for item in scenario.before.iter().chain(&scenario.steps) {
            variables(&Value::Object(item.clone()), &mut used);
            if let Some(rule) = item.get("fault") {
                bench.fault(rule.clone()).await;
            }
            if item
                .get("wechat")
                .is_some_and(|answer| answer == "agree_as_other")
            {
                assert!(other["wechat_person"].is_string());
            }
        }
        for name in used {
            let value = match name.strip_prefix("other.") {
                Some(of_other) => &other[of_other],
                None if name == "inbox" => continue,
                None => &person[&name],
            };
            assert!(value.is_string(), "${name} has no value");
        }
        let mentions_other = !other.is_null();
        assert_eq!(
            mentions_other,
            scenario_uses_other(&scenario),
            "other is made and not used, or the other way round"
        );
    }
}

fn scenario_uses_other(scenario: &Scenario) -> bool {
    let text = serde_json::to_string(&(&scenario.before, &scenario.steps)).unwrap();
    text.contains("$other.") || text.contains("agree_as_other")
}

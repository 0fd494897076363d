//! What the demo says: one line for each thing that happens, in colour on a terminal.

use std::env;
use std::io::{IsTerminal as _, stdout};

use postern_sdk_core::login::LoginState;
use postern_tests::scenario::{FaceAction, SessionAction, WeChatAction};
use postern_tests::{Action, Cast, Observer, Result, Scenario, Trouble, World, facts_of, name_of};
use serde_json::Value;

/// Says it.
pub(crate) struct Voice {
    colours: bool,
}

/// Who a line is about.
#[derive(Clone, Copy)]
pub(crate) enum Who {
    Sdk,
    Person,
    Wire,
    World,
    Note,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Sdk => "SDK",
            Self::Person => "person",
            Self::Wire => "wire",
            Self::World => "world",
            Self::Note => "",
        }
    }

    const fn colour(self) -> &'static str {
        match self {
            Self::Sdk => "1;36",
            Self::Person => "1;33",
            Self::Wire => "2",
            Self::World => "35",
            Self::Note => "2;3",
        }
    }
}

impl Voice {
    pub(crate) fn new() -> Self {
        Self {
            colours: stdout().is_terminal()
                && env::var_os("NO_COLOR").is_none_or(|no| no.is_empty()),
        }
    }

    pub(crate) fn say(&self, who: Who, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let name = if index == 0 { who.name() } else { "" };
            println!(
                "  {} {}",
                self.painted(who.colour(), &format!("{name:<7}")),
                self.painted(who.colour(), line)
            );
        }
    }

    pub(crate) fn title(&self, text: &str) {
        println!("\n{}", self.painted("1", text));
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn world(&self, world: &World) -> Result<()> {
        self.title("Both servers run, each a process of its own");
        let env = world.env();
        self.say(
            Who::World,
            &format!("account center  {}", world.account_center_address()?),
        );
        self.say(
            Who::World,
            &format!(
                "the network     {} (what the SDK is configured with)",
                env.account_center
            ),
        );
        self.say(
            Who::World,
            &format!("WeChat          {}", env.simulator.wechat),
        );
        self.say(
            Who::World,
            &format!(
                "SMS, core, face {} {} {}",
                env.simulator.sms, env.simulator.core, env.simulator.face
            ),
        );
        self.say(
            Who::World,
            &format!("logs and data   {}", world.folder().display()),
        );
        Ok(())
    }

    pub(crate) fn ended(&self, scenario: &Scenario, trouble: Option<&Trouble>) {
        match trouble {
            None => println!(
                "  {}",
                self.painted(
                    "1;32",
                    &format!(
                        "{}: ended as described, in {}",
                        scenario.name, scenario.ends_in
                    )
                )
            ),
            Some(trouble) => println!(
                "  {}",
                self.painted(
                    "1;31",
                    &format!("{}: NOT as described: {trouble}", scenario.name)
                )
            ),
        }
    }
}

impl Observer for Voice {
    fn begins(&self, scenario: &Scenario, cast: &Cast, vault: &str) {
        self.title(&format!(
            "{}  [{}]",
            scenario.name,
            scenario.rules.join(" ")
        ));
        for title in ["en", "zh"]
            .iter()
            .filter_map(|tag| scenario.title.get(*tag))
        {
            self.say(Who::Note, title);
        }
        self.say(
            Who::Note,
            &format!(
                "the person: {}, phone {}",
                cast.person.nickname,
                masked_phone(&cast.person.phone)
            ),
        );
        self.say(
            Who::Note,
            &format!("session and device key are kept in: {vault}"),
        );
    }

    fn before(&self, playing: bool) {
        self.say(
            Who::Note,
            if playing {
                "-- what went before --"
            } else {
                "-- now --"
            },
        );
    }

    fn action(&self, action: &Action) {
        let (who, text) = told(action);
        self.say(who, &text);
    }

    fn state(&self, state: &LoginState) {
        if matches!(state, LoginState::Resolving) {
            return;
        }
        let facts = shown_facts(&facts_of(state));
        self.say(Who::Sdk, &format!("{} {facts}", name_of(state)));
    }

    fn note(&self, text: &str) {
        self.say(Who::Note, text);
    }
}

/// `138****0000`.
pub(crate) fn masked_phone(phone: &str) -> String {
    let digits: Vec<char> = phone.trim_start_matches("+86").chars().collect();
    if digits.len() < 8 {
        return "****".to_owned();
    }
    let first: String = digits[..3].iter().collect();
    let last: String = digits[digits.len() - 4..].iter().collect();
    format!("{first}****{last}")
}

fn shown_facts(facts: &Value) -> String {
    let Some(facts) = facts.as_object() else {
        return String::new();
    };
    let shown: Vec<String> = facts
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    shown.join(" ")
}

fn told(action: &Action) -> (Who, String) {
    let person = |text: &str| (Who::Person, text.to_owned());
    match action {
        Action::Choose(provider) => person(&format!("taps the button of {provider}")),
        Action::Wechat(action) => match action {
            WeChatAction::Agree => person("agrees on WeChat's page"),
            WeChatAction::AgreeAsOther => person("agrees, but it is somebody else's WeChat"),
            WeChatAction::Refuse => person("reads WeChat's page and refuses"),
            WeChatAction::RefuseAtOnce => {
                (Who::World, "WeChat refuses before any page was seen".into())
            }
            WeChatAction::Close => person("closes WeChat's page"),
            WeChatAction::None => person("comes back from WeChat, without an answer"),
            WeChatAction::Missing => (Who::World, "WeChat is not installed".into()),
        },
        Action::SubmitPhone(_) => person("types the phone number"),
        Action::SubmitCode(text) if text == "$inbox" => person("types the code from the SMS"),
        Action::SubmitCode(_) => person("types a wrong code"),
        Action::Resend(_) => person("asks for another SMS"),
        Action::ChangePhone(_) => person("wants another phone number"),
        Action::SubmitLoginPassword(text) if text.starts_with('$') => {
            person("types the login password")
        }
        Action::SubmitLoginPassword(_) => person("types a wrong login password"),
        Action::SubmitCard { .. } => person("types a card number and its withdrawal password"),
        Action::Register(_) => person("chooses a login password"),
        Action::Face(action) => match action {
            FaceAction::Pass => person("looks into the camera, and is recognised"),
            FaceAction::Fail => person("looks into the camera, and is not recognised"),
            FaceAction::Timeout => person("waits too long before the camera"),
            FaceAction::Decline => person("declines face recognition"),
        },
        Action::AskAgain(_) => person("presses the button again"),
        Action::Dismiss(_) => person("says: not now"),
        Action::StartOver(_) => person("starts over"),
        Action::Cancel(_) => person("cancels"),
        Action::Restart(_) => (
            Who::World,
            "the app's process ends and a new one starts".into(),
        ),
        Action::Fault(fault) => (Who::World, format!("trouble: {fault}")),
        Action::ClearFaults(_) => (Who::World, "the trouble is over".into()),
        Action::Session(action) => (Who::World, session(*action).to_owned()),
        Action::Advice { operation, is } => (
            Who::World,
            format!("before {operation} the app asks whether to ask for a login; advice: {is}"),
        ),
        Action::Sessions(count) => (Who::World, format!("the account has {count} session(s)")),
        Action::InboxCount(count) => (Who::World, format!("{count} SMS came")),
        Action::Invalid(action) => {
            let (who, text) = told(action);
            (
                who,
                format!("{text}, which can't be right; nothing is sent"),
            )
        }
    }
}

const fn session(action: SessionAction) -> &'static str {
    match action {
        SessionAction::IsSignedIn => "the session is there",
        SessionAction::IsSignedOut => "there is no session",
        SessionAction::Renew => "the session is renewed",
        SessionAction::RenewRefused => "the session can't be renewed any more",
        SessionAction::RenewUnavailable => "the session can't be renewed now, and is kept",
        SessionAction::SignOut => "the person signs out",
        SessionAction::Account => "the account is asked for with the session",
        SessionAction::EndAtServer => "the session is ended at the server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_number_is_masked_whatever_its_length() {
        assert_eq!(masked_phone("+8613800000000"), "138****0000");
        assert_eq!(masked_phone("12"), "****");
    }
}

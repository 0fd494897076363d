//! `--serve`: what one can try with both servers running.

use postern_tests::World;

use crate::voice::{Voice, Who};

/// The simulator's app that the account center has for `bank-android`.
const WECHAT_APP: &str = "wx5b1e0c6a7d000001";

/// Prints lines that can be copied into a terminal or a browser.
pub(crate) fn explain(world: &World, voice: &Voice) {
    let env = world.env();
    let (center, simulator) = (&env.account_center, &env.simulator);
    voice.title("Both servers keep running; Ctrl-C ends them. To try, in another terminal:");
    let tries = [
        ("is it well?", format!("curl -s {center}/readyz")),
        (
            "the buttons, the texts, the signed key list, and the first nonce (-i shows it)",
            format!("curl -si {center}/v1/apps/{}/login-options", env.app_id),
        ),
        (
            "a login without a proof: what a stranger gets",
            format!(
                "curl -s -X POST {center}/v1/login -H 'Content-Type: application/json' -d '{{\"app_id\":\"{}\",\"start\":{{\"provider\":{{\"provider\":\"wechat\",\"code\":\"x\"}}}}}}'",
                env.app_id
            ),
        ),
        ("the whole API", format!("curl -s {center}/openapi.json")),
        (
            "the people of this world, with their passwords",
            format!("curl -s {}/people", simulator.control),
        ),
        (
            "what went through the network",
            format!("curl -s '{}/requests?party=gateway'", simulator.control),
        ),
    ];
    for (about, line) in &tries {
        voice.say(Who::Note, about);
        println!("          {line}");
    }
    voice.say(Who::Note, "WeChat's consent page, for a browser; it leads back to the account center's health page with a code");
    println!("          {}", consent_page(&simulator.wechat, center));
    voice.say(Who::Note, "the SDK is configured with");
    println!(
        "          account_center {center}\n          app_id         {}\n          root_key       {}",
        env.app_id, env.root_key
    );
}

fn consent_page(wechat: &str, center: &str) -> String {
    let back: String = format!("{center}/healthz")
        .chars()
        .map(|c| match c {
            ':' => "%3A".to_owned(),
            '/' => "%2F".to_owned(),
            other => other.to_string(),
        })
        .collect();
    format!(
        "{wechat}/connect/authorize?appid={WECHAT_APP}&scope=snsapi_userinfo&state=demo&redirect_uri={back}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_return_address_is_one_parameter() {
        let page = consent_page("http://127.0.0.1:1", "http://127.0.0.1:2");
        assert!(
            page.ends_with("redirect_uri=http%3A%2F%2F127.0.0.1%3A2%2Fhealthz"),
            "{page}"
        );
    }
}

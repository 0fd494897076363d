//! The few lines of HTML that a human sees.

use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};

/// Escapes text for element content and for quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const STYLE: &str = "
:root { color-scheme: light dark; --card: #fff; --page: #ededed; --text: #191919; --faint: #6b6b6b; --line: #e3e3e3; --go: #07883f; }
@media (prefers-color-scheme: dark) { :root { --card: #1e1e1e; --page: #111; --text: #e8e8e8; --faint: #a0a0a0; --line: #333; --go: #0a7a3b; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, 'PingFang SC', 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif; }
main { width: 100%; max-width: 420px; background: var(--card); border-radius: 14px; padding: 28px 24px 20px; box-shadow: 0 2px 18px rgb(0 0 0 / 12%); }
h1 { font-size: 20px; margin: 0 0 4px; } h1 small, p small, button small { display: block; font-weight: 400; font-size: 13px; color: var(--faint); }
p { margin: 12px 0; } fieldset { border: 0; padding: 0; margin: 18px 0; } legend { font-size: 13px; color: var(--faint); padding: 0; margin-bottom: 6px; }
label { display: flex; gap: 12px; align-items: center; padding: 11px 4px; border-bottom: 1px solid var(--line); cursor: pointer; }
label span { flex: 1; overflow-wrap: anywhere; } label small { display: block; font-size: 13px; color: var(--faint); }
input { accent-color: var(--go); width: 18px; height: 18px; }
button { display: block; width: 100%; padding: 10px; margin-top: 10px; border: 0; border-radius: 9px; font: inherit; cursor: pointer; background: var(--line); color: var(--text); }
button.go { background: var(--go); color: #fff; font-weight: 600; } button.go small { color: #fff; } button.bare { background: none; color: var(--faint); }
button:focus-visible, label:focus-within { outline: 3px solid #4a90d9; outline-offset: 2px; }
footer { margin-top: 18px; font-size: 12px; color: var(--faint); text-align: center; }";

/// A whole page around `body`, which the caller has escaped. No script runs on it and nobody may frame it.
pub(crate) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{STYLE}\n</style>\n</head>\n<body>\n<main>\n{body}\
         <footer>模拟器，非真实微信 · A simulator, not WeChat</footer>\n</main>\n</body>\n</html>\n",
        escape(title)
    );
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // No form-action: browsers apply it to the redirect after the form too, and that one leaves for the app.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(text)).into_response()
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_a_stranger_writes_leaves_its_attribute_or_element() {
        assert_eq!(
            escape(r#"<b a="x" c='y'>&"#),
            "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;"
        );
        assert_eq!(escape("林晓"), "林晓");
    }
}

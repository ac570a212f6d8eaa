//! Foreign text inside each form: whatever it holds, it stays the text that it is.

use highwater_analysis::figures::shown;

/// Behind it `@name` and `#1` are no longer what a forge or a chat looks for.
const NO_WIDTH: char = '\u{200b}';

/// Text or a quoted attribute of XML and HTML.
pub(crate) fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A sentence inside a line of markdown, as GitHub and GitLab read it: no markup, no link, nobody is called and nothing is referred to.
pub(crate) fn markdown(text: &str) -> String {
    let text = shown(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '@' | '#' => out.extend([c, NO_WIDTH]),
            ':' if rest.starts_with("//") => entity(&mut out, c),
            '.' if out.ends_with(['w', 'W']) => entity(&mut out, c),
            '&' | '<' | '>' | '"' | '\'' | '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$'
            | '!' | '^' | '{' | '}' => entity(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

/// A name as code inside a line of markdown, also in a table. Entities are no markup to any reader of it, and in `<code>` no forge looks for
/// people and issues; a fence of backticks would end at a backtick, and in a table at a bar.
pub(crate) fn code(name: &str) -> String {
    let mut out = "<code>".to_owned();
    for c in shown(name).chars() {
        match c {
            '/' | '.' | '-' | ' ' | ',' | '(' | ')' | '=' | '+' | '%' => out.push(c),
            c if c.is_ascii_punctuation() => entity(&mut out, c),
            c => out.push(c),
        }
    }
    out + "</code>"
}

fn entity(out: &mut String, c: char) {
    out.push_str(&format!("&#{};", u32::from(c)));
}

/// A sentence in a message of a chat: Slack takes `&`, `<` and `>` for markup and reads them as entities; nobody is called, no address becomes a link, and
/// no code begins, in Slack and in chats that take what Slack does.
pub(crate) fn chat(text: &str) -> String {
    let text = shown(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' => out.push('\''),
            '@' | '#' => out.extend([c, NO_WIDTH]),
            ':' if rest.starts_with("//") => out.extend([c, NO_WIDTH]),
            ']' if rest.starts_with('(') => out.extend([c, NO_WIDTH]),
            c => out.push(c),
        }
    }
    out
}

/// Where a link in a message of a chat leads.
pub(crate) fn chat_address(url: &str) -> String {
    let url = shown(url).replace('&', "&amp;").replace('|', "%7C");
    url.replace('<', "&lt;").replace('>', "&gt;")
}

/// The message of a workflow command.
pub(crate) fn message(text: &str) -> String {
    shown(text).replace('%', "%25")
}

/// A property of a workflow command.
pub(crate) fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// A label's value in Prometheus's text.
pub(crate) fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_text_stays_text_in_each_form() {
        for (text, in_markup, in_markdown) in [
            (
                "plain text, 1.5 MiB",
                "plain text, 1.5 MiB",
                "plain text, 1.5 MiB",
            ),
            ("</code>", "&lt;/code&gt;", "&#60;/code&#62;"),
            (
                "-->\n<script>",
                "--&gt;\\n&lt;script&gt;",
                "--&#62;&#92;n&#60;script&#62;",
            ),
            ("[a](b)", "[a](b)", "&#91;a&#93;(b)"),
            ("@org #1", "@org #1", "@\u{200b}org #\u{200b}1"),
            ("www.a.b", "www.a.b", "www&#46;a.b"),
            ("https://a", "https://a", "https&#58;//a"),
            ("a::b", "a::b", "a::b"),
            ("&#46;", "&amp;#46;", "&#38;#\u{200b}46;"),
        ] {
            assert_eq!(markup(text), in_markup);
            assert_eq!(markdown(text), in_markdown);
        }
        assert_eq!(code("a`|b"), "<code>a&#96;&#124;b</code>");
        assert_eq!(message("100 %\n::error::x"), "100 %25\\n::error::x");
        assert_eq!(property("a,b::c"), "a%2Cb%3A%3Ac");
        assert_eq!(label("a\"\\\nb"), "a\\\"\\\\\\nb");
    }

    proptest! {
        #[test]
        fn nothing_gets_out_of_its_place(text in any::<String>()) {
            for escaped in [markup(&text), markdown(&text), code(&text)] {
                let inner = escaped.replace("<code>", "").replace("</code>", "");
                prop_assert!(!inner.contains(['<', '>', '"', '\n', '\r']), "{inner}");
            }
            let inner = markdown(&text) + &code(&text);
            let inner = inner.replace("<code>", "").replace("</code>", "");
            prop_assert!(!inner.contains(['`', '|', '[', ']', '*', '_', '\\', '~']), "{inner}");
            prop_assert!(!chat(&text).contains(['<', '>', '`', '\n', '\r']));
            prop_assert!(!property(&text).contains([',', ':', '\n', '\r']));
            prop_assert!(!message(&text).contains(['\n', '\r']));
            prop_assert!(!label(&text).contains('\n'));
        }
    }
}

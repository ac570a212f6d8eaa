//! Texts that mean something to somebody: SQL, HTML, a path, a header, a terminal, a spreadsheet.

use fastrand::Rng;

/// Sets an attribute of the page where it is run: the browser's pass looks for it.
pub(crate) const MARKUP: &[&str] = &[
    "</title><script>document.documentElement.dataset.owned=1;alert(1)</script>",
    "\"'><img src=x onerror=\"document.documentElement.dataset.owned=1\">",
    "<svg/onload=document.documentElement.dataset.owned=1>",
    "</style><iframe srcdoc='<script>parent.document.documentElement.dataset.owned=1</script>'>",
    "' autofocus onfocus='document.documentElement.dataset.owned=1",
    "javascript:document.documentElement.dataset.owned=1//",
    "data:text/html,<script>alert(1)</script>",
];

const OTHERS: &[&str] = &[
    "' OR '1'='1' --",
    "'; DROP TABLE job; --",
    "x' UNION SELECT digest, lookup, scope FROM token --",
    "1; ATTACH DATABASE '/tmp/owned.db' AS owned",
    "%' ESCAPE '\\",
    "../../../../../../etc/passwd",
    "..\\..\\..\\windows\\win.ini",
    "/proc/self/environ",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "a\r\nSet-Cookie: owned=1",
    "\u{0}",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "\u{202e}\u{2066}\u{feff}",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "=HYPERLINK(\"http://evil.example\")",
    "$(reboot)`reboot`",
    "%00%0a%2e%2e%2f",
    "]]><!--",
    "null",
    "",
    "-1",
    "9223372036854775808",
    "1e309",
    "💥\u{200d}💥",
];

/// One of them, sometimes long, sometimes two.
pub(crate) fn text(random: &mut Rng) -> String {
    match random.u8(..) {
        0 => "A".repeat(random.usize(900..20_000)),
        1..=20 => format!("{}{}", one(random), one(random)),
        _ => one(random).to_owned(),
    }
}

fn one(random: &mut Rng) -> &'static str {
    let at = random.usize(..MARKUP.len() + OTHERS.len());
    MARKUP
        .get(at)
        .copied()
        .unwrap_or_else(|| OTHERS[at - MARKUP.len()])
}

/// One that fits into a name.
pub(crate) fn short(random: &mut Rng) -> String {
    one(random).to_owned()
}

/// A number at an edge.
pub(crate) fn number(random: &mut Rng) -> i64 {
    const EDGES: &[i64] = &[
        i64::MIN,
        i64::MIN + 1,
        -1,
        0,
        1,
        1 << 31,
        1 << 40,
        1 << 48,
        (1 << 53) + 1,
        i64::MAX - 1,
        i64::MAX,
    ];
    match random.u8(..4) {
        0 => random.i64(..),
        _ => EDGES[random.usize(..EDGES.len())],
    }
}

/// For a path or a query: everything but letters and digits escaped, sometimes escaped twice, sometimes half.
pub(crate) fn escaped(random: &mut Rng, text: &str) -> String {
    let kind = random.u8(..8);
    let escape = |byte: u8| match (kind, byte) {
        (_, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9') => char::from(byte).to_string(),
        (0, _) => format!("%25{byte:02X}"),
        (1, b'.' | b'/' | b'\'' | b';' | b'=' | b'(' | b')' | b'*' | b'-') => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(escape).collect()
}

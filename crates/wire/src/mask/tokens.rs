//! Tokens by their form, as their makers chose it to be found by scanners, and private keys.

use std::sync::LazyLock;

use super::{Found, is_mixed, is_quote};

/// How a token looks.
#[derive(Debug, Clone, Copy)]
struct Form {
    begins: &'static str,
    /// What follows is of these.
    of: Alphabet,
    /// So many of them at least: fewer than the maker gives, since a command may have been cut.
    least: usize,
    /// What begins inside of a word is none.
    stands_alone: bool,
    /// What follows is no plain word.
    is_mixed: bool,
    /// So many dots are in what follows, at least.
    dots: usize,
}

#[derive(Debug, Clone, Copy)]
enum Alphabet {
    /// Hexadecimal digits, and what joins groups of them.
    Hex,
    /// Capital letters and digits.
    Upper,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_` and `-`.
    Word,
    /// [`Alphabet::Word`], `.` and `~`.
    Dotted,
    /// [`Alphabet::Word`], `+`, `/` and `=`.
    Base64,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        let joins = matches!(byte, b'_' | b'-');
        match self {
            Self::Hex => byte.is_ascii_hexdigit() || joins,
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || joins,
            Self::Dotted => byte.is_ascii_alphanumeric() || joins || matches!(byte, b'.' | b'~'),
            Self::Base64 => {
                byte.is_ascii_alphanumeric() || joins || matches!(byte, b'+' | b'/' | b'=')
            }
        }
    }
}

const fn form(begins: &'static str, of: Alphabet, least: usize) -> Form {
    Form {
        begins,
        of,
        least,
        stands_alone: false,
        is_mixed: false,
        dots: 0,
    }
}

/// A form whose beginning may be the end of a word.
const fn alone(begins: &'static str, of: Alphabet, least: usize) -> Form {
    Form {
        stands_alone: true,
        ..form(begins, of, least)
    }
}

/// A form that words joined by dashes have, too.
const fn mixed(begins: &'static str, of: Alphabet, least: usize) -> Form {
    Form {
        is_mixed: true,
        ..alone(begins, of, least)
    }
}

/// A form of parts between dots.
const fn parts(begins: &'static str, least: usize, dots: usize) -> Form {
    Form {
        dots,
        ..mixed(begins, Alphabet::Dotted, least)
    }
}

use Alphabet::{Alnum, Base64, Dotted, Hex, Upper, Word};

const FORMS: [Form; 130] = [
    // Highwater's own.
    form("hw_", Hex, 40),
    // Forges and their runners.
    form("ghp_", Alnum, 20),
    form("gho_", Alnum, 20),
    form("ghu_", Alnum, 20),
    form("ghs_", Dotted, 20),
    form("ghr_", Alnum, 20),
    form("github_pat_", Word, 20),
    form("glpat-", Dotted, 16),
    form("gldt-", Word, 16),
    form("glrt-", Dotted, 16),
    form("glrtr-", Dotted, 16),
    form("glcbt-", Dotted, 16),
    form("glptt-", Word, 16),
    form("glft-", Word, 16),
    form("glffct-", Word, 16),
    form("glimt-", Word, 16),
    form("glagent-", Word, 16),
    form("gloas-", Word, 16),
    form("glsoat-", Word, 16),
    form("GR1348941", Word, 16),
    alone("ATBB", Alnum, 24),
    form("ATATT3", Base64, 40),
    form("ATCTT3", Base64, 40),
    form("CCIPAT_", Word, 30),
    form("CCIPRJ_", Word, 30),
    form("bkua_", Hex, 30),
    form("sgp_", Hex, 40),
    form("squ_", Hex, 40),
    form("sqp_", Hex, 40),
    form("sqa_", Hex, 40),
    // Registries of packages and images.
    form("npm_", Alnum, 30),
    mixed("pypi-", Word, 30),
    form("rubygems_", Hex, 40),
    alone("cio", Alnum, 32),
    alone("oy2", Alnum, 43),
    form("CLOJARS_", Alnum, 50),
    form("dckr_pat_", Word, 20),
    form("dckr_oat_", Word, 20),
    alone("AKCp", Alnum, 60),
    alone("cmVmd", Alnum, 55),
    // Clouds and what runs in them.
    form("AKIA", Upper, 16),
    form("ASIA", Upper, 16),
    form("ABIA", Upper, 16),
    form("ACCA", Upper, 16),
    form("ABSK", Base64, 60),
    form("AIza", Word, 30),
    form("ya29.", Word, 20),
    form("GOCSPX-", Word, 20),
    alone("LTAI", Alnum, 20),
    form("Q~", Dotted, 31),
    form("dop_v1_", Hex, 40),
    form("doo_v1_", Hex, 40),
    form("dor_v1_", Hex, 40),
    form("HRKU-", Word, 30),
    alone("fo1_", Word, 40),
    form("fm1a_", Base64, 60),
    form("fm1r_", Base64, 60),
    form("fm2_", Base64, 60),
    form("tskey-", Word, 20),
    form("pul-", Hex, 40),
    parts("hvs.", 20, 0),
    parts("hvb.", 20, 0),
    parts("hvr.", 20, 0),
    form(".atlasv1.", Base64, 40),
    alone("dapi", Hex, 32),
    form("pscale_tkn_", Dotted, 30),
    form("pscale_oauth_", Dotted, 30),
    form("pscale_pw_", Dotted, 30),
    form("sbp_", Hex, 40),
    form("sb_secret_", Word, 20),
    alone("sha256~", Word, 40),
    form("dp.pt.", Word, 40),
    form("dp.st.", Dotted, 40),
    form("dp.ct.", Word, 40),
    form("dp.sa.", Word, 40),
    form("pnu_", Alnum, 30),
    form("ops_eyJ", Base64, 60),
    form("AGE-SECRET-KEY-1", Upper, 40),
    // Watchers.
    form("glsa_", Word, 30),
    form("glc_", Base64, 32),
    form("eyJrIjoi", Base64, 40),
    form("sntrys_", Base64, 40),
    form("sntryu_", Hex, 40),
    form("NRAK-", Upper, 20),
    form("NRII-", Word, 20),
    form("NRJS-", Hex, 16),
    form("dt0c01.", Dotted, 60),
    form("dt0s16.", Dotted, 60),
    // Talk and mail.
    form("xoxa-", Word, 10),
    form("xoxb-", Word, 10),
    form("xoxc-", Word, 10),
    form("xoxd-", Word, 10),
    form("xoxe-", Word, 10),
    form("xoxo-", Word, 10),
    form("xoxp-", Word, 10),
    form("xoxr-", Word, 10),
    form("xoxs-", Word, 10),
    form("xoxe.xox", Word, 10),
    form("xapp-", Word, 12),
    parts("SG.", 33, 1),
    alone("key-", Hex, 32),
    form("xkeysib-", Hex, 40),
    form("xsmtpsib-", Hex, 40),
    // Shops and payment.
    form("sk_live_", Alnum, 10),
    form("sk_test_", Alnum, 10),
    form("rk_live_", Alnum, 10),
    form("rk_test_", Alnum, 10),
    form("pk_live_", Alnum, 10),
    form("pk_test_", Alnum, 10),
    form("whsec_", Base64, 24),
    form("sq0atp-", Word, 20),
    form("sq0csp-", Word, 20),
    form("shpat_", Hex, 20),
    form("shpca_", Hex, 20),
    form("shppa_", Hex, 20),
    form("shpss_", Hex, 20),
    form("shippo_live_", Hex, 30),
    form("FLWSECK", Word, 12),
    // Models.
    mixed("sk-", Word, 20),
    form("hf_", Alnum, 30),
    form("api_org_", Alnum, 30),
    form("gsk_", Alnum, 40),
    form("pplx-", Alnum, 40),
    alone("r8_", Alnum, 30),
    // Tools.
    form("lin_api_", Alnum, 30),
    form("ntn_", Alnum, 40),
    form("figd_", Word, 30),
    form("PMAK-", Hex, 50),
    form("lsv2_", Word, 40),
    // Whoever signs: three parts, or two.
    Form {
        stands_alone: false,
        ..parts("eyJ", 17, 1)
    },
];

/// No token is shorter.
const SHORTEST: usize = 15;

/// The two bytes that a form begins with, a bit for each two there are. Most places of a text are passed by for want of them.
static FIRST_TWO: [u64; 1 << 10] = {
    let mut bits = [0; 1 << 10];
    let mut at = 0;
    while at < FORMS.len() {
        let begins = FORMS[at].begins.as_bytes();
        let two = place_of(begins[0], begins[1]);
        bits[two / 64] |= 1 << (two % 64);
        at += 1;
    }
    let dashes = place_of(b'-', b'-');
    bits[dashes / 64] |= 1 << (dashes % 64);
    bits
};

const fn place_of(first: u8, second: u8) -> usize {
    (first as usize) << 8 | second as usize
}

/// The forms by the byte they begin with.
static BY_FIRST: LazyLock<Vec<Vec<Form>>> = LazyLock::new(|| {
    let mut by_first = vec![Vec::new(); 256];
    for form in FORMS {
        by_first[usize::from(form.begins.as_bytes()[0])].push(form);
    }
    by_first
});

/// Where well-known tokens and private keys are.
pub(super) fn secrets(text: &str) -> Found {
    let bytes = text.as_bytes();
    let mut found = Found::new();
    if bytes.len() < SHORTEST {
        return found;
    }
    let mut from = 0;
    for (at, two) in bytes.windows(2).enumerate() {
        let two = place_of(two[0], two[1]);
        if at < from || FIRST_TWO[two / 64] & 1 << (two % 64) == 0 {
            continue;
        }
        let forms = &BY_FIRST[usize::from(bytes[at])];
        let ends = forms.iter().filter_map(|form| form.end(bytes, at));
        if let Some(end) = ends.chain(private_key(text, at)).max() {
            found.push(at..end);
            from = end;
        }
    }
    found
}

impl Form {
    /// Where the token of this form ends that begins here.
    fn end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let body = bytes[at..].strip_prefix(self.begins.as_bytes())?;
        let length = body.iter().take_while(|byte| self.of.has(**byte)).count();
        // A dot behind a token ends a sentence.
        let dots_behind = body[..length]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'.');
        let body = &body[..length - dots_behind.count()];
        let dots = body.iter().filter(|byte| **byte == b'.').count();
        let is_one = body.len() >= self.least
            && dots >= self.dots
            && (!self.is_mixed || is_mixed(body))
            && (!self.stands_alone || is_at_a_word(bytes, at));
        is_one.then_some(at + self.begins.len() + body.len())
    }
}

/// Whether a word begins here, be it behind an escape of an address (`%20`) or of a string (`\n`).
fn is_at_a_word(bytes: &[u8], at: usize) -> bool {
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match &bytes[..at] {
        [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => true,
        [.., b'\\', b'n' | b'r' | b't'] => true,
        before => !before.last().is_some_and(is_inside),
    }
}

/// Where the private key ends that begins here. One that was cut goes to the next quote.
fn private_key(text: &str, at: usize) -> Option<usize> {
    let dashes = "-----";
    let is_of_label = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
    let bytes = text.as_bytes();
    if !bytes[at..].starts_with(b"-----BEGIN ") {
        return None;
    }
    let label = at + "-----BEGIN ".len();
    let body = super::after(bytes, label, is_of_label);
    let label = &text[label..body];
    let is_private = label.ends_with("PRIVATE KEY") || label.ends_with("PRIVATE KEY BLOCK");
    if !is_private || !text[body..].starts_with(dashes) {
        return None;
    }
    let body = body + dashes.len();
    let end = match text[body..].find("-----END ") {
        Some(length) => {
            let label = body + length + "-----END ".len();
            let end = super::after(bytes, label, is_of_label);
            end + if text[end..].starts_with(dashes) {
                dashes.len()
            } else {
                0
            }
        }
        None => super::after(bytes, body, |byte| !is_quote(byte)),
    };
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_shorter_than_the_shortest() {
        for form in FORMS {
            let least = form.begins.len() + form.least;
            assert!(least >= SHORTEST, "{form:?}");
        }
    }

    #[test]
    fn no_form_is_told_twice() {
        let mut begins: Vec<&str> = FORMS.iter().map(|form| form.begins).collect();
        begins.sort_unstable();
        begins.dedup();
        assert_eq!(begins.len(), FORMS.len());
    }
}

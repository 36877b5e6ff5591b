//! The table of vendors' token shapes: prefix, alphabet, length, inner structure.
//!
//! The shapes are facts about the vendors' formats, as documented by public secret scanners (gitleaks, trufflehog,
//! kingfisher) and by the vendors themselves.

use super::check::crc32_base62;

/// One shape of one vendor's tokens.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The kind's name: `github-pat`.
    pub name: &'static str,
    /// The public beginning of every token of the kind.
    pub prefix: &'static str,
    set: Set,
    shortest: usize,
    longest: usize,
    shape: fn(&[u8]) -> bool,
    checksum: fn(&[u8]) -> bool,
}

/// Alphabets of the part after the prefix.
#[derive(Clone, Copy, Debug)]
enum Set {
    Alpha,
    Alnum,
    Base32,
    Base64,
    Hex,
    HexDash,
    Word,
    Dotted,
}

impl Set {
    const fn holds(self, b: u8) -> bool {
        match self {
            Self::Alpha => b.is_ascii_alphabetic(),
            Self::Alnum => b.is_ascii_alphanumeric(),
            Self::Base32 => matches!(b, b'A'..=b'Z' | b'2'..=b'7'),
            Self::Base64 => {
                b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_')
            }
            Self::Hex => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            Self::HexDash => matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'),
            Self::Word => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'),
            Self::Dotted => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'),
        }
    }
}

impl Kind {
    const fn new(
        name: &'static str,
        prefix: &'static str,
        set: Set,
        shortest: usize,
        longest: usize,
    ) -> Self {
        Self { name, prefix, set, shortest, longest, shape: any, checksum: any }
    }

    /// Adds a condition on the part after the prefix that every token of the kind meets.
    const fn shaped(mut self, shape: fn(&[u8]) -> bool) -> Self {
        self.shape = shape;
        self
    }

    /// Adds the checksum that every issued token has.
    const fn checked(mut self, checksum: fn(&[u8]) -> bool) -> Self {
        self.checksum = checksum;
        self
    }

    /// Returns how many of the first bytes are of the kind's alphabet.
    fn run(&self, text: &[u8]) -> usize {
        text.iter().take_while(|b| self.set.holds(**b)).count()
    }

    fn fits(&self, body: &[u8]) -> bool {
        self.shortest <= body.len()
            && body.len() <= self.longest
            && body.iter().all(|b| self.set.holds(*b))
            && (self.shape)(body)
    }

    /// Returns whether a token of this kind has a wrong checksum, which means that it was never issued.
    #[must_use]
    pub fn is_malformed(&self, token: &[u8]) -> bool {
        token.get(self.prefix.len()..).is_some_and(|body| !(self.checksum)(body))
    }
}

const fn any(_: &[u8]) -> bool {
    true
}

/// The length of the shortest token in the table; anything shorter needs no lookup.
pub const SHORTEST: usize = 18;

/// Returns the kind that the whole text matches, if any.
#[must_use]
pub fn vendor(token: &[u8]) -> Option<&'static Kind> {
    let (first, _) = token.split_first()?;
    if token.len() < SHORTEST {
        return None;
    }
    if first.is_ascii_digit() && is_telegram(token) {
        return Some(&TELEGRAM);
    }
    let fits = |kind: &&Kind| {
        token.strip_prefix(kind.prefix.as_bytes()).is_some_and(|body| kind.fits(body))
    };
    by_first(*first).iter().find(fits)
}

/// Returns the length of the token with which a text begins: of its prefix, and of all that may follow in a token of
/// its kind, without the dots of a sentence.
pub(super) fn length(text: &[u8]) -> Option<usize> {
    let (first, _) = text.split_first()?;
    if first.is_ascii_digit()
        && let Some(length) = telegram_length(text)
    {
        return text.get(..length).is_some_and(is_telegram).then_some(length);
    }
    by_first(*first).iter().find_map(|kind| {
        let rest = text.strip_prefix(kind.prefix.as_bytes())?;
        let body = rest.get(..kind.run(rest))?;
        let end = body.iter().rposition(|b| *b != b'.')? + 1;
        body.get(..end).is_some_and(|body| kind.fits(body)).then_some(kind.prefix.len() + end)
    })
}

/// Returns how much of a text must be hidden from `at` on because it looks like a token: more than the token, if that
/// may go on. A short prefix inside of a word is part of the word.
pub(super) fn hidden_length(text: &[u8], at: usize) -> Option<usize> {
    const DISTINCT: usize = 4;
    let (before, text) = text.split_at_checked(at)?;
    let is_inside = before.last().is_some_and(u8::is_ascii_alphanumeric);
    let lengths = by_first(*text.first()?).iter().filter_map(|kind| {
        let rest = text.strip_prefix(kind.prefix.as_bytes())?;
        let run = kind.run(rest);
        let is_prefix = !is_inside || DISTINCT <= kind.prefix.len();
        (is_prefix && kind.shortest <= run).then_some(kind.prefix.len() + run)
    });
    lengths.max().or_else(|| telegram_length(text))
}

/// Returns the length of a bot's number, the colon, and all that may follow in its token.
fn telegram_length(text: &[u8]) -> Option<usize> {
    const LONGEST: usize = 16;
    let number = text.iter().take(LONGEST).take_while(|b| b.is_ascii_digit()).count();
    let body = text.get(number..)?.strip_prefix(b":")?;
    let run = body.iter().take_while(|b| Set::Word.holds(**b)).count();
    let token = text.get(..number + 1 + TELEGRAM_BODY)?;
    (TELEGRAM_BODY <= run && is_telegram(token)).then_some(number + 1 + run)
}

/// The length of the part of a bot's token after the colon.
const TELEGRAM_BODY: usize = 35;

const TELEGRAM: Kind = Kind::new("telegram-bot", "", Set::Dotted, 0, 0);

/// A bot's number, a colon, `A` and 34 characters.
fn is_telegram(token: &[u8]) -> bool {
    let mut parts = token.splitn(2, |b| *b == b':');
    let (Some(number), Some(body)) = (parts.next(), parts.next()) else { return false };
    5 <= number.len()
        && number.len() <= 16
        && number.iter().all(u8::is_ascii_digit)
        && body.len() == TELEGRAM_BODY
        && body.starts_with(b"A")
        && body.iter().all(|b| Set::Word.holds(*b))
}

/// Anthropic's keys end with `AA`.
fn anthropic_shape(body: &[u8]) -> bool {
    body.ends_with(b"AA")
}

/// Every key of that vendor contains this text, which is base64 for `OpenAI`, in its middle.
fn openai_shape(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"T3BlbkFJ").is_some()
}

/// 32 characters, `_`, eight hex digits.
fn grafana_shape(body: &[u8]) -> bool {
    body.get(32) == Some(&b'_')
        && body.get(33..).is_some_and(|tail| tail.iter().all(|b| Set::Hex.holds(*b)))
}

/// Returns the table's rows by first byte. Of rows with the same prefix, those with a checksum come first.
const fn by_first(first: u8) -> &'static [Kind] {
    match first {
        b'1' => ONE,
        b'A' => UPPER_A,
        b'E' => UPPER_E,
        b'G' => UPPER_G,
        b'H' => UPPER_H,
        b'N' => UPPER_N,
        b'P' => UPPER_P,
        b'S' => UPPER_S,
        b'a' => LOWER_A,
        b'd' => LOWER_D,
        b'e' => LOWER_E,
        b'f' => LOWER_F,
        b'g' => LOWER_G,
        b'h' => LOWER_H,
        b'k' => LOWER_K,
        b'l' => LOWER_L,
        b'n' => LOWER_N,
        b'o' => LOWER_O,
        b'p' => LOWER_P,
        b'r' => LOWER_R,
        b's' => LOWER_S,
        b't' => LOWER_T,
        b'x' => LOWER_X,
        b'y' => LOWER_Y,
        _ => &[],
    }
}

const ONE: &[Kind] = &[Kind::new("google-refresh", "1//", Set::Word, 40, 200)];
const UPPER_A: &[Kind] = &[
    Kind::new("aws-access-key", "AKIA", Set::Base32, 16, 16),
    Kind::new("aws-access-key", "ASIA", Set::Base32, 16, 16),
    Kind::new("aws-access-key", "ABIA", Set::Base32, 16, 16),
    Kind::new("aws-access-key", "ACCA", Set::Base32, 16, 16),
    Kind::new("aws-bedrock", "ABSK", Set::Base64, 109, 269),
    Kind::new("google-api", "AIza", Set::Word, 35, 35),
    Kind::new("artifactory", "AKCp", Set::Alnum, 69, 69),
    Kind::new("age", "AGE-SECRET-KEY-1", Set::Alnum, 58, 58),
    Kind::new("atlassian", "ATATT3", Set::Base64, 186, 250),
];
const UPPER_E: &[Kind] = &[
    Kind::new("square", "EAAA", Set::Word, 22, 60),
    Kind::new("facebook", "EAAM", Set::Alnum, 100, 400),
    Kind::new("facebook", "EAAC", Set::Alnum, 100, 400),
];
const UPPER_G: &[Kind] = &[
    Kind::new("google-oauth-client", "GOCSPX-", Set::Word, 28, 28),
    Kind::new("gitlab-runner", "GR1348941", Set::Word, 20, 20),
];
const UPPER_H: &[Kind] = &[Kind::new("heroku", "HRKU-AA", Set::Word, 58, 58)];
const UPPER_N: &[Kind] = &[Kind::new("new-relic", "NRAK-", Set::Alnum, 27, 27)];
const UPPER_P: &[Kind] = &[Kind::new("postman", "PMAK-", Set::HexDash, 59, 59)];
const UPPER_S: &[Kind] = &[
    Kind::new("sendgrid", "SG.", Set::Dotted, 66, 66),
    Kind::new("twilio", "SK", Set::Hex, 32, 32),
];
const LOWER_A: &[Kind] = &[Kind::new("huggingface", "api_org_", Set::Alpha, 34, 34)];
const LOWER_D: &[Kind] = &[
    Kind::new("digitalocean", "dop_v1_", Set::Hex, 64, 64),
    Kind::new("digitalocean", "doo_v1_", Set::Hex, 64, 64),
    Kind::new("digitalocean", "dor_v1_", Set::Hex, 64, 64),
    Kind::new("databricks", "dapi", Set::HexDash, 32, 34),
    Kind::new("doppler", "dp.pt.", Set::Alnum, 43, 43),
    Kind::new("dynatrace", "dt0c01.", Set::Dotted, 89, 89),
];
const LOWER_E: &[Kind] = &[Kind::new("grafana-api", "eyJrIjoi", Set::Base64, 60, 400)];
const LOWER_F: &[Kind] = &[
    Kind::new("fly", "fo1_", Set::Word, 43, 43),
    Kind::new("fly", "fm2_", Set::Base64, 100, 8000),
];
const LOWER_G: &[Kind] = &[
    Kind::new("github-pat", "ghp_", Set::Alnum, 36, 36).checked(crc32_base62),
    Kind::new("github-oauth", "gho_", Set::Alnum, 36, 36).checked(crc32_base62),
    Kind::new("github-app", "ghu_", Set::Alnum, 36, 36).checked(crc32_base62),
    Kind::new("github-app", "ghs_", Set::Alnum, 36, 36).checked(crc32_base62),
    Kind::new("github-refresh", "ghr_", Set::Alnum, 36, 36).checked(crc32_base62),
    Kind::new("github-pat", "ghp_", Set::Alnum, 37, 251),
    Kind::new("github-oauth", "gho_", Set::Alnum, 37, 251),
    Kind::new("github-app", "ghu_", Set::Alnum, 37, 251),
    Kind::new("github-app", "ghs_", Set::Dotted, 37, 2000),
    Kind::new("github-refresh", "ghr_", Set::Alnum, 37, 251),
    Kind::new("github-pat", "github_pat_", Set::Word, 82, 82),
    Kind::new("gitlab-pat", "glpat-", Set::Dotted, 20, 320),
    Kind::new("gitlab-deploy", "gldt-", Set::Word, 20, 20),
    Kind::new("gitlab-runner", "glrt-", Set::Dotted, 20, 320),
    Kind::new("gitlab-trigger", "glptt-", Set::Hex, 40, 40),
    Kind::new("gitlab-feed", "glft-", Set::Word, 20, 200),
    Kind::new("gitlab-scim", "glsoat-", Set::Word, 20, 20),
    Kind::new("gitlab-agent", "glagent-", Set::Word, 50, 50),
    Kind::new("gitlab-oauth", "gloas-", Set::Word, 64, 64),
    Kind::new("gitlab-job", "glcbt-", Set::Dotted, 20, 2000),
    Kind::new("gitlab-mail", "glimt-", Set::Word, 25, 25),
    Kind::new("gitlab-flags", "glffct-", Set::Word, 20, 20),
    Kind::new("grafana", "glsa_", Set::Word, 41, 41).shaped(grafana_shape),
    Kind::new("grafana", "glc_", Set::Base64, 32, 400),
];
const LOWER_H: &[Kind] = &[
    Kind::new("huggingface", "hf_", Set::Alpha, 34, 34),
    Kind::new("vault", "hvs.", Set::Word, 90, 120),
    Kind::new("vault", "hvb.", Set::Word, 138, 300),
];
const LOWER_K: &[Kind] = &[Kind::new("mailgun", "key-", Set::Hex, 32, 32)];
const LOWER_L: &[Kind] = &[Kind::new("linear", "lin_api_", Set::Alnum, 40, 40)];
const LOWER_N: &[Kind] = &[
    Kind::new("npm", "npm_", Set::Alnum, 36, 36).checked(crc32_base62),
    Kind::new("notion", "ntn_", Set::Alnum, 46, 46),
];
const LOWER_O: &[Kind] = &[Kind::new("onepassword", "ops_eyJ", Set::Base64, 250, 8000)];
const LOWER_P: &[Kind] = &[
    Kind::new("pypi", "pypi-AgEIcHlwaS5vcmc", Set::Word, 50, 1000),
    Kind::new("pulumi", "pul-", Set::Hex, 40, 40),
    Kind::new("planetscale", "pscale_tkn_", Set::Dotted, 32, 64),
    Kind::new("planetscale", "pscale_pw_", Set::Dotted, 32, 64),
    Kind::new("planetscale", "pscale_oauth_", Set::Dotted, 32, 64),
    Kind::new("prefect", "pnu_", Set::Alnum, 36, 36),
    Kind::new("perplexity", "pplx-", Set::Alnum, 48, 48),
];
const LOWER_R: &[Kind] = &[
    Kind::new("stripe-live", "rk_live_", Set::Alnum, 10, 247),
    Kind::new("stripe-live", "rk_prod_", Set::Alnum, 10, 247),
    Kind::new("stripe-test", "rk_test_", Set::Alnum, 10, 247),
    Kind::new("rubygems", "rubygems_", Set::Hex, 48, 48),
    Kind::new("readme", "rdme_", Set::Alnum, 70, 70),
];
const LOWER_S: &[Kind] = &[
    Kind::new("stripe-live", "sk_live_", Set::Alnum, 10, 247),
    Kind::new("stripe-live", "sk_prod_", Set::Alnum, 10, 247),
    Kind::new("stripe-test", "sk_test_", Set::Alnum, 10, 247),
    Kind::new("anthropic", "sk-ant-api03-", Set::Word, 95, 95).shaped(anthropic_shape),
    Kind::new("anthropic", "sk-ant-admin01-", Set::Word, 95, 95).shaped(anthropic_shape),
    Kind::new("openrouter", "sk-or-v1-", Set::Hex, 64, 64),
    Kind::new("openai", "sk-proj-", Set::Word, 40, 250).shaped(openai_shape),
    Kind::new("openai", "sk-svcacct-", Set::Word, 40, 250).shaped(openai_shape),
    Kind::new("openai", "sk-admin-", Set::Word, 40, 250).shaped(openai_shape),
    Kind::new("openai", "sk-", Set::Alnum, 48, 48).shaped(openai_shape),
    Kind::new("shopify", "shpat_", Set::Hex, 32, 32),
    Kind::new("shopify", "shpca_", Set::Hex, 32, 32),
    Kind::new("shopify", "shppa_", Set::Hex, 32, 32),
    Kind::new("shopify", "shpss_", Set::Hex, 32, 32),
    Kind::new("sentry", "sntrys_eyJpYXQiO", Set::Base64, 60, 1000),
    Kind::new("sentry", "sntryu_", Set::Hex, 64, 64),
    Kind::new("square", "sq0atp-", Set::Word, 22, 22),
    Kind::new("square", "sq0csp-", Set::Word, 43, 43),
    Kind::new("supabase", "sbp_", Set::Hex, 40, 40),
    Kind::new("openshift", "sha256~", Set::Word, 43, 43),
    Kind::new("vault", "s.", Set::Alnum, 24, 24),
];
const LOWER_T: &[Kind] = &[Kind::new("tailscale", "tskey-", Set::Word, 20, 120)];
const LOWER_X: &[Kind] = &[
    Kind::new("slack-bot", "xoxb-", Set::Word, 20, 500),
    Kind::new("slack-user", "xoxp-", Set::Word, 20, 500),
    Kind::new("slack-app", "xapp-", Set::Word, 20, 500),
    Kind::new("slack-session", "xoxa-", Set::Word, 20, 500),
    Kind::new("slack-session", "xoxr-", Set::Word, 20, 500),
    Kind::new("slack-session", "xoxs-", Set::Word, 20, 500),
    Kind::new("slack-session", "xoxo-", Set::Word, 20, 500),
    Kind::new("slack-session", "xoxe-", Set::Word, 20, 500),
    Kind::new("slack-refresh", "xoxe.", Set::Dotted, 20, 500),
];
const LOWER_Y: &[Kind] = &[Kind::new("google-oauth", "ya29.", Set::Word, 20, 2000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_under_its_first_letter_and_can_be_found() {
        let mut n_rows = 0;
        for first in 0..=255 {
            for kind in by_first(first) {
                assert_eq!(kind.prefix.as_bytes()[0], first, "{kind:?}");
                assert!(SHORTEST <= kind.prefix.len() + kind.shortest, "{kind:?}");
                assert!(kind.shortest <= kind.longest, "{kind:?}");
                n_rows += 1;
            }
        }
        assert_eq!(n_rows, 106);
    }

    #[test]
    fn kinds_are_told_by_their_shape() {
        let text = |n| "aB3".chars().cycle().take(n).collect::<String>();
        let (a20, a24, a34, a36) = (text(20), text(24), text(34), text(36));
        let (hex32, hex64) = ("0a1b".repeat(8), "0a1b".repeat(16));
        let cases = [
            (format!("ghp_{a36}"), "github-pat"),
            (format!("ghp_{a36}{a36}"), "github-pat"),
            (format!("ghs_{a36}"), "github-app"),
            (format!("github_pat_{}", text(82)), "github-pat"),
            (format!("npm_{a36}"), "npm"),
            (format!("glpat-{a20}"), "gitlab-pat"),
            (format!("sk_live_{}", text(10)), "stripe-live"),
            (format!("xoxb-123456789012-{a24}"), "slack-bot"),
            ("AKIAIOSFODNN7EXAMPLE".to_owned(), "aws-access-key"),
            (format!("SK{hex32}"), "twilio"),
            (format!("dop_v1_{hex64}"), "digitalocean"),
            (format!("sk-{a20}T3BlbkFJ{a20}"), "openai"),
            (format!("sk-ant-api03-{}AA", "a-9".repeat(31)), "anthropic"),
            (format!("glsa_{hex32}_0123abcd"), "grafana"),
            (format!("12345678:A{a34}"), "telegram-bot"),
        ];
        for (token, expected) in cases {
            assert_eq!(vendor(token.as_bytes()).map(|kind| kind.name), Some(expected), "{token}");
        }
    }

    #[test]
    fn what_only_begins_like_a_token_is_none() {
        let cases = [
            "",
            "g",
            "ghp_",
            "ghp_short",
            "sk_live_51H8",
            "skeleton_key_of_the_house",
            "s.hortish",
            "SKILLS_AND_MORE_THAN_THAT_REALLY_YES",
            "AKIAabcdefghijklmnop",
            "key-word-in-a-long-slug-here",
            "12345678:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
            "12:34:56:78:90:12:34:56",
        ];
        for text in cases {
            assert!(vendor(text.as_bytes()).is_none(), "{text}");
        }
    }
}

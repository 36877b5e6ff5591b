//! What the name of a parameter or header implies about its value: whether it may be a credential.

/// What a name implies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A person's password: hidden regardless of its length.
    Password,
    /// An unmistakable name of a credential.
    Sure,
    /// A name that credentials often have, but other values too.
    Likely,
    /// The id of an AWS access key, followed by its scope after slashes.
    AwsCredential,
    /// Looks like a credential but is none: signatures, one-time codes, CSRF tokens, page markers.
    Never,
    /// Implies nothing.
    Unknown,
}

/// The limit of a folded name in bytes; longer names imply nothing.
const LONGEST: usize = 40;

/// A name in lower case without `-`, `_` and `.`: `access_token`, `accessToken` and `Access-Token` are equal.
pub(super) struct Folded {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Folded {
    /// Folds a percent-decoded name; `None` if it is too long.
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        let mut folded = Self { bytes: [0; LONGEST], length: 0 };
        for byte in name.iter().filter(|b| !matches!(b, b'-' | b'_' | b'.')) {
            *folded.bytes.get_mut(folded.length)? = byte.to_ascii_lowercase();
            folded.length += 1;
        }
        Some(folded)
    }

    /// Returns the folded name.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Strips `[]` and `[3]` from a name; for `user[password]`, returns the inner name.
pub(super) fn bare(name: &[u8]) -> &[u8] {
    let Some(open) = name.strip_suffix(b"]") else { return name };
    let Some(at) = memchr::memrchr(b'[', open) else { return name };
    let inner = open.get(at + 1..).unwrap_or_default();
    if inner.iter().all(u8::is_ascii_digit) { open.get(..at).unwrap_or_default() } else { inner }
}

/// Returns what a name implies.
///
/// The names are those on which the masking changes of web projects, the rules of secret scanners and the scrub lists
/// of error reporters agree.
pub(super) fn promise(name: &[u8]) -> Name {
    let name = bare(name);
    // Laravel's CSRF token; its name would fold into `token`.
    if name == b"_token" {
        return Name::Never;
    }
    let Some(folded) = Folded::new(name) else { return Name::Unknown };
    match folded.as_bytes() {
        b"password" | b"passwd" | b"pwd" | b"passphrase" | b"userpassword" => Name::Password,
        b"xamzcredential" | b"awsaccesskeyid" => Name::AwsCredential,
        name if is_never(name) => Name::Never,
        name if is_sure(name) => Name::Sure,
        name if is_likely(name) => Name::Likely,
        _ => Name::Unknown,
    }
}

/// Not `appid`: that of one weather service is an API key, but so many others (`app_id` of 3scale, of Steam,
/// of Agora, with the same 32 hex digits) are public that `[tokens]` `query` has to name it.
#[rustfmt::skip]
const fn is_sure(folded: &[u8]) -> bool {
    matches!(
        folded,
        b"accesstoken" | b"apikey" | b"apitoken" | b"apisecret" | b"privatetoken" | b"personalaccesstoken"
        | b"authtoken" | b"authenticationtoken" | b"sessiontoken" | b"oauthtoken" | b"bearertoken" | b"bearer"
        | b"refreshtoken" | b"idtoken" | b"clientsecret" | b"secretkey" | b"secrettoken" | b"secret"
        | b"accesskey" | b"authkey" | b"jwt" | b"token" | b"sessionid" | b"phpsessid" | b"jsessionid"
        | b"connectsid" | b"uisessionid" | b"usertoken" | b"jobtoken" | b"deploytoken" | b"sharetoken"
        | b"licensekey" | b"privatekey" | b"xapikey" | b"xtoken" | b"xauthtoken" | b"xaccesstoken"
        | b"feedtoken" | b"rsstoken"
        // Azure API Management, "Subscriptions" (learn.microsoft.com): the default names of a parameter and a header.
        | b"subscriptionkey" | b"ocpapimsubscriptionkey"
    )
}

fn is_likely(folded: &[u8]) -> bool {
    let endings: [&[u8]; 10] = [
        b"token",
        b"apikey",
        b"accesskey",
        b"secretkey",
        b"authkey",
        b"secret",
        b"password",
        b"sessionid",
        b"sessid",
        b"jwt",
    ];
    let is_whole = matches!(
        folded,
        b"key"
            | b"auth"
            | b"authorization"
            | b"session"
            | b"sid"
            | b"credential"
            | b"credentials"
            | b"pass"
            | b"appkey"
            | b"xkey"
            | b"apikeyid"
            // 3scale, "Administering the API gateway", "Credentials": elsewhere the name or number of a user.
            | b"userkey"
            // OAuth 1.0, WooCommerce's REST API: the public half of a pair, which still tells the callers apart.
            | b"consumerkey"
            // Google's Picker and the YouTube Data API: an API key.
            | b"developerkey"
    );
    is_whole || endings.iter().any(|end| folded.ends_with(end))
}

#[rustfmt::skip]
fn is_never(folded: &[u8]) -> bool {
    let holds = |part: &[u8]| folded.windows(part.len()).any(|window| window == part);
    let is_whole = matches!(
        folded,
        b"code" | b"state" | b"nonce" | b"sig" | b"signature" | b"hmac" | b"xamzsignature"
        | b"xamzsecuritytoken" | b"xgoogsignature" | b"authenticitytoken" | b"requestverificationtoken"
        | b"codeverifier" | b"codechallenge" | b"oauthverifier" | b"oauthsignature" | b"oauthnonce"
        | b"pagetoken" | b"nextpagetoken" | b"nexttoken" | b"continuationtoken" | b"synctoken"
        | b"cursortoken" | b"pushtoken" | b"devicetoken" | b"postmantoken" | b"viewstate"
    );
    is_whole || holds(b"csrf") || holds(b"xsrf") || holds(b"captcha")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_in_all_its_spellings() {
        for name in ["access_token", "accessToken", "ACCESS-TOKEN", "access.token"] {
            assert_eq!(promise(name.as_bytes()), Name::Sure, "{name}");
        }
    }

    #[test]
    fn names_promise_what_they_say() {
        let cases = [
            ("", Name::Unknown),
            ("page", Name::Unknown),
            ("sort_key", Name::Unknown),
            ("key", Name::Likely),
            ("x-vault-token", Name::Likely),
            ("X-Gravitee-Api-Key", Name::Likely),
            ("X-Amz-Credential", Name::AwsCredential),
            ("X-Amz-Signature", Name::Never),
            ("_token", Name::Never),
            ("_csrf_token", Name::Never),
            ("XSRF-TOKEN", Name::Never),
            ("Postman-Token", Name::Never),
            ("next_page_token", Name::Never),
            ("password", Name::Password),
            ("client_secret", Name::Sure),
            ("access_token[]", Name::Sure),
            ("access_token[12]", Name::Sure),
            ("user[password]", Name::Password),
            ("form[_token]", Name::Never),
            ("access_token]", Name::Unknown),
            ("[]", Name::Unknown),
        ];
        for (name, expected) in cases {
            assert_eq!(promise(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(promise(&[b'a'; 100]), Name::Unknown);
    }
}

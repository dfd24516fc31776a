//! Keeps what a request was made with out of what is shown of its answer: some servers send it back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use object_store::client::HttpRequest;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, COOKIE};

/// Shorter texts are no secrets, and stand in every other sentence.
const SHORTEST: usize = 4;
/// What stands in place of an answer that holds a secret in a disguise.
const LEFT_OUT: &str = "(the server's words are left out: they repeat what the request was made with)";

/// Everything in these requests that nobody else may see: their queries, whole and value by value; what authorises them,
/// as it is sent and taken apart; every header that is marked as sensitive; and the secrets of a form, such as those that are
/// given for a token.
pub(super) fn secrets(requests: &[HttpRequest]) -> Vec<String> {
    let secrets: Vec<String> = requests.iter().flat_map(of_request).collect();
    let mut secrets: Vec<String> = secrets.iter().map(|secret| decoded(secret)).chain(secrets.clone()).collect();
    secrets.retain(|secret| secret.len() >= SHORTEST);
    // The longest first, so that none is left in pieces.
    secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    secrets.dedup();
    secrets
}

fn of_request(request: &HttpRequest) -> Vec<String> {
    let query = request.uri().query().unwrap_or_default();
    let value = |pair: &str| pair.split_once('=').map_or(pair, |(_, value)| value).to_owned();
    let mut secrets = vec![query.to_owned()];
    secrets.extend(query.split('&').map(value));
    let form = request.body().as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let is_secret = |pair: &&str| IN_FORMS.iter().any(|word| pair.split('=').next().unwrap_or_default().contains(word));
    secrets.extend(form.split('&').filter(is_secret).map(value));
    for (name, value) in request.headers() {
        let is_token = name.as_str().ends_with("token");
        if !(value.is_sensitive() || is_token || [AUTHORIZATION, COOKIE].contains(name)) {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        secrets.extend(value.split([' ', ',']).filter(|part| !SCHEMES.contains(part)).flat_map(parts));
        secrets.push(value);
    }
    secrets
}

/// What names of secrets have in them, in the forms that tokens are asked for with.
const IN_FORMS: [&str; 4] = ["secret", "token", "assertion", "password"];

/// The words before what authorises, which are no secrets.
const SCHEMES: [&str; 4] = ["Basic", "Bearer", "Token", "AWS4-HMAC-SHA256"];

/// A part of a header, what stands behind its `=`, and user and password of Basic authentication.
fn parts(part: &str) -> Vec<String> {
    let mut parts = vec![part.to_owned()];
    parts.extend(part.split_once('=').map(|(_, value)| value.to_owned()));
    if let Some(plain) = from_base64(part) {
        parts.extend(plain.split_once(':').map(|(_, password)| password.to_owned()));
        parts.push(plain);
    }
    parts
}

/// A server's words without those secrets: replaced where they stand as they are or encoded for a URL, and all of the
/// words left out where they show in any other way.
pub(super) fn masked(words: &str, secrets: &[String]) -> String {
    let mut words = words.to_owned();
    for secret in secrets {
        let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        for written in [secret, &encoded] {
            words = words.replace(written, "***");
        }
    }
    let readings = readings(&words);
    let shows = |secret: &String| {
        let bare = bare(secret);
        bare.len() >= SHORTEST && readings.iter().any(|reading| reading.contains(&bare))
    };
    if secrets.iter().any(shows) { LEFT_OUT.to_owned() } else { words }
}

/// A text in all the ways in which it may be read, letters and digits only.
fn readings(text: &str) -> Vec<String> {
    let mut readings = vec![bare(text)];
    let mut text = text.to_owned();
    // Encoded once for the URL, and perhaps again for the page.
    for _ in 0..3 {
        text = decoded(&unescaped(&text));
        readings.push(bare(&text));
    }
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
    for word in text.split(|c| !is_of_word(c)).filter(|word| word.len() >= SHORTEST) {
        readings.extend(from_base64(word).iter().chain(&from_hex(word)).map(|plain| bare(plain)));
    }
    readings
}

/// The letters and digits of a text: what stays the same however the rest is escaped.
fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Without the escapes of JSON (`\u0041`) and HTML (`&#65;`, `&#x41;`): those of letters; of other characters nothing
/// is left to compare.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '&']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let (char, length) = escape(rest).unwrap_or_else(|| (rest.chars().next().unwrap_or_default(), 1));
        plain.push(char);
        rest = &rest[length..];
    }
    plain + rest
}

/// The character that an escape at the beginning of a text stands for, and the escape's length.
fn escape(text: &str) -> Option<(char, usize)> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    if let Some(rest) = text.strip_prefix("\\u") {
        return Some((number(rest.get(..4)?, 16)?, 6));
    }
    let inside = text.strip_prefix("&#")?;
    let end = inside.find(';')?;
    let char = match inside[..end].strip_prefix(['x', 'X']) {
        Some(digits) => number(digits, 16),
        None => number(&inside[..end], 10),
    };
    Some((char?, end + 3))
}

fn from_base64(word: &str) -> Option<String> {
    let word = word.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(word).or_else(|_| URL_SAFE_NO_PAD.decode(word)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn from_hex(word: &str) -> Option<String> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = word.as_bytes().chunks(2).map(byte).collect();
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn request(url: &str, form: &str) -> HttpRequest {
        let mut request = HttpRequest::new(form.to_owned().into());
        *request.uri_mut() = url.parse().unwrap();
        request
    }

    #[test]
    fn what_a_request_was_made_with_is_masked_in_every_encoding() {
        let form = "grant_type=client_credentials&client_secret=f0rm%2Fsecret&scope=all";
        let mut request = request("https://h/2019.csv?se=2030-01-01&sig=a%2Fb%2Bsecret%3D&v=1", form);
        // me:pa55 w/rd
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic bWU6cGE1NSB3L3Jk"));
        let secrets = secrets(&[request]);
        for (said, shown) in [
            ("no such file /2019.csv", "no such file /2019.csv"),
            ("what is sig=a%2Fb%2Bsecret%3D&v=1?", "what is sig=***&v=1?"),
            ("what is a/b+secret=?", "what is ***?"),
            ("what is se=2030-01-01&sig=a%2Fb%2Bsecret%3D&v=1?", "what is ***?"),
            ("Authorization: Basic bWU6cGE1NSB3L3Jk", "Authorization: ***"),
            ("user me:pa55 w/rd unknown", "user *** unknown"),
            ("password 'pa55 w/rd' is wrong", "password '***' is wrong"),
            ("client_credentials f0rm/secret wrong", "client_credentials *** wrong"),
            // Disguised.
            ("what is a%25252Fb%25252Bsecret%25253D?", LEFT_OUT),
            ("what is a%2fb%2bsecret%3d?", LEFT_OUT),
            ("what is a\\u002fb\\u002bsecret\\u003d?", LEFT_OUT),
            ("what is a&#x2F;b&#43;secret&#61;?", LEFT_OUT),
            ("what is &#97;/b+&#x73;ecret=?", LEFT_OUT),
            ("what is A/B+SECRET=?", LEFT_OUT),
            ("what is YS9iK3NlY3JldD0=?", LEFT_OUT),
            ("what is cGE1NSB3L3Jk?", LEFT_OUT),
            ("what is 706135352077 2f7264, 7061353520772f7264?", LEFT_OUT),
        ] {
            assert_eq!(masked(said, &secrets), shown, "{said}");
        }
    }

    #[test]
    fn nothing_is_masked_where_there_is_no_secret() {
        let secrets = secrets(&[request("https://h/2019.csv", "")]);
        assert_eq!(secrets, Vec::<String>::new());
        assert_eq!(masked("not & here \\ é", &secrets), "not & here \\ é");
    }
}

//! The headers that every answer carries.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// What a browser may do with a page: only what comes from here, and no script that stands in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: a form sent under that has the origin `null`.
    (REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Adds them. What is not said to be worth keeping is kept by nobody; `https_only` has browsers come by TLS for a year.
pub(super) fn add(headers: &mut HeaderMap, https_only: bool) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if https_only {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_there_and_only_caching_is_the_handlers_choice() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src *"));
        add(&mut headers, false);
        assert_eq!(headers[CACHE_CONTROL], "max-age=60");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], POLICY);
        assert!(!POLICY.contains("unsafe") && !headers.contains_key(STRICT_TRANSPORT_SECURITY));
        let mut headers = HeaderMap::new();
        add(&mut headers, true);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=31536000");
        assert_eq!(headers.len(), ALWAYS.len() + 2);
    }
}

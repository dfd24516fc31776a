//! What S3's refusals mean, and what to do about each.
//! Codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

/// What to do about an answer that does not believe the caller's key, token or clock. None for any other answer:
/// whatever a 403 means elsewhere, such an answer says nothing of the file.
pub(in crate::source) fn wrong_credentials(code: &str) -> Option<&'static str> {
    Some(match code {
        "SignatureDoesNotMatch" => {
            "the secret key does not belong to the key id, or something on the way changes requests: check \
             AWS_SECRET_ACCESS_KEY or the profile"
        }
        "InvalidAccessKeyId" => {
            "the service does not know the key id: check AWS_ACCESS_KEY_ID or the profile, and source.endpoint"
        }
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            "the temporary credentials have expired: get new ones (with SSO, run aws sso login)"
        }
        "InvalidToken" => {
            "the session token does not belong to the key: check AWS_SESSION_TOKEN, which permanent keys have none of"
        }
        "RequestTimeTooSkewed" => "this machine's clock differs from the service's: set it, and keep it by NTP",
        "NotSignedUp" | "AccountProblem" => "the account that the key belongs to must be put right with the service",
        "AuthenticationFailed" => "check the key or token of the storage account, and this machine's clock",
        _ => return None,
    })
}

/// What to do about a refusal that has another reason than the rights on bucket and file.
pub(in crate::source) fn advice(code: &str, message: &str) -> Option<&'static str> {
    let lower = message.to_ascii_lowercase();
    if lower.contains("kms:") || lower.contains("ciphertext") || lower.contains("customer master key") {
        return Some(
            "the file is encrypted: grant kms:Decrypt on its key, by the key's policy too where the key is another \
             account's",
        );
    }
    if code == "InvalidObjectState" {
        return Some(
            "the file is archived: restore it (aws s3api restore-object), or keep files of wanted days out of the \
             archive by the bucket's lifecycle rules",
        );
    }
    if lower.contains("requester pays") || lower.contains("request-payer") {
        return Some("the bucket lets readers pay, which dayfill does not: have its owner copy or share the files");
    }
    None
}

/// True of a 403 that may stand for a missing file: it gives no reason at all, or that listing is not allowed, which is
/// what S3 says of a missing key to somebody who may not list. A right to read is asked for first, so that a refusal
/// which names it is never about a missing file.
pub(in crate::source) fn may_be_missing(code: &str, message: &str, details: &str) -> bool {
    if !["", "AccessDenied", "AccessForbidden", "Forbidden"].contains(&code) {
        return false;
    }
    let reason = format!("{message} {details}").to_ascii_lowercase();
    if ["authorized to perform", "storage.objects.", "permission"].iter().any(|words| reason.contains(words)) {
        return reason.contains("s3:listbucket") || reason.contains("storage.objects.list");
    }
    let bare = message.trim().trim_end_matches('.').to_ascii_lowercase();
    ["", "access denied", "access is denied", "forbidden", "access forbidden"].contains(&bare.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_without_another_reason_may_be_a_missing_file() {
        let on = "User: arn:aws:iam::123456789012:user/etl is not authorized to perform:";
        for (code, message, details, expected) in [
            ("", "", "", true),
            ("AccessDenied", "", "", true),
            ("AccessDenied", "Access Denied", "", true),
            ("AccessDenied", "Access Denied.", "", true),
            ("AccessDenied", &format!("{on} s3:ListBucket on resource: \"arn:aws:s3:::b\" because"), "", true),
            ("AccessDenied", "Access denied.", "etl does not have storage.objects.list access to the bucket.", true),
            ("AccessDenied", &format!("{on} s3:GetObject on resource: \"arn:aws:s3:::b/k\" because"), "", false),
            ("AccessDenied", &format!("{on} kms:Decrypt on the resource associated with this ciphertext"), "", false),
            ("AccessDenied", "The ciphertext refers to a customer master key that does not exist", "", false),
            ("AccessDenied", "Access denied.", "etl does not have storage.objects.get access to the object.", false),
            ("AccessDenied", "Request has expired", "", false),
            ("AccessDenied", "Bucket is a requester pays bucket.", "", false),
            ("InvalidObjectState", "The operation is not valid for the object's storage class", "", false),
            ("AllAccessDisabled", "All access to this object has been disabled", "", false),
            ("AuthorizationPermissionMismatch", "This request is not authorized", "", false),
            ("SignatureDoesNotMatch", "Access Denied", "", false),
        ] {
            assert_eq!(may_be_missing(code, message, details), expected, "{code}: {message} {details}");
        }
    }

    #[test]
    fn each_refusal_has_its_own_advice() {
        let on = "is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext";
        for (code, message, words) in [
            ("AccessDenied", on, Some("grant kms:Decrypt")),
            ("InvalidObjectState", "", Some("restore-object")),
            ("AccessDenied", "Bucket is a requester pays bucket", Some("readers pay")),
            ("AccessDenied", "Access Denied", None),
        ] {
            assert_eq!(advice(code, message).is_some_and(|got| got.contains(words.unwrap_or("?"))), words.is_some());
        }
        let codes = ["SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "InvalidToken", "NotSignedUp"];
        let mut advices: Vec<_> = codes.iter().map(|code| wrong_credentials(code).unwrap()).collect();
        advices.dedup();
        assert_eq!(advices.len(), codes.len());
        assert_eq!(wrong_credentials("AccessDenied"), None);
    }
}

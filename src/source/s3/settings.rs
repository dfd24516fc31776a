//! What environment and profile say of S3, by the rules of Amazon's own tools.

use std::path::{Path, PathBuf};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Url;

use crate::dataset::SourceSpec;

/// Where requests go and whom they trust, as far as the dataset does not say it.
#[derive(Debug, Default)]
pub(super) struct AwsSettings {
    /// Another service than Amazon's: of `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile's `services` section and
    /// its `endpoint_url` the first; none with `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`.
    /// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>)
    pub(super) endpoint: Option<String>,
    /// `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile's.
    pub(super) region: Option<String>,
    /// Certificates of authorities that are trusted beside the system's, as PEM: `AWS_CA_BUNDLE` or the profile's
    /// `ca_bundle`.
    pub(super) authorities: Option<Vec<u8>>,
}

/// What environment or profile say cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AwsSettingsError {
    /// A configured endpoint is no URL.
    #[error(
        "{0:?} is no URL of a service; it comes from AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile's endpoint_url"
    )]
    Endpoint(String),
    /// A configured endpoint is not encrypted, and the dataset does not allow that.
    #[error(
        "the endpoint {0} of AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile is plain http: set \
         source.allow_http = true if that is meant"
    )]
    PlainHttp(String),
    /// The profile files cannot be understood, so that what they say of endpoints is unknown.
    #[error("the AWS profile files cannot be read: {0}")]
    Files(String),
    /// The profile that is asked for is in no file.
    #[error("AWS_PROFILE names the profile {0:?}, which is neither in ~/.aws/config nor in ~/.aws/credentials")]
    NoProfile(String),
    /// The file of authorities cannot be used.
    #[error("AWS_CA_BUNDLE (or the profile's ca_bundle) names {}: {why}", .file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl AwsSettings {
    /// Reads the environment and the profile files, and asks nobody. The dataset's own endpoint wins.
    pub(super) async fn load(spec: &SourceSpec, http: SharedHttpClient) -> Result<Self, AwsSettingsError> {
        // The SDK passes over files that it does not understand, and with them over the endpoint.
        #[expect(clippy::default_trait_access, reason = "the type is of a crate that is not ours to name")]
        let files = Default::default();
        let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &files, None).await;
        let profiles = profiles.map_err(|error| AwsSettingsError::Files(with_sources(&error)))?;
        let selected = profiles.selected_profile();
        if selected != "default" && profiles.get_profile(selected).is_none() {
            return Err(AwsSettingsError::NoProfile(selected.to_owned()));
        }
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new());
        // The SDK insists on a client, which nothing here makes use of.
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).no_credentials().region(region);
        let config = config.load().await;
        let endpoint = match said(&config, "AWS_ENDPOINT_URL", "endpoint_url") {
            Some(endpoint) if spec.endpoint.is_none() => Some(checked(endpoint, spec.allow_http)?),
            _ => None,
        };
        let authorities = match said(&config, "AWS_CA_BUNDLE", "ca_bundle") {
            Some(file) => Some(authorities(Path::new(&file))?),
            None => None,
        };
        Ok(Self { endpoint, region: config.region().map(ToString::to_string), authorities })
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let layers = std::iter::successors(Some(error), |layer| layer.source());
    layers.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a variable, or a key of the profile, says of S3. The SDK takes an empty variable for an answer; here it counts
/// as not set, and what would come after it is asked for.
fn said(config: &SdkConfig, variable: &str, key: &str) -> Option<String> {
    let ask = |service, variable, key| {
        let key = ServiceConfigKey::builder().service_id(service).env(variable).profile(key).build().ok()?;
        config.service_config()?.load_config(key)
    };
    let is_set = |text: &String| !text.trim().is_empty();
    let first = ask("S3", variable, key)?;
    // Nothing has the name NOBODY: first the variable of all services alone, then the profile alone.
    let after = || ask(NOBODY, variable, NOBODY).filter(is_set).or_else(|| ask("S3", NOBODY, key).filter(is_set));
    Some(first).filter(is_set).or_else(after)
}

/// Names no service, variable or key.
const NOBODY: &str = "-";

fn checked(endpoint: String, allow_http: bool) -> Result<String, AwsSettingsError> {
    match Url::parse(&endpoint) {
        Ok(url) if url.host().is_some() && url.scheme() == "https" => Ok(endpoint),
        Ok(url) if url.host().is_some() && url.scheme() == "http" && allow_http => Ok(endpoint),
        Ok(url) if url.host().is_some() && url.scheme() == "http" => Err(AwsSettingsError::PlainHttp(endpoint)),
        // It may hold a password where it cannot be understood.
        _ => Err(AwsSettingsError::Endpoint(endpoint.chars().take_while(|c| *c != '@').collect())),
    }
}

/// Reads a file of authorities. What follows takes only such as can be used.
fn authorities(file: &Path) -> Result<Vec<u8>, AwsSettingsError> {
    let bad = |why: String| AwsSettingsError::Authorities { file: file.to_owned(), why };
    let pem = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() { Err(bad("holds no certificate in PEM".to_owned())) } else { Ok(pem) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_and_plain_only_where_that_is_allowed() {
        for (endpoint, allow_http, wrong) in [
            ("https://s3.example.com", false, None),
            ("http://localhost:4566", true, None),
            ("http://localhost:4566", false, Some("http://localhost:4566 of AWS_ENDPOINT_URL_S3")),
            ("localhost:4566", true, Some("\"localhost:4566\" is no URL")),
            ("file:///etc", true, Some("is no URL")),
            ("s3.example.com", false, Some("AWS_ENDPOINT_URL or the profile's endpoint_url")),
        ] {
            match (checked(endpoint.to_owned(), allow_http), wrong) {
                (Ok(same), None) => assert_eq!(same, endpoint),
                (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
                (got, _) => panic!("{endpoint}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_file_of_authorities_holds_some() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("ca.pem");
        assert!(authorities(&file).unwrap_err().to_string().contains("No such file"));
        for (content, why) in [
            ("", "holds no certificate in PEM"),
            ("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n", "ca.pem: "),
            ("-----BEGIN CERTIFICATE-----\naGVsbG8=\n", "ca.pem: "),
        ] {
            std::fs::write(&file, content).unwrap();
            let error = authorities(&file).unwrap_err().to_string();
            assert!(error.starts_with("AWS_CA_BUNDLE") && error.contains(why), "{error}");
        }
    }
}

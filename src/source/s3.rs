//! What is Amazon's own: where credentials and region come from, and how a bucket is addressed.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use object_store::aws::{AmazonS3Builder, AwsCredential, resolve_bucket_region};
use object_store::{ClientOptions, CredentialProvider};
use tokio::sync::Mutex;
use url::{Host, Url};

use crate::dataset::SourceSpec;

/// New credentials are asked for so long before the old ones expire: no request may outlive them.
const BEFORE_EXPIRY: Duration = Duration::from_mins(5);
/// Credentials that do not expire are asked for again after this time: the profile they came from may have changed.
const ASK_AGAIN: Duration = Duration::from_mins(15);

/// A bucket as the dataset describes it, with its credentials and region found.
pub(super) async fn builder(
    spec: &SourceSpec,
    bucket: &str,
    client: &ClientOptions,
) -> object_store::Result<AmazonS3Builder> {
    let (endpoint, virtual_hosted) = address(spec, bucket);
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_virtual_hosted_style_request(virtual_hosted);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let mut region = spec.region.clone();
    if spec.anonymous {
        builder = builder.with_skip_signature(true);
    } else {
        let config = load(spec).await;
        let credentials = Credentials::new(config.credentials_provider());
        // Asked for once now: without any there is no use in going on.
        credentials.get_credential().await?;
        builder = builder.with_credentials(Arc::new(credentials));
        region = region.or(config.region().map(ToString::to_string));
    }
    let region = match region {
        Some(region) => region,
        // Amazon tells everybody where a bucket is; another service mostly does not care.
        None if spec.endpoint.is_none() => resolve_bucket_region(bucket, client).await?,
        None => "us-east-1".to_owned(),
    };
    Ok(builder.with_region(region))
}

/// The endpoint, if it is not Amazon's, and whether the bucket is named in the host.
fn address(spec: &SourceSpec, bucket: &str) -> (Option<String>, bool) {
    let Some(endpoint) = &spec.endpoint else {
        // A dot in the host's first part does not fit Amazon's certificate.
        return (None, !spec.path_style && !bucket.contains('.'));
    };
    let url = Url::parse(endpoint).ok().filter(|_| !spec.path_style);
    if let Some(mut url) = url
        && let Some(Host::Domain(domain)) = url.host()
        && domain != "localhost"
        && url.set_host(Some(&format!("{bucket}.{domain}"))).is_ok()
    {
        return (Some(url.as_str().trim_end_matches('/').to_owned()), true);
    }
    (Some(endpoint.clone()), false)
}

/// Credentials and region by the chain of Amazon's own tools. The region is not asked of a machine on Amazon's cloud
/// where the bucket is elsewhere: that question takes seconds to fail on any other machine.
async fn load(spec: &SourceSpec) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    let loader = match &spec.region {
        Some(region) => loader.region(Region::new(region.clone())),
        None if spec.endpoint.is_some() => loader.region(
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else("us-east-1"),
        ),
        None => loader,
    };
    loader.load().await
}

/// Credentials from the AWS SDK, kept until shortly before they expire.
struct Credentials {
    provider: Option<SharedCredentialsProvider>,
    kept: Mutex<Option<(Arc<AwsCredential>, SystemTime)>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    fn new(provider: Option<SharedCredentialsProvider>) -> Self {
        Self { provider, kept: Mutex::default() }
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        let now = SystemTime::now();
        if let Some((credential, until)) = &*kept
            && now < *until
        {
            return Ok(Arc::clone(credential));
        }
        let missing = |why| object_store::Error::Generic { store: "S3", source: Box::new(NoCredentials(why)) };
        let provider = self.provider.as_ref().ok_or_else(|| missing(None))?;
        let found = provider.provide_credentials().await.map_err(|error| missing(Some(error)))?;
        let until = found.expiry().and_then(|expiry| expiry.checked_sub(BEFORE_EXPIRY)).unwrap_or(now + ASK_AGAIN);
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *kept = Some((Arc::clone(&credential), until));
        Ok(credential)
    }
}

/// No credentials were found, or those found could not be used.
#[derive(Debug)]
pub(super) struct NoCredentials(Option<CredentialsError>);

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None | Some(CredentialsError::CredentialsNotLoaded(_)) => f.write_str(
                "no AWS credentials were found; looked at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile \
                 (AWS_PROFILE in ~/.aws/config and ~/.aws/credentials, SSO included), AWS_WEB_IDENTITY_TOKEN_FILE, the \
                 container's role and the machine's role (IMDS); for a public bucket set source.anonymous = true",
            ),
            Some(error) => {
                f.write_str("the AWS credentials could not be used")?;
                let layers = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
                layers.into_iter().try_for_each(|layer| write!(f, ": {layer}"))
            }
        }
    }
}

impl std::error::Error for NoCredentials {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_credential_types::provider::{ProvideCredentials, future};

    use super::*;
    use crate::url_template::UrlTemplate;

    #[test]
    fn a_bucket_is_named_in_the_host_where_that_works() {
        let amazon = (None, true);
        let other = |endpoint: &str, in_host| (Some(endpoint.to_owned()), in_host);
        for (bucket, endpoint, path_style, expected) in [
            ("b", None, false, amazon),
            ("b", None, true, (None, false)),
            ("my.bucket", None, false, (None, false)),
            ("b", Some("https://s3.example.com"), false, other("https://b.s3.example.com", true)),
            ("b", Some("https://s3.example.com:9000/"), false, other("https://b.s3.example.com:9000", true)),
            ("b", Some("https://s3.example.com"), true, other("https://s3.example.com", false)),
            ("b", Some("http://localhost:9000"), false, other("http://localhost:9000", false)),
            ("b", Some("http://127.0.0.1:9000"), false, other("http://127.0.0.1:9000", false)),
        ] {
            let spec = SourceSpec {
                endpoint: endpoint.map(str::to_owned),
                path_style,
                ..SourceSpec::new(UrlTemplate::parse("s3://b/{day}").unwrap())
            };
            assert_eq!(address(&spec, bucket), expected, "{bucket} {endpoint:?} {path_style}");
        }
    }

    #[derive(Debug)]
    struct Issuer {
        lifetime: Option<Duration>,
        issued: Arc<AtomicU32>,
    }

    impl ProvideCredentials for Issuer {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.issued.fetch_add(1, Ordering::Relaxed);
            let expiry = self.lifetime.map(|lifetime| SystemTime::now() + lifetime);
            let found = aws_credential_types::Credentials::new("id", "secret", None, expiry, "test");
            future::ProvideCredentials::ready(Ok(found))
        }
    }

    #[tokio::test]
    async fn credentials_are_kept_until_shortly_before_they_expire() {
        for (lifetime, asked) in [(None, 1), (Some(Duration::from_mins(6)), 1), (Some(Duration::from_mins(4)), 2)] {
            let issued = Arc::new(AtomicU32::new(0));
            let provider = SharedCredentialsProvider::new(Issuer { lifetime, issued: Arc::clone(&issued) });
            let credentials = Credentials::new(Some(provider));
            for _ in 0..2 {
                assert_eq!(credentials.get_credential().await.unwrap().secret_key, "secret");
            }
            assert_eq!(issued.load(Ordering::Relaxed), asked, "{lifetime:?}");
            assert!(!format!("{credentials:?}").contains("secret"));
        }
    }
}

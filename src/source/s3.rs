//! What is Amazon's own: where credentials, endpoint and region come from, and how a bucket is addressed.

pub(super) mod credentials;
pub(super) mod denied;
mod http;
mod settings;

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use object_store::aws::{AmazonS3Builder, AwsCredential, resolve_bucket_region};
use object_store::{Certificate, ClientOptions, CredentialProvider as _, ObjectStore, RetryConfig};
use url::{Host, Url};

use self::credentials::{Chain, Credentials};
use self::http::NamedRegion;
use self::settings::AwsSettings;
use super::ClientTimeouts;
use super::client::Connector;
use super::named_files::NamedFiles;
use super::server_answer::ServerAnswer;
use crate::dataset::SourceSpec;

/// The region of services that do not care; Amazon's own default.
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket as the dataset describes it, with its credentials, endpoint and region found.
#[derive(Debug)]
pub(super) struct Bucket {
    builder: AmazonS3Builder,
    credentials: Option<Arc<Credentials>>,
    region: String,
    /// The dataset says which region; another one is a mistake then.
    fixed: bool,
    /// Another service than Amazon's.
    endpoint: Option<String>,
    in_host: bool,
    name: String,
    named: NamedRegion,
}

impl Bucket {
    /// Finds everything out. Credentials are asked for once now: without any there is no use in going on.
    pub(super) async fn find(
        spec: &SourceSpec,
        name: &str,
        (timeouts, client, retry): (ClientTimeouts, ClientOptions, RetryConfig),
        files: &NamedFiles,
    ) -> object_store::Result<Self> {
        let settings = AwsSettings::load(spec, http::for_credentials(None)?).await.map_err(generic)?;
        let pem = settings.authorities.as_deref().unwrap_or_default();
        let client = Certificate::from_pem_bundle(pem)?.into_iter().fold(client, ClientOptions::with_root_certificate);
        let authorities = reqwest::Certificate::from_pem_bundle(pem).map_err(generic)?;
        let connector = Connector::new(timeouts, spec.allow_http, spec.redirects, authorities).map_err(generic)?;
        let endpoint = spec.endpoint.clone().or(settings.endpoint);
        let (endpoint, in_host) = address(endpoint, spec.path_style, name);
        let http = http::for_credentials(settings.authorities.as_deref())?;
        let region = spec.region.clone().or(settings.region);
        let credentials = if spec.anonymous {
            None
        } else {
            let region = region.clone().or(endpoint.is_some().then(|| DEFAULT_REGION.to_owned()));
            let credentials = Arc::new(Credentials::new(chain(http, region), files.clone()));
            credentials.get_credential().await?;
            Some(credentials)
        };
        let region = match region {
            Some(region) => region,
            // Amazon tells everybody where a bucket is; another service mostly does not care.
            None if endpoint.is_none() => resolve_bucket_region(name, &client).await?,
            None => DEFAULT_REGION.to_owned(),
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_virtual_hosted_style_request(in_host)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = &endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder = match &credentials {
            Some(credentials) => builder.with_credentials(Arc::clone(credentials) as _),
            None => builder.with_skip_signature(true),
        };
        let (name, named, fixed) = (name.to_owned(), NamedRegion::new(connector.for_s3()), spec.region.is_some());
        Ok(Self { builder, credentials, region, fixed, endpoint, in_host, name, named })
    }

    /// The store of this bucket.
    pub(super) fn store(&self) -> object_store::Result<Arc<dyn ObjectStore>> {
        let builder = self.builder.clone().with_region(&self.region).with_http_connector(self.named.clone());
        Ok(Arc::new(builder.build()?))
    }

    /// The credentials that requests are signed with now.
    pub(super) async fn credential(&self) -> Option<Arc<AwsCredential>> {
        self.credentials.as_ref()?.in_use().await
    }

    /// True if the answer does not believe the credentials that were `used`, and there are others by now, as after a
    /// rotation. From now on requests are signed with those.
    pub(super) async fn has_new_credentials(&self, answer: &ServerAnswer, used: Option<&Arc<AwsCredential>>) -> bool {
        match &self.credentials {
            Some(credentials) if denied::wrong_credentials(answer.code()).is_some() => credentials.replaced(used).await,
            _ => false,
        }
    }

    /// The bucket in the region that the service named in its answer, unless the dataset says another one.
    pub(super) fn moved(&self, answer: &ServerAnswer) -> Option<Self> {
        let region = self.elsewhere(answer).filter(|_| !self.fixed)?;
        Some(Self {
            builder: self.builder.clone(),
            credentials: self.credentials.clone(),
            region,
            fixed: false,
            endpoint: self.endpoint.clone(),
            in_host: self.in_host,
            name: self.name.clone(),
            named: self.named.anew(),
        })
    }

    /// The region that the service named, where it is another one. It becomes part of a host, so that only what looks
    /// like a region is one.
    fn elsewhere(&self, answer: &ServerAnswer) -> Option<String> {
        let of_body = answer.region.clone().filter(|_| answer.code() == "AuthorizationHeaderMalformed");
        let region = self.named.get().or(of_body)?;
        let is_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (region != self.region && region.len() < 40 && !region.is_empty() && region.chars().all(is_region))
            .then_some(region)
    }

    /// What a user should know beside the words of a request that failed.
    pub(super) fn hint(&self, answer: &ServerAnswer) -> String {
        if let Some(region) = self.elsewhere(answer).filter(|_| self.fixed) {
            return format!(
                "; the bucket is in {region}, and source.region says {}: set source.region = \"{region}\", or leave it out",
                self.region
            );
        }
        let path_style = if self.endpoint.is_some() && self.in_host {
            ": set source.path_style = true if this service expects the bucket in the path"
        } else {
            ""
        };
        format!("; asked {}{path_style}", self.asked())
    }

    /// The service that is asked.
    fn asked(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None if self.in_host => format!("https://{}.s3.{}.amazonaws.com", self.name, self.region),
            None => format!("https://s3.{}.amazonaws.com", self.region),
        }
    }
}

fn generic(error: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: Box::new(error) }
}

/// The endpoint, if it is not Amazon's, and whether the bucket is named in the host.
fn address(endpoint: Option<String>, path_style: bool, bucket: &str) -> (Option<String>, bool) {
    let Some(endpoint) = endpoint else {
        // A dot in the host's first part does not fit Amazon's certificate.
        return (None, !path_style && !bucket.contains('.'));
    };
    let url = Url::parse(&endpoint).ok().filter(|_| !path_style);
    if let Some(mut url) = url
        && let Some(Host::Domain(domain)) = url.host()
        && domain != "localhost"
        && url.set_host(Some(&format!("{bucket}.{domain}"))).is_ok()
    {
        return (Some(url.as_str().trim_end_matches('/').to_owned()), true);
    }
    (Some(endpoint), false)
}

/// The chain of Amazon's own tools. Where no region is known, the machine is asked for its own; so it is not where the
/// bucket is elsewhere than at Amazon's, since that question takes seconds to fail on any other machine.
fn chain(http: SharedHttpClient, region: Option<String>) -> Chain {
    Box::new(move || {
        let (http, region) = (http.clone(), region.clone());
        Box::pin(async move {
            let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
            let loader = match region {
                Some(region) => loader.region(Region::new(region)),
                None => loader,
            };
            loader.load().await.credentials_provider() as Option<SharedCredentialsProvider>
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let found = address(endpoint.map(str::to_owned), path_style, bucket);
            assert_eq!(found, expected, "{bucket} {endpoint:?} {path_style}");
        }
    }
}

//! The clients that speak with Amazon: one that fetches credentials, one that reads buckets.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_smithy_http_client::Connector as SdkClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use aws_smithy_runtime_api::client::http::{
    HttpConnector as SdkConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest as SdkRequest;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use url::{Host, Url};

use crate::source::client::{Connector, REGION};

/// A client for STS, SSO and the machine's own services. It follows `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
/// `NO_PROXY` as the buckets' client does, and trusts these authorities (PEM) beside the system's.
pub(super) fn for_credentials(authorities: Option<&[u8]>) -> object_store::Result<SharedHttpClient> {
    let mut trusted = TrustStore::default();
    if let Some(pem) = authorities {
        trusted.add_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build().map_err(super::generic)?;
    Ok(http_client_fn(move |settings, components| {
        let connector = |proxy| {
            let mut builder = SdkClient::builder().connector_settings(settings.clone()).proxy_config(proxy);
            builder.set_sleep_impl(components.sleep_impl());
            builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context.clone()).build()
        };
        SharedHttpConnector::new(NearOrFar {
            near: connector(ProxyConfig::disabled()),
            far: connector(ProxyConfig::from_env()),
        })
    }))
}

/// What the machine itself gives out is never asked of a proxy: it would answer with its own role.
#[derive(Debug)]
struct NearOrFar {
    near: SdkClient,
    far: SdkClient,
}

impl SdkConnector for NearOrFar {
    fn call(&self, request: SdkRequest) -> HttpConnectorFuture {
        if is_near(request.uri()) { self.near.call(request) } else { self.far.call(request) }
    }
}

/// True of this machine and of the addresses at which Amazon's machines, containers and pods find their roles.
fn is_near(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
        // fd00:ec2::/32, https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
        Some(Host::Ipv6(address)) => address.is_loopback() || address.segments()[..2] == [0xfd00, 0x0ec2],
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Where S3 said that the bucket is, when it refused to answer from elsewhere.
#[derive(Debug, Clone)]
pub(super) struct NamedRegion {
    connector: Connector,
    named: Arc<Mutex<Option<String>>>,
}

impl NamedRegion {
    /// Listens to what comes by this client.
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, named: Arc::default() }
    }

    /// The same client, when no region has been named yet.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.connector.clone())
    }

    /// The region, if one was named.
    pub(super) fn get(&self) -> Option<String> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, response: &HttpResponse) {
        let status = response.status();
        let region = response.headers().get(REGION).and_then(|region| region.to_str().ok());
        if let (true, Some(region)) = (status.is_redirection() || status.as_u16() == 400, region) {
            *self.named.lock().unwrap_or_else(PoisonError::into_inner) = Some(region.to_owned());
        }
    }
}

impl HttpConnector for NamedRegion {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.connector.connect(options)?;
        Ok(HttpClient::new(RegionRecorder { client, named: self.clone() }))
    }
}

/// Notes the region that an answer names.
#[derive(Debug)]
struct RegionRecorder {
    client: HttpClient,
    named: NamedRegion,
}

#[async_trait]
impl HttpService for RegionRecorder {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.client.execute(request).await?;
        self.named.note(&response);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_services_are_near() {
        for (url, near) in [
            ("http://169.254.169.254/latest/api/token", true),
            ("http://169.254.170.2/v2/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://[::1]:1/", true),
            ("http://127.0.0.1:1338/", true),
            ("http://localhost:1338/", true),
            ("https://sts.eu-west-1.amazonaws.com/", false),
            ("https://10.0.0.1/", false),
            ("https://[fd00:ec3::1]/", false),
        ] {
            assert_eq!(is_near(url), near, "{url}");
        }
    }
}

//! The clients that speak with Amazon: one that fetches credentials, one that reads buckets.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_smithy_runtime_api::client::http::{
    HttpConnector as SdkConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest as SdkRequest, HttpResponse as SdkResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use reqwest::Certificate;
use url::{Host, Url};

use crate::source::client::{Connector, REGION};

/// A client for STS, SSO and the machine's own services. It follows `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
/// `NO_PROXY` as the buckets' client does, and trusts these authorities (PEM) beside the system's.
pub(super) fn for_credentials(authorities: Option<&[u8]>) -> object_store::Result<SharedHttpClient> {
    crate::source::use_ring_for_tls();
    let trusted = Certificate::from_pem_bundle(authorities.unwrap_or_default()).map_err(super::generic)?;
    // The SDK asks for a connector at each request, with one of a few settings.
    let made: Mutex<Vec<(HttpConnectorSettings, SharedHttpConnector)>> = Mutex::default();
    Ok(http_client_fn(move |settings, _| {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |of: &HttpConnectorSettings| {
            (of.connect_timeout(), of.read_timeout()) == (settings.connect_timeout(), settings.read_timeout())
        };
        if let Some((_, connector)) = made.iter().find(|(of, _)| same(of)) {
            return connector.clone();
        }
        let connector = SharedHttpConnector::new(CredentialsConnector::new(settings, &trusted));
        made.push((settings.clone(), connector.clone()));
        connector
    }))
}

/// Sends the SDK's requests. What the machine itself gives out is never asked of a proxy: it would answer with its own
/// role.
#[derive(Debug)]
struct CredentialsConnector {
    direct: reqwest::Result<reqwest::Client>,
    by_proxy: reqwest::Result<reqwest::Client>,
}

impl CredentialsConnector {
    fn new(settings: &HttpConnectorSettings, trusted: &[Certificate]) -> Self {
        let builder = || {
            let builder = reqwest::Client::builder()
                .tls_certs_merge(trusted.iter().cloned())
                .redirect(reqwest::redirect::Policy::none());
            let builder = settings.connect_timeout().into_iter().fold(builder, reqwest::ClientBuilder::connect_timeout);
            settings.read_timeout().into_iter().fold(builder, reqwest::ClientBuilder::read_timeout)
        };
        Self { direct: builder().no_proxy().build(), by_proxy: builder().build() }
    }
}

impl SdkConnector for CredentialsConnector {
    fn call(&self, request: SdkRequest) -> HttpConnectorFuture {
        let client = if is_near(request.uri()) { &self.direct } else { &self.by_proxy };
        match client {
            Ok(client) => HttpConnectorFuture::new(send(client.clone(), request)),
            Err(error) => HttpConnectorFuture::ready(Err(ConnectorError::user(error.to_string().into()))),
        }
    }
}

async fn send(client: reqwest::Client, request: SdkRequest) -> Result<SdkResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    // Requests for credentials are small, and in memory.
    let request = request.map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
    let request = request.try_into().map_err(failed)?;
    let response = client.execute(request).await.map_err(failed)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.map_err(failed)?;
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::other(error, None);
    let status = status.as_u16().try_into().map_err(|error| wrong(Box::new(error)))?;
    let mut answer = SdkResponse::new(status, body.into());
    for (name, value) in &headers {
        let value = value.to_str().map_err(|error| wrong(Box::new(error)))?;
        answer
            .headers_mut()
            .try_append(name.as_str().to_owned(), value.to_owned())
            .map_err(|error| wrong(error.into()))?;
    }
    Ok(answer)
}

/// An error in the SDK's words: it asks again after some of them.
fn failed(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
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

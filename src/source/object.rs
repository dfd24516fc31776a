//! Files behind a network: buckets, containers and web servers, received by a task and read by a blocking thread.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, GetOptions, GetResult, ObjectMeta, ObjectStore, RetryConfig};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use url::Url;

use super::client::{Connector, ServerTime, UNKNOWN_SIZE};
use super::download::{Download, StoredObject};
use super::location::{Cloud, Location};
use super::named_files::NamedFiles;
use super::network::NetworkSettings;
use super::s3::{self, denied};
use super::server_answer::{CredentialState, ServerAnswer};
use super::{ClientTimeouts, FileInfo, FileStatus, OpenedFile, SourceError, SourceFile, request_headers};
use crate::dataset::{Forbidden, SourceSpec};
use crate::day::Day;

/// The connections of one dataset's source.
#[derive(Debug)]
pub(super) struct Objects {
    spec: Arc<SourceSpec>,
    environment: Vec<(String, String)>,
    aws_files: NamedFiles,
    network: NetworkSettings,
    timeouts: ClientTimeouts,
    /// By bucket: its name may hold the day, though it hardly ever does.
    buckets: Mutex<HashMap<String, BucketConnection>>,
    connector: OnceLock<Connector>,
}

/// The connection to a bucket, and what is known of one in S3.
#[derive(Debug, Clone)]
struct BucketConnection {
    store: Arc<dyn ObjectStore>,
    s3: Option<Arc<s3::Bucket>>,
}

/// A file's store and path, and what the request for it is made with.
struct ObjectRequest {
    object: StoredObject,
    s3: Option<Arc<s3::Bucket>>,
    credential: Option<Arc<AwsCredential>>,
}

impl ObjectRequest {
    async fn get(&self) -> object_store::Result<GetResult> {
        self.object.0.get_opts(&self.object.1, GetOptions::default()).await
    }
}

impl Objects {
    /// Nothing is connected yet. Of the environment only what belongs to a cloud is kept.
    pub(super) fn new(spec: Arc<SourceSpec>, environment: &[(String, String)], timeouts: ClientTimeouts) -> Self {
        let clouds = |(name, _): &&(String, String)| name.starts_with("AZURE_") || name.starts_with("GOOGLE_");
        let (aws_files, network) = (NamedFiles::of_amazon(environment), NetworkSettings::of(environment));
        let environment = environment.iter().filter(clouds).cloned().collect();
        Self { spec, environment, aws_files, network, timeouts, buckets: Mutex::default(), connector: OnceLock::new() }
    }

    /// Opens a file, unless `end` comes first; a task on `runtime` receives it until the file is dropped.
    pub(super) fn open(
        &self,
        location: &Location,
        runtime: &Handle,
        end: impl Future<Output = ()>,
    ) -> Result<OpenedFile, SourceError> {
        let url = location.shown();
        let (request, got) = runtime.block_on(super::until(end, async {
            let request = self.request(location).await?;
            let got = request.get().await;
            self.corrected(location, request, got).await
        }))?;
        let (object, got) = match got {
            Ok(got) => (request.object, got),
            Err(error) => {
                return self.not_there(location, &request, &error).map(|why| OpenedFile::NotThere { url, why });
            }
        };
        if let Some(why) = self.unsettled(location, &got)? {
            return Ok(OpenedFile::NotThere { url, why });
        }
        let info = file_info(url, &got.meta);
        let download = Download::start(object, got, info.clone(), runtime);
        let task = download.task();
        let file = SourceFile::new(Box::new(download), info, self.spec.zstd_window_log)?.received_by(task);
        Ok(OpenedFile::File(file))
    }

    /// Looks at a file. Where HEAD finds nothing, GET is asked: only its answer has a body that says why.
    pub(super) async fn stat(&self, location: &Location) -> Result<FileStatus, SourceError> {
        let url = location.shown();
        let request = self.request(location).await?;
        if let Ok(head) = request.object.0.get_opts(&request.object.1, GetOptions::new().with_head(true)).await {
            return self.status_of(location, &head);
        }
        let got = request.get().await;
        match self.corrected(location, request, got).await? {
            (_, Ok(got)) => self.status_of(location, &got),
            (request, Err(error)) => {
                self.not_there(location, &request, &error).map(|why| FileStatus::NotThere { url, why })
            }
        }
    }

    fn status_of(&self, location: &Location, got: &GetResult) -> Result<FileStatus, SourceError> {
        let url = location.shown();
        Ok(match self.unsettled(location, got)? {
            Some(why) => FileStatus::NotThere { url, why },
            None => FileStatus::File(file_info(url, &got.meta)),
        })
    }

    /// Why a file is not to be taken yet, by the clock of its server.
    fn unsettled(&self, location: &Location, got: &GetResult) -> Result<Option<String>, SourceError> {
        let settle = self.spec.settle;
        if !settle.is_zero() && got.meta.last_modified == DateTime::UNIX_EPOCH {
            let why = "the server does not say when the file was last changed (Last-Modified), so settle cannot hold: \
                       leave source.settle out, or have the server say it";
            return Err(SourceError::Request {
                url: location.shown(),
                why: why.to_owned(),
                temporary: false,
                until: None,
            });
        }
        let now = got.extensions.get::<ServerTime>().map_or_else(Utc::now, |time| time.0);
        Ok(super::unsettled(got.meta.last_modified, now, settle))
    }

    /// The client of this source; made once, since each has connections and trusted roots of its own.
    fn connector(&self, allow_http: bool) -> Result<Connector, reqwest::Error> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let connector = Connector::new(self.timeouts, allow_http, self.spec.redirects, Vec::new())?;
        Ok(self.connector.get_or_init(|| connector).clone())
    }

    /// Asks once more where S3 says that the bucket is in another region, or where credentials were not believed and
    /// there are others by now.
    async fn corrected(
        &self,
        location: &Location,
        request: ObjectRequest,
        got: object_store::Result<GetResult>,
    ) -> Result<(ObjectRequest, object_store::Result<GetResult>), SourceError> {
        let (Err(error), Some(bucket)) = (&got, &request.s3) else { return Ok((request, got)) };
        let answer = ServerAnswer::of(error);
        if let Some(moved) = bucket.moved(&answer) {
            let store = moved.store().map_err(|error| self.unconnected(location, &error))?;
            let connected = BucketConnection { store, s3: Some(Arc::new(moved)) };
            self.buckets.lock().await.insert(location.bucket().to_owned(), connected);
        } else if !bucket.has_new_credentials(&answer, request.credential.as_ref()).await {
            return Ok((request, got));
        }
        let request = self.request(location).await?;
        let got = request.get().await;
        Ok((request, got))
    }

    async fn request(&self, location: &Location) -> Result<ObjectRequest, SourceError> {
        super::use_ring_for_tls();
        let bad = |why: String| SourceError::BadUrl { url: location.shown(), why };
        match location {
            Location::File(..) => Err(bad("is a local file".to_owned())),
            Location::Web(url) => {
                let failed = |why| SourceError::Request { url: location.shown(), why, temporary: false, until: None };
                Ok(ObjectRequest { object: (self.web(url).map_err(failed)?, Path::ROOT), s3: None, credential: None })
            }
            Location::Object { cloud, bucket, key } => {
                let path = Path::parse(key).map_err(|error| bad(error.to_string()))?;
                if path.as_ref() != key {
                    return Err(bad("has a / at the start or end of its key".to_owned()));
                }
                let BucketConnection { store, s3 } = self.bucket(location, *cloud, bucket).await?;
                let credential = match &s3 {
                    Some(s3) => s3.credential().await,
                    None => None,
                };
                Ok(ObjectRequest { object: (store, path), s3, credential })
            }
        }
    }

    async fn bucket(&self, location: &Location, cloud: Cloud, bucket: &str) -> Result<BucketConnection, SourceError> {
        // Held while connecting, so that days that begin together connect once.
        let mut buckets = self.buckets.lock().await;
        if let Some(connected) = buckets.get(bucket) {
            return Ok(connected.clone());
        }
        let connected = self.connect(cloud, bucket).await.map_err(|error| self.unconnected(location, &error))?;
        buckets.insert(bucket.to_owned(), connected.clone());
        Ok(connected)
    }

    async fn connect(&self, cloud: Cloud, bucket: &str) -> object_store::Result<BucketConnection> {
        let (client, retry) = (self.client(self.spec.allow_http), self.retry());
        let generic = |error| object_store::Error::Generic { store: "HTTP", source: Box::new(error) };
        let store: Arc<dyn ObjectStore> = match cloud {
            Cloud::S3 => {
                let found =
                    s3::Bucket::find(&self.spec, bucket, (self.timeouts, client, retry), &self.aws_files).await?;
                return Ok(BucketConnection { store: found.store()?, s3: Some(Arc::new(found)) });
            }
            Cloud::Google => {
                let mut builder = GoogleCloudStorageBuilder::new()
                    .with_client_options(client)
                    .with_http_connector(self.connector(self.spec.allow_http).map_err(generic)?);
                for (name, value) in &self.environment {
                    if let Ok(key) = name.to_ascii_lowercase().parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                if self.spec.anonymous {
                    builder = builder.with_skip_signature(true);
                }
                Arc::new(builder.with_bucket_name(bucket).with_retry(retry).build()?)
            }
            Cloud::Azure => {
                let mut builder = MicrosoftAzureBuilder::new()
                    .with_client_options(client)
                    .with_http_connector(self.connector(self.spec.allow_http).map_err(generic)?);
                for (name, value) in &self.environment {
                    if let Ok(key) = name.to_ascii_lowercase().parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                if self.spec.anonymous {
                    builder = builder.with_skip_signature(true);
                }
                Arc::new(builder.with_container_name(bucket).with_retry(retry).build()?)
            }
        };
        Ok(BucketConnection { store, s3: None })
    }

    /// A store of its own for each URL, since only so is the query kept; the connections behind it are shared.
    fn web(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, String> {
        let (mut url, allow_http) = (url.clone(), url.scheme() == "http");
        let headers = request_headers::headers(&mut url, &self.spec).map_err(|error| error.to_string())?;
        let connector = self.connector(allow_http).map_err(|error| error.to_string())?.for_web(headers);
        let builder = HttpBuilder::new().with_url(url).with_client_options(self.client(allow_http));
        let store = builder.with_retry(self.retry()).with_http_connector(connector).build();
        store.map(|store| Arc::new(store) as _).map_err(|error| ServerAnswer::of(&error).why)
    }

    fn client(&self, allow_http: bool) -> ClientOptions {
        ClientOptions::new()
            .with_timeout_disabled()
            .with_connect_timeout(self.timeouts.connect)
            .with_read_timeout(self.timeouts.idle)
            .with_allow_http(allow_http)
    }

    fn retry(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig { init_backoff: self.timeouts.backoff, ..BackoffConfig::default() },
            max_retries: self.timeouts.retries,
            // It runs from the first request on, so it would forbid to resume a body after three minutes.
            retry_timeout: std::time::Duration::MAX,
        }
    }

    fn unconnected(&self, location: &Location, error: &object_store::Error) -> SourceError {
        let (url, mut answer) = (location.shown(), ServerAnswer::of(error));
        let named = self.named_files(location);
        // A key file that holds something else is read all the same, and the store does not say which it is.
        answer.why += &if answer.why.contains("decode") { named.all() } else { named.to_string() };
        answer.why += setting_of(&answer.why);
        answer.why += &self.network.hint(self.scheme(location), &answer);
        if answer.login == CredentialState::Missing {
            SourceError::NoCredentials { url, why: answer.why, temporary: answer.temporary }
        } else if self.spec.region.is_none() && answer.why.ends_with("not found") {
            self.no_bucket(location, String::new())
        } else {
            SourceError::Request { url, why: answer.why, temporary: answer.temporary, until: answer.until }
        }
    }

    fn no_bucket(&self, location: &Location, hint: String) -> SourceError {
        let of = |day| Location::parse(&self.spec.url.of(day)).ok().map(|location| location.bucket().to_owned());
        let of_all_days = of(Day::MIN) == of(Day::MAX);
        SourceError::NoBucket { url: location.shown(), bucket: location.bucket().to_owned(), hint, of_all_days }
    }

    /// The scheme of requests for a file.
    fn scheme(&self, location: &Location) -> &'static str {
        let plain = match location {
            Location::Web(url) => url.scheme() == "http",
            _ => self.spec.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")),
        };
        if plain { "http" } else { "https" }
    }

    /// The files that the tools of the location's cloud are told to take credentials from; Amazon's say it themselves.
    fn named_files(&self, location: &Location) -> NamedFiles {
        match location {
            Location::Object { cloud: Cloud::Google, .. } => NamedFiles::of_google(&self.environment),
            Location::Object { cloud: Cloud::Azure, .. } => NamedFiles::of_azure(&self.environment),
            _ => NamedFiles::default(),
        }
    }

    /// Why the file counts as not there yet; any other answer is an error.
    fn not_there(
        &self,
        location: &Location,
        request: &ObjectRequest,
        error: &object_store::Error,
    ) -> Result<String, SourceError> {
        let (url, answer) = (location.shown(), ServerAnswer::of(error));
        let hint = || request.s3.as_ref().map_or_else(String::new, |bucket| bucket.hint(&answer));
        let (code, why, temporary) = (answer.code(), answer.why.clone(), answer.temporary);
        // A wrong key is no missing file, whatever a 403 means elsewhere. Amazon answers some with 400.
        if let Some(advice) = denied::wrong_credentials(code) {
            return Err(SourceError::Unauthenticated { url, why, advice: advice.to_owned(), temporary });
        }
        match error {
            object_store::Error::NotFound { .. } if ["NoSuchBucket", "ContainerNotFound"].contains(&code) => {
                Err(self.no_bucket(location, hint()))
            }
            // The store takes a method that is not allowed for a missing file.
            object_store::Error::NotFound { .. } if why.starts_with("405") => {
                Err(SourceError::Request { url, why, temporary: false, until: None })
            }
            object_store::Error::NotFound { .. } => Ok(why),
            object_store::Error::PermissionDenied { .. }
                if self.spec.forbidden == Forbidden::Waiting
                    && denied::may_be_missing(code, &answer.message, &answer.details) =>
            {
                Ok(format!("{why}; taken for a missing file, since forbidden = \"waiting\""))
            }
            object_store::Error::PermissionDenied { .. } => {
                let grant = denied::advice(code, &answer.message).map_or_else(|| grant(location), str::to_owned);
                Err(SourceError::Forbidden { url, why, grant })
            }
            object_store::Error::Unauthenticated { .. } => {
                let advice = match location {
                    Location::Web(_) => LOGIN,
                    _ => "",
                };
                Err(SourceError::Unauthenticated { url, why, advice: advice.to_owned(), temporary })
            }
            _ if answer.login == CredentialState::Missing => Err(SourceError::NoCredentials { url, why, temporary }),
            _ if why.starts_with("Content-Length Header missing") => {
                let why =
                    "the server does not say how long the file is, so a cut-off one would not be noticed".to_owned();
                Err(SourceError::Request { url, why, temporary: false, until: None })
            }
            _ => {
                let why = why + &hint() + &self.named_files(location).to_string();
                let why = why + no_token(location, &answer) + &self.network.hint(self.scheme(location), &answer);
                Err(SourceError::Request { url, why, temporary, until: answer.until })
            }
        }
    }
}

/// What to do where a web server does not know who asks.
const LOGIN: &str = "name a file of user:password in source.user_file, or one of headers, such as Authorization: \
     Bearer ..., in source.headers_file; if there is one, check it";

/// The setting that is meant by an error of a store, after a semicolon.
fn setting_of(why: &str) -> &'static str {
    match why {
        "Account must be specified" => "; set AZURE_STORAGE_ACCOUNT_NAME",
        _ if why.starts_with("Invalid Access Key") => "; check AZURE_STORAGE_ACCOUNT_KEY",
        _ => "",
    }
}

/// Where credentials were looked for, if none were given out.
fn no_token(location: &Location, answer: &ServerAnswer) -> &'static str {
    match location {
        Location::Object { cloud: Cloud::Google, .. } if answer.login == CredentialState::NotGiven => {
            "; no token was given out: credentials come from GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT, \
             gcloud's file or else the machine's service account; for a public bucket set source.anonymous = true"
        }
        Location::Object { cloud: Cloud::Azure, .. } if answer.login == CredentialState::NotGiven => {
            "; no token was given out: credentials come from AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY, \
             AZURE_CLIENT_ID with AZURE_CLIENT_SECRET and AZURE_TENANT_ID, or else the machine's identity; for a \
             public container set source.anonymous = true"
        }
        _ => "",
    }
}

fn grant(location: &Location) -> String {
    match location {
        Location::Object { cloud: Cloud::S3, bucket, .. } => format!(
            "grant s3:GetObject on arn:aws:s3:::{bucket}/* and s3:ListBucket on arn:aws:s3:::{bucket} (so that \
             a missing file answers 404), or set source.forbidden = \"waiting\" if this bucket hides missing files"
        ),
        Location::Object { cloud: Cloud::Google, bucket, .. } => {
            format!("grant storage.objects.get and storage.objects.list on the bucket {bucket}")
        }
        Location::Object { cloud: Cloud::Azure, bucket, .. } => {
            format!("grant the role Storage Blob Data Reader on the container {bucket}")
        }
        _ => "let the server allow it, or set source.forbidden = \"waiting\" if it hides missing files".to_owned(),
    }
}

fn file_info(url: String, meta: &ObjectMeta) -> FileInfo {
    let bytes = (meta.size != UNKNOWN_SIZE).then_some(meta.size);
    FileInfo { url, etag: meta.e_tag.clone(), bytes, modified: meta.last_modified }
}

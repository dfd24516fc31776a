//! Files behind a network: buckets, containers and web servers, received by a task and read by a blocking thread.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use bytes::{Buf as _, Bytes};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::aws::AwsCredential;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, GetOptions, GetResult, ObjectMeta, ObjectStore, RetryConfig};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use url::Url;

use super::client::{Connector, ServerTime, UNKNOWN_SIZE};
use super::error::{Answer, Login};
use super::location::{Cloud, Location};
use super::named_files::NamedFiles;
use super::network::NetworkSettings;
use super::reader::Stored;
use super::s3::{self, denied};
use super::{FileInfo, Looked, Opened, Patience, SourceError, SourceFile, login};
use crate::dataset::{Forbidden, SourceSpec};
use crate::day::Day;

/// So many pieces wait for the reader; a piece is at most about 400 KiB, mostly far less.
const PIECES_IN_FLIGHT: usize = 8;

/// The connections of one dataset's source.
#[derive(Debug)]
pub(super) struct Objects {
    spec: Arc<SourceSpec>,
    environment: Vec<(String, String)>,
    aws_files: NamedFiles,
    network: NetworkSettings,
    patience: Patience,
    /// By bucket: its name may hold the day, though it hardly ever does.
    buckets: Mutex<HashMap<String, Connected>>,
    connector: OnceLock<Connector>,
}

/// The connection to a bucket, and what is known of one in S3.
#[derive(Debug, Clone)]
struct Connected {
    store: Arc<dyn ObjectStore>,
    s3: Option<Arc<s3::Bucket>>,
}

/// A file's store and its path there.
type Place = (Arc<dyn ObjectStore>, Path);

/// A place, and what the request for it is made with.
struct Asking {
    place: Place,
    s3: Option<Arc<s3::Bucket>>,
    credential: Option<Arc<AwsCredential>>,
}

impl Asking {
    async fn get(&self) -> object_store::Result<GetResult> {
        self.place.0.get_opts(&self.place.1, GetOptions::default()).await
    }
}

impl Objects {
    /// Nothing is connected yet. Of the environment only what belongs to a cloud is kept.
    pub(super) fn new(spec: Arc<SourceSpec>, environment: &[(String, String)], patience: Patience) -> Self {
        let clouds = |(name, _): &&(String, String)| name.starts_with("AZURE_") || name.starts_with("GOOGLE_");
        let (aws_files, network) = (NamedFiles::of_amazon(environment), NetworkSettings::of(environment));
        let environment = environment.iter().filter(clouds).cloned().collect();
        Self { spec, environment, aws_files, network, patience, buckets: Mutex::default(), connector: OnceLock::new() }
    }

    /// Opens a file, unless `end` comes first; a task on `runtime` receives it until the file is dropped.
    pub(super) fn open(
        &self,
        location: &Location,
        runtime: &Handle,
        end: impl Future<Output = ()>,
    ) -> Result<Opened, SourceError> {
        let url = location.shown();
        let (asking, got) = runtime.block_on(super::until(end, async {
            let asking = self.place(location).await?;
            let got = asking.get().await;
            self.corrected(location, asking, got).await
        }))?;
        let (place, got) = match got {
            Ok(got) => (asking.place, got),
            Err(error) => return self.not_there(location, &asking, &error).map(|why| Opened::NotThere { url, why }),
        };
        if let Some(why) = self.unsettled(location, &got)? {
            return Ok(Opened::NotThere { url, why });
        }
        let info = file_info(url, &got.meta);
        let download = Download::start(place, got, info.clone(), runtime);
        Ok(Opened::File(SourceFile::new(Stored::Remote(download), info, self.spec.zstd_window_log)?))
    }

    /// Looks at a file. Where HEAD finds nothing, GET is asked: only its answer has a body that says why.
    pub(super) async fn look(&self, location: &Location) -> Result<Looked, SourceError> {
        let url = location.shown();
        let asking = self.place(location).await?;
        if let Ok(head) = asking.place.0.get_opts(&asking.place.1, GetOptions::new().with_head(true)).await {
            return self.looked(location, &head);
        }
        let got = asking.get().await;
        match self.corrected(location, asking, got).await? {
            (_, Ok(got)) => self.looked(location, &got),
            (asking, Err(error)) => self.not_there(location, &asking, &error).map(|why| Looked::NotThere { url, why }),
        }
    }

    fn looked(&self, location: &Location, got: &GetResult) -> Result<Looked, SourceError> {
        let url = location.shown();
        Ok(match self.unsettled(location, got)? {
            Some(why) => Looked::NotThere { url, why },
            None => Looked::File(file_info(url, &got.meta)),
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
        let connector = Connector::new(self.patience, allow_http, self.spec.redirects, Vec::new())?;
        Ok(self.connector.get_or_init(|| connector).clone())
    }

    /// Asks once more where S3 says that the bucket is in another region, or where credentials were not believed and
    /// there are others by now.
    async fn corrected(
        &self,
        location: &Location,
        asking: Asking,
        got: object_store::Result<GetResult>,
    ) -> Result<(Asking, object_store::Result<GetResult>), SourceError> {
        let (Err(error), Some(bucket)) = (&got, &asking.s3) else { return Ok((asking, got)) };
        let answer = Answer::of(error);
        if let Some(moved) = bucket.moved(&answer) {
            let store = moved.store().map_err(|error| self.unconnected(location, &error))?;
            let connected = Connected { store, s3: Some(Arc::new(moved)) };
            self.buckets.lock().await.insert(location.bucket().to_owned(), connected);
        } else if !bucket.has_new_credentials(&answer, asking.credential.as_ref()).await {
            return Ok((asking, got));
        }
        let asking = self.place(location).await?;
        let got = asking.get().await;
        Ok((asking, got))
    }

    async fn place(&self, location: &Location) -> Result<Asking, SourceError> {
        super::use_ring_for_tls();
        let bad = |why: String| SourceError::BadUrl { url: location.shown(), why };
        match location {
            Location::File(..) => Err(bad("is a local file".to_owned())),
            Location::Web(url) => {
                let request = |why| SourceError::Request { url: location.shown(), why, temporary: false, until: None };
                Ok(Asking { place: (self.web(url).map_err(request)?, Path::ROOT), s3: None, credential: None })
            }
            Location::Object { cloud, bucket, key } => {
                let path = Path::parse(key).map_err(|error| bad(error.to_string()))?;
                if path.as_ref() != key {
                    return Err(bad("has a / at the start or end of its key".to_owned()));
                }
                let Connected { store, s3 } = self.bucket(location, *cloud, bucket).await?;
                let credential = match &s3 {
                    Some(s3) => s3.credential().await,
                    None => None,
                };
                Ok(Asking { place: (store, path), s3, credential })
            }
        }
    }

    async fn bucket(&self, location: &Location, cloud: Cloud, bucket: &str) -> Result<Connected, SourceError> {
        // Held while connecting, so that days that begin together connect once.
        let mut buckets = self.buckets.lock().await;
        if let Some(connected) = buckets.get(bucket) {
            return Ok(connected.clone());
        }
        let connected = self.connect(cloud, bucket).await.map_err(|error| self.unconnected(location, &error))?;
        buckets.insert(bucket.to_owned(), connected.clone());
        Ok(connected)
    }

    async fn connect(&self, cloud: Cloud, bucket: &str) -> object_store::Result<Connected> {
        let (client, retry) = (self.client(self.spec.allow_http), self.retry());
        let generic = |error| object_store::Error::Generic { store: "HTTP", source: Box::new(error) };
        let store: Arc<dyn ObjectStore> = match cloud {
            Cloud::S3 => {
                let found =
                    s3::Bucket::find(&self.spec, bucket, (self.patience, client, retry), &self.aws_files).await?;
                return Ok(Connected { store: found.store()?, s3: Some(Arc::new(found)) });
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
        Ok(Connected { store, s3: None })
    }

    /// A store of its own for each URL, since only so is the query kept; the connections behind it are shared.
    fn web(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, String> {
        let (mut url, allow_http) = (url.clone(), url.scheme() == "http");
        let headers = login::headers(&mut url, &self.spec).map_err(|error| error.to_string())?;
        let connector = self.connector(allow_http).map_err(|error| error.to_string())?.for_web(headers);
        let builder = HttpBuilder::new().with_url(url).with_client_options(self.client(allow_http));
        let store = builder.with_retry(self.retry()).with_http_connector(connector).build();
        store.map(|store| Arc::new(store) as _).map_err(|error| Answer::of(&error).why)
    }

    fn client(&self, allow_http: bool) -> ClientOptions {
        ClientOptions::new()
            .with_timeout_disabled()
            .with_connect_timeout(self.patience.connect)
            .with_read_timeout(self.patience.idle)
            .with_allow_http(allow_http)
    }

    fn retry(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig { init_backoff: self.patience.backoff, ..BackoffConfig::default() },
            max_retries: self.patience.retries,
            // It runs from the first request on, so it would forbid to resume a body after three minutes.
            retry_timeout: std::time::Duration::MAX,
        }
    }

    fn unconnected(&self, location: &Location, error: &object_store::Error) -> SourceError {
        let (url, mut answer) = (location.shown(), Answer::of(error));
        let named = self.named_files(location);
        // A key file that holds something else is read all the same, and the store does not say which it is.
        answer.why += &if answer.why.contains("decode") { named.all() } else { named.to_string() };
        answer.why += setting_of(&answer.why);
        answer.why += &self.network.hint(self.scheme(location), &answer);
        if answer.login == Login::Missing {
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
        asking: &Asking,
        error: &object_store::Error,
    ) -> Result<String, SourceError> {
        let (url, answer) = (location.shown(), Answer::of(error));
        let hint = || asking.s3.as_ref().map_or_else(String::new, |bucket| bucket.hint(&answer));
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
            _ if answer.login == Login::Missing => Err(SourceError::NoCredentials { url, why, temporary }),
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
fn no_token(location: &Location, answer: &Answer) -> &'static str {
    match location {
        Location::Object { cloud: Cloud::Google, .. } if answer.login == Login::NotGiven => {
            "; no token was given out: credentials come from GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT, \
             gcloud's file or else the machine's service account; for a public bucket set source.anonymous = true"
        }
        Location::Object { cloud: Cloud::Azure, .. } if answer.login == Login::NotGiven => {
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

/// A body on its way: a task receives it, a blocking thread reads it. Dropping it ends the task.
#[derive(Debug)]
pub(super) struct Download {
    pieces: mpsc::Receiver<Result<Bytes, SourceError>>,
    piece: Bytes,
    task: AbortHandle,
}

impl Download {
    fn start(place: Place, got: GetResult, info: FileInfo, runtime: &Handle) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_IN_FLIGHT);
        let task = runtime.spawn(receive(place, got.into_stream(), info, sender)).abort_handle();
        Self { pieces, piece: Bytes::new(), task }
    }

    /// The task that receives the body.
    pub(super) fn task(&self) -> AbortHandle {
        self.task.clone()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(error.into_io()),
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

/// Hands a body on, piece by piece. The store resumes one that breaks off, if the server names its version by an
/// `ETag`, and gives up after so many times; here it begins anew as long as something more has come.
async fn receive(
    (store, path): Place,
    mut body: BoxStream<'static, object_store::Result<Bytes>>,
    info: FileInfo,
    pieces: mpsc::Sender<Result<Bytes, SourceError>>,
) {
    let (mut got, mut got_before) = (0, 0);
    while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => {
                got += piece.len() as u64;
                Ok(piece)
            }
            Err(error) => {
                if got > got_before
                    && let Some(rest) = rest_of(&*store, &path, &info, got).await
                {
                    (body, got_before) = (rest, got);
                    continue;
                }
                Err(broken(&*store, &path, &info, got, &error).await)
            }
        };
        let failed = piece.is_err();
        if pieces.send(piece).await.is_err() || failed {
            return;
        }
    }
}

/// What is missing of a body, if it is still of the same version.
async fn rest_of(
    store: &dyn ObjectStore,
    path: &Path,
    info: &FileInfo,
    got: u64,
) -> Option<BoxStream<'static, object_store::Result<Bytes>>> {
    let (Some(etag), Some(bytes)) = (&info.etag, info.bytes) else { return None };
    let range = (got < bytes).then(|| GetOptions::new().with_range(Some(got..bytes)))?;
    let rest = store.get_opts(path, range).await.ok()?;
    (rest.meta.e_tag.as_ref() == Some(etag) && rest.meta.size == bytes).then(|| rest.into_stream())
}

/// Why a body broke off for good. The store gives up on a changed `ETag` too, without saying so.
async fn broken(
    store: &dyn ObjectStore,
    path: &Path,
    info: &FileInfo,
    got: u64,
    error: &object_store::Error,
) -> SourceError {
    let url = info.url.clone();
    if info.etag.is_some()
        && let Ok(now) = store.get_opts(path, GetOptions::new().with_head(true)).await
        && now.meta.e_tag != info.etag
    {
        return SourceError::Changed { url };
    }
    let Answer { why, temporary, until, .. } = Answer::of(error);
    SourceError::Broken { url, got, announced: info.bytes, why, temporary, until }
}

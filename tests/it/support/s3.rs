//! An S3 service in the test process: objects in memory, signatures checked, and faults on demand.
//!
//! A program under test is pointed at it by `endpoint`, `allow_http = true`, `path_style = true` and, unless the server
//! is public, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in its environment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, Response};
use s3s::auth::SimpleAuth;
use s3s::dto::{ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, StreamingBlob, Timestamp};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use sha2::{Digest, Sha256};

use super::http::{self, Body, Seen, Server};

pub(crate) const ACCESS_KEY: &str = "AKIADAYFILLTEST";
pub(crate) const SECRET_KEY: &str = "only/a+test=secret";

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// An error with this status and code.
    Status(u16, &'static str),
    /// A refusal with this status, code and message.
    Says(u16, &'static str, &'static str),
    /// The body breaks off after so many bytes.
    CutOff(usize),
    /// The body breaks off after so many bytes, and by the next request the object has another content.
    Replaced(usize, Bytes),
    /// The body stops after so many bytes and the connection stays open.
    Stalled(usize),
}

/// The service, until it is dropped.
pub(crate) struct S3Server {
    server: Server,
    shared: Shared,
}

type Shared = Arc<Mutex<State>>;

#[derive(Default)]
struct State {
    buckets: BTreeSet<String>,
    objects: BTreeMap<(String, String), Bytes>,
    faults: VecDeque<Fault>,
    always: Option<Fault>,
    region: Option<(String, NamedBy)>,
}

/// How a service that is asked for another region names its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NamedBy {
    /// As Amazon does: a redirect without a place, and a header.
    Redirect,
    /// As Amazon does for a bucket that was made a short while ago: a redirect with a place, and a header.
    Location,
    /// As `MinIO` does: 400, and an element of the body.
    Body,
}

impl S3Server {
    /// A service that knows [`ACCESS_KEY`] with [`SECRET_KEY`].
    pub(crate) fn start() -> Self {
        Self::serve(Some(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY)))
    }

    /// A service that knows another key.
    pub(crate) fn start_with(access_key: &str, secret_key: &str) -> Self {
        Self::serve(Some(SimpleAuth::from_single(access_key, secret_key)))
    }

    /// A service that takes unsigned requests only.
    pub(crate) fn start_public() -> Self {
        Self::serve(None)
    }

    fn serve(auth: Option<SimpleAuth>) -> Self {
        let shared = Shared::default();
        let mut builder = S3ServiceBuilder::new(Objects(Arc::clone(&shared)));
        if let Some(auth) = auth {
            builder.set_auth(auth);
        }
        let (service, state) = (builder.build(), Arc::clone(&shared));
        let server = Server::start(move |request| answer(service.clone(), Arc::clone(&state), request));
        Self { server, shared }
    }

    /// Puts an object, and makes its bucket if need be.
    pub(crate) fn put(&self, bucket: &str, key: &str, content: impl Into<Bytes>) {
        let mut state = self.shared.lock().unwrap();
        state.buckets.insert(bucket.to_owned());
        state.objects.insert((bucket.to_owned(), key.to_owned()), content.into());
    }

    pub(crate) fn remove(&self, bucket: &str, key: &str) {
        self.shared.lock().unwrap().objects.remove(&(bucket.to_owned(), key.to_owned()));
    }

    /// Takes a bucket away, with all that is in it.
    pub(crate) fn remove_bucket(&self, bucket: &str) {
        let mut state = self.shared.lock().unwrap();
        state.buckets.remove(bucket);
        state.objects.retain(|(of, _), _| of != bucket);
    }

    /// Spoils the next request; several faults spoil several requests, in order.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.shared.lock().unwrap().faults.push_back(fault);
    }

    /// Spoils every request from now on, or none.
    pub(crate) fn fail_always(&self, fault: Option<Fault>) {
        self.shared.lock().unwrap().always = fault;
    }

    /// From now on takes requests that are signed for this region only.
    pub(crate) fn is_in(&self, region: &str, named_by: NamedBy) {
        self.shared.lock().unwrap().region = Some((region.to_owned(), named_by));
    }

    /// The endpoint to set.
    pub(crate) fn endpoint(&self) -> String {
        self.server.url()
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.server.seen()
    }
}

async fn answer(service: S3Service, state: Shared, request: Request<Incoming>) -> Response<Body> {
    let get = request.method() == Method::GET;
    let path = request.uri().path().to_owned();
    if let Some(elsewhere) = elsewhere(&state.lock().unwrap(), &request) {
        return elsewhere;
    }
    let fault = {
        let mut state = state.lock().unwrap();
        let due = state.faults.front().is_some_and(|fault| get || matches!(fault, Fault::Status(..) | Fault::Says(..)));
        if due { state.faults.pop_front() } else { state.always.clone() }
    };
    let said = match fault {
        Some(Fault::Status(status, code)) => Some((status, code, "as ordered")),
        Some(Fault::Says(status, code, message)) => Some((status, code, message)),
        _ => None,
    };
    if let Some((status, code, message)) = said {
        let xml = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
        return http::status(status, if get { xml } else { String::new() });
    }
    let response = service.call(request.map(s3s::Body::from)).await.unwrap();
    let (Some(fault), true) = (fault, get && response.status().is_success()) else {
        return response.map(|body| body.map_err(io::Error::other).boxed_unsync());
    };
    let (mut parts, body) = response.into_parts();
    let content = body.collect().await.unwrap().to_bytes();
    let spoiled = match fault {
        Fault::Status(..) | Fault::Says(..) => unreachable!("answered above"),
        Fault::CutOff(after) => http::cut_off(content, after),
        Fault::Replaced(after, other) => {
            let (bucket, key) = path[1..].split_once('/').unwrap();
            state.lock().unwrap().objects.insert((bucket.to_owned(), key.to_owned()), other);
            http::cut_off(content, after)
        }
        Fault::Stalled(after) => http::stalled(content, after, std::sync::mpsc::channel().0),
    };
    parts.headers.insert(CONTENT_LENGTH, spoiled.headers()[CONTENT_LENGTH].clone());
    Response::from_parts(parts, spoiled.into_body())
}

/// The answer to a request that is signed for another region.
fn elsewhere(state: &State, request: &Request<Incoming>) -> Option<Response<Body>> {
    let (region, named_by) = state.region.as_ref()?;
    let signed = request.headers().get(hyper::header::AUTHORIZATION).map(|value| value.to_str().unwrap());
    if signed.is_none_or(|signed| signed.contains(&format!("/{region}/s3/"))) {
        return None;
    }
    let xml = |code: &str, more: &str| format!("<Error><Code>{code}</Code><Message>elsewhere</Message>{more}</Error>");
    Some(match named_by {
        NamedBy::Redirect | NamedBy::Location => {
            let mut response = http::status(301, xml("PermanentRedirect", ""));
            response.headers_mut().insert("x-amz-bucket-region", region.parse().unwrap());
            if matches!(named_by, NamedBy::Location) {
                let place = format!("http://elsewhere.invalid{}", request.uri().path());
                response.headers_mut().insert(hyper::header::LOCATION, place.parse().unwrap());
            }
            response
        }
        NamedBy::Body => http::status(400, xml("AuthorizationHeaderMalformed", &format!("<Region>{region}</Region>"))),
    })
}

struct Objects(Shared);

impl Objects {
    fn find(&self, bucket: &str, key: &str) -> S3Result<(Bytes, ETag)> {
        let state = self.0.lock().unwrap();
        if !state.buckets.contains(bucket) {
            return Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"));
        }
        let content = state.objects.get(&(bucket.to_owned(), key.to_owned())).cloned();
        let content = content.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))?;
        let etag = hex(&Sha256::digest(&content)[..8]);
        Ok((content, ETag::Strong(etag)))
    }
}

/// When every object was last changed: 2019-04-02 02:00 UTC.
fn modified() -> Timestamp {
    (SystemTime::UNIX_EPOCH + Duration::from_hours(431_714)).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let (content, etag) = self.find(&input.bucket, &input.key)?;
        let size = content.len() as u64;
        let (content, content_range) = match input.range {
            None => (content, None),
            Some(range) => {
                let range = range.check(size)?;
                let header = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                (
                    content.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()),
                    Some(header),
                )
            }
        };
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(i64::try_from(content.len()).unwrap()),
            body: Some(StreamingBlob::from(s3s::Body::from(content))),
            content_range,
            e_tag: Some(etag),
            last_modified: Some(modified()),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let (content, etag) = self.find(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(i64::try_from(content.len()).unwrap()),
            e_tag: Some(etag),
            last_modified: Some(modified()),
            ..HeadObjectOutput::default()
        }))
    }
}

//! Credentials from the chain of Amazon's own tools.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::result::ConnectorError;
use futures_util::future::BoxFuture;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

use crate::source::named_files::NamedFiles;

/// New credentials are asked for so long before the old ones expire: no request may outlive them.
const BEFORE_EXPIRY: Duration = Duration::from_mins(5);
/// Credentials that do not expire are asked for again after this time: the profile they came from may have changed.
const ASK_AGAIN: Duration = Duration::from_mins(15);

/// Makes the chain. It keeps what it read of the profile files, so one is made each time credentials are asked for.
pub(super) type Chain = Box<dyn Fn() -> BoxFuture<'static, Option<SharedCredentialsProvider>> + Send + Sync>;

/// Credentials from the AWS SDK, kept until shortly before they expire.
pub(super) struct Credentials {
    chain: Chain,
    files: NamedFiles,
    kept: Mutex<Option<(Arc<AwsCredential>, SystemTime)>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    pub(super) fn new(chain: Chain, files: NamedFiles) -> Self {
        Self { chain, files, kept: Mutex::default() }
    }

    /// The credentials that requests are signed with now.
    pub(super) async fn in_use(&self) -> Option<Arc<AwsCredential>> {
        self.kept.lock().await.as_ref().map(|(credential, _)| Arc::clone(credential))
    }

    /// Reads the credentials again after `refused` were not accepted. True if they are others now.
    pub(super) async fn replaced(&self, refused: Option<&Arc<AwsCredential>>) -> bool {
        let mut kept = self.kept.lock().await;
        if let (Some((now, _)), Some(refused)) = (&*kept, refused)
            && now != refused
        {
            // Somebody else was faster.
            return true;
        }
        match self.ask().await {
            Ok(found) => {
                let others = refused.is_none_or(|refused| *refused != found.0);
                *kept = Some(found);
                others
            }
            // What the server said of the old ones says more.
            Err(_) => false,
        }
    }

    async fn ask(&self) -> object_store::Result<(Arc<AwsCredential>, SystemTime)> {
        let missing = |why| {
            let source = Box::new(NoCredentials { why, files: self.files.to_string() });
            object_store::Error::Generic { store: "S3", source }
        };
        let provider = (self.chain)().await.ok_or_else(|| missing(None))?;
        let found = provider.provide_credentials().await.map_err(|error| missing(Some(error)))?;
        let until = found.expiry().and_then(|expiry| expiry.checked_sub(BEFORE_EXPIRY));
        let credential = AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        };
        Ok((Arc::new(credential), until.unwrap_or_else(|| SystemTime::now() + ASK_AGAIN)))
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        if let Some((credential, until)) = &*kept
            && SystemTime::now() < *until
        {
            return Ok(Arc::clone(credential));
        }
        let found = self.ask().await?;
        let credential = Arc::clone(&found.0);
        *kept = Some(found);
        Ok(credential)
    }
}

/// No credentials were found, or those found could not be used.
#[derive(Debug)]
pub(in crate::source) struct NoCredentials {
    why: Option<CredentialsError>,
    /// Which files could not be read.
    files: String,
}

impl NoCredentials {
    /// True if who gives credentials out does not answer, or if what they are given out for has expired, such as the
    /// login of SSO.
    pub(in crate::source) fn is_temporary(&self) -> bool {
        let Some(error) = &self.why else { return false };
        let layers = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
        let layers: Vec<_> = layers.collect();
        // A certificate that is not trusted will not be trusted later.
        if layers.iter().any(|layer| layer.to_string().contains("certificate")) {
            return false;
        }
        matches!(error, CredentialsError::ProviderTimedOut(_))
            || layers.iter().any(|layer| {
                let no_answer = layer.downcast_ref::<ConnectorError>();
                no_answer.is_some_and(|error| error.is_io() || error.is_timeout())
                    || layer.to_string().to_ascii_lowercase().contains("expired")
            })
    }
}

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            None | Some(CredentialsError::CredentialsNotLoaded(_)) => f.write_str(
                "no AWS credentials were found; looked at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile \
                 (AWS_PROFILE in ~/.aws/config and ~/.aws/credentials, SSO included), AWS_WEB_IDENTITY_TOKEN_FILE, the \
                 container's role and the machine's role (IMDS); for a public bucket set source.anonymous = true",
            )?,
            Some(error) => {
                f.write_str("the AWS credentials could not be used")?;
                let layers = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
                layers.into_iter().try_for_each(|layer| write!(f, ": {layer}"))?;
            }
        }
        f.write_str(&self.files)
    }
}

impl std::error::Error for NoCredentials {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_credential_types::provider::{ProvideCredentials, future};

    use super::*;

    #[derive(Debug)]
    struct Issuer {
        lifetime: Option<Duration>,
        issued: Arc<AtomicU32>,
        /// From this one on, another secret is issued.
        changed: u32,
    }

    impl ProvideCredentials for Issuer {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let issued = self.issued.fetch_add(1, Ordering::Relaxed);
            let expiry = self.lifetime.map(|lifetime| SystemTime::now() + lifetime);
            let secret = if issued < self.changed { "secret" } else { "other secret" };
            let found = aws_credential_types::Credentials::new("id", secret, None, expiry, "test");
            future::ProvideCredentials::ready(Ok(found))
        }
    }

    fn credentials(lifetime: Option<Duration>, changed: u32) -> (Credentials, Arc<AtomicU32>) {
        let issued = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&issued);
        let chain = move || -> BoxFuture<'static, _> {
            let provider = Issuer { lifetime, issued: Arc::clone(&counter), changed };
            Box::pin(async { Some(SharedCredentialsProvider::new(provider)) })
        };
        (Credentials::new(Box::new(chain), NamedFiles::default()), issued)
    }

    #[tokio::test]
    async fn credentials_are_kept_until_shortly_before_they_expire() {
        for (lifetime, asked) in [(None, 1), (Some(Duration::from_mins(6)), 1), (Some(Duration::from_mins(4)), 2)] {
            let (credentials, issued) = credentials(lifetime, u32::MAX);
            for _ in 0..2 {
                assert_eq!(credentials.get_credential().await.unwrap().secret_key, "secret");
            }
            assert_eq!(issued.load(Ordering::Relaxed), asked, "{lifetime:?}");
            assert!(!format!("{credentials:?}").contains("secret"));
        }
    }

    #[tokio::test]
    async fn refused_credentials_are_read_again_and_count_if_they_are_others() {
        let (credentials, issued) = credentials(None, 2);
        let first = credentials.get_credential().await.unwrap();
        assert!(!credentials.replaced(Some(&first)).await, "the same secret was taken for another");
        assert!(credentials.replaced(Some(&first)).await);
        assert_eq!(credentials.get_credential().await.unwrap().secret_key, "other secret");
        // Another request that was refused with the old ones need not ask.
        assert!(credentials.replaced(Some(&first)).await);
        assert_eq!(issued.load(Ordering::Relaxed), 3);
    }
}

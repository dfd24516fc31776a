//! The names of what can be asked for, on the page and through the API, and how much may be said of why.

/// How many characters the reason that is given may have.
pub const LONGEST_REASON: usize = 1000;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Action {
    /// Every wanted day that is not done is loaded, as at a tick.
    CatchUp,
    /// Days are loaded whatever their state, but for loaded ones.
    Load,
    /// Days are loaded, loaded ones too.
    Reload,
    /// Days get a new series of attempts, and are loaded.
    Retry,
    /// Days are left out.
    Skip,
    /// Days are made missing again.
    Forget,
    /// Loads under way are cancelled.
    Cancel,
    /// The dataset begins nothing by itself any more.
    Pause,
    /// It does again.
    Resume,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 9] = [
        Self::CatchUp,
        Self::Load,
        Self::Reload,
        Self::Retry,
        Self::Skip,
        Self::Forget,
        Self::Cancel,
        Self::Pause,
        Self::Resume,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CatchUp => "catch_up",
            Self::Load => "load",
            Self::Reload => "reload",
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Forget => "forget",
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// True when days are loaded by it, some time later.
    #[must_use]
    pub fn loads(self) -> bool {
        matches!(self, Self::CatchUp | Self::Load | Self::Reload | Self::Retry)
    }

    /// True when it is about days that are named.
    #[must_use]
    pub fn takes_days(self) -> bool {
        matches!(self, Self::Load | Self::Reload | Self::Retry | Self::Skip | Self::Forget | Self::Cancel)
    }
}

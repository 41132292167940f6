//! The exit codes of the program.

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// It could not start or could not go on: a port in use, a model that fails its checks, a server out of reach.
    Failure = 1,
    /// What it was told can't be right: the command line, the configuration, a manifest, a checksum.
    Usage = 2,
    /// It works and something is doubtful, where that was asked for.
    Doubtful = 3,
}

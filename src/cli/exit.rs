//! Exit codes of the program.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Success = 0,
    /// The command could not start or could not go on: a port is in use, a model fails its checks, a server can't be
    /// reached.
    Failure = 1,
    /// The input is wrong: the command line, the configuration, a manifest, a checksum.
    Usage = 2,
    /// Everything works but something is doubtful, and `--strict` asked for that to be an error; or a bulk job is done, and
    /// some of its rows have no answer.
    Doubtful = 3,
}
